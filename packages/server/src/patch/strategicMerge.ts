/**
 * Strategic merge patches: merge patches that know how lists are merged, and say by directives what
 * else is to happen (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList/...`, `$setElementOrder/...`).
 */

import { isSemanticallyEqual } from '@drover/shared';

import { isJsonObject, setField, type JsonObject } from '../api/object.ts';
import { badRequest } from '../http/status.ts';
import type { ListRule } from './listRules.ts';

const PATCH = '$patch';
const RETAIN_KEYS = '$retainKeys';
const DELETE_FROM_LIST = '$deleteFromPrimitiveList/';
const ELEMENT_ORDER = '$setElementOrder/';

/**
 * Applies a strategic merge patch; neither argument is changed.
 *
 * @param rules - How lists are merged, by their paths.
 * @throws ApiError for directives that make no sense.
 */
export function applyStrategicMerge(
  target: unknown,
  patch: JsonObject,
  rules: ReadonlyMap<string, ListRule>,
): unknown {
  return mergeObject(isJsonObject(target) ? target : {}, patch, { rules, path: '' });
}

/** Where a merge is. */
interface Place {
  readonly rules: ReadonlyMap<string, ListRule>;
  readonly path: string;
}

function below({ rules, path }: Place, field: string): Place {
  return { rules, path: path === '' ? field : `${path}.${field}` };
}

function mergeObject(target: JsonObject, patch: JsonObject, place: Place): JsonObject {
  const { [PATCH]: directive, [RETAIN_KEYS]: retained, ...fields } = patch;
  if (directive === 'delete') return {};
  if (directive === 'replace') return mergeObject({}, fields, place);
  if (directive !== undefined && directive !== 'merge') throw unknownDirective(directive, place);
  const result: JsonObject =
    retained === undefined ? { ...target } : retain(target, retained, place);
  for (const [field, value] of Object.entries(fields)) {
    if (field.startsWith(DELETE_FROM_LIST)) {
      deleteFromList(result, field.slice(DELETE_FROM_LIST.length), value);
    } else if (!field.startsWith(ELEMENT_ORDER)) {
      mergeField(result, field, value, below(place, field));
    }
  }
  for (const [field, order] of Object.entries(fields)) {
    if (!field.startsWith(ELEMENT_ORDER)) continue;
    const name = field.slice(ELEMENT_ORDER.length);
    const sorted = inOrder(result[name], order, below(place, name));
    if (sorted !== null) setField(result, name, sorted);
  }
  return result;
}

function mergeField(result: JsonObject, field: string, value: unknown, place: Place): void {
  const before = Object.hasOwn(result, field) ? result[field] : undefined;
  if (value === null) delete result[field];
  else if (isJsonObject(value)) {
    if (value[PATCH] === 'delete') delete result[field];
    else setField(result, field, mergeObject(isJsonObject(before) ? before : {}, value, place));
  } else if (Array.isArray(value)) {
    setField(result, field, mergeList(Array.isArray(before) ? before : [], value, place));
  } else setField(result, field, value);
}

/** Of an object that is one of several things only what is listed stays. */
function retain(target: JsonObject, retained: unknown, place: Place): JsonObject {
  if (!Array.isArray(retained)) throw unknownDirective(retained, place);
  const kept = new Set<unknown>(retained);
  return Object.fromEntries(Object.entries(target).filter(([field]) => kept.has(field)));
}

function deleteFromList(result: JsonObject, field: string, values: unknown): void {
  const list = result[field];
  if (!Array.isArray(list) || !Array.isArray(values)) return;
  const gone = new Set<unknown>(values);
  setField(
    result,
    field,
    list.filter((value) => !gone.has(value)),
  );
}

function mergeList(before: readonly unknown[], patch: readonly unknown[], place: Place): unknown[] {
  const rule = place.rules.get(place.path);
  const replaces = patch.some((item) => isJsonObject(item) && item[PATCH] === 'replace');
  if (rule === undefined || replaces) {
    return patch.flatMap((item) => withoutDirective(item, place) ?? []);
  }
  if (rule.mergeKey === null) return [...new Set([...before, ...patch])];
  return mergeItems(before, patch, rule.mergeKey, place);
}

/** An item of a list that is replaced; null when it is only there for its directive. */
function withoutDirective(item: unknown, place: Place): unknown {
  if (!isJsonObject(item)) return item;
  const { [PATCH]: directive, ...fields } = item;
  if (directive === undefined) return mergeObject({}, item, place);
  return Object.keys(fields).length === 0 ? null : mergeObject({}, fields, place);
}

function mergeItems(
  before: readonly unknown[],
  patch: readonly unknown[],
  mergeKey: string,
  place: Place,
): unknown[] {
  const result = [...before];
  for (const item of patch) {
    if (!isJsonObject(item)) throw badRequest(`${place.path}: an item of the patch is no object`);
    const key = item[mergeKey];
    if (key === undefined) {
      throw badRequest(
        `${place.path}: map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`,
      );
    }
    const at = result.findIndex((own) => isJsonObject(own) && own[mergeKey] === key);
    const own = result[at];
    if (item[PATCH] === 'delete') {
      if (at >= 0) result.splice(at, 1);
    } else if (isJsonObject(own)) result[at] = mergeObject(own, item, place);
    else result.push(mergeObject({}, item, place));
  }
  return result;
}

/**
 * Puts a list in order: items that are named in the order of their names, others after the item that
 * they came after. null when there is no list.
 */
function inOrder(list: unknown, order: unknown, place: Place): unknown[] | null {
  if (!Array.isArray(list) || !Array.isArray(order)) return null;
  const mergeKey = place.rules.get(place.path)?.mergeKey ?? null;
  const keyOf = (item: unknown): unknown =>
    mergeKey !== null && isJsonObject(item) ? item[mergeKey] : item;
  const rank = (item: unknown): number =>
    order.findIndex((named) => isSemanticallyEqual(keyOf(named), keyOf(item)));
  const named = list.filter((item) => rank(item) >= 0).toSorted((a, b) => rank(a) - rank(b));
  // Whatever is not named keeps its place; the named ones take theirs in order.
  return list.map((item) => (rank(item) >= 0 ? named.shift() : item));
}

function unknownDirective(directive: unknown, { path }: Place): Error {
  return badRequest(`${path || '(root)'}: ${JSON.stringify(directive)} is no directive of a patch`);
}
