/** How long a container that keeps ending waits before it is started again. */
export interface CrashLoopPolicy {
  /** Wait after the first end. ms, > 0. Default 10 s. */
  readonly baseMs: number;
  /** Longest wait. ms, >= baseMs. Default 5 min. */
  readonly capMs: number;
  /** A container that ran this long is healthy: the next wait is the first again. ms. Default 10 min. */
  readonly resetAfterMs: number;
}

/** Kubernetes' values. */
export const DEFAULT_CRASH_LOOP: CrashLoopPolicy = {
  baseMs: 10_000,
  capMs: 300_000,
  resetAfterMs: 600_000,
};

/**
 * The wait before a container is started again in its pod (restartPolicy OnFailure): 10 s, 20 s,
 * 40 s ... 5 min.
 *
 * @param restarts - Restarts since the container was last healthy, an integer >= 0: 0 before the
 *   first restart.
 * @returns Milliseconds, in [baseMs, capMs].
 * @throws RangeError if `restarts` is negative or not an integer.
 */
export function crashLoopDelayMs(
  restarts: number,
  policy: CrashLoopPolicy = DEFAULT_CRASH_LOOP,
): number {
  if (!Number.isInteger(restarts) || restarts < 0) {
    throw new RangeError(`restarts must be an integer >= 0, got ${restarts}`);
  }
  // 2 ** 1024 is Infinity, which Math.min turns into the cap.
  return Math.min(policy.capMs, policy.baseMs * 2 ** restarts);
}

/**
 * The number of restarts that the next {@link crashLoopDelayMs} counts: that so far, or 0 after
 * a run of at least `resetAfterMs`.
 *
 * @param restarts - Restarts counted when the run began.
 * @param ranForMs - How long the container ran.
 */
export function crashLoopRestarts(
  restarts: number,
  ranForMs: number,
  policy: CrashLoopPolicy = DEFAULT_CRASH_LOOP,
): number {
  return ranForMs >= policy.resetAfterMs ? 0 : restarts;
}
