/** The rules for a Job whose pods take items from a work queue. */

import { ITEM_PER_POD_ANNOTATION, WORK_QUEUE_ANNOTATION } from './generated.ts';
import { invalid, invalidEach, notSupported, required, type ValidationIssue } from './issues.ts';
import type { Job } from './job.ts';
import { dnsLabelProblems } from './names.ts';
import type { IsSound } from './podTemplateRules.ts';
import { runtimeOf, type Runtime } from './runtime.ts';

/**
 * How a pod gets its one item. Programs: on their standard input, in the environment variable DROVER_ITEM, or in the
 * file that DROVER_ITEM_FILE names. Handlers: as \`item\` of their context.
 */
export type ItemPerPod = 'stdin' | 'env' | 'file' | 'context';

/** What {@link ITEM_PER_POD_ANNOTATION} may say, by the runtime of the pods. */
export const ITEM_PER_POD_VALUES: Readonly<Record<Runtime, readonly ItemPerPod[]>> = {
  process: ['stdin', 'env', 'file'],
  handler: ['context'],
};

/** How the pods of a valid Job get their one item; null = they don't have one each. */
export function itemPerPodOf(
  annotations: Readonly<Record<string, string>> | undefined,
): ItemPerPod | null {
  const value = annotations?.[ITEM_PER_POD_ANNOTATION];
  return (
    Object.values(ITEM_PER_POD_VALUES)
      .flat()
      .find((known) => known === value) ?? null
  );
}

/** What is wrong with the annotations of a Job about its work queue, and with what they ask of its spec. */
export function workQueueIssues({ metadata, spec }: Job, isSound: IsSound): ValidationIssue[] {
  const { [WORK_QUEUE_ANNOTATION]: name, [ITEM_PER_POD_ANNOTATION]: itemPerPod } =
    metadata.annotations ?? {};
  const path = `metadata.annotations[${WORK_QUEUE_ANNOTATION}]`;
  const issues = name === undefined ? [] : invalidEach(path, name, dnsLabelProblems(name));
  if (itemPerPod !== undefined) {
    if (name === undefined) issues.push(required(path, 'when each pod takes one item'));
    return [...issues, ...itemPerPodIssues(spec, itemPerPod, isSound)];
  }
  if (name === undefined || spec.completions === undefined || !isSound('spec.completions')) {
    return issues;
  }
  const detail = `must not be set when the pods take items from a work queue: set parallelism alone, or let each pod take one item with the annotation ${ITEM_PER_POD_ANNOTATION}`;
  return [...issues, invalid('spec.completions', spec.completions, detail)];
}

function itemPerPodIssues(
  { completions, completionMode, template }: Job['spec'],
  value: string,
  isSound: IsSound,
): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  const runtime = runtimeOf(template.spec);
  if (runtime !== null && !ITEM_PER_POD_VALUES[runtime].some((allowed) => allowed === value)) {
    const path = `metadata.annotations[${ITEM_PER_POD_ANNOTATION}]`;
    issues.push(notSupported(path, value, ITEM_PER_POD_VALUES[runtime]));
  }
  if (completions === undefined && isSound('spec.completions')) {
    issues.push(required('spec.completions', 'when each pod takes one item: the number of items'));
  }
  if (completionMode === 'Indexed' && isSound('spec.completionMode')) {
    const detail = 'must be NonIndexed when each pod takes one item: its index would not say which';
    issues.push(invalid('spec.completionMode', completionMode, detail));
  }
  return issues;
}
