import { countIndexes, formatIndexIntervals, formatTime, type JobStatus } from '@drover/shared';
import type { DecideSpec, Figures, Standing } from './types.ts';

/** Bits of the indexes of a Job as text and number. */
export interface IndexText {
  /** As in status.completedIndexes and failedIndexes, such as `0-2,5`; '' for none. */
  readonly text: string;
  /** How many indexes the text names. */
  readonly count: number;
}

/**
 * Renders a bitmap of indexes.
 *
 * @param bitmap - Bit i, most significant first, says whether index i is in it. May be shorter
 *   than `completions` bits; bits beyond them are left out.
 */
export function renderIndexes(bitmap: Uint8Array, completions: number): IndexText {
  return {
    text: formatIndexIntervals(bitmap, completions),
    count: countIndexes(bitmap, completions),
  };
}

/**
 * Puts a status together: exactly the fields that Kubernetes shows, zero counts left out as there.
 *
 * @param done - For an Indexed Job; then `succeeded` is the number of indexes, so that the two
 *   fields agree even when pods ended between the two reads.
 * @param failed - For a Job with backoffLimitPerIndex: shown even when it is empty.
 */
export function composeStatus(
  spec: Pick<DecideSpec, 'indexed'>,
  figures: Figures,
  standing: Standing,
  done: IndexText | null,
  failed: IndexText | null = null,
): JobStatus {
  const succeeded = spec.indexed && done ? done.count : figures.succeeded;
  return {
    ...(figures.active > 0 && { active: figures.active }),
    ...(spec.indexed && done && done.text !== '' && { completedIndexes: done.text }),
    ...(standing.completionTimeMs !== null && {
      completionTime: formatTime(standing.completionTimeMs),
    }),
    ...(standing.conditions.length > 0 && { conditions: [...standing.conditions] }),
    ...(figures.failed > 0 && { failed: figures.failed }),
    ...(failed && { failedIndexes: failed.text }),
    ready: figures.ready,
    ...(standing.startTimeMs !== null && { startTime: formatTime(standing.startTimeMs) }),
    ...(succeeded > 0 && { succeeded }),
    terminating: figures.terminating,
    uncountedTerminatedPods: {},
  };
}
