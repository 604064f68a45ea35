import {
  FOREGROUND_FINALIZER,
  HOLD_ANNOTATION,
  OUR_CONTROLLER,
  parseFittingKey,
  ORPHAN_FINALIZER,
  parseTime,
  TerminalError,
  WORK_QUEUE_ANNOTATION,
  type Job,
  type JobStatus,
  type PodFailurePolicy,
  type SuccessPolicy,
  parseIndexIntervals,
} from '@drover/shared';
import {
  composeJob,
  composePod,
  type IndexState,
  type IndexSupply,
  type ObservedJob,
  type PodOverlay,
  type StoredJob,
} from '@drover/store';
import type { AdoptedSource } from './adoption.ts';
import type {
  DecideSpec,
  Deletion,
  Observed,
  PodFacts,
  SuccessRule,
  UnjudgedPod,
} from './decide/types.ts';

/** Nobody told how the containers of such a pod ended. */
const UNHEARD_REASONS: ReadonlySet<string> = new Set(['NodeLost', 'RolledBack']);

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
  readonly managedBy?: string | null;
  readonly manualSelector?: boolean | null;
  readonly podFailurePolicy?: PodFailurePolicy | null;
  readonly successPolicy?: SuccessPolicy | null;
  readonly podReplacementPolicy?: string;
  readonly template?: {
    readonly spec?: { readonly restartPolicy?: string; readonly priorityClassName?: string };
  };
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
    isForeign: (spec.managedBy ?? OUR_CONTROLLER) !== OUR_CONTROLLER,
    failureRules: spec.podFailurePolicy?.rules ?? null,
    successRules: readSuccessRules(spec),
    replacesEnded: spec.podReplacementPolicy === 'Failed',
    backoffLimitPerIndex: readOptional(job, spec, 'backoffLimitPerIndex'),
    maxFailedIndexes: readOptional(job, spec, 'maxFailedIndexes'),
  };
}

/** The PriorityClass that a Job's pods name; '' = none. */
export function priorityClassOf(job: StoredJob): string {
  if (!job.object.includes('"priorityClassName"')) return '';
  const { spec } = readJson(job, 'object', job.object) as { readonly spec?: StoredSpec };
  return spec?.template?.spec?.priorityClassName ?? '';
}

/** Whether a Job's selector is its user's: it may select pods that are not its own. */
export function selectsByHand(job: StoredJob): boolean {
  if (job.bare || !job.object.includes('"manualSelector"')) return false;
  const { spec } = readJson(job, 'object', job.object) as { readonly spec?: StoredSpec };
  return spec?.manualSelector === true;
}

/** Indexes beyond the completions are left out, as in Kubernetes. */
function readSuccessRules({ successPolicy, completions }: StoredSpec): SuccessRule[] {
  return (successPolicy?.rules ?? []).map(({ succeededIndexes, succeededCount }) => {
    if (succeededIndexes === undefined) return { indexes: null, count: succeededCount ?? 0 };
    const indexes = parseIndexIntervals(succeededIndexes, completions ?? 0);
    const all = indexes.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    return { indexes, count: succeededCount ?? all };
  });
}

/** The status as last written; `{}` for a Job that no controller has seen. */
export function readStatus(job: StoredJob): JobStatus {
  return readJson(job, 'status', job.status) as JobStatus;
}

/** The work queue that a Job names; null = none. */
export function workQueueOf(job: StoredJob): string | null {
  return annotationOf(job, WORK_QUEUE_ANNOTATION);
}

/** What of a Job has to be read beside a look at it. */
export interface ReadBeside {
  /** What the Job's pods need is not there: none is started. */
  readonly isHeldUp: boolean;
  /** Of a Job with backoffLimitPerIndex; null for others. */
  readonly indexState: IndexState | null;
  /** Of failed pods that a podFailurePolicy is to look at, by number; null for other Jobs. */
  readonly overlays: ReadonlyMap<number, PodOverlay> | null;
  /** Bits of indexes that succeeded, as far as a successPolicy asks for them. */
  readonly done: Uint8Array;
  /** Failed pods that the Job has adopted, as they are where they lie, by their numbers here. */
  readonly adopted: ReadonlyMap<number, AdoptedSource>;
  /** A growing Job has pods of an index that comes, which may not be replaced before they ended. */
  readonly hasTail: boolean;
}

/**
 * One look as `decide` takes it.
 *
 * @param more - What had to be read beside the look.
 */
export function toObserved(
  look: ObservedJob,
  spec: DecideSpec,
  status: JobStatus,
  { isHeldUp, indexState, overlays, done, adopted, hasTail }: ReadBeside,
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
    unjudged: overlays === null ? look.unjudged : withFacts(look, overlays, adopted),
    done,
    startableCount: startableCount(look.supply),
    indexes: indexState,
    range: spec.indexed ? { end: look.supply.completions ?? 0, cut: look.job.cut, hasTail } : null,
    pendingCount: look.pendingCount,
    fittingLanes: look.fittingLanes,
    reserves: parseFittingKey(look.job.fittingKey).requests !== null,
    jobsOnQueue: look.jobsOnQueue,
  };
}

/** The Job of a stored one, as far as its pods are concerned. */
export function jobOf(stored: StoredJob): Job {
  const { metadata, ...others } = composeJob({ stored, counters: null, done: null });
  const { uid, namespace, name } = stored;
  return { ...others, metadata: { ...metadata, uid, namespace, name } };
}

function withFacts(
  { job: stored, unjudged }: ObservedJob,
  overlays: ReadonlyMap<number, PodOverlay>,
  adopted: ReadonlyMap<number, AdoptedSource>,
): UnjudgedPod[] {
  if (unjudged.length === 0) return [];
  const job = jobOf(stored);
  return unjudged.map((pod) => ({
    ...pod,
    facts: factsOf(
      adopted.get(pod.podNumber) ?? {
        job,
        pod,
        isBare: false,
        overlay: overlays.get(pod.podNumber) ?? null,
      },
    ),
  }));
}

/** What a failed pod shows of itself, as far as that is known and not made up. */
function factsOf(source: AdoptedSource): PodFacts {
  const { pod } = source;
  const { metadata, status } = composePod({ ...source, nodeName: '' });
  const { containerStatuses = [], initContainerStatuses = [] } = status;
  const isHeardOf = pod.nodeNumber !== 0 && !UNHEARD_REASONS.has(pod.reason);
  const ended = [...containerStatuses, ...initContainerStatuses].flatMap(({ name, state }) =>
    state?.terminated === undefined ? [] : [{ name, exitCode: state.terminated.exitCode }],
  );
  return {
    path: `${metadata.namespace}/${metadata.name}`,
    containers: isHeardOf ? ended : [],
    conditions: status.conditions ?? [],
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
