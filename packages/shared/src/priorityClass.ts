import * as z from 'zod';

import { forbidden, invalid, type ValidationIssue } from './issues.ts';
import { ObjectMeta } from './meta.ts';
import type { ObjectKind } from './objectKind.ts';

/** Highest value of a class that a user makes; above are those of the system. */
const MAX_USER_PRIORITY = 1_000_000_000;
const SYSTEM_PREFIX = 'system-';

/** A name for how important pods are. */
export const PriorityClass = z.strictObject({
  /** `scheduling.k8s.io/v1`. */
  apiVersion: z.literal('scheduling.k8s.io/v1').default('scheduling.k8s.io/v1'),
  /** `PriorityClass`. */
  kind: z.literal('PriorityClass').default('PriorityClass'),
  /** Name, labels and the like. */
  metadata: ObjectMeta.prefault({}),
  /** How important: workers take pods of the highest value first. At most 1,000,000,000; may not change. */
  value: z.int32(),
  /** For pods that name no class. Default false. */
  globalDefault: z.boolean().optional(),
  /** What it is for, for people. */
  description: z.string().optional(),
  /** Kept and shown: no pod is stopped to make room for another one. */
  preemptionPolicy: z.enum(['PreemptLowerPriority', 'Never']).default('PreemptLowerPriority'),
});
/** A name for how important pods are. */
export type PriorityClass = z.output<typeof PriorityClass>;

/** PriorityClasses as a kind; they belong to no namespace. */
export const PRIORITY_CLASS_KIND: ObjectKind<PriorityClass> = {
  kind: 'PriorityClass',
  apiVersion: 'scheduling.k8s.io/v1',
  resource: 'priorityclasses.scheduling.k8s.io',
  isClusterScoped: true,
  schema: PriorityClass,
  issues: classIssues,
  changeIssues: (stored, { value, preemptionPolicy }) => {
    const frozen = 'may not be changed in an update.';
    const issues: ValidationIssue[] = [];
    if (value !== stored.value) issues.push(forbidden('value', frozen));
    if (preemptionPolicy !== stored.preemptionPolicy) {
      issues.push(invalid('preemptionPolicy', preemptionPolicy, 'field is immutable'));
    }
    return issues;
  },
  warnings: ({ preemptionPolicy }, stored) =>
    stored === null && preemptionPolicy !== 'Never'
      ? ['preemptionPolicy: no effect: no pod is stopped to make room for another one']
      : [],
  hidden: [],
};

/** Classes that are always there, by name. */
export const SYSTEM_PRIORITY_CLASSES: readonly PriorityClass[] = [
  systemClass('system-cluster-critical', 2_000_000_000, 'that must run in the cluster'),
  systemClass('system-node-critical', 2_000_001_000, 'that must not be moved from their node'),
];

function systemClass(name: string, value: number, text: string): PriorityClass {
  const description = `Used for system critical pods ${text}.`;
  return PriorityClass.parse({ metadata: { name }, value, description });
}

/** Whether a class is one of those that are always there. */
export function isSystemPriorityClass(name: string): boolean {
  return SYSTEM_PRIORITY_CLASSES.some(({ metadata }) => metadata.name === name);
}

function classIssues({ metadata, value }: PriorityClass): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  const { name } = metadata;
  if (name.startsWith(SYSTEM_PREFIX)) {
    const detail = `priority class names with '${SYSTEM_PREFIX}' prefix are reserved for system use only`;
    issues.push(forbidden('metadata.name', detail));
  } else if (value > MAX_USER_PRIORITY) {
    const detail = `maximum allowed value of a user defined priority is ${MAX_USER_PRIORITY}`;
    issues.push(forbidden('value', detail));
  }
  return issues;
}

/** How important pods are. */
export interface PodPriority {
  readonly value: number;
  /** The class that says so; '' = none does. */
  readonly className: string;
}

/** As important as pods are that no class is for. */
export const NO_PRIORITY: PodPriority = { value: 0, className: '' };

/**
 * The priority of a pod.
 *
 * @param classes - Those that were made, in order of name; the system's are known without.
 * @param name - As the pod names its class; '' = it names none.
 * @returns null when there is no such class.
 */
export function podPriority(classes: readonly PriorityClass[], name: string): PodPriority | null {
  if (name === '') {
    // Of several, which only writers that do not see each other can make, the lowest, as in Kubernetes.
    const [first] = classes
      .filter(({ globalDefault }) => globalDefault === true)
      .toSorted((a, b) => a.value - b.value);
    return first === undefined ? NO_PRIORITY : priorityOf(first);
  }
  const all = [...SYSTEM_PRIORITY_CLASSES, ...classes];
  const found = all.find(({ metadata }) => metadata.name === name);
  return found === undefined ? null : priorityOf(found);
}

/** Why a pod may not be whose class there is not. */
export function noPriorityClassText(name: string): string {
  return `no PriorityClass with name ${name} was found`;
}

function priorityOf({ metadata, value }: PriorityClass): PodPriority {
  return { value, className: metadata.name };
}

/** BullMQ's priorities are 1 to 2^21, the lowest first: 2^20 on either side of no priority at all. */
const MIDDLE = 2 ** 20;
/** Exact up to here; above, values are told apart that differ by more than 1 in 2^16. */
const EXACT_BITS = 17;

/** The priority of a QueueJob in BullMQ, for one of Kubernetes: an integer, the lower the earlier. */
export function queuePriority(value: number): number {
  // What is below 0 goes one step less far than what is above.
  const magnitude = value < 0 ? -(value + 1) : value;
  const bits = 32 - Math.clz32(magnitude);
  const excess = Math.max(0, bits - EXACT_BITS);
  const code = excess * 2 ** (EXACT_BITS - 1) + Math.floor(magnitude / 2 ** excess);
  return value < 0 ? MIDDLE + 1 + code : MIDDLE - code;
}
