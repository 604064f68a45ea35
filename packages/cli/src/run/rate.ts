/** How far back the rate looks. */
const WINDOW_MS = 15_000;

/** Tells how fast something goes and when it will be done, from what was done by when. */
export class RateMeter {
  readonly #samples: { atMs: number; done: number }[] = [];

  /** Notes how much is done now; call it whenever it is known. */
  add(atMs: number, done: number): void {
    this.#samples.push({ atMs, done });
    // One sample beyond the window stays, so that there is always a stretch to measure.
    while ((this.#samples[1]?.atMs ?? atMs) < atMs - WINDOW_MS) this.#samples.shift();
  }

  /** Per second, over the last seconds; 0 when nothing was done yet. */
  perSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0;
    return ((last.done - first.done) * 1000) / (last.atMs - first.atMs);
  }

  /** Milliseconds until `total` are done at this rate; null when that can't be told. */
  etaMs(total: number): number | null {
    const rate = this.perSecond();
    const done = this.#samples.at(-1)?.done ?? 0;
    return rate > 0 ? ((total - done) * 1000) / rate : null;
  }
}
