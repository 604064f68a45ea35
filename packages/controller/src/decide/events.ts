import type { JobCondition } from '@drover/shared';

/** What a change of a Job's conditions is told as. */
export interface ConditionEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/**
 * What there is to tell of conditions that changed, in Kubernetes' words. An end is told with the final
 * condition, not with the interim one.
 */
export function conditionEvents(
  before: readonly JobCondition[],
  after: readonly JobCondition[],
): ConditionEvent[] {
  return after.flatMap((condition) => {
    const known = before.find(({ type }) => type === condition.type);
    return known?.status === condition.status ? [] : (eventOf(condition) ?? []);
  });
}

function eventOf(condition: JobCondition): ConditionEvent | null {
  const { type, status, reason = type, message = '' } = condition;
  if (type === 'Suspended') {
    const isSuspended = status === 'True';
    return { type: 'Normal', reason: isSuspended ? 'Suspended' : 'Resumed', message };
  }
  if (status !== 'True') return null;
  if (type === 'Complete') {
    return { type: 'Normal', reason: 'Completed', message: 'Job completed' };
  }
  return type === 'Failed' ? { type: 'Warning', reason, message } : null;
}
