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

/** From a worker: it takes pods now. */
export interface ReadyNote {
  readonly type: 'ready';
}

/** Waits for the order to start; null when the supervisor went away before. */
export async function receiveStartOrder(): Promise<StartOrder | null> {
  return await new Promise((resolve) => {
    process.once('message', (message) => resolve(message as StartOrder));
    process.once('disconnect', () => resolve(null));
  });
}

/** Tells the supervisor that this worker takes pods. */
export function sendReady(): void {
  process.send?.({ type: 'ready' } satisfies ReadyNote);
}

/** Whether a message of a worker says that it is ready. */
export function isReadyNote(message: unknown): message is ReadyNote {
  return (
    typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready'
  );
}
