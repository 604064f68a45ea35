/**
 * Waits for a promise, but not for ever: what Redis does not answer when a worker closes is given up.
 *
 * @returns Whether it was fulfilled in time. A rejection is passed on.
 */
export async function within(limitMs: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | null = null;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  const settled = promise.then(() => true);
  // When it fails after the time is over nobody is there to hear of it.
  settled.catch(() => undefined);
  try {
    return await Promise.race([settled, timeout]);
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}
