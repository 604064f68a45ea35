import {
  backoffDelayMs,
  type BackoffPolicy,
  delaysNextPod,
  extendFailureRow,
  isExcusedLoss,
} from './backoff.ts';
import type { Interim } from './conditions.ts';
import { isOutside } from './resize.ts';
import { failedByRule, matchFailureRule, type FailureMatch } from './failurePolicy.ts';
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
  /** How the Job fails because of one of the pods: its podFailurePolicy says so; null = it does not. */
  readonly failsJob: Interim | null;
}

/** Most indexes whose back-off is over that the store lets go with one set of verdicts. */
const MAX_RELEASED_PER_PASS = 500;

/** A failed pod and what its Job's podFailurePolicy says of it; null = nothing. */
interface Case {
  readonly pod: UnjudgedPod;
  readonly match: FailureMatch | null;
}

/** Gives every failed pod that was observed its verdict. */
export function judgePods(observed: Observed, nowMs: number, backoff: BackoffPolicy): Judged {
  const { spec, counters, indexes, startableCount } = observed;
  const inside = observed.unjudged.filter(({ index }) => !isOutside(observed, index));
  const outside = observed.unjudged.filter(({ index }) => isOutside(observed, index));
  const cases = inside
    .map((pod) => ({ pod, match: matchFailureRule(spec.failureRules, pod) }))
    // Of several pods that fail the Job the first is named, however often it is looked at.
    .toSorted((a, b) => a.pod.podNumber - b.pod.podNumber);
  const judgements = [
    ...cases.map((one) => judgePod(spec, one, nowMs, backoff)),
    ...outside.map(dismiss),
  ];
  const row = extendFailureRow(
    counters,
    cases.filter(delays).map(({ pod }) => pod),
  );
  // A resumed Job starts without delay, and of one with limits for each index every index has its own.
  const hasNoRow = spec.suspended || spec.backoffLimitPerIndex !== null;
  const failing = cases.find(({ match }) => match?.action === 'FailJob');
  const countOf = (isSo: (verdict: PodVerdict) => boolean): number =>
    judgements.filter(isSo).length;
  return {
    judgements,
    counters: {
      ...counters,
      ...row,
      ...(hasNoRow && { failuresInRow: 0 }),
      failed: counters.failed + countOf(({ verdict }) => verdict !== 'ignored'),
      limitFailures: counters.limitFailures + countOf(({ countsToLimit }) => countsToLimit),
      unjudged: Math.max(0, counters.unjudged - judgements.length),
    },
    indexes: indexes && afterVerdicts(indexes, judgements, nowMs),
    startableCount: startableCount + (indexes?.readyCount ?? 0) + countOf(isTriedAgain),
    failsJob: failing?.match ? failedByRule(failing.match) : null,
  };
}

function delays({ pod, match }: Case): boolean {
  return delaysNextPod(pod, match?.action ?? null);
}

/** Gives the verdicts about failed pods that are nobody's: they count for nothing. */
export function dismissPods({ counters, unjudged, indexes }: Observed): Judged {
  const judgements = unjudged.map(dismiss);
  const left = Math.max(0, counters.unjudged - judgements.length);
  return {
    judgements,
    counters: { ...counters, unjudged: left },
    indexes,
    startableCount: 0,
    failsJob: null,
  };
}

function dismiss({ podNumber, index }: UnjudgedPod): PodVerdict {
  return { podNumber, index, verdict: 'ignored', countsToLimit: false };
}

function judgePod(spec: DecideSpec, one: Case, nowMs: number, backoff: BackoffPolicy): PodVerdict {
  const { podNumber, index, failures, endMs } = one.pod;
  const action = one.match?.action ?? null;
  const isIgnored = action === 'Ignore';
  const countsToLimit = countsTo(one, spec.backoffLimit);
  const verdict = isIgnored ? 'ignored' : 'failed';
  const common = { podNumber, index, countsToLimit };
  if (spec.backoffLimitPerIndex === null) return { ...common, verdict };

  const countsToIndex = countsTo(one, spec.backoffLimitPerIndex);
  const { counted, ignored } = failures;
  const isOneTooMany = countsToIndex && counted >= spec.backoffLimitPerIndex;
  if (action === 'FailIndex' || isOneTooMany) return { ...common, verdict: 'indexFailed' };
  const delayMs = delays(one) ? backoffDelayMs(counted + ignored + 1, backoff) : 0;
  const retryAtMs = endMs + delayMs;
  return {
    ...common,
    verdict,
    failures: {
      counted: counted + (countsToIndex ? 1 : 0),
      ignored: ignored + (isIgnored ? 1 : 0),
    },
    ...(retryAtMs > nowMs && { retryAtMs }),
  };
}

/**
 * Whether a failed pod counts to a limit. With a limit of 0 the user wants one attempt at most: even
 * a lost pod uses it up. What a rule of the podFailurePolicy says comes first.
 */
function countsTo({ pod, match }: Case, limit: number): boolean {
  if (match !== null) return match.action !== 'Ignore';
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
