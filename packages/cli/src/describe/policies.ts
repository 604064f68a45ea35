import type { JobSpec } from '@drover/shared';

import { indexesText, type Entry } from './layout.ts';

type SuccessRule = NonNullable<JobSpec['successPolicy']>['rules'][number];
type FailureRule = NonNullable<JobSpec['podFailurePolicy']>['rules'][number];

/** Who takes care of a Job, and its policies, as far as it says so. */
export function policyEntries(
  spec: Pick<JobSpec, 'managedBy' | 'podFailurePolicy' | 'podReplacementPolicy' | 'successPolicy'>,
): Entry[] {
  const { managedBy, podFailurePolicy, podReplacementPolicy, successPolicy } = spec;
  const entries: Entry[] = managedBy === undefined ? [] : [['Managed By', managedBy]];
  if (podReplacementPolicy === 'Failed') {
    entries.push(['Pod Replacement Policy', podReplacementPolicy]);
  }
  if (podFailurePolicy !== undefined) {
    entries.push([
      'Pod Failure Policy',
      { part: numbered(podFailurePolicy.rules.map(failureRule)) },
    ]);
  }
  if (successPolicy !== undefined) {
    entries.push(['Success Policy', { part: numbered(successPolicy.rules.map(successRule)) }]);
  }
  return entries;
}

/** The rules by the numbers that messages name them by. */
function numbered(rules: readonly string[]): string[] {
  return rules.length === 0 ? ['<none>'] : rules.map((rule, at) => `${at}: ${rule}`);
}

function failureRule({ action, onExitCodes, onPodConditions = [] }: FailureRule): string {
  if (onExitCodes === undefined) {
    const conditions = onPodConditions.map(({ type, status }) => `${type}=${status}`);
    return `${action} on condition ${conditions.join(' or ')}`;
  }
  const { containerName, operator, values } = onExitCodes;
  const of = containerName === undefined ? '' : ` of ${containerName}`;
  const other = operator === 'In' ? '' : ' other than';
  return `${action} on exit code${of}${other} ${values.join(', ')}`;
}

function successRule({ succeededIndexes, succeededCount }: SuccessRule): string {
  if (succeededIndexes === undefined) return `any ${succeededCount} indexes`;
  return succeededCount === undefined
    ? `all of ${indexesText(succeededIndexes)}`
    : `${succeededCount} of ${indexesText(succeededIndexes)}`;
}
