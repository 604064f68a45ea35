import type { Logger } from 'pino';

/** Between two looks. */
const LOOK_MS = 500;
/** Nothing is said of shorter times: the lease and the locks bear them. */
const TELL_FROM_MS = 1_000;
/** Once is enough to be told; a handler that computes does it with every pod. */
const TELL_EVERY_MS = 60_000;

/**
 * Notices that the event loop stood still, as it does while a handler computes on it: heartbeats and other pods
 * waited for that long, and if it was longer than the lease, the worker counts as dead.
 */
export class BlockWatch {
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | null = null;
  #toldMs = -Infinity;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Looks from now on. */
  start(): void {
    let lastMs = performance.now();
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      this.#judge(nowMs - lastMs - LOOK_MS, nowMs);
      lastMs = nowMs;
    }, LOOK_MS);
    this.#timer.unref();
  }

  /** Looks no more. */
  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #judge(blockedMs: number, nowMs: number): void {
    if (blockedMs < TELL_FROM_MS || nowMs - this.#toldMs < TELL_EVERY_MS) return;
    this.#toldMs = nowMs;
    this.#logger.warn(
      { blockedMs: Math.round(blockedMs) },
      `nothing else ran in this worker for ${(blockedMs / 1000).toFixed(1)} s, not even its heartbeat: a handler that computes for so long should have isolation: 'thread'`,
    );
  }
}
