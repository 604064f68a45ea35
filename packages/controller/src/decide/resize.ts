import { findInterim } from './conditions.ts';
import type { Observed } from './types.ts';

/** How the indexes of a Job are to change. */
export interface Resize {
  /** The first index that goes; null = none does. */
  readonly from: number | null;
  /** How many there are then. */
  readonly completions: number;
}

/**
 * Whether the indexes of an Indexed Job are other ones than its spec asks for, and none that goes or
 * comes is in the way; null = they are right, or it has to wait.
 *
 * A resize that was begun is ended first, whatever the spec says by now: what is known of the indexes
 * that went is partly removed. A Job whose end is fixed gets no more indexes.
 */
export function resizeOf(observed: Observed): Resize | null {
  const { range, spec } = observed;
  if (range === null || spec.completions === null) return null;
  const { end, cut, hasTail } = range;
  const isEnding = findInterim(observed) !== null;
  const completions = isEnding ? Math.min(spec.completions, end) : spec.completions;
  const kept = Math.min(completions, end, cut ?? end);
  if (kept < end) return { from: kept, completions };
  return completions === end || hasTail ? null : { from: null, completions };
}

/** Whether a pod has an index that the Job does not have any more: it counts for nothing. */
export function isOutside({ spec }: Observed, index: number): boolean {
  return spec.indexed && spec.completions !== null && index >= spec.completions;
}
