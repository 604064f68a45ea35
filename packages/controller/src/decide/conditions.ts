import { formatTime, type JobCondition, setCondition } from '@drover/shared';
import type { Observed } from './types.ts';

/** What a condition says, without its times. */
export interface ConditionText {
  readonly type: 'Suspended' | 'SuccessCriteriaMet' | 'FailureTarget' | 'Complete' | 'Failed';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** The Job is suspended. */
export const SUSPENDED: ConditionText = {
  type: 'Suspended',
  status: 'True',
  reason: 'JobSuspended',
  message: 'Job suspended',
};

/** The Job was suspended and is not any more. */
export const RESUMED: ConditionText = {
  type: 'Suspended',
  status: 'False',
  reason: 'JobResumed',
  message: 'Job resumed',
};

/** A condition that fixes how a Job ends; the terminal condition copies its reason and message. */
export interface Interim extends ConditionText {
  readonly type: 'SuccessCriteriaMet' | 'FailureTarget';
  readonly status: 'True';
}

/** As many pods succeeded as the Job wants. */
export const COMPLETIONS_REACHED: Interim = {
  type: 'SuccessCriteriaMet',
  status: 'True',
  reason: 'CompletionsReached',
  message: 'Reached expected number of succeeded pods',
};

/** More pods failed, or more containers were restarted, than backoffLimit allows. */
export const BACKOFF_LIMIT_EXCEEDED: Interim = {
  type: 'FailureTarget',
  status: 'True',
  reason: 'BackoffLimitExceeded',
  message: 'Job has reached the specified backoff limit',
};

/** More indexes failed than maxFailedIndexes allows. */
export const MAX_FAILED_INDEXES_EXCEEDED: Interim = {
  type: 'FailureTarget',
  status: 'True',
  reason: 'MaxFailedIndexesExceeded',
  message: 'Job has exceeded the specified maximal number of failed indexes',
};

/** Every index succeeded or failed, and some failed. */
export const FAILED_INDEXES: Interim = {
  type: 'FailureTarget',
  status: 'True',
  reason: 'FailedIndexes',
  message: 'Job has failed indexes',
};

/** activeDeadlineSeconds passed since startTime. */
export const DEADLINE_EXCEEDED: Interim = {
  type: 'FailureTarget',
  status: 'True',
  reason: 'DeadlineExceeded',
  message: 'Job was active longer than specified deadline',
};

/** The interim condition that an earlier pass wrote; null = the Job's end is still open. */
export function findInterim({ status }: Observed): Interim | null {
  for (const type of ['SuccessCriteriaMet', 'FailureTarget'] as const) {
    const found = status.conditions.find((one) => one.type === type && one.status === 'True');
    if (found) {
      return { type, status: 'True', reason: found.reason ?? '', message: found.message ?? '' };
    }
  }
  return null;
}

/** The condition that says that the Job is over. */
export function terminalOf(interim: Interim): ConditionText {
  const type = interim.type === 'SuccessCriteriaMet' ? 'Complete' : 'Failed';
  return { ...interim, type };
}

/** Sets a condition that holds from now on; one that says the same already keeps its times. */
export function withCondition(
  conditions: readonly JobCondition[],
  text: ConditionText,
  nowMs: number,
): readonly JobCondition[] {
  const time = formatTime(nowMs);
  return setCondition(conditions, { ...text, lastProbeTime: time, lastTransitionTime: time });
}
