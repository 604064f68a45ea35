import type {
  Counters,
  DecideSpec,
  DecideStatus,
  IndexRange,
  Observed,
  ObservedIndexes,
  UnjudgedPod,
} from '../../src/decide/types.ts';

/** A whole second, so that a startTime made of it loses nothing. */
export const T0 = Date.UTC(2026, 0, 15, 12, 0, 0);
export const SECOND = 1000;

/** What a test says about an observed Job; all else is as in a fresh Job of one pod. */
export interface Given {
  spec?: Partial<DecideSpec>;
  status?: Partial<DecideStatus>;
  counters?: Partial<Counters>;
  gate?: Partial<Observed['gate']>;
  unjudged?: UnjudgedPod[];
  finished?: boolean;
  deletion?: Observed['deletion'];
  orphaned?: boolean;
  deleted?: boolean;
  held?: boolean;
  pendingCount?: number;
  fittingLanes?: number;
  reserves?: boolean;
  jobsOnQueue?: number;
  indexes?: Partial<ObservedIndexes>;
  startableCount?: number;
  done?: Uint8Array;
  range?: Partial<IndexRange>;
}

/** An observed Job that started at T0 and whose gate is as its spec wants it. */
export function observed(given: Given = {}): Observed {
  const spec: DecideSpec = {
    parallelism: 1,
    completions: 1,
    indexed: false,
    backoffLimit: 6,
    activeDeadlineSeconds: null,
    ttlSecondsAfterFinished: null,
    suspended: false,
    restartsContainers: false,
    isForeign: false,
    failureRules: null,
    successRules: [],
    replacesEnded: false,
    backoffLimitPerIndex: null,
    maxFailedIndexes: null,
    ...given.spec,
  };
  const unjudged = given.unjudged ?? [];
  return {
    spec,
    status: { startTimeMs: T0, conditions: [], ...given.status },
    finished: given.finished ?? false,
    deletion: given.deletion ?? null,
    orphaned: given.orphaned ?? false,
    deleted: given.deleted ?? false,
    held: given.held ?? false,
    gate: {
      limit: spec.parallelism,
      notBeforeMs: 0,
      deadlineMs: 0,
      holdOnFailure: spec.backoffLimitPerIndex === null,
      ...(spec.backoffLimitPerIndex !== null && { perIndex: true }),
      ...(spec.replacesEnded && { replaceEnded: true }),
      ...(spec.successRules.length > 0 && { lookAtSuccesses: true }),
      ...given.gate,
    },
    counters: {
      active: 0,
      running: 0,
      terminating: 0,
      succeeded: 0,
      failed: 0,
      limitFailures: 0,
      unjudged: unjudged.length,
      restarts: 0,
      failuresInRow: 0,
      lastFailureMs: 0,
      lastSuccessMs: 0,
      kept: 0,
      ...given.counters,
    },
    unjudged,
    done: given.done ?? new Uint8Array(0),
    startableCount: given.startableCount ?? spec.completions ?? Number.POSITIVE_INFINITY,
    indexes:
      spec.backoffLimitPerIndex === null
        ? null
        : {
            failedCount: 0,
            readyCount: 0,
            nextReadyMs: null,
            ...given.indexes,
          },
    range: spec.indexed
      ? { end: spec.completions ?? 0, cut: null, hasTail: false, ...given.range }
      : null,
    pendingCount: given.pendingCount ?? 0,
    fittingLanes: given.fittingLanes ?? 100,
    reserves: given.reserves ?? false,
    jobsOnQueue: given.jobsOnQueue ?? 1,
  };
}

const POD = { index: 0, failures: { counted: 0, ignored: 0 } };

/** A pod that failed with an error of its own. */
export function failedPod(podNumber: number, endMs = T0, reason = 'Error'): UnjudgedPod {
  return { ...POD, podNumber, reason, startMs: endMs, endMs, losses: 0 };
}

/** A pod whose worker was lost, for the `losses`th time in a row of its index. */
export function lostPod(podNumber: number, losses: number, endMs = T0): UnjudgedPod {
  return { ...POD, podNumber, reason: 'NodeLost', startMs: endMs, endMs, losses };
}
