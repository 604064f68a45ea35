import * as z from 'zod';

import { FOREGROUND_FINALIZER, ORPHAN_FINALIZER } from './deletion.ts';
import {
  forbidden,
  invalid,
  invalidEach,
  required,
  tooLong,
  type ValidationIssue,
} from './issues.ts';
import { labelsIssues } from './labels.ts';
import {
  dnsLabelProblems,
  dnsSubdomainProblems,
  generateNameProblems,
  MAX_ANNOTATIONS_BYTES,
  qualifiedNameProblems,
  uidProblems,
} from './names.ts';
import { byteLength } from './utf8.ts';

/** Names the object that another one belongs to. */
export const OwnerReference = z.strictObject({
  /** API group and version, as in `batch/v1`. */
  apiVersion: z.string(),
  /** Kind, as in `Job`. */
  kind: z.string(),
  /** Name of the owner. */
  name: z.string(),
  /** Uid of the owner; a later object of the same name is another one. */
  uid: z.string(),
  /** Whether the owner manages the object. At most one owner does. */
  controller: z.boolean().optional(),
  /** Whether a foreground deletion of the owner waits for the object. */
  blockOwnerDeletion: z.boolean().optional(),
});
/** Names the object that another one belongs to. */
export type OwnerReference = z.output<typeof OwnerReference>;

/** What every object has. */
export const ObjectMeta = z.strictObject({
  /** Name, unique in the namespace. Empty only while it is to be made from generateName. */
  name: z.string().default(''),
  /** Beginning of a name that is completed with five random characters when none is given. */
  generateName: z.string().optional(),
  /** Namespace; `default` when none is given. */
  namespace: z.string().default(''),
  /** Identity of the object, a UUID. Empty until it is created; the creator chooses it. */
  uid: z.string().default(''),
  /** Version of the object, an integer as text. Set by the store. */
  resourceVersion: z.string().optional(),
  /** Counts the changes of the spec, from 1. Set by the store. */
  generation: z.int().optional(),
  /** When it was created; RFC 3339, seconds. Set by the store. */
  creationTimestamp: z.string().optional(),
  /** When its deletion was asked for, while it is still there. Set by the store. */
  deletionTimestamp: z.string().optional(),
  /** How long it may take to end after that, in seconds. Set by the store. */
  deletionGracePeriodSeconds: z.int().optional(),
  /** Labels, to select by. */
  labels: z.record(z.string(), z.string()).optional(),
  /** Annotations, free text for programs. */
  annotations: z.record(z.string(), z.string()).optional(),
  /** What it belongs to. */
  ownerReferences: z.array(OwnerReference).optional(),
  /** Who must agree before it goes. */
  finalizers: z.array(z.string()).optional(),
  /** Who owns which field, from the first server-side apply on. */
  managedFields: z.array(z.unknown()).optional(),
  /** Of old Kubernetes versions; without meaning. */
  selfLink: z.string().optional(),
});
/** What every object has. */
export type ObjectMeta = z.output<typeof ObjectMeta>;

/** What is wrong with the metadata of a Job. */
export function objectMetaIssues(meta: ObjectMeta, path: string): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  if (meta.generateName !== undefined) {
    const problems = generateNameProblems(meta.generateName);
    issues.push(...invalidEach(`${path}.generateName`, meta.generateName, problems));
  }
  if (meta.name !== '') {
    issues.push(...invalidEach(`${path}.name`, meta.name, dnsSubdomainProblems(meta.name)));
  } else if ((meta.generateName ?? '') === '') {
    issues.push(required(`${path}.name`, 'name or generateName is required'));
  }
  const namespaceProblems = dnsLabelProblems(meta.namespace);
  issues.push(...invalidEach(`${path}.namespace`, meta.namespace, namespaceProblems));
  if (meta.uid !== '') issues.push(...invalidEach(`${path}.uid`, meta.uid, uidProblems(meta.uid)));
  issues.push(...labelsIssues(meta.labels, `${path}.labels`));
  issues.push(...annotationsIssues(meta.annotations, `${path}.annotations`));
  issues.push(...ownerReferencesIssues(meta.ownerReferences ?? [], `${path}.ownerReferences`));
  issues.push(...finalizersIssues(meta.finalizers ?? [], `${path}.finalizers`));
  return issues;
}

function finalizersIssues(finalizers: readonly string[], path: string): ValidationIssue[] {
  const issues = finalizers.flatMap((finalizer, at) =>
    invalidEach(`${path}[${at}]`, finalizer, qualifiedNameProblems(finalizer)),
  );
  if ([FOREGROUND_FINALIZER, ORPHAN_FINALIZER].every((one) => finalizers.includes(one))) {
    const detail = `${ORPHAN_FINALIZER} and ${FOREGROUND_FINALIZER} can not both be set`;
    issues.push(invalid(path, finalizers, detail));
  }
  return issues;
}

/** What is wrong with annotations: keys as for labels, values free, 256 KiB together. */
export function annotationsIssues(
  annotations: Readonly<Record<string, string>> | undefined,
  path: string,
): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    issues.push(...invalidEach(path, key, qualifiedNameProblems(key.toLowerCase())));
    bytes += byteLength(key) + byteLength(value);
  }
  if (bytes > MAX_ANNOTATIONS_BYTES) issues.push(tooLong(path, MAX_ANNOTATIONS_BYTES));
  return issues;
}

function ownerReferencesIssues(owners: readonly OwnerReference[], path: string): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  for (const [at, owner] of owners.entries()) {
    for (const field of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (owner[field] === '') {
        issues.push(invalid(`${path}[${at}].${field}`, '', 'must not be empty'));
      }
    }
  }
  if (owners.filter((owner) => owner.controller === true).length > 1) {
    issues.push(forbidden(path, 'Only one reference can have Controller set to true.'));
  }
  return issues;
}
