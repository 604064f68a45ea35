/** Objects as those see them who own fields: which fields there are, what differs, how they are merged. */

import { isSemanticallyEqual } from '@drover/shared';

import { isJsonObject, setField, type JsonObject } from '../api/object.ts';
import type { Resource } from '../api/resource.ts';
import { badRequest } from '../http/status.ts';
import { atomicPathsOf, listRulesOf, type ListRule } from '../patch/listRules.ts';
import { FieldSet, fieldElement, keyElement, valueElement } from './fieldSet.ts';

/** Keys that may be left out of an item. */
const KEY_PRESETS: Readonly<Record<string, unknown>> = { protocol: 'TCP' };

/** Where in an object of a kind one is: what lies there is a whole, or has parts that have owners. */
export class Place {
  readonly #rules: ReadonlyMap<string, ListRule>;
  readonly #atomic: ReadonlySet<string>;
  readonly path: string;

  private constructor(
    rules: ReadonlyMap<string, ListRule>,
    atomic: ReadonlySet<string>,
    path: string,
  ) {
    this.#rules = rules;
    this.#atomic = atomic;
    this.path = path;
  }

  /** The object as a whole. */
  static of(resource: Pick<Resource, 'kind'>): Place {
    return new Place(listRulesOf(resource), atomicPathsOf(resource), '');
  }

  field(name: string): Place {
    const path = this.path === '' ? name : `${this.path}.${name}`;
    return new Place(this.#rules, this.#atomic, path);
  }

  /** Whether an object here has fields with owners of their own. */
  hasFields(value: unknown): value is JsonObject {
    return isJsonObject(value) && !this.#atomic.has(this.path);
  }

  /** Whether a list here has items with owners of their own. */
  hasItems(value: unknown): value is readonly unknown[] {
    return Array.isArray(value) && (this.#rules.get(this.path)?.mapKeys ?? null) !== null;
  }

  /** The items of a list by their elements. @throws ApiError when two are the same, or lack a key. */
  items(list: readonly unknown[]): Map<string, unknown> {
    const found = new Map<string, unknown>();
    for (const [at, item] of list.entries()) {
      const element = this.#elementOf(item, at);
      if (found.has(element)) {
        throw badRequest(`.${this.path}: duplicate entries for key ${element.slice(2)}`);
      }
      found.set(element, item);
    }
    return found;
  }

  #elementOf(item: unknown, at: number): string {
    const mapKeys = this.#rules.get(this.path)?.mapKeys ?? [];
    if (mapKeys.length === 0) return valueElement(item);
    const keys: JsonObject = {};
    for (const name of mapKeys) {
      const value = isJsonObject(item) && Object.hasOwn(item, name) ? item[name] : undefined;
      const key = value ?? KEY_PRESETS[name];
      if (key === undefined) {
        throw badRequest(
          `.${this.path}: element ${at}: associative list with keys has an element that omits key field "${name}" (and doesn't have default value)`,
        );
      }
      keys[name] = key;
    }
    return keyElement(keys);
  }

  /** What is in a value, by elements; null when it is a whole. */
  parts(value: unknown): Map<string, { readonly value: unknown; readonly place: Place }> | null {
    if (this.hasFields(value)) {
      return new Map(
        Object.entries(value).map(([name, inner]) => [
          fieldElement(name),
          { value: inner, place: this.field(name) },
        ]),
      );
    }
    if (!this.hasItems(value)) return null;
    return new Map(
      [...this.items(value)].map(([element, item]) => [element, { value: item, place: this }]),
    );
  }
}

/** An item of a list is owned itself, too, beside what is in it. */
function isItem(element: string): boolean {
  return !element.startsWith('f:');
}

/** All fields of a value. */
export function fieldsIn(value: unknown, place: Place): FieldSet {
  const set = new FieldSet();
  // A plain value in a list has no parts.
  const parts = place.parts(value);
  if (parts === null) {
    set.isMember = true;
    return set;
  }
  if (parts.size === 0) set.isMember = isJsonObject(value);
  for (const [element, part] of parts) {
    const child = fieldsIn(part.value, part.place);
    if (isItem(element)) child.isMember = true;
    if (!child.isEmpty) set.children.set(element, child);
  }
  return set;
}

/** What is another in a second value than in a first. */
export interface Differences {
  /** What was set or changed. */
  readonly changed: FieldSet;
  /** What is there no longer. */
  readonly removed: FieldSet;
}

/** Compares two values at the same place; undefined = there is none. */
export function compare(before: unknown, after: unknown, place: Place): Differences {
  const changed = new FieldSet();
  const removed = new FieldSet();
  walk(before, after, place, changed, removed);
  return { changed, removed };
}

function walk(
  before: unknown,
  after: unknown,
  place: Place,
  changed: FieldSet,
  removed: FieldSet,
): void {
  const old = before === undefined ? null : place.parts(before);
  const now = after === undefined ? null : place.parts(after);
  if (old === null && now === null) {
    if (after === undefined) removed.isMember = true;
    else if (!isSemanticallyEqual(before, after)) changed.isMember = true;
    return;
  }
  if (old !== null && old.size === 0 && after === undefined) removed.isMember = true;
  if (now !== null && now.size === 0 && before === undefined) changed.isMember = true;
  if (old === null && before !== undefined) removed.isMember = true;
  if (now === null && after !== undefined) changed.isMember = true;
  for (const element of new Set([...(old?.keys() ?? []), ...(now?.keys() ?? [])])) {
    const was = old?.get(element);
    const is = now?.get(element);
    const inner = is?.place ?? was?.place ?? place;
    const childChanged = new FieldSet();
    const childRemoved = new FieldSet();
    walk(was?.value, is?.value, inner, childChanged, childRemoved);
    if (isItem(element) && was === undefined) childChanged.isMember = true;
    if (isItem(element) && is === undefined) childRemoved.isMember = true;
    if (!childChanged.isEmpty) changed.children.set(element, childChanged);
    if (!childRemoved.isEmpty) removed.children.set(element, childRemoved);
  }
}

/** Puts an applied value over what is there; neither is changed. */
export function merge(live: unknown, applied: unknown, place: Place): unknown {
  if (place.hasFields(applied)) {
    const result: JsonObject = place.hasFields(live) ? { ...live } : {};
    for (const [name, value] of Object.entries(applied)) {
      const before = Object.hasOwn(result, name) ? result[name] : undefined;
      setField(result, name, merge(before, value, place.field(name)));
    }
    return result;
  }
  if (place.hasItems(applied) && place.hasItems(live)) return mergeItems(live, applied, place);
  return applied;
}

/** Items of both: the applied ones in their order, the others where they were. */
function mergeItems(
  live: readonly unknown[],
  applied: readonly unknown[],
  place: Place,
): readonly unknown[] {
  const old = place.items(live);
  const now = place.items(applied);
  const merged = [...now].map(([element, item]) => {
    const before = old.get(element);
    return before === undefined ? item : merge(before, item, place);
  });
  const kept = [...old].map(([element, item]) => {
    if (!now.has(element)) return item;
    return merged.shift();
  });
  return [...kept, ...merged];
}

/**
 * Removes what somebody owned and nobody owns any more.
 *
 * @param owned - What they owned before.
 * @param kept - What anybody owns now.
 * @param keys - Fields that stay as long as the value does: an item is found by its keys.
 * @returns undefined when nothing of it is left.
 */
export function prune(
  value: unknown,
  owned: FieldSet,
  kept: FieldSet | undefined,
  place: Place,
  keys: readonly string[] = [],
): unknown {
  const parts = place.parts(value);
  if (parts === null || parts.size === 0) return value;
  const left = new Map<string, unknown>();
  for (const [element, part] of parts) {
    const was = owned.children.get(element);
    const now = kept?.children.get(element);
    if (was === undefined || keys.includes(element)) left.set(element, part.value);
    else if (!was.isMember || now !== undefined) {
      const inner = prune(part.value, was, now, part.place, keysOf(element));
      if (inner !== undefined) left.set(element, inner);
    }
  }
  if (left.size === 0) return undefined;
  if (Array.isArray(value)) return [...left.values()];
  const result: JsonObject = {};
  for (const [element, inner] of left) setField(result, element.slice(2), inner);
  return result;
}

/** The fields of an item that it is found by. */
function keysOf(element: string): string[] {
  if (!element.startsWith('k:')) return [];
  return Object.keys(JSON.parse(element.slice(2)) as JsonObject).map(fieldElement);
}
