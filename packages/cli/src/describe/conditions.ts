import type { JobCondition, NodeCondition } from '@drover/shared';

import { ageText, type Entry, formatPart } from './layout.ts';

/** The table of the conditions of a Job or node. */
export function conditionsValue(
  conditions: readonly (JobCondition | NodeCondition)[] | undefined,
  nowMs: number,
): Entry[1] {
  if (conditions === undefined || conditions.length === 0) return '<none>';
  return {
    part: formatPart(
      ['Type', 'Status', 'Since', 'Reason', 'Message'],
      conditions.map((condition) => [
        condition.type,
        condition.status,
        ageText(condition.lastTransitionTime, nowMs),
        condition.reason ?? '',
        condition.message ?? '',
      ]),
    ),
  };
}
