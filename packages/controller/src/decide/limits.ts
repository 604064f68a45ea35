import { FAILED_INDEXES, MAX_FAILED_INDEXES_EXCEEDED, type Interim } from './conditions.ts';
import type { Counters, DecideSpec, GatePlan, ObservedIndexes } from './types.ts';

/**
 * Whether the Job has failed too often.
 *
 * More failed pods than backoffLimit always do it. With restartPolicy OnFailure so do as many
 * container restarts of the active pods as backoffLimit (with 0, the first): Kubernetes compares
 * with `>` for pods and with `>=` for restarts.
 */
export function isBackoffLimitExceeded(spec: DecideSpec, counters: Counters): boolean {
  if (counters.limitFailures > spec.backoffLimit) return true;
  if (!spec.restartsContainers) return false;
  return counters.restarts >= Math.max(1, spec.backoffLimit);
}

/** Whether too many indexes failed, or there is none left that could still succeed. */
export function findIndexVerdict(
  spec: DecideSpec,
  { succeeded }: Counters,
  indexes: ObservedIndexes | null,
): Interim | null {
  if (indexes === null || indexes.failedCount === 0) return null;
  const { failedCount } = indexes;
  if (spec.maxFailedIndexes !== null && failedCount > spec.maxFailedIndexes) {
    return MAX_FAILED_INDEXES_EXCEEDED;
  }
  return failedCount + succeeded >= (spec.completions ?? 0) ? FAILED_INDEXES : null;
}

/**
 * When the Job fails for lack of time, ms since the epoch; 0 = never.
 *
 * startTime is written in whole seconds, but the gate remembers the deadline to the millisecond:
 * as long as it belongs to the same start and duration it is kept, so that a Job never gets up to
 * a second less than it asked for. A changed duration is counted from the startTime shown.
 *
 * @param startTimeMs - status.startTime, or the present when the Job starts in this pass.
 */
export function deadlineMs(spec: DecideSpec, startTimeMs: number | null, gate: GatePlan): number {
  if (spec.activeDeadlineSeconds === null || spec.suspended || startTimeMs === null) return 0;
  const durationMs = spec.activeDeadlineSeconds * 1000;
  const keptStartMs = gate.deadlineMs - durationMs;
  if (gate.deadlineMs > 0 && toWholeSeconds(keptStartMs) === startTimeMs) return gate.deadlineMs;
  return startTimeMs + durationMs;
}

/** Cuts to the precision of a time in a Kubernetes object. */
export function toWholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
