import {
  DROPPED_PODS_ANNOTATION,
  formatIndexIntervals,
  formatTime,
  type Job,
  type JobStatus,
} from '@drover/shared';
import type { HotCounters, StoredJob } from '../api.ts';

/** What a Job is composed from. */
export interface JobSource {
  readonly stored: StoredJob;
  /** Live figures; null when they are of no interest. */
  readonly counters: HotCounters | null;
  /** Bits of the completion indexes that succeeded, as Redis keeps them; null when not read. */
  readonly done: Buffer | null;
  /** Bits of those that failed for good; left out or null when not read. */
  readonly failed?: Buffer | null;
}

/**
 * A Job as the API shows it: the stored object, its versions, and the status with live figures.
 * The controller folds figures into the stored status at most once a second, so a status that is
 * not terminal shows the counters as they are now. Pure.
 */
export function composeJob({ stored, counters, done, failed = null }: JobSource): Job {
  const { metadata, spec } = JSON.parse(stored.object) as Pick<Job, 'metadata' | 'spec'>;
  const status = JSON.parse(stored.status) as JobStatus;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      ...metadata,
      resourceVersion: formatVersion(stored.resourceVersion),
      generation: stored.generation,
      creationTimestamp: formatTime(stored.createdMs),
      ...(stored.deletionMs !== null && {
        deletionTimestamp: formatTime(stored.deletionMs),
        deletionGracePeriodSeconds: 0,
      }),
      ...(stored.droppedPods > 0 && {
        annotations: {
          ...metadata.annotations,
          [DROPPED_PODS_ANNOTATION]: String(stored.droppedPods),
        },
      }),
      ...(stored.finalizers.length > 0 && { finalizers: [...stored.finalizers] }),
    },
    spec,
    status:
      stored.finished || counters === null
        ? status
        : liveStatus(status, counters, spec, { done, failed }),
  };
}

/** The status of a Job that is not finished, with figures as they are now. Pure. */
export function liveStatus(
  status: JobStatus,
  counters: HotCounters,
  spec: Job['spec'],
  { done, failed }: { readonly done: Buffer | null; readonly failed: Buffer | null },
): JobStatus {
  const live: JobStatus = { ...status };
  setCount(live, 'active', counters.active);
  setCount(live, 'succeeded', counters.succeeded);
  setCount(live, 'failed', counters.failed);
  // Kubernetes writes these two even when they are 0, but nothing before its first look at a Job.
  if (live.ready !== undefined || counters.running > 0) live.ready = counters.running;
  if (live.terminating !== undefined || counters.terminating > 0) {
    live.terminating = counters.terminating;
  }
  if (done !== null && spec.completionMode === 'Indexed') {
    const completedIndexes = formatIndexIntervals(done, spec.completions ?? 0);
    if (completedIndexes === '') delete live.completedIndexes;
    else live.completedIndexes = completedIndexes;
  }
  // Not before the controller's first look, as all that is always shown.
  if (failed !== null && live.failedIndexes !== undefined) {
    live.failedIndexes = formatIndexIntervals(failed, spec.completions ?? 0);
  }
  return live;
}

/** Counts of zero are left out, as in Kubernetes' JSON. */
function setCount(
  status: JobStatus,
  field: 'active' | 'succeeded' | 'failed',
  count: number,
): void {
  if (count === 0) delete status[field];
  else status[field] = count;
}

/** A resourceVersion as text: an integer without exponent. */
export function formatVersion(resourceVersion: number): string {
  return resourceVersion.toFixed(0);
}
