import type { Logger } from 'pino';

import { badInput } from './errors.ts';
import { EXIT } from './exitCodes.ts';
import { onInterrupt } from './interrupt.ts';

/** A controller or a worker: runs until it is closed. */
export interface Service {
  run(): Promise<void>;
  close(options?: { readonly force?: boolean }): Promise<void>;
}

/**
 * Runs a service until a signal asks it to end; a second signal does not wait for what runs.
 *
 * @returns The exit code.
 */
export async function runService(service: Service, logger: Logger): Promise<number> {
  let signals = 0;
  const release = onInterrupt((signal) => {
    signals += 1;
    logger.info({ signal }, signals === 1 ? 'stopping' : 'stopping at once');
    void service.close({ force: signals > 1 });
  });
  try {
    await service.run();
    return EXIT.ok;
  } finally {
    release();
  }
}

/** Makes a service; options that it refuses are the user's mistake. */
export function makeService<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw badInput(error.message);
    throw error;
  }
}
