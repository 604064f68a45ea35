/**
 * Pods without a Job: each runs once and is never replaced. What is stored is a Job of one pod that
 * nobody sees, so that a pod is run in the same way whether it has a Job or not.
 */

import { isSemanticallyEqual } from './equality.ts';
import { InvalidSpecError } from './errors.ts';
import { applyFieldRules, suggestField } from './fieldSupport.ts';
import { forbidden, invalid, notSupported, tooLong, type ValidationIssue } from './issues.ts';
import { Job } from './job.ts';
import { MAX_JOB_BYTES } from './jobRules.ts';
import { objectMetaIssues, type ObjectMeta } from './meta.ts';
import { clientAnnotationIssues } from './podClient.ts';
import type { PodSpec } from './podTemplate.ts';
import { podTemplateIssues } from './podTemplateRules.ts';
import { parseStructure, withoutNulls } from './structure.ts';
import { byteLength } from './utf8.ts';

/** A pod as its user gave it, with every default filled in. */
export interface BarePod {
  readonly apiVersion: 'v1';
  readonly kind: 'Pod';
  readonly metadata: ObjectMeta;
  readonly spec: PodSpec;
}

/** A valid pod, and what its user should know about it. */
export interface ParsedBarePod {
  readonly pod: BarePod;
  /** One text for each field that has no effect. */
  readonly warnings: readonly string[];
}

/** What may stand at the top of a manifest. */
const TOP_FIELDS: ReadonlySet<string> = new Set([
  'apiVersion',
  'kind',
  'metadata',
  'spec',
  'status',
]);

/**
 * Reads a new pod that a user gave. The rules are those of a Job's pod template.
 *
 * @param namespace - That of the request. A pod that names another is not valid.
 * @throws {@link InvalidSpecError} with every problem that can be told at once.
 */
export function parseBarePod(input: unknown, namespace?: string): ParsedBarePod {
  const checked = checkBarePod(input, namespace);
  throwIfInvalid(checked.pod, checked.issues);
  return { pod: asNew(checked.pod), warnings: checked.warnings };
}

/**
 * Reads a changed pod: its labels, annotations and owners may change, what it runs may not.
 *
 * @param old - As stored.
 * @throws {@link InvalidSpecError} with every problem that can be told at once.
 */
export function parseBarePodUpdate(old: BarePod, input: unknown): ParsedBarePod {
  const { pod, warnings, issues } = checkBarePod(input, old.metadata.namespace, old);
  const { name, namespace, uid, creationTimestamp } = old.metadata;
  const metadata = { ...pod.metadata, creationTimestamp };
  metadata.name ||= name;
  metadata.uid ||= uid;
  for (const [field, value] of Object.entries({ name, namespace, uid })) {
    const is = metadata[field as 'name' | 'namespace' | 'uid'];
    if (is !== value) issues.push(invalid(`metadata.${field}`, is, 'field is immutable'));
  }
  if (!isSemanticallyEqual(old.spec, pod.spec)) {
    issues.push(
      forbidden('spec', 'what a pod runs can not be changed: delete it and create it anew'),
    );
  }
  throwIfInvalid(old, issues);
  return { pod: { ...pod, metadata }, warnings };
}

/** What a new pod does not have yet, whatever its manifest was read from. */
function asNew({ metadata, ...pod }: BarePod): BarePod {
  const {
    deletionTimestamp: _at,
    deletionGracePeriodSeconds: _grace,
    resourceVersion: _version,
    generation: _generation,
    ...kept
  } = metadata;
  return { ...pod, metadata: kept };
}

interface CheckedBarePod {
  readonly pod: BarePod;
  readonly warnings: readonly string[];
  readonly issues: ValidationIssue[];
}

function checkBarePod(input: unknown, namespace?: string, previous?: BarePod): CheckedBarePod {
  const raw = withoutNulls(input);
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    const issue = invalid('(root)', raw, 'must be an object with metadata and spec');
    throw new InvalidSpecError('Pod', '<unnamed>', [issue]);
  }
  const given = raw as Readonly<Record<string, unknown>>;
  const asJob = jobShape(given['metadata'], given['spec']);
  const old = previous === undefined ? undefined : jobShape(previous.metadata, previous.spec);
  const fields = applyFieldRules(asJob, old);
  const { value: job, issues: found, isSound } = parseStructure(Job, asJob, suggestField);
  const wanted = namespace ?? (job.metadata.namespace || 'default');
  const own = job.metadata.namespace;
  const pod: BarePod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...job.metadata, namespace: own === '' ? wanted : own },
    spec: job.spec.template.spec,
  };
  const rules = [
    ...objectMetaIssues(pod.metadata, 'metadata'),
    ...clientAnnotationIssues(pod.metadata.annotations, 'metadata.annotations'),
    ...podTemplateIssues(job.spec.template, 'spec.template', isSound).filter(
      // Those of the pod itself are checked above.
      ({ path }) => !/^spec\.template\.(labels|annotations)/.test(path),
    ),
  ].filter(({ path }) => isSound(path));
  const issues = [...topIssues(given), ...fields.issues, ...found, ...rules].map(ofPod);
  if (pod.metadata.namespace !== wanted) {
    const detail = `does not match the namespace of the request, "${wanted}"`;
    issues.push(invalid('metadata.namespace', pod.metadata.namespace, detail));
  }
  if ((pod.metadata.finalizers ?? []).length > 0) {
    const detail = 'a pod goes when it was deleted and has ended, and asks nobody';
    issues.push(forbidden('metadata.finalizers', detail));
  }
  if (byteLength(JSON.stringify(pod)) > MAX_JOB_BYTES) issues.push(tooLong('spec', MAX_JOB_BYTES));
  return { pod, warnings: fields.warnings.map(pathOfPod), issues };
}

/** A pod as the template of a Job, to be checked as one. */
function jobShape(metadata: unknown, spec: unknown): object {
  return { metadata: metadata ?? {}, spec: { template: { spec: spec ?? {} } } };
}

function topIssues(given: Readonly<Record<string, unknown>>): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  for (const [field, wanted] of Object.entries({ apiVersion: 'v1', kind: 'Pod' })) {
    const value = given[field];
    if (value !== undefined && value !== wanted) issues.push(notSupported(field, value, [wanted]));
  }
  issues.push(...unknownTopFields(given));
  return issues;
}

/** What may not stand at the top of a manifest of a pod. */
export function unknownTopFields(given: Readonly<Record<string, unknown>>): ValidationIssue[] {
  return Object.keys(given)
    .filter((field) => !TOP_FIELDS.has(field))
    .map((field) => ({ path: field, kind: 'UnknownField', detail: '' }));
}

/** An issue of a template as one of the pod. */
function ofPod(issue: ValidationIssue): ValidationIssue {
  const path = pathOfPod(issue.path);
  if (path === 'spec.restartPolicy') {
    const detail =
      'Never or OnFailure: a pod without a Job runs once, it is not started again for ever';
    return { ...issue, path, detail };
  }
  return { ...issue, path, detail: pathOfPod(issue.detail) };
}

function pathOfPod(text: string): string {
  return text.replaceAll('spec.template.spec', 'spec').replaceAll('spec.template', 'spec');
}

function throwIfInvalid({ metadata }: BarePod, issues: readonly ValidationIssue[]): void {
  if (issues.length === 0) return;
  const name = metadata.name || metadata.generateName || '<unnamed>';
  throw new InvalidSpecError('Pod', name, issues);
}

/** The Job that a pod is stored as: one pod, which is not replaced when it failed. */
export function jobOfBarePod({ metadata, spec }: BarePod): Job {
  const { labels, annotations } = metadata;
  return Job.parse({
    metadata,
    spec: {
      completions: 1,
      parallelism: 1,
      backoffLimit: 0,
      template: { metadata: { labels, annotations }, spec },
    },
  });
}

/** The pod that is stored as this Job. */
export function barePodOf({ metadata, spec }: Pick<Job, 'metadata' | 'spec'>): BarePod {
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: spec.template.spec };
}
