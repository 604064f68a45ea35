import type { Logger } from 'pino';

import type { SlotHolder } from './slots/holder.ts';

/** Pods that are named; the others are counted. */
const MAX_NAMED = 10;

/**
 * Tells which pods go down with this process when an error that nobody caught ends it. Node ends it in
 * any case: what state it would go on in, nobody knows.
 *
 * @param holders - The slots that are held at the moment.
 * @returns Stops that.
 */
export function tellUncaught(holders: () => readonly SlotHolder[], logger: Logger): () => void {
  const tell = (error: unknown, origin: string): void => {
    const pods = holders().flatMap(({ podText }) => (podText === null ? [] : [podText]));
    const named = pods.slice(0, MAX_NAMED).join(', ');
    const others = pods.length > MAX_NAMED ? ` and ${pods.length - MAX_NAMED} more` : '';
    const lost = pods.length === 0 ? 'no pod ran in it' : `with it go ${named}${others}`;
    const what =
      origin === 'unhandledRejection' ? 'a rejected promise' : 'an error outside of any promise';
    logger.fatal(
      { err: error },
      `${what} that nobody caught ends this worker; ${lost}. Its pods run again elsewhere. If it came from a handler: one with isolation: 'thread' would have failed alone`,
    );
  };
  process.on('uncaughtExceptionMonitor', tell);
  return () => process.off('uncaughtExceptionMonitor', tell);
}
