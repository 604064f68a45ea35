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

/** Two signals in so short a time are one: sent to us, and to our process group. */
const SAME_SIGNAL_MS = 200;

/**
 * Calls back for every SIGINT, SIGTERM or SIGHUP.
 *
 * @returns Ends it: the signals act as ever again.
 */
export function onInterrupt(listener: (signal: NodeJS.Signals) => void): () => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  const onSignal = (signal: NodeJS.Signals): void => {
    const nowMs = performance.now();
    if (nowMs - lastMs < SAME_SIGNAL_MS) return;
    lastMs = nowMs;
    listener(signal);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}
