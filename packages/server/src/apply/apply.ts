/**
 * Server-side apply, as Kubernetes has it: who applies a configuration owns the fields in it; what they
 * owned and leave out is removed; a field that somebody else set to another value is a conflict.
 */

import { isSemanticallyEqual, withoutNulls } from '@drover/shared';

import { isJsonObject, valueAt, type ApiObject, type JsonObject } from '../api/object.ts';
import type { Resource } from '../api/resource.ts';
import { ApiError } from '../http/status.ts';
import { difference, FieldSet, fieldElement, intersection, pathText, union } from './fieldSet.ts';
import {
  decodeManagers,
  encodeManagers,
  isSameWriter,
  managerText,
  ownedBy,
  ownedByAny,
  withOwned,
  withoutFields,
  type Manager,
  type Writer,
} from './managers.ts';
import { compare, fieldsIn, merge, Place, prune } from './structure.ts';

/** Nobody owns what the server sets. */
const SERVER_FIELDS = [
  'clusterName',
  'creationTimestamp',
  'deletionGracePeriodSeconds',
  'deletionTimestamp',
  'generation',
  'managedFields',
  'name',
  'namespace',
  'resourceVersion',
  'selfLink',
  'uid',
];

/** Those who set fields before anybody applied. */
const BEFORE = 'before-first-apply';
/** What kubectl remembers of a configuration that it applied by itself. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const KUBECTL = 'kubectl';
const CLIENT_SIDE = 'kubectl-client-side-apply';

/** An apply. */
export interface Application {
  readonly writer: Writer;
  readonly config: JsonObject;
  /** Take over what others own. */
  readonly force: boolean;
  readonly nowMs: number;
}

/** The object that an apply makes of nothing. */
export function applyToNothing(resource: Resource, { writer, config, nowMs }: Application): object {
  const fields = owned(fieldsIn(config, Place.of(resource)), resource);
  return withManagers(config, withOwned([], writer, fields, nowMs));
}

/**
 * What an apply makes of an object; the object itself when nothing of it changes.
 *
 * @throws ApiError when others own what it would change.
 */
export function applyTo(stored: ApiObject, resource: Resource, application: Application): unknown {
  const { writer, force, nowMs } = application;
  const place = Place.of(resource);
  const { config } = application;
  checkUid(stored, config);
  const known = managersOf(stored, resource, nowMs);
  const before = ownedBy(known, writer);
  const fields = owned(fieldsIn(config, place), resource);
  let managers = withOwned(known, writer, fields, nowMs);
  const merged = merge(stored, config, place);
  const applied =
    before === undefined ? merged : prune(merged, before, ownedByAny(managers), place);

  const { changed, removed } = compare(stored, applied, place);
  const conflicts = conflictsOf(managers, writer, owned(changed, resource));
  if (conflicts.length > 0 && !force && !areLastApplied(conflicts, stored, application, place)) {
    throw conflictError(conflicts);
  }
  managers = withoutFields(managers, union(changed, removed), writer);
  const result = withManagers(withLastApplied(applied, stored, application), managers);
  return isSemanticallyEqual(result, stored) ? stored : result;
}

/**
 * Who owns what after a change that was no apply: who made it owns what it changed, and nobody what it
 * removed. Not asked before somebody applied.
 */
export function managersAfter(
  stored: ApiObject,
  changed: ApiObject,
  resource: Resource,
  writer: Writer,
  nowMs: number,
): object[] {
  // Who changes it by hand is taken at their word: kubectl hands its own fields over so.
  const given = decodeManagers(changed.metadata.managedFields);
  const managers = given.length > 0 ? given : decodeManagers(stored.metadata.managedFields);
  const differences = compare(stored, changed, Place.of(resource));
  const set = owned(differences.changed, resource);
  const removed = owned(differences.removed, resource);
  const others = withoutFields(managers, union(set, removed), writer);
  const own = difference(union(ownedBy(managers, writer) ?? new FieldSet(), set), removed);
  return encodeManagers(withOwned(others, writer, own, nowMs));
}

/** Whether a client says that nobody is to own anything any more. */
export function isReset(managedFields: unknown): boolean {
  return (
    Array.isArray(managedFields) &&
    managedFields.length === 1 &&
    isSemanticallyEqual(managedFields[0], {})
  );
}

/**
 * The first apply finds what others set before it. What kubectl applied by itself is its own, so that it
 * can hand that over.
 */
function managersOf(stored: ApiObject, resource: Resource, nowMs: number): Manager[] {
  const known = decodeManagers(stored.metadata.managedFields);
  if (known.length > 0) return known;
  const place = Place.of(resource);
  const { apiVersion } = stored;
  const all = owned(fieldsIn(stored, place), resource);
  const last = owned(intersection(lastAppliedFields(stored, place), all), resource);
  const byKubectl: Writer = { manager: CLIENT_SIDE, operation: 'Update', apiVersion };
  const byOthers: Writer = { manager: BEFORE, operation: 'Update', apiVersion };
  const first = withOwned([], byKubectl, last, nowMs);
  return withOwned(first, byOthers, difference(all, last), nowMs);
}

/** What kubectl applied by itself the last time, with the annotation that says so. */
function lastAppliedFields({ metadata }: ApiObject, place: Place): FieldSet {
  const text = metadata.annotations?.[LAST_APPLIED];
  try {
    if (text !== undefined) {
      const annotation = { metadata: { annotations: { [LAST_APPLIED]: text } } };
      const config = withoutNulls(JSON.parse(text));
      return union(fieldsIn(config, place), fieldsIn(annotation, place));
    }
  } catch {
    // Somebody else wrote it.
  }
  return new FieldSet();
}

/** The fields that clients can own. */
function owned(fields: FieldSet, { hasStatus }: Resource): FieldSet {
  let result = fields;
  const unowned = [['apiVersion'], ['kind'], ...SERVER_FIELDS.map((name) => ['metadata', name])];
  if (hasStatus) unowned.push(['status']);
  for (const path of unowned) result = result.without(path.map(fieldElement));
  return withoutEmptyRoot(result);
}

/** The object itself, and its metadata, are nobody's. */
function withoutEmptyRoot(fields: FieldSet): FieldSet {
  fields.isMember = false;
  return fields;
}

function checkUid({ metadata }: ApiObject, config: JsonObject): void {
  const uid = valueAt(config, ['metadata', 'uid']);
  if (typeof uid !== 'string' || uid === '' || uid === metadata.uid) return;
  const message = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`;
  throw new ApiError(409, 'Conflict', message, {});
}

/** A field that is to be changed, and who owns it. */
interface Conflict {
  readonly manager: Manager;
  readonly path: readonly string[];
}

function conflictsOf(managers: readonly Manager[], writer: Writer, changed: FieldSet): Conflict[] {
  return managers
    .filter((manager) => !isSameWriter(manager, writer))
    .flatMap((manager) =>
      [...intersection(manager.fields, changed).paths()].map((path) => ({ manager, path })),
    );
}

/** kubectl goes over to server-side apply: what it applied by itself before is its own. */
function areLastApplied(
  conflicts: readonly Conflict[],
  stored: ApiObject,
  { writer }: Application,
  place: Place,
): boolean {
  if (writer.manager !== KUBECTL) return false;
  const fields = lastAppliedFields(stored, place);
  return conflicts.every(({ path }) => has(fields, path));
}

function has(fields: FieldSet, path: readonly string[]): boolean {
  let at: FieldSet | undefined = fields;
  for (const element of path) at = at?.children.get(element);
  return at?.isMember === true;
}

/** kubectl may go back: what it remembers by itself goes with what it applies. */
function withLastApplied(applied: unknown, stored: ApiObject, application: Application): unknown {
  const { writer, config } = application;
  const isKept = stored.metadata.annotations?.[LAST_APPLIED] !== undefined;
  if (writer.manager !== KUBECTL || !isKept || !isJsonObject(applied)) return applied;
  const metadata = isJsonObject(applied['metadata']) ? applied['metadata'] : {};
  const annotations = isJsonObject(metadata['annotations']) ? metadata['annotations'] : {};
  const text = `${JSON.stringify(config)}\n`;
  return {
    ...applied,
    metadata: { ...metadata, annotations: { ...annotations, [LAST_APPLIED]: text } },
  };
}

function withManagers(object: unknown, managers: readonly Manager[]): object {
  const { metadata, ...others } = isJsonObject(object) ? object : {};
  return {
    ...others,
    metadata: {
      ...(isJsonObject(metadata) ? metadata : {}),
      managedFields: encodeManagers(managers),
    },
  };
}

function conflictError(conflicts: readonly Conflict[]): ApiError {
  const causes = conflicts.map(({ manager, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${managerText(manager)}`,
    field: pathText(path),
  }));
  const [only] = conflicts;
  if (conflicts.length === 1 && only !== undefined) {
    const text = `conflict with ${managerText(only.manager)}: ${pathText(only.path)}`;
    return new ApiError(409, 'Conflict', `Apply failed with 1 conflict: ${text}`, { causes });
  }
  const byManager = Map.groupBy(conflicts, ({ manager }) => managerText(manager));
  const lines = [...byManager.keys()]
    .toSorted()
    .flatMap((name) => [
      `conflicts with ${name}:`,
      ...(byManager.get(name) ?? []).map(({ path }) => `- ${pathText(path)}`),
    ]);
  const message = `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`;
  return new ApiError(409, 'Conflict', message, { causes });
}
