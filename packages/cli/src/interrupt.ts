/** The signals that ask a command to end. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs something until it ends or the user interrupts it, which is no error. */
export async function untilInterrupted(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  const release = onInterrupt(() => controller.abort());
  try {
    await run(controller.signal);
  } finally {
    release();
  }
}

/**
 * Calls back for every SIGINT, SIGTERM or SIGHUP.
 *
 * @returns Ends it: the signals act as ever again.
 */
export function onInterrupt(listener: (signal: NodeJS.Signals) => void): () => void {
  for (const signal of SIGNALS) process.on(signal, listener);
  return () => {
    for (const signal of SIGNALS) process.off(signal, listener);
  };
}
