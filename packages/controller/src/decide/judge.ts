import {
  backoffDelayMs,
  type BackoffPolicy,
  delaysNextPod,
  extendFailureRow,
  isExcusedLoss,
} from './backoff.ts';
import type {
  Counters,
  DecideSpec,
  Observed,
  ObservedIndexes,
  PodVerdict,
  UnjudgedPod,
} from './types.ts';

/** The verdicts of one pass, and the counters as they will be once those are recorded. */
export interface Judged {
  readonly judgements: readonly PodVerdict[];
  readonly counters: Counters;
  readonly indexes: ObservedIndexes | null;
  /** Indexes that can get a pod once the verdicts are recorded. */
  readonly startableCount: number;
}

/** Most indexes whose back-off is over that the store lets go with one set of verdicts. */
const MAX_RELEASED_PER_PASS = 500;

/** Gives every failed pod that was observed its verdict. */
export function judgePods(observed: Observed, nowMs: number, backoff: BackoffPolicy): Judged {
  const { spec, counters, unjudged, indexes, startableCount } = observed;
  const judgements = unjudged.map((pod) => judgePod(spec, pod, nowMs, backoff));
  const row = extendFailureRow(counters, unjudged);
  // A resumed Job starts without delay, and of one with limits for each index every index has its own.
  const hasNoRow = spec.suspended || spec.backoffLimitPerIndex !== null;
  return {
    judgements,
    counters: {
      ...counters,
      ...row,
      ...(hasNoRow && { failuresInRow: 0 }),
      failed: counters.failed + judgements.length,
      limitFailures:
        counters.limitFailures + judgements.filter((verdict) => verdict.countsToLimit).length,
      unjudged: Math.max(0, counters.unjudged - judgements.length),
    },
    indexes: indexes && afterVerdicts(indexes, judgements, nowMs),
    startableCount:
      startableCount + (indexes?.readyCount ?? 0) + judgements.filter(isTriedAgain).length,
  };
}

/** Gives the verdicts about failed pods that are nobody's: they count for nothing. */
export function dismissPods({ counters, unjudged, indexes }: Observed): Judged {
  const judgements = unjudged.map(({ podNumber, index }) => ({
    podNumber,
    index,
    verdict: 'ignored' as const,
    countsToLimit: false,
  }));
  const left = Math.max(0, counters.unjudged - judgements.length);
  return { judgements, counters: { ...counters, unjudged: left }, indexes, startableCount: 0 };
}

function judgePod(
  spec: DecideSpec,
  pod: UnjudgedPod,
  nowMs: number,
  backoff: BackoffPolicy,
): PodVerdict {
  const { podNumber, index } = pod;
  const countsToLimit = countsTo(pod, spec.backoffLimit);
  if (spec.backoffLimitPerIndex === null) {
    return { podNumber, index, verdict: 'failed', countsToLimit };
  }
  const countsToIndex = countsTo(pod, spec.backoffLimitPerIndex);
  const { counted, ignored } = pod.failures;
  if (countsToIndex && counted >= spec.backoffLimitPerIndex) {
    return { podNumber, index, verdict: 'indexFailed', countsToLimit };
  }
  const delayMs = delaysNextPod(pod) ? backoffDelayMs(counted + ignored + 1, backoff) : 0;
  const retryAtMs = pod.endMs + delayMs;
  return {
    podNumber,
    index,
    verdict: 'failed',
    countsToLimit,
    failures: { counted: counted + (countsToIndex ? 1 : 0), ignored },
    ...(retryAtMs > nowMs && { retryAtMs }),
  };
}

/** With a limit of 0 the user wants one attempt at most: even a lost pod uses it up. */
function countsTo(pod: UnjudgedPod, limit: number): boolean {
  return limit === 0 || !isExcusedLoss(pod);
}

function isTriedAgain({ verdict, retryAtMs }: PodVerdict): boolean {
  return verdict !== 'indexFailed' && retryAtMs === undefined;
}

/** The verdicts also let those go whose back-off is over. */
function afterVerdicts(
  indexes: ObservedIndexes,
  judgements: readonly PodVerdict[],
  nowMs: number,
): ObservedIndexes {
  const failedNow = judgements.filter(({ verdict }) => verdict === 'indexFailed').length;
  const delayed = judgements.flatMap(({ retryAtMs }) =>
    retryAtMs === undefined ? [] : [retryAtMs],
  );
  const { nextReadyMs, failedCount, readyCount } = indexes;
  const times = nextReadyMs === null ? delayed : [nextReadyMs, ...delayed];
  if (readyCount > MAX_RELEASED_PER_PASS) times.push(nowMs);
  return {
    failedCount: failedCount + failedNow,
    readyCount: 0,
    nextReadyMs: times.length === 0 ? null : Math.min(...times),
  };
}
