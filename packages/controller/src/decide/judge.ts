import { extendFailureRow, isExcusedLoss, type FailureRow } from './backoff.ts';
import type { Counters, Observed, PodVerdict, UnjudgedPod } from './types.ts';

/** The verdicts of one pass, and the counters as they will be once those are recorded. */
export interface Judged {
  readonly judgements: readonly PodVerdict[];
  readonly counters: Counters;
}

/** Gives every failed pod that was observed its verdict. */
export function judgePods({ spec, counters, unjudged }: Observed): Judged {
  const judgements = unjudged.map((pod) => ({
    podNumber: pod.podNumber,
    verdict: 'failed' as const,
    countsToLimit: countsToLimit(pod, spec.backoffLimit),
  }));
  const row: FailureRow = spec.suspended
    ? // A resumed Job starts without delay.
      { ...extendFailureRow(counters, unjudged), failuresInRow: 0 }
    : extendFailureRow(counters, unjudged);
  return {
    judgements,
    counters: {
      ...counters,
      ...row,
      failed: counters.failed + judgements.length,
      limitFailures:
        counters.limitFailures + judgements.filter((verdict) => verdict.countsToLimit).length,
      unjudged: Math.max(0, counters.unjudged - judgements.length),
    },
  };
}

/** Gives the verdicts about failed pods that are nobody's: they count for nothing. */
export function dismissPods({ counters, unjudged }: Observed): Judged {
  const judgements = unjudged.map(({ podNumber }) => ({
    podNumber,
    verdict: 'ignored' as const,
    countsToLimit: false,
  }));
  const left = Math.max(0, counters.unjudged - judgements.length);
  return { judgements, counters: { ...counters, unjudged: left } };
}

/** With backoffLimit 0 the user wants one attempt at most: even a lost pod uses it up. */
function countsToLimit(pod: UnjudgedPod, backoffLimit: number): boolean {
  return backoffLimit === 0 || !isExcusedLoss(pod);
}
