/** The rules for a Job that its types alone do not say, in the order of Kubernetes' checks. */

import { strayCronAnnotationIssues } from './cron/annotations.ts';
import {
  invalid,
  invalidEach,
  nonNegative,
  notSupported,
  required,
  tooLong,
  type ValidationIssue,
} from './issues.ts';
import type { Job } from './job.ts';
import { podFailurePolicyIssues, successPolicyIssues } from './jobPolicyRules.ts';
import type { JobSpec } from './jobSpec.ts';
import { keptPodsIssues } from './keptPods.ts';
import { labelSelectorIssues, matchesSelector, selectorFromObject } from './labels.ts';
import { objectMetaIssues } from './meta.ts';
import { dnsLabelProblems, domainPrefixedPathProblems, MAX_LABEL_CHARS } from './names.ts';
import { podHostname, SUFFIX_CHARS } from './podNames.ts';
import { podTemplateIssues, type IsSound } from './podTemplateRules.ts';
import { byteLength } from './utf8.ts';
import { workQueueIssues } from './workQueueRules.ts';

/**
 * Most pods of a Job at once. Kubernetes has this limit for Indexed Jobs only; here each pod is a
 * slot in Redis, whatever the mode.
 */
export const MAX_PARALLELISM = 100_000;
/** Most completions: an index costs bits, and Redis must not be asked for more memory at once. */
export const MAX_COMPLETIONS = 100_000_000;
/** Largest Job object. What is larger belongs into storage of its own. */
export const MAX_JOB_BYTES = 1024 * 1024;

const MANY_COMPLETIONS = 100_000;
const MAX_FAILED_INDEXES = 100_000;
/** Of parallelism and of maxFailedIndexes, for many completions with a limit for each. */
const MAX_WITH_MANY_COMPLETIONS = 10_000;
const MAX_MANAGED_BY_BYTES = 63;
/** managedBy of a Job that this controller takes care of, which is the default. */
export const OUR_CONTROLLER = 'kubernetes.io/job-controller';

/** What is wrong with a Job, but for its selector and generated labels. */
export function jobIssues(job: Job, isSound: IsSound): ValidationIssue[] {
  const issues = objectMetaIssues(job.metadata, 'metadata');
  issues.push(...nameIssues(job, isSound));
  issues.push(...workQueueIssues(job, isSound));
  issues.push(...keptPodsIssues(job.metadata.annotations, 'metadata.annotations'));
  issues.push(...strayCronAnnotationIssues(job.metadata.annotations, 'metadata.annotations'));
  issues.push(...jobSpecIssues(job.spec, 'spec', isSound));
  if (byteLength(JSON.stringify(job)) > MAX_JOB_BYTES) issues.push(tooLong('spec', MAX_JOB_BYTES));
  return issues;
}

/** The name of a Job becomes a label of its pods and, with the index, their hostname. */
function nameIssues({ metadata, spec }: Job, isSound: IsSound): ValidationIssue[] {
  const { name, generateName = '' } = metadata;
  if (name.length > MAX_LABEL_CHARS) {
    const detail = `must be no more than ${MAX_LABEL_CHARS} bytes: it is the Job's name`;
    return [invalid('spec.template.labels', name, detail)];
  }
  const { completionMode, completions = 0 } = spec;
  if (completionMode !== 'Indexed' || completions <= 0 || !isSound('spec.completions')) return [];
  const probe = name === '' ? `${generateName.slice(0, 58)}${'b'.repeat(SUFFIX_CHARS)}` : name;
  const hostname = podHostname(probe, completions - 1);
  if (dnsLabelProblems(hostname).length === 0) return [];
  const path = name === '' ? 'metadata.generateName' : 'metadata.name';
  const detail = `will not able to create pod with invalid DNS label: ${hostname}`;
  return [invalid(path, name === '' ? generateName : name, detail)];
}

/** What is wrong with a spec at `path`, `spec` for a Job's own. */
export function jobSpecIssues(spec: JobSpec, path: string, isSound: IsSound): ValidationIssue[] {
  const issues = countIssues(spec, path);
  if (spec.managedBy !== undefined) {
    issues.push(...managedByIssues(spec.managedBy, `${path}.managedBy`));
  }
  if (isSound(`${path}.completionMode`)) {
    if (spec.completionMode === 'Indexed') issues.push(...indexedIssues(spec, path));
    else issues.push(...nonIndexedIssues(spec, path));
  }
  if (spec.podFailurePolicy !== undefined) {
    issues.push(...podFailurePolicyIssues(spec, spec.podFailurePolicy, `${path}.podFailurePolicy`));
    if (spec.podReplacementPolicy !== 'Failed') {
      const policyPath = `${path}.podReplacementPolicy`;
      issues.push(notSupported(policyPath, spec.podReplacementPolicy, ['Failed']));
    }
  }
  if (spec.successPolicy !== undefined && spec.completionMode === 'Indexed') {
    issues.push(...successPolicyIssues(spec, spec.successPolicy, `${path}.successPolicy`));
  }
  issues.push(...podTemplateIssues(spec.template, `${path}.template`, isSound));
  if (spec.podFailurePolicy !== undefined && spec.template.spec.restartPolicy !== 'Never') {
    const { restartPolicy } = spec.template.spec;
    const detail = 'only "Never" is supported when podFailurePolicy is specified';
    issues.push(invalid(`${path}.template.spec.restartPolicy`, restartPolicy, detail));
  }
  return issues;
}

function countIssues(spec: JobSpec, path: string): ValidationIssue[] {
  const issues = [
    ...nonNegative(`${path}.parallelism`, spec.parallelism),
    ...nonNegative(`${path}.completions`, spec.completions),
    ...nonNegative(`${path}.activeDeadlineSeconds`, spec.activeDeadlineSeconds),
    ...nonNegative(`${path}.backoffLimit`, spec.backoffLimit),
    ...nonNegative(`${path}.ttlSecondsAfterFinished`, spec.ttlSecondsAfterFinished),
    ...nonNegative(`${path}.backoffLimitPerIndex`, spec.backoffLimitPerIndex),
    ...nonNegative(`${path}.maxFailedIndexes`, spec.maxFailedIndexes),
  ];
  const { parallelism, completions = Number.POSITIVE_INFINITY } = spec;
  if (completions !== Number.POSITIVE_INFINITY && completions > MAX_COMPLETIONS) {
    const detail = `must be less than or equal to ${MAX_COMPLETIONS} in Drover`;
    issues.push(invalid(`${path}.completions`, completions, detail));
  }
  // More than the completions is allowed, and never used.
  const mostPods = Math.min(parallelism, completions);
  if (spec.completionMode === 'NonIndexed' && mostPods > MAX_PARALLELISM) {
    const detail = `must be less than or equal to ${MAX_PARALLELISM} in Drover`;
    issues.push(invalid(`${path}.parallelism`, parallelism, detail));
  }
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined) {
    issues.push(required(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
  }
  return issues;
}

function managedByIssues(managedBy: string, path: string): ValidationIssue[] {
  if (managedBy === OUR_CONTROLLER) return [];
  if (managedBy === '') return [required(path)];
  const issues = invalidEach(path, managedBy, domainPrefixedPathProblems(managedBy));
  if (byteLength(managedBy) > MAX_MANAGED_BY_BYTES)
    issues.push(tooLong(path, MAX_MANAGED_BY_BYTES));
  return issues;
}

function indexedIssues(spec: JobSpec, path: string): ValidationIssue[] {
  const { parallelism, completions, maxFailedIndexes, backoffLimitPerIndex } = spec;
  const issues: ValidationIssue[] = [];
  if (completions === undefined) {
    issues.push(required(`${path}.completions`, 'when completion mode is Indexed'));
  }
  if (parallelism > MAX_PARALLELISM) {
    const limit = `must be less than or equal to ${MAX_PARALLELISM}`;
    const detail = `${limit} when completion mode is Indexed`;
    issues.push(invalid(`${path}.parallelism`, parallelism, detail));
  }
  const maxFailedPath = `${path}.maxFailedIndexes`;
  if (maxFailedIndexes !== undefined) {
    if (completions !== undefined && maxFailedIndexes > completions) {
      const detail = 'must be less than or equal to completions';
      issues.push(invalid(maxFailedPath, maxFailedIndexes, detail));
    }
    if (maxFailedIndexes > MAX_FAILED_INDEXES) {
      const detail = `must be less than or equal to ${MAX_FAILED_INDEXES}`;
      issues.push(invalid(maxFailedPath, maxFailedIndexes, detail));
    }
  }
  if ((completions ?? 0) <= MANY_COMPLETIONS || backoffLimitPerIndex === undefined) return issues;

  if (maxFailedIndexes === undefined) {
    const detail = `must be specified when completions is above ${MANY_COMPLETIONS}`;
    issues.push(required(maxFailedPath, detail));
  }
  const limit = `must be less than or equal to ${MAX_WITH_MANY_COMPLETIONS}`;
  const when = `when completions are above ${MANY_COMPLETIONS}`;
  const detail = `${limit} ${when} and used with backoff limit per index`;
  if (parallelism > MAX_WITH_MANY_COMPLETIONS) {
    issues.push(invalid(`${path}.parallelism`, parallelism, detail));
  }
  if ((maxFailedIndexes ?? 0) > MAX_WITH_MANY_COMPLETIONS) {
    issues.push(invalid(maxFailedPath, maxFailedIndexes, detail));
  }
  return issues;
}

function nonIndexedIssues(spec: JobSpec, path: string): ValidationIssue[] {
  const { backoffLimitPerIndex, maxFailedIndexes, successPolicy } = spec;
  return Object.entries({ backoffLimitPerIndex, maxFailedIndexes, successPolicy })
    .filter(([, value]) => value !== undefined)
    .map(([field, value]) =>
      invalid(`${path}.${field}`, value, 'requires indexed completion mode'),
    );
}

/** What is wrong with the selector that a user brought to a new Job. */
export function newSelectorIssues({ spec }: Job): ValidationIssue[] {
  const { selector, manualSelector } = spec;
  if (manualSelector && selector === undefined) return [required('spec.selector')];
  if (selector === undefined) return [];
  const issues = labelSelectorIssues(selector, 'spec.selector');
  if (!manualSelector) {
    const detail = '`selector` not auto-generated; leave it out';
    return [...issues, invalid('spec.selector', selector, detail)];
  }
  return [...issues, ...selectorMatchIssues(spec)];
}

/** A selector of the user that does not select the Job's own pods. */
export function selectorMatchIssues({
  selector,
  manualSelector,
  template,
}: JobSpec): ValidationIssue[] {
  if (!manualSelector || selector === undefined) return [];
  const labels = template.metadata.labels ?? {};
  if (matchesSelector(selectorFromObject(selector), labels)) return [];
  const detail = '`selector` does not match template `labels`';
  return [invalid('spec.template.metadata.labels', labels, detail)];
}
