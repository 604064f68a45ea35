import { DISRUPTION_REASONS, type Counters, type FailureRule, type UnjudgedPod } from './types.ts';

/** How the pod back-off grows. */
export interface BackoffPolicy {
  /** Wait after one failure, ms > 0. */
  readonly baseMs: number;
  /** Longest wait, ms >= baseMs. */
  readonly capMs: number;
}

/** Kubernetes' values: 10 s doubling up to 10 min (its documentation says 6, its code 10). */
export const DEFAULT_BACKOFF: BackoffPolicy = { baseMs: 10_000, capMs: 600_000 };

/**
 * How long to wait after `failures` pod failures in a row before the next pod starts.
 *
 * Doubles from `baseMs` and stops at `capMs`. No jitter, so that the time can be shown exactly.
 *
 * @param failures - Failures since the last success, an integer >= 0. 0 means no wait.
 * @returns Milliseconds from the last failure, in [0, capMs].
 * @throws RangeError if `failures` is negative or not an integer (a caller's bug).
 * @see getRemainingTimeForFailuresCount in kubernetes/pkg/controller/job/backoff_utils.go
 */
export function backoffDelayMs(failures: number, policy: BackoffPolicy): number {
  if (!Number.isInteger(failures) || failures < 0) {
    throw new RangeError(`failures must be an integer >= 0, got ${failures}`);
  }
  if (failures === 0) return 0;
  // 2 ** 1024 is Infinity, which Math.min turns into the cap: no guard against overflow is needed.
  return Math.min(policy.capMs, policy.baseMs * 2 ** (failures - 1));
}

/**
 * Kubernetes knows by the second when pods end, so that the failures among pods that end together do
 * not come after the successes among them. Milliseconds would put them in an order by chance: of fifty
 * pods of which ten fail, ten failures in a row, and ten minutes without a pod.
 */
const TOGETHER_MS = 1000;

/** Failures since the last success, and when the last of them ended. */
export interface FailureRow {
  readonly failuresInRow: number;
  /** ms since the epoch; 0 = no failure yet. */
  readonly lastFailureMs: number;
}

/**
 * Adds newly seen failures to the row of failures.
 *
 * A success that is not older than the last failure that was judged ends the row: then only
 * failures that ended strictly after that success count. Otherwise all new ones are added, as
 * Kubernetes does within one sync. A pod that ran beside the last success, and ended together with
 * it, is not a failure after it, whichever was reported first.
 *
 * @param failures - Those that {@link delaysNextPod} says hold up others.
 */
export function extendFailureRow(
  counters: Pick<Counters, 'failuresInRow' | 'lastFailureMs' | 'lastSuccessMs'>,
  failures: readonly UnjudgedPod[],
): FailureRow {
  const { lastSuccessMs } = counters;
  const isReset = lastSuccessMs > 0 && lastSuccessMs >= counters.lastFailureMs;
  const inRow = failures.filter(
    (pod) => !endedTogether(pod, lastSuccessMs) && (!isReset || pod.endMs > lastSuccessMs),
  );
  const failuresInRow = (isReset ? 0 : counters.failuresInRow) + inRow.length;
  const lastFailureMs = failures.reduce(
    (latest, pod) => Math.max(latest, pod.endMs),
    counters.lastFailureMs,
  );
  return { failuresInRow, lastFailureMs };
}

/** Whether a pod ran when the last success ended, and ended no later than {@link TOGETHER_MS} after it. */
function endedTogether(pod: UnjudgedPod, lastSuccessMs: number): boolean {
  const afterMs = pod.endMs - lastSuccessMs;
  return pod.startMs < lastSuccessMs && afterMs >= 0 && afterMs < TOGETHER_MS;
}

/**
 * Whether a failed pod holds up the next one. A pod that its user deleted does not, nor does one
 * that was lost, until it is the third loss in a row, or a rule of the podFailurePolicy makes it an
 * ordinary failure. One that is ignored does, as in Kubernetes.
 *
 * @param action - Of the rule that it matches; null = none.
 */
export function delaysNextPod(pod: UnjudgedPod, action: FailureRule['action'] | null): boolean {
  if (pod.reason === 'Deleted') return false;
  const isExcusable = action === null || action === 'Ignore';
  return !(isExcusable && isExcusedLoss(pod));
}

/** Losses in a row from which on a loss is an ordinary failure: the pod may be what kills workers. */
export const LOSSES_TO_BLAME = 3;

/** Whether the pod was lost through no fault of its own, and not too often. */
export function isExcusedLoss(pod: UnjudgedPod): boolean {
  const isLoss = DISRUPTION_REASONS.some((reason) => reason === pod.reason);
  return isLoss && pod.losses < LOSSES_TO_BLAME;
}
