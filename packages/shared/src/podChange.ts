/** What may be changed of a pod of a Job: its labels and annotations. */

import { unknownTopFields } from './barePod.ts';
import { isSemanticallyEqual } from './equality.ts';
import { InvalidSpecError } from './errors.ts';
import { suggestField } from './fieldSupport.ts';
import { forbidden, invalid, type ValidationIssue } from './issues.ts';
import { labelsIssues } from './labels.ts';
import { annotationsIssues, ObjectMeta } from './meta.ts';
import type { Pod } from './pod.ts';
import { parseStructure, withoutNulls } from './structure.ts';

/** Labels and annotations that a pod is to have, all of them. */
export interface PodMetadata {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Kept for clients that apply on the side of the server. */
  readonly managedFields?: readonly unknown[];
}

/** Annotation of a pod with its handler's return value, as JSON. */
export const RESULT_ANNOTATION = 'drover.dev/result';
/** Annotation of a running pod with how far it has come: `0.25`, or `3/12`. */
export const PROGRESS_ANNOTATION = 'drover.dev/progress';

/** What a pod says of itself; nobody else can. */
const OF_THE_POD = [RESULT_ANNOTATION, PROGRESS_ANNOTATION];
/** Whether an annotation is the pod's own word. */
export function isSaidByPod(annotation: string): boolean {
  return OF_THE_POD.includes(annotation);
}

/** Set by the store: what a request says of them is not looked at, as in Kubernetes. */
const OF_THE_STORE: ReadonlySet<string> = new Set([
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
  'generateName',
]);
const CHANGEABLE: ReadonlySet<string> = new Set(['labels', 'annotations', 'managedFields']);

/**
 * Reads a changed pod of a Job.
 *
 * @param shown - The pod as it was read.
 * @throws {@link InvalidSpecError} with everything that is wrong, or can not be changed.
 */
export function parsePodChange(shown: Pod, input: unknown): PodMetadata {
  const raw = withoutNulls(input);
  const isObject = typeof raw === 'object' && raw !== null && !Array.isArray(raw);
  const given = (isObject ? raw : {}) as Readonly<Record<string, unknown>>;
  const issues: ValidationIssue[] = [];
  if (!isObject) issues.push(invalid('(root)', raw, 'must be an object with metadata and spec'));
  const { value: metadata, issues: found } = parseStructure(
    ObjectMeta,
    given['metadata'] ?? {},
    (path) => suggestField(['metadata', ...path]),
  );
  issues.push(...found.map((issue) => ({ ...issue, path: `metadata.${issue.path}` })));
  issues.push(...unknownTopFields(given));
  issues.push(...labelsIssues(metadata.labels, 'metadata.labels'));
  issues.push(...annotationsIssues(metadata.annotations, 'metadata.annotations'));
  issues.push(...immutableIssues(shown, metadata));
  if (isObject && !isSemanticallyEqual(given['spec'], shown.spec)) {
    const detail = 'what a pod of a Job runs can not be changed: change the Job, or delete the pod';
    issues.push(forbidden('spec', detail));
  }
  if (issues.length > 0) throw new InvalidSpecError('Pod', shown.metadata.name, issues);
  const { labels = {}, managedFields } = metadata;
  const annotations = Object.entries(metadata.annotations ?? {}).filter(
    ([key]) => !isSaidByPod(key),
  );
  return {
    labels,
    ...(annotations.length > 0 && { annotations: Object.fromEntries(annotations) }),
    ...(managedFields !== undefined && { managedFields }),
  };
}

function immutableIssues({ metadata: old }: Pod, changed: ObjectMeta): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  for (const field of Object.keys(ObjectMeta.shape) as (keyof ObjectMeta)[]) {
    if (OF_THE_STORE.has(field) || CHANGEABLE.has(field)) continue;
    const [was, is] = [old[field], changed[field]];
    if (isSemanticallyEqual(was, is) || (field === 'uid' && is === '')) continue;
    const path = `metadata.${field}`;
    if (field === 'ownerReferences' || field === 'finalizers') {
      issues.push(forbidden(path, 'whose a pod of a Job is follows from its labels'));
    } else issues.push(invalid(path, is, 'field is immutable'));
  }
  for (const key of OF_THE_POD) {
    if (old.annotations?.[key] === changed.annotations?.[key]) continue;
    issues.push(forbidden(`metadata.annotations[${key}]`, 'only the pod itself can say this'));
  }
  return issues;
}
