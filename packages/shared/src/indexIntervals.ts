/**
 * Sets of completion indexes as text: `0,1`, `0-2`, `2,4,5,7-9`. Runs of three and more are
 * written as an interval, a run of two as two items.
 *
 * @see docs of JobStatus.completedIndexes, JobStatus.failedIndexes
 */

/** Indexes `first` to `last`, both included. */
export interface IndexInterval {
  readonly first: number;
  readonly last: number;
}

/**
 * Calls `visit` for each run of set bits, in ascending order.
 *
 * @param bitmap - Index 0 is the most significant bit of byte 0, as Redis' SETBIT writes it. May
 *   be shorter than `count` bits: Redis does not store trailing zeros.
 * @param count - Only indexes below it are looked at.
 */
export function forEachInterval(
  bitmap: Uint8Array,
  count: number,
  visit: (first: number, last: number) => void,
): void {
  const end = Math.min(count, bitmap.length * 8);
  /** Where the present run began; -1 outside of one. */
  let first = -1;
  let index = 0;
  while (index < end) {
    const byte = bitmap[index >> 3] ?? 0;
    // Whole bytes that continue what we are in; most bytes of a large Job are such.
    if ((index & 7) === 0 && byte === (first < 0 ? 0 : 0xff)) {
      index += 8;
      continue;
    }
    const isSet = (byte & (0x80 >> (index & 7))) !== 0;
    if (isSet && first < 0) {
      first = index;
    } else if (!isSet && first >= 0) {
      visit(first, index - 1);
      first = -1;
    }
    index++;
  }
  if (first >= 0) visit(first, end - 1);
}

/**
 * Writes the set bits below `count` as index intervals; `''` when there are none.
 *
 * @param bitmap - As for {@link forEachInterval}.
 */
export function formatIndexIntervals(bitmap: Uint8Array, count: number): string {
  let text = '';
  forEachInterval(bitmap, count, (first, last) => {
    const run = first === last ? `${first}` : `${first}${last === first + 1 ? ',' : '-'}${last}`;
    text += text === '' ? run : `,${run}`;
  });
  return text;
}

/** How many bits below `count` are set. */
export function countIndexes(bitmap: Uint8Array, count: number): number {
  let total = 0;
  forEachInterval(bitmap, count, (first, last) => {
    total += last - first + 1;
  });
  return total;
}

/**
 * Reads index intervals as the Job controller does: forgivingly. Items that can't be read are
 * skipped, indexes from `completions` on are cut off, neighbours are merged.
 *
 * @returns Ascending intervals with a gap between each two.
 */
export function parseIndexIntervals(text: string, completions: number): IndexInterval[] {
  const intervals: IndexInterval[] = [];
  for (const item of text.split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(item.trim());
    if (match === null) continue;
    const first = Number(match[1]);
    const last = Math.min(Number(match[2] ?? match[1]), completions - 1);
    if (first <= last) intervals.push({ first, last });
  }
  return merge(intervals);
}

function merge(intervals: IndexInterval[]): IndexInterval[] {
  const merged: IndexInterval[] = [];
  for (const next of intervals.toSorted((a, b) => a.first - b.first)) {
    const previous = merged.at(-1);
    if (previous === undefined || next.first > previous.last + 1) {
      merged.push(next);
    } else if (next.last > previous.last) {
      merged[merged.length - 1] = { first: previous.first, last: next.last };
    }
  }
  return merged;
}

/** What {@link checkIndexIntervals} found. */
export type IndexIntervalsCheck =
  | { readonly type: 'valid'; readonly count: number }
  | { readonly type: 'invalid'; readonly problem: string };

/**
 * Checks index intervals that a user wrote: every index an integer below `completions`, strictly
 * increasing, at most one `-` an item.
 *
 * @returns How many indexes are named, or what is wrong in Kubernetes' words.
 */
export function checkIndexIntervals(text: string, completions: number): IndexIntervalsCheck {
  if (text === '') return { type: 'valid', count: 0 };
  let previous = -1;
  let count = 0;
  for (const item of text.split(',')) {
    const limits = item.split('-');
    if (limits.length > 2) {
      const rule = "an index interval can have at most two parts separated by '-'";
      return problem(`the fragment "${item}" violates the requirement that ${rule}`);
    }
    for (const limit of limits) {
      if (!/^\d+$/.test(limit)) {
        return problem(`cannot convert string to integer for index: "${limit}"`);
      }
      const index = Number(limit);
      if (index >= completions) return problem(`too large index: "${limit}"`);
      if (index <= previous) {
        return problem(`non-increasing order, previous: ${previous}, current: ${index}`);
      }
      previous = index;
    }
    count += previous - Number(limits[0]) + 1;
  }
  return { type: 'valid', count };
}

function problem(text: string): IndexIntervalsCheck {
  return { type: 'invalid', problem: text };
}
