/**
 * How `drover dev` and its worker processes speak: over Node's own channel, so that the address of
 * Redis, which has a password in it, is in no argument and no environment.
 */

/** From `drover dev`, once, at the beginning. */
export interface StartOrder {
  readonly type: 'start';
  readonly redisUrl: string;
  readonly prefix: string;
}

/** From `drover dev`: another worker has taken over. Take no more pods, and end when those that run have ended. */
export interface RetireOrder {
  readonly type: 'retire';
}

/** From a worker: it takes pods now. */
export interface ReadyNote {
  readonly type: 'ready';
}

/** From a worker: its handlers are made of this file, which may be missing. */
export interface SourceNote {
  readonly type: 'source';
  readonly path: string;
}

/** Waits for the order to start; null when the supervisor went away before. */
export async function receiveStartOrder(): Promise<StartOrder | null> {
  return await new Promise((resolve) => {
    process.once('message', (message) => resolve(message as StartOrder));
    process.once('disconnect', () => resolve(null));
  });
}

/** Calls back when the supervisor orders this worker to retire. */
export function onRetireOrder(retire: () => void): void {
  process.on('message', (message) => {
    if (typeOf(message) === 'retire') retire();
  });
}

/** Tells the supervisor something. */
export function sendNote(note: ReadyNote | SourceNote): void {
  if (process.connected) process.send?.(note);
}

/** Reads what a worker says; null when it is nothing known. */
export function readNote(message: unknown): ReadyNote | SourceNote | null {
  const type = typeOf(message);
  return type === 'ready' || type === 'source' ? (message as ReadyNote | SourceNote) : null;
}

function typeOf(message: unknown): unknown {
  return typeof message === 'object' && message !== null && 'type' in message
    ? message.type
    : undefined;
}
