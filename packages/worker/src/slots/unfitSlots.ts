/** First wait before a slot that can't run here is taken again; doubles up to the cap. */
const BASE_MS = 20;
const CAP_MS = 5_000;
/** Slots that are remembered. */
const MAX_SLOTS = 10_000;

/** Remembers how often slots were put back because they can't run here. */
export class UnfitSlots {
  readonly #times = new Map<string, number>();
  readonly #random: () => number;

  /** @param random - As Math.random. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /**
   * How long to leave a slot alone now; longer with each call. With chance in it, because a worker
   * that can run it wakes for it at the same time as those that can't.
   */
  delayMs(queueJobId: string): number {
    const times = this.#times.get(queueJobId) ?? 0;
    this.#times.delete(queueJobId);
    this.#times.set(queueJobId, times + 1);
    if (this.#times.size > MAX_SLOTS) {
      const [oldest] = this.#times.keys();
      if (oldest !== undefined) this.#times.delete(oldest);
    }
    const delayMs = Math.min(CAP_MS, BASE_MS * 2 ** Math.min(times, 10));
    return Math.round(delayMs * (0.5 + this.#random()));
  }
}
