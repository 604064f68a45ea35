import * as z from 'zod';

import { formatTime } from './time.ts';

/** What a Job has come to. Several may be there at once; a terminal one is final. */
export const JobCondition = z.strictObject({
  /** One of {@link JOB_CONDITION_TYPES}, or a type of somebody else's. */
  type: z.string(),
  /** Whether it holds. */
  status: z.enum(['True', 'False', 'Unknown']),
  /** When it was last looked at; equal to lastTransitionTime. RFC 3339, seconds. */
  lastProbeTime: z.string().optional(),
  /** When its status changed. RFC 3339, seconds. */
  lastTransitionTime: z.string().optional(),
  /** Why, in one word: one of {@link JOB_CONDITION_REASONS}. */
  reason: z.string().optional(),
  /** Why, for people. */
  message: z.string().optional(),
});
/** What a Job has come to. Several may be there at once; a terminal one is final. */
export type JobCondition = z.output<typeof JobCondition>;

/** The conditions that Drover sets: one that comes and goes, two interim ones, two final ones. */
export const JOB_CONDITION_TYPES = [
  'Suspended',
  'SuccessCriteriaMet',
  'FailureTarget',
  'Complete',
  'Failed',
] as const;
/** One of {@link JOB_CONDITION_TYPES}. */
export type JobConditionType = (typeof JOB_CONDITION_TYPES)[number];

/** Messages of the conditions by their reasons, where the message is always the same. */
export const JOB_CONDITION_MESSAGES = {
  JobSuspended: 'Job suspended',
  JobResumed: 'Job resumed',
  CompletionsReached: 'Reached expected number of succeeded pods',
  BackoffLimitExceeded: 'Job has reached the specified backoff limit',
  DeadlineExceeded: 'Job was active longer than specified deadline',
  MaxFailedIndexesExceeded: 'Job has exceeded the specified maximal number of failed indexes',
  FailedIndexes: 'Job has failed indexes',
} as const;

/** Every reason that Drover gives for a condition. */
export const JOB_CONDITION_REASONS = [
  'JobSuspended',
  'JobResumed',
  'CompletionsReached',
  'SuccessPolicy',
  'BackoffLimitExceeded',
  'DeadlineExceeded',
  'PodFailurePolicy',
  'MaxFailedIndexesExceeded',
  'FailedIndexes',
] as const;
/** One of {@link JOB_CONDITION_REASONS}. */
export type JobConditionReason = (typeof JOB_CONDITION_REASONS)[number];

/** The condition of a type, whatever its status; null when there is none. */
export function getCondition(
  conditions: readonly JobCondition[] | undefined,
  type: string,
): JobCondition | null {
  return conditions?.find((condition) => condition.type === type) ?? null;
}

/** Whether there is a condition of the type with status True. */
export function isConditionTrue(
  conditions: readonly JobCondition[] | undefined,
  type: string,
): boolean {
  return getCondition(conditions, type)?.status === 'True';
}

/** The terminal condition, Complete or Failed, if it holds. */
export function terminalCondition(
  conditions: readonly JobCondition[] | undefined,
): JobCondition | null {
  const isTerminal = ({ type, status }: JobCondition) =>
    (type === 'Complete' || type === 'Failed') && status === 'True';
  return conditions?.find(isTerminal) ?? null;
}

/** A condition that begins to hold, or to not hold, now. */
export function makeCondition(
  type: JobConditionType,
  status: JobCondition['status'],
  reason: JobConditionReason,
  message: string,
  nowMs: number,
): JobCondition {
  const now = formatTime(nowMs);
  return { type, status, lastProbeTime: now, lastTransitionTime: now, reason, message };
}

/**
 * Puts a condition into a list: in the place of the one of its type, else at the end. The list
 * given is not changed.
 *
 * @returns The same list when it already says so. The old times stay as long as the status does.
 */
export function setCondition(
  conditions: readonly JobCondition[],
  condition: JobCondition,
): readonly JobCondition[] {
  const at = conditions.findIndex(({ type }) => type === condition.type);
  const old = conditions[at];
  if (old === undefined) return [...conditions, condition];
  if (old.status !== condition.status) return conditions.with(at, condition);
  if (old.reason === condition.reason && old.message === condition.message) return conditions;
  const { lastProbeTime, lastTransitionTime } = old;
  return conditions.with(at, { ...condition, lastProbeTime, lastTransitionTime });
}
