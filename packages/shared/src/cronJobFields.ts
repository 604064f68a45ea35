/** The fields that a CronJob has beside those of the Jobs that it makes, and what they do. */

import { editDistance, suggestField } from './fieldSupport.ts';
import type { FieldRule } from './fields.ts';

const WHY: Readonly<Record<string, string>> = {
  'spec.schedule': 'when Jobs are made; no seconds but with `@every`',
  'spec.timeZone': 'zone whose clock counts; UTC when none is given, wherever controllers run',
  'spec.startingDeadlineSeconds': 'how late a Job may start at most',
  'spec.concurrencyPolicy': 'Allow, Forbid or Replace',
  'spec.suspend': 'no Job is made while it is true',
  'spec.jobTemplate': 'what the Jobs look like: the rules are those of Jobs',
  'spec.successfulJobsHistoryLimit': 'how many Jobs that succeeded are kept',
  'spec.failedJobsHistoryLimit': 'how many Jobs that failed are kept',
};

/** A row for each. */
export const CRON_JOB_FIELD_RULES: readonly FieldRule[] = Object.entries(WHY).map(
  ([path, why]) => ({ path, support: 'honoured', why, unset: [] }),
);

const TEMPLATE = ['spec', 'jobTemplate'];

/** As {@link suggestField}, of a CronJob. */
export function suggestCronJobField(path: readonly (string | number)[]): string {
  if (TEMPLATE.every((part, at) => path[at] === part)) {
    return suggestField(path.slice(TEMPLATE.length)).replace(
      /"(spec|metadata)\b/,
      '"spec.jobTemplate.$1',
    );
  }
  if (path.length !== 2 || path[0] !== 'spec') return '';
  const key = String(path[1]).toLowerCase();
  const near = Object.keys(WHY)
    .map((field) => ({
      field,
      distance: editDistance(key, field.slice('spec.'.length).toLowerCase()),
    }))
    .toSorted((a, b) => a.distance - b.distance)[0];
  if (near !== undefined && near.distance < Math.min(3, key.length / 2)) {
    return `did you mean "${near.field}"?`;
  }
  return suggestField(path).replace('"spec', '"spec.jobTemplate.spec');
}
