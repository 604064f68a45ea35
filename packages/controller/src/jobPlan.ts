import {
  FOREGROUND_FINALIZER,
  HOLD_ANNOTATION,
  ORPHAN_FINALIZER,
  parseTime,
  TerminalError,
  WORK_QUEUE_ANNOTATION,
  type Job,
  type JobStatus,
} from '@drover/shared';
import type { IndexState, IndexSupply, ObservedJob, StoredJob } from '@drover/store';
import type { DecideSpec, Deletion, Observed } from './decide/types.ts';

/** A stored spec as far as the controller reads it; what came from a user was validated then. */
interface StoredSpec {
  readonly parallelism?: number;
  readonly completions?: number | null;
  readonly completionMode?: string;
  readonly backoffLimit?: number;
  readonly backoffLimitPerIndex?: number | null;
  readonly maxFailedIndexes?: number | null;
  readonly activeDeadlineSeconds?: number | null;
  readonly ttlSecondsAfterFinished?: number | null;
  readonly suspend?: boolean;
  readonly podReplacementPolicy?: string;
  readonly template?: { readonly spec?: { readonly restartPolicy?: string } };
}

/**
 * The part of a stored Job's spec that decisions depend on.
 *
 * @throws TerminalError when it can not be read: no retry would help.
 */
export function readSpec(job: StoredJob): DecideSpec {
  const { spec } = readJson(job, 'object', job.object) as { readonly spec?: StoredSpec };
  if (spec === undefined) throw new TerminalError(`Job ${job.uid} is stored without a spec`);
  return {
    parallelism: readCount(job, 'parallelism', spec.parallelism ?? 1),
    completions: readOptional(job, spec, 'completions'),
    indexed: spec.completionMode === 'Indexed',
    backoffLimit: readCount(job, 'backoffLimit', spec.backoffLimit ?? 6),
    activeDeadlineSeconds: readOptional(job, spec, 'activeDeadlineSeconds'),
    ttlSecondsAfterFinished: readOptional(job, spec, 'ttlSecondsAfterFinished'),
    suspended: spec.suspend ?? false,
    // A pod without a Job is restarted as often as it takes: no limit is set for it.
    restartsContainers: spec.template?.spec?.restartPolicy === 'OnFailure' && !job.bare,
    replacesEnded: spec.podReplacementPolicy === 'Failed',
    backoffLimitPerIndex: readOptional(job, spec, 'backoffLimitPerIndex'),
    maxFailedIndexes: readOptional(job, spec, 'maxFailedIndexes'),
  };
}

/** The status as last written; `{}` for a Job that no controller has seen. */
export function readStatus(job: StoredJob): JobStatus {
  return readJson(job, 'status', job.status) as JobStatus;
}

/** The work queue that a Job names; null = none. */
export function workQueueOf(job: StoredJob): string | null {
  return annotationOf(job, WORK_QUEUE_ANNOTATION);
}

/**
 * One look as `decide` takes it.
 *
 * @param isHeldUp - What the Job's pods need is not there: none is started.
 * @param indexState - Of a Job with backoffLimitPerIndex; null for others.
 */
export function toObserved(
  look: ObservedJob,
  spec: DecideSpec,
  status: JobStatus,
  isHeldUp: boolean,
  indexState: IndexState | null,
): Observed {
  return {
    spec,
    status: {
      startTimeMs: parseTime(status.startTime),
      conditions: status.conditions ?? [],
    },
    finished: look.job.finished,
    deletion: deletionOf(look.job),
    orphaned: look.job.orphaned,
    deleted: look.job.deleted,
    held: isHeldUp || annotationOf(look.job, HOLD_ANNOTATION) === 'true',
    gate: look.gate,
    counters: look.counters,
    unjudged: look.unjudged,
    startableCount: startableCount(look.supply),
    indexes: indexState,
    pendingCount: look.pendingCount,
    fittingLanes: look.fittingLanes,
    jobsOnQueue: look.jobsOnQueue,
  };
}

function startableCount({ completions, cursor, retryCount }: IndexSupply): number {
  if (completions === null) return Number.POSITIVE_INFINITY;
  return retryCount + Math.max(0, completions - cursor);
}

/** The generation does not tell: an annotation is no part of the spec. Most Jobs never had it. */
function annotationOf(job: StoredJob, annotation: string): string | null {
  if (!job.object.includes(annotation)) return null;
  const { metadata } = readJson(job, 'object', job.object) as Pick<Job, 'metadata'>;
  return metadata.annotations?.[annotation] ?? null;
}

function readJson(job: StoredJob, what: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new TerminalError(`the stored ${what} of Job ${job.uid} is not JSON`, { cause });
  }
}

function deletionOf({ deletionMs, finalizers }: StoredJob): Deletion | null {
  if (deletionMs === null) return null;
  if (finalizers.includes(ORPHAN_FINALIZER)) return 'orphan';
  return finalizers.includes(FOREGROUND_FINALIZER) ? 'foreground' : 'others';
}

function readOptional(
  job: StoredJob,
  spec: StoredSpec,
  field:
    | 'completions'
    | 'activeDeadlineSeconds'
    | 'ttlSecondsAfterFinished'
    | 'backoffLimitPerIndex'
    | 'maxFailedIndexes',
): number | null {
  const value = spec[field];
  return value === undefined || value === null ? null : readCount(job, field, value);
}

function readCount(job: StoredJob, field: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new TerminalError(`Job ${job.uid} is stored with ${field} ${JSON.stringify(value)}`);
}
