/** How often a slot is passed on at once before it is left alone for a while. */
const HOPS = 3;
/** First wait before a slot that can't run here is taken again; doubles up to the cap. */
const BASE_MS = 20;
const CAP_MS = 5_000;
/** Slots that are remembered. */
const MAX_SLOTS = 10_000;

/**
 * Remembers how often slots were put back because they can't run here, and says for how long to
 * leave them alone.
 *
 * A wait alone would not do: all idle workers wake for a delayed QueueJob at the same moment, and Redis
 * serves the oldest connection first, so the same worker would get it each time. A QueueJob
 * that is put back for now goes to the worker that has been waiting longest. So it is passed on
 * a few times, which brings it to a worker that can run it if one is idle, and then rests.
 */
export class UnfitSlots {
  readonly #times = new Map<string, number>();
  readonly #random: () => number;

  /** @param random - As Math.random. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** How long to leave a slot alone now; 0 = pass it on. */
  delayMs(queueJobId: string): number {
    const times = this.#times.get(queueJobId) ?? 0;
    this.#times.delete(queueJobId);
    this.#times.set(queueJobId, times + 1);
    if (this.#times.size > MAX_SLOTS) {
      const [oldest] = this.#times.keys();
      if (oldest !== undefined) this.#times.delete(oldest);
    }
    if (times % (HOPS + 1) < HOPS) return 0;
    const rests = Math.floor(times / (HOPS + 1));
    const delayMs = Math.min(CAP_MS, BASE_MS * 2 ** Math.min(rests, 10));
    return Math.round(delayMs * (0.5 + this.#random()));
  }
}
