/** Upper bounds for times from a tenth of a millisecond to ten seconds, in seconds: scripts, looks, requests. */
export const SHORT_TIME_BOUNDS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** Upper bounds for times from a millisecond to a day, in seconds: what pods take, and what they wait. */
export const LONG_TIME_BOUNDS: readonly number[] = [
  0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400,
];

/**
 * Counts values by size: what a histogram is made of. It never grows, and to note a value allocates nothing, so that it
 * may be on the way of every pod.
 */
export class Distribution {
  /** Upper bounds, each included, in rising order; what is above the last one is in `counts` behind it. */
  readonly bounds: readonly number[];
  /** How many values were above the bound before and at most this one. */
  readonly counts: number[];
  /** All values together. */
  sum = 0;

  /** @param bounds - At least one, in rising order. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  /** How many values were noted. */
  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** Notes a value. */
  note(value: number): void {
    const { bounds, counts } = this;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= bounds[middle]!) high = middle;
      else low = middle + 1;
    }
    counts[low]! += 1;
    this.sum += value;
  }
}
