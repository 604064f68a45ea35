/** So much longer than a piece of work took is rested after it: a third of a core is worked, most of it not by Redis. */
const REST_FACTOR = 2;
const MIN_REST_MS = 200;
const MAX_REST_MS = 1_000;

/** Lets those who share it work for a small part of the time. */
export class Rest {
  #untilMs = 0;

  /** Notes how long somebody worked. */
  add(workedMs: number): void {
    const nowMs = performance.now();
    const restMs = Math.max(MIN_REST_MS, REST_FACTOR * workedMs);
    this.#untilMs = Math.min(Math.max(this.#untilMs, nowMs) + restMs, nowMs + MAX_REST_MS);
  }

  /** How much of it is left, ms. */
  get leftMs(): number {
    return Math.max(0, this.#untilMs - performance.now());
  }
}
