import type { Interim } from './conditions.ts';
import type { FailureRule, PodFacts, UnjudgedPod } from './types.ts';

/** The rule of a podFailurePolicy that a failed pod matches. */
export interface FailureMatch {
  readonly action: FailureRule['action'];
  /** What matched, for the message of a Job that fails by it. */
  readonly text: string;
}

/**
 * Looks for the first rule that a failed pod matches; null = none, and it counts.
 *
 * @param rules - null: the Job has no podFailurePolicy.
 */
export function matchFailureRule(
  rules: readonly FailureRule[] | null,
  { facts }: Pick<UnjudgedPod, 'facts'>,
): FailureMatch | null {
  if (rules === null || facts === undefined) return null;
  for (const [at, rule] of rules.entries()) {
    const what = matchExitCode(rule, facts) ?? matchCondition(rule, facts);
    if (what !== null) {
      return { action: rule.action, text: `${what} matching ${rule.action} rule at index ${at}` };
    }
  }
  return null;
}

/** How a Job fails by the rule that one of its pods matched. */
export function failedByRule({ text }: FailureMatch): Interim {
  return { type: 'FailureTarget', status: 'True', reason: 'PodFailurePolicy', message: text };
}

/** A container that succeeded matches nothing, whatever the operator says. */
function matchExitCode({ onExitCodes }: FailureRule, facts: PodFacts): string | null {
  if (onExitCodes === undefined) return null;
  const { containerName, operator, values } = onExitCodes;
  const found = facts.containers.find(
    ({ name, exitCode }) =>
      exitCode !== 0 &&
      (containerName === undefined || containerName === name) &&
      values.includes(exitCode) === (operator === 'In'),
  );
  if (found === undefined) return null;
  return `Container ${found.name} for pod ${facts.path} failed with exit code ${found.exitCode}`;
}

function matchCondition({ onPodConditions = [] }: FailureRule, facts: PodFacts): string | null {
  const found = onPodConditions.find((wanted) =>
    facts.conditions.some(({ type, status }) => type === wanted.type && status === wanted.status),
  );
  return found === undefined ? null : `Pod ${facts.path} has condition ${found.type}`;
}
