/** The selector and labels that tie pods to their Job. */

import { assert } from './assert.ts';
import { InvalidSpecError } from './errors.ts';
import { invalid, type ValidationIssue } from './issues.ts';
import type { Job } from './job.ts';
import type { Labels } from './labels.ts';

/** Labels, and annotations, that Drover writes. */
export const JOB_NAME_LABEL = 'batch.kubernetes.io/job-name';
/** The uid of a pod's Job; what a generated selector selects by. */
export const CONTROLLER_UID_LABEL = 'batch.kubernetes.io/controller-uid';
/** The completion index of a pod; label, annotation, and where JOB_COMPLETION_INDEX comes from. */
export const COMPLETION_INDEX_LABEL = 'batch.kubernetes.io/job-completion-index';
/** How often pods of the index failed before this one; annotation, with backoffLimitPerIndex. */
export const INDEX_FAILURE_COUNT_ANNOTATION = 'batch.kubernetes.io/job-index-failure-count';
/** How often pods of the index failed and a podFailurePolicy ignored it; annotation, left out for 0. */
export const INDEX_IGNORED_FAILURE_COUNT_ANNOTATION =
  'batch.kubernetes.io/job-index-ignored-failure-count';
/** Annotation of a Job: the work queue of its namespace that its pods take items from. Can't be changed. */
export const WORK_QUEUE_ANNOTATION = 'drover.dev/work-queue';
/**
 * Annotation of a Job with a work queue and completions: each of its pods takes exactly one item. The value says how
 * the pod gets it, one of {@link ITEM_PER_POD_VALUES}. Can't be changed.
 */
export const ITEM_PER_POD_ANNOTATION = 'drover.dev/item-per-pod';
/**
 * Annotation of a Job: with `true` no further pods start, while those that run go on to their end.
 * Suspending, in contrast, stops them too.
 */
export const HOLD_ANNOTATION = 'drover.dev/hold-new-pods';
/** Annotation of a Job of a CronJob: the time for which it was made, RFC 3339 in the zone of the CronJob. */
export const SCHEDULED_ANNOTATION = 'batch.kubernetes.io/cronjob-scheduled-timestamp';
/** Annotation of a Job that was made of a CronJob's template by hand; its value is `manual`. */
export const INSTANTIATE_ANNOTATION = 'cronjob.kubernetes.io/instantiate';
const LEGACY_JOB_NAME_LABEL = 'job-name';
const LEGACY_CONTROLLER_UID_LABEL = 'controller-uid';

/** The four labels that every pod of a Job carries. */
export function generatedLabels(jobName: string, jobUid: string): Record<string, string> {
  return {
    [CONTROLLER_UID_LABEL]: jobUid,
    [JOB_NAME_LABEL]: jobName,
    [LEGACY_CONTROLLER_UID_LABEL]: jobUid,
    [LEGACY_JOB_NAME_LABEL]: jobName,
  };
}

/**
 * Labels of the template that Drover would generate, with another value. An empty name or uid is
 * not known yet: a label for it can't be right.
 */
export function generatedLabelIssues({ metadata, spec }: Job): ValidationIssue[] {
  if (spec.manualSelector) return [];
  const path = 'spec.template.metadata.labels';
  const labels: Labels = spec.template.metadata.labels ?? {};
  return Object.entries(generatedLabels(metadata.name, metadata.uid))
    .filter(([key, wanted]) => Object.hasOwn(labels, key) && labels[key] !== wanted)
    .map(([key, wanted]) => {
      const rule = wanted === '' ? 'is set by Drover; leave it out' : `must be '${wanted}'`;
      return invalid(path, labels, `"${key}" ${rule}`);
    });
}

/**
 * Completes a Job whose name and uid are chosen: the selector by uid, four labels on the template,
 * and the template's labels on the Job itself when it has none. The Job given is not changed.
 *
 * @throws {@link InvalidSpecError} when the template has one of those labels with another value.
 */
export function generateSelectorAndLabels(job: Job): Job {
  const { metadata, spec } = job;
  assert(metadata.name !== '' && metadata.uid !== '', 'name and uid are chosen before');
  const issues = generatedLabelIssues(job);
  if (issues.length > 0) throw new InvalidSpecError('Job.batch', metadata.name, issues);
  if (spec.manualSelector) return withDefaultLabels(job);

  const { template } = spec;
  const labels = {
    ...template.metadata.labels,
    ...generatedLabels(metadata.name, metadata.uid),
  };
  return withDefaultLabels({
    ...job,
    spec: {
      ...spec,
      selector: { matchLabels: { [CONTROLLER_UID_LABEL]: metadata.uid } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  });
}

/** A Job without labels of its own has those of its template, as Kubernetes reads it back. */
export function withDefaultLabels(job: Job): Job {
  const { labels } = job.spec.template.metadata;
  const hasOwn = Object.keys(job.metadata.labels ?? {}).length > 0;
  if (hasOwn || labels === undefined) return job;
  return { ...job, metadata: { ...job.metadata, labels: { ...labels } } };
}
