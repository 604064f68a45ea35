/** The rules for podFailurePolicy and successPolicy. */

import { checkIndexIntervals } from './indexIntervals.ts';
import {
  duplicate,
  invalid,
  invalidEach,
  nonNegative,
  required,
  tooLong,
  tooMany,
  type ValidationIssue,
} from './issues.ts';
import type {
  JobSpec,
  PodFailurePolicy,
  PodFailurePolicyOnExitCodes,
  PodFailurePolicyRule,
  SuccessPolicy,
  SuccessPolicyRule,
} from './jobSpec.ts';
import { qualifiedNameProblems } from './names.ts';
import { byteLength } from './utf8.ts';

const MAX_RULES = 20;
const MAX_EXIT_CODES = 255;
const MAX_POD_CONDITIONS = 20;
const MAX_SUCCEEDED_INDEXES_BYTES = 64 * 1024;

/** What is wrong with a podFailurePolicy. */
export function podFailurePolicyIssues(
  spec: JobSpec,
  { rules }: PodFailurePolicy,
  path: string,
): ValidationIssue[] {
  const rulesPath = `${path}.rules`;
  return [
    ...atMost(rulesPath, rules, MAX_RULES),
    ...rules.flatMap((rule, at) => failureRuleIssues(spec, rule, `${rulesPath}[${at}]`)),
  ];
}

function failureRuleIssues(
  spec: JobSpec,
  { action, onExitCodes, onPodConditions = [] }: PodFailurePolicyRule,
  path: string,
): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  if (action === 'FailIndex' && spec.backoffLimitPerIndex === undefined) {
    const detail = 'requires the backoffLimitPerIndex to be set';
    issues.push(invalid(`${path}.action`, action, detail));
  }
  if (onExitCodes !== undefined) {
    issues.push(...exitCodesIssues(spec, onExitCodes, `${path}.onExitCodes`));
  }
  const conditionsPath = `${path}.onPodConditions`;
  issues.push(...atMost(conditionsPath, onPodConditions, MAX_POD_CONDITIONS));
  for (const [at, { type }] of onPodConditions.entries()) {
    const problems = qualifiedNameProblems(type);
    issues.push(...invalidEach(`${conditionsPath}[${at}].type`, type, problems));
  }
  const isByCondition = onPodConditions.length > 0;
  if (onExitCodes !== undefined && isByCondition) {
    const detail = 'specifying both OnExitCodes and OnPodConditions is not supported';
    issues.push(invalid(path, undefined, detail));
  } else if (onExitCodes === undefined && !isByCondition) {
    const detail = 'specifying one of OnExitCodes and OnPodConditions is required';
    issues.push(invalid(path, undefined, detail));
  }
  return issues;
}

function exitCodesIssues(
  spec: JobSpec,
  { containerName, operator, values }: PodFailurePolicyOnExitCodes,
  path: string,
): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  const { containers, initContainers = [] } = spec.template.spec;
  const all = [...containers, ...initContainers];
  if (containerName !== undefined && !all.some(({ name }) => name === containerName)) {
    const detail = 'must be one of the container or initContainer names in the pod template';
    issues.push(invalid(`${path}.containerName`, containerName, detail));
  }
  const valuesPath = `${path}.values`;
  if (values.length === 0) {
    issues.push(invalid(valuesPath, values, 'at least one value is required'));
  }
  issues.push(...atMost(valuesPath, values, MAX_EXIT_CODES));
  const seen = new Set<number>();
  for (const [at, value] of values.entries()) {
    if (operator === 'In' && value === 0) {
      issues.push(invalid(`${valuesPath}[${at}]`, value, 'must not be 0 for the In operator'));
    }
    if (seen.has(value)) issues.push(duplicate(`${valuesPath}[${at}]`, value));
    seen.add(value);
  }
  if (values.some((value, at) => at > 0 && value < (values[at - 1] ?? value))) {
    issues.push(invalid(valuesPath, values, 'must be ordered'));
  }
  return issues;
}

/** What is wrong with the successPolicy of an Indexed Job. */
export function successPolicyIssues(
  spec: JobSpec,
  { rules }: SuccessPolicy,
  path: string,
): ValidationIssue[] {
  const rulesPath = `${path}.rules`;
  const issues = atMost(rulesPath, rules, MAX_RULES);
  if (rules.length === 0) {
    const detail = 'at least one rules must be specified when the successPolicy is specified';
    issues.push(required(rulesPath, detail));
  }
  // Without completions there is nothing to compare with; that they are missing is reported.
  const completions = spec.completions ?? Number.POSITIVE_INFINITY;
  for (const [at, rule] of rules.entries()) {
    issues.push(...successRuleIssues(completions, rule, `${rulesPath}[${at}]`));
  }
  return issues;
}

function successRuleIssues(
  completions: number,
  { succeededIndexes, succeededCount }: SuccessPolicyRule,
  path: string,
): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  if (succeededIndexes === undefined && succeededCount === undefined) {
    const detail = 'at least one of succeededCount or succeededIndexes must be specified';
    issues.push(required(path, detail));
  }
  let named = Number.POSITIVE_INFINITY;
  if (succeededIndexes !== undefined) {
    const here = `${path}.succeededIndexes`;
    // A text that is too long is not read: the message would show it.
    const isTooLong = byteLength(succeededIndexes) > MAX_SUCCEEDED_INDEXES_BYTES;
    const check = checkIndexIntervals(isTooLong ? '' : succeededIndexes, completions);
    if (isTooLong) {
      issues.push(tooLong(here, MAX_SUCCEEDED_INDEXES_BYTES));
    } else if (check.type === 'valid') {
      named = check.count;
    } else {
      const detail = `error parsing succeededIndexes: ${check.problem}`;
      issues.push(invalid(here, succeededIndexes, detail));
    }
  }
  if (succeededCount === undefined) return issues;

  const here = `${path}.succeededCount`;
  issues.push(...nonNegative(here, succeededCount));
  const limit = 'must be less than or equal to';
  if (succeededCount > completions) {
    const detail = `${limit} ${completions} (the number of specified completions)`;
    issues.push(invalid(here, succeededCount, detail));
  }
  if (succeededCount > named) {
    const what = 'the number of indexes in the specified succeededIndexes field';
    issues.push(invalid(here, succeededCount, `${limit} ${named} (${what})`));
  }
  return issues;
}

function atMost(path: string, items: readonly unknown[], max: number): ValidationIssue[] {
  return items.length > max ? [tooMany(path, items.length, max)] : [];
}
