/** What may change of a Job, and when. */

import { ARGUMENT_LIST_ANNOTATION } from './argumentList.ts';
import { isConditionTrue } from './conditions.ts';
import { isSemanticallyEqual } from './equality.ts';
import {
  generatedLabelIssues,
  generatedLabels,
  withDefaultLabels,
  ITEM_PER_POD_ANNOTATION,
  WORK_QUEUE_ANNOTATION,
} from './generated.ts';
import { forbidden, invalid, required, type ValidationIssue } from './issues.ts';
import { selectorMatchIssues } from './jobRules.ts';
import { checkJob, throwIfInvalid, type Job, type ParsedJob } from './job.ts';
import type { Container, PodTemplateSpec } from './podTemplate.ts';
import { withoutNulls } from './structure.ts';

const IMMUTABLE = 'field is immutable';
/** How many changed paths of a template a message names. */
const MAX_PATHS_SHOWN = 3;

/** Fields of the spec that never change; completions and template have rules of their own. */
const IMMUTABLE_FIELDS = [
  'completionMode',
  'selector',
  'podFailurePolicy',
  'backoffLimitPerIndex',
  'successPolicy',
  'managedBy',
] as const;

/**
 * Reads a changed Job that a user gave: the whole object, as after a patch. Selector and generated
 * labels may be left out; what the store sets is taken from the stored Job, and so is the status.
 * The resourceVersion is the user's: the caller compares it when there is one.
 *
 * @param old - The Job as stored.
 * @throws {@link InvalidSpecError} with every problem that can be told at once.
 */
export function parseJobUpdate(old: Job, input: unknown): ParsedJob {
  const raw = withoutNulls(input);
  const checked = checkJob(raw, old.metadata.namespace, old);
  const job = keepGenerated(old, checked.job);
  const issues = [...checked.issues, ...jobUpdateIssues(old, job), ...missingLabels(job)];
  issues.push(...generatedLabelIssues(job), ...selectorMatchIssues(job.spec));
  throwIfInvalid(job, issues);
  return { job: withDefaultLabels(job), warnings: checked.warnings };
}

function keepGenerated(old: Job, job: Job): Job {
  const { uid, generation, creationTimestamp } = old.metadata;
  const { deletionTimestamp, deletionGracePeriodSeconds } = old.metadata;
  const metadata = {
    ...job.metadata,
    generation,
    creationTimestamp,
    deletionTimestamp,
    deletionGracePeriodSeconds,
  };
  metadata.name ||= old.metadata.name;
  metadata.uid ||= uid;
  const { template } = job.spec;
  const generated = old.spec.manualSelector ? {} : generatedLabels(old.metadata.name, uid);
  const labels = { ...generated, ...template.metadata.labels };
  return {
    ...job,
    metadata,
    spec: {
      ...job.spec,
      selector: job.spec.selector ?? old.spec.selector,
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
    status: old.status,
  };
}

/** Turning manualSelector off asks for the labels that were never generated. */
function missingLabels({ metadata, spec }: Job): ValidationIssue[] {
  if (spec.manualSelector) return [];
  const labels = spec.template.metadata.labels ?? {};
  return Object.entries(generatedLabels(metadata.name, metadata.uid))
    .filter(([key]) => !Object.hasOwn(labels, key))
    .map(([, wanted]) => required('spec.template.metadata.labels', `must be '${wanted}'`));
}

/**
 * Checks what may change of a Job. Does not check that the new one is valid by itself;
 * {@link parseJobUpdate} does both.
 *
 * @throws {@link InvalidSpecError} with every field that may not change as it did.
 */
export function validateJobUpdate(old: Job, job: Job): void {
  throwIfInvalid(old, jobUpdateIssues(old, job));
}

/** Every field that may not change as it did. */
export function jobUpdateIssues(old: Job, job: Job): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  for (const field of ['name', 'namespace', 'uid'] as const) {
    if (job.metadata[field] !== old.metadata[field]) {
      issues.push(invalid(`metadata.${field}`, job.metadata[field], IMMUTABLE));
    }
  }
  for (const annotation of [WORK_QUEUE_ANNOTATION, ITEM_PER_POD_ANNOTATION]) {
    const [was, is] = [old, job].map(({ metadata }) => metadata.annotations?.[annotation]);
    if (is === was) continue;
    issues.push(invalid(`metadata.annotations[${annotation}]`, is ?? null, IMMUTABLE));
  }
  for (const field of IMMUTABLE_FIELDS) {
    if (!isSemanticallyEqual(old.spec[field], job.spec[field])) {
      issues.push(invalid(`spec.${field}`, job.spec[field] ?? null, IMMUTABLE));
    }
  }
  issues.push(...addedFinalizerIssues(old, job));
  return [...issues, ...completionsIssues(old, job), ...templateIssues(old, job)];
}

/** A Job that is being deleted can only lose finalizers. */
function addedFinalizerIssues(old: Job, { metadata }: Job): ValidationIssue[] {
  if (old.metadata.deletionTimestamp === undefined) return [];
  const before = new Set(old.metadata.finalizers);
  const added = (metadata.finalizers ?? []).filter((finalizer) => !before.has(finalizer));
  if (added.length === 0) return [];
  const what = 'no new finalizers can be added if the object is being deleted';
  return [forbidden('metadata.finalizers', `${what}, found new finalizers [${added.join(' ')}]`)];
}

function completionsIssues(old: Job, job: Job): ValidationIssue[] {
  const { spec } = job;
  const { completions, parallelism } = spec;
  if (completions === old.spec.completions) return [];
  const path = 'spec.completions';
  if (spec.completionMode !== 'Indexed') return [invalid(path, completions ?? null, IMMUTABLE)];
  // That an Indexed Job has no completions is reported as such.
  if (completions === undefined) return [];
  if (completions !== parallelism) {
    return [invalid(path, completions, 'can only be modified in tandem with spec.parallelism')];
  }
  if (job.metadata.annotations?.[ARGUMENT_LIST_ANNOTATION] === undefined) return [];
  return [invalid(path, completions, `${IMMUTABLE}: each index has its arguments in a list`)];
}

function templateIssues(old: Job, job: Job): ValidationIssue[] {
  const before = old.spec.template;
  const after = job.spec.template;
  const compared = isTemplateMutable(old) ? withOldScheduling(before, after) : after;
  if (isSemanticallyEqual(before, compared)) return [];
  const paths = differences(before, compared, 'spec.template');
  const more = paths.length > MAX_PATHS_SHOWN ? ', ...' : '';
  const shown = `${paths.slice(0, MAX_PATHS_SHOWN).join(', ')}${more}`;
  return [invalid('spec.template', undefined, `${IMMUTABLE} (changed: ${shown})`)];
}

/** The stored object decides: one update may change the template and resume the Job. */
function isTemplateMutable({ spec, status }: Job): boolean {
  const isIdle = (status.active ?? 0) === 0;
  const isStopped =
    status.startTime === undefined || isConditionTrue(status.conditions, 'Suspended');
  return spec.suspend && isIdle && isStopped;
}

/** The new template with everything that a suspended Job may change as it was. */
function withOldScheduling(before: PodTemplateSpec, after: PodTemplateSpec): PodTemplateSpec {
  const { nodeSelector, tolerations, schedulingGates } = before.spec;
  const { nodeAffinity } = before.spec.affinity ?? {};
  const containers = withOldResources(before.spec.containers, after.spec.containers);
  const initContainers = withOldResources(
    before.spec.initContainers ?? [],
    after.spec.initContainers ?? [],
  );
  return {
    ...after,
    metadata: {
      ...after.metadata,
      labels: before.metadata.labels,
      annotations: before.metadata.annotations,
    },
    spec: {
      ...after.spec,
      containers,
      initContainers: after.spec.initContainers === undefined ? undefined : initContainers,
      nodeSelector,
      tolerations,
      schedulingGates,
      affinity: { ...after.spec.affinity, nodeAffinity },
    },
  };
}

function withOldResources(before: readonly Container[], after: readonly Container[]): Container[] {
  return after.map((container, at) => {
    const { limits, requests, claims } = before[at]?.resources ?? {};
    return { ...container, resources: { ...container.resources, limits, requests, claims } };
  });
}

/** Paths at which two values differ, the deepest that name a field. */
function differences(a: unknown, b: unknown, path: string): string[] {
  if (isSemanticallyEqual(a, b)) return [];
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) return [path];
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return keys.flatMap((key) =>
    differences(a[key], b[key], Array.isArray(a) ? `${path}[${key}]` : `${path}.${key}`),
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
