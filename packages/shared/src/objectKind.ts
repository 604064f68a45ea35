/**
 * Kinds of objects that are kept as they are: metadata and content, without a life of their own in
 * the engine. What they have in common is here; a kind adds its schema and its rules.
 */

import type * as z from 'zod';

import { isSemanticallyEqual } from './equality.ts';
import { InvalidSpecError, TerminalError } from './errors.ts';
import { forbidden, invalid, type ValidationIssue } from './issues.ts';
import { objectMetaIssues, type ObjectMeta } from './meta.ts';
import { parseLenient, parseStructure, withoutNulls } from './structure.ts';

/** What every object of such a kind has. */
export interface KeptObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** A kind of kept objects. */
export interface ObjectKind<T extends KeptObject> {
  /** As in manifests: `ConfigMap`. */
  readonly kind: string;
  /** `v1`, or a group and its version. */
  readonly apiVersion: string;
  /** Plural in lower case, with the group if there is one, as errors name it: `configmaps`. */
  readonly resource: string;
  readonly schema: z.ZodType<T>;
  /** Its objects belong to no namespace. Default false. */
  readonly isClusterScoped?: boolean;
  /** What is wrong with the content of an object. `isSound`: whether a field is what the user gave. */
  readonly issues: (object: T, isSound: (path: string) => boolean) => ValidationIssue[];
  /** What of the content may not change as it did. */
  readonly changeIssues: (stored: T, object: T) => ValidationIssue[];
  /** What its user should know about a valid one; `stored`: what a change began with. Default: nothing. */
  readonly warnings?: (object: T, stored: T | null) => string[];
  /** What an unknown field may have been meant to be, or ''. Default: nothing is suggested. */
  readonly suggest?: (path: readonly (string | number)[]) => string;
  /** Sets the parts that are not the user's to say: status, generation. Default: there are none. */
  readonly settle?: (object: T, stored: T | null) => T;
  /** Fields whose values no message shows. */
  readonly hidden: readonly string[];
}

const IMMUTABLE = 'field is immutable';

/**
 * Reads a new object that a user gave. Identity, version and times are the store's to set: what the
 * manifest says of them is left out.
 *
 * @param namespace - That of the request; a manifest that names another is not valid.
 * @throws {@link InvalidSpecError} with every problem that can be told at once.
 */
export function parseObject<T extends KeptObject>(
  kind: ObjectKind<T>,
  input: unknown,
  namespace = 'default',
): T {
  const { object, issues } = check(kind, input, namespace);
  throwIfInvalid(kind, object, issues);
  const {
    uid: _uid,
    resourceVersion: _version,
    generation: _generation,
    creationTimestamp: _created,
    deletionTimestamp: _deleted,
    deletionGracePeriodSeconds: _grace,
    ...metadata
  } = object.metadata;
  return settle(kind, { ...object, metadata: { ...metadata, uid: '' } }, null);
}

/**
 * Reads a changed object: the whole of it, as after a patch. What the store sets is taken from the
 * stored one; the resourceVersion is the user's, for the caller to compare.
 *
 * @throws {@link InvalidSpecError} with every problem that can be told at once.
 */
export function parseObjectUpdate<T extends KeptObject>(
  kind: ObjectKind<T>,
  stored: T,
  input: unknown,
): T {
  const { object, issues } = check(kind, input, stored.metadata.namespace);
  const { uid, creationTimestamp, deletionTimestamp } = stored.metadata;
  const metadata: ObjectMeta = { ...object.metadata };
  metadata.uid ||= uid;
  metadata.name ||= stored.metadata.name;
  for (const field of ['name', 'uid'] as const) {
    if (metadata[field] !== stored.metadata[field]) {
      issues.push(invalid(`metadata.${field}`, metadata[field], IMMUTABLE));
    }
  }
  const kept = new Set(stored.metadata.finalizers);
  const added = (metadata.finalizers ?? []).filter((name) => !kept.has(name));
  if (deletionTimestamp !== undefined && added.length > 0) {
    const detail = 'no new finalizers can be added if the object is being deleted';
    issues.push(forbidden('metadata.finalizers', detail));
  }
  const next = { ...object, metadata: { ...metadata, creationTimestamp, deletionTimestamp } };
  issues.push(...kind.changeIssues(stored, next));
  throwIfInvalid(kind, next, issues);
  return settle(kind, next, stored);
}

function settle<T extends KeptObject>(kind: ObjectKind<T>, object: T, stored: T | null): T {
  return kind.settle?.(object, stored) ?? object;
}

/**
 * Reads an object from storage. Fields that this version does not know are kept.
 *
 * @throws {@link TerminalError} when it is not one: the data is damaged, or of a later version.
 */
export function readObject<T extends KeptObject>(kind: ObjectKind<T>, input: unknown): T {
  const object = parseLenient(kind.schema, input);
  if (object !== null) return object;
  throw new TerminalError(`the stored ${kind.kind} can not be read by this version`);
}

/** The rule of immutable ConfigMaps and Secrets: neither the mark nor what it protects may change. */
export function immutableIssues<T extends { readonly immutable?: boolean | undefined }>(
  stored: T,
  object: T,
  fields: readonly (keyof T & string)[],
): ValidationIssue[] {
  if (stored.immutable !== true) return [];
  const changed = fields.filter((field) => !isSemanticallyEqual(stored[field], object[field]));
  const frozen = object.immutable === true ? changed : ['immutable', ...changed];
  return frozen.map((field) => forbidden(field, 'field is immutable when `immutable` is set'));
}

interface Checked<T> {
  readonly object: T;
  readonly issues: ValidationIssue[];
}

function check<T extends KeptObject>(
  kind: ObjectKind<T>,
  input: unknown,
  namespace: string,
): Checked<T> {
  const raw = withoutNulls(input);
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    const issue = invalid('(root)', undefined, 'must be an object with metadata');
    throw new InvalidSpecError(kind.kind, '<unnamed>', [issue]);
  }
  const { value, issues, isSound } = parseStructure(kind.schema, raw, kind.suggest ?? (() => ''));
  const isFree = kind.isClusterScoped === true;
  const own = isFree ? '' : value.metadata.namespace || namespace;
  const object = { ...value, metadata: { ...value.metadata, namespace: own } };
  const ofMetadata = objectMetaIssues(object.metadata, 'metadata').filter(
    ({ path }) => !isFree || path !== 'metadata.namespace',
  );
  const found = [...ofMetadata, ...kind.issues(object, isSound)];
  if (!isFree && own !== namespace) {
    const detail = `does not match the namespace of the request, "${namespace}"`;
    found.push(invalid('metadata.namespace', own, detail));
  }
  return { object, issues: [...issues, ...found.filter(({ path }) => isSound(path))] };
}

function throwIfInvalid<T extends KeptObject>(
  { kind, apiVersion, hidden }: ObjectKind<T>,
  { metadata }: T,
  issues: readonly ValidationIssue[],
): void {
  if (issues.length === 0) return;
  const name = metadata.name || metadata.generateName || '<unnamed>';
  const shown = issues.map((issue) => {
    const { value: _value, ...others } = issue;
    const isHidden = hidden.some((field) => issue.path === field || isWithin(issue.path, field));
    return isHidden ? others : issue;
  });
  const [group] = apiVersion.split('/').slice(0, -1);
  throw new InvalidSpecError(group === undefined ? kind : `${kind}.${group}`, name, shown);
}

function isWithin(path: string, field: string): boolean {
  return path.startsWith(`${field}[`) || path.startsWith(`${field}.`);
}
