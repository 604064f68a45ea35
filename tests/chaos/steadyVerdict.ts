/** Whether memory stayed as it was under a steady load. Pure. */

/** What was measured of one thing at one time. */
export interface Sample {
  /** Since the load began, ms. */
  readonly atMs: number;
  readonly bytes: number;
}

/** Samples of one thing, in order. */
export interface Series {
  /** `worker-1 heap`. */
  readonly name: string;
  readonly samples: readonly Sample[];
  /** It grew when its level rises by more than this and by more than {@link GROWTH}. */
  readonly noiseBytes: number;
}

/** What is said of a series. */
export interface Level {
  readonly name: string;
  /** Median of the third and of the last quarter of the load, bytes. */
  readonly before: number;
  readonly after: number;
  readonly isFlat: boolean;
}

/** Part of a level by which it may rise. */
const GROWTH = 0.05;

/**
 * Compares the third quarter of a load with the last one: the first half is warm-up, in which caches fill, code is compiled,
 * and Redis collects what it keeps for some minutes.
 *
 * @param loadMs - How long the load lasted.
 */
export function levelOf({ name, samples, noiseBytes }: Series, loadMs: number): Level {
  const within = (from: number, to: number): number =>
    median(
      samples
        .filter(({ atMs }) => atMs >= from * loadMs && atMs < to * loadMs)
        .map(({ bytes }) => bytes),
    );
  const before = within(0.5, 0.75);
  const after = within(0.75, 1);
  const isFlat = after - before <= Math.max(noiseBytes, before * GROWTH);
  return { name, before, after, isFlat };
}

/** The middle one; of an even number the lower of the two. @throws RangeError when there is none. */
function median(values: readonly number[]): number {
  const middle = values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
  if (middle === undefined) throw new RangeError('nothing was measured in a quarter of the load');
  return middle;
}
