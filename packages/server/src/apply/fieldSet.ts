/**
 * Sets of fields, in the form in which `metadata.managedFields` has them: `f:name` is a field,
 * `k:{"name":"main"}` an item of a list by its keys, `v:"x"` a plain value in a list.
 */

import { isJsonObject, setField, type JsonObject } from '../api/object.ts';

/** A part of a set: what of a value, and of what is in it, belongs to the set. */
export class FieldSet {
  /** Whether the value itself belongs to it. */
  isMember = false;
  /** What is in the value, by path elements. */
  readonly children = new Map<string, FieldSet>();

  /** Whether nothing belongs to it. */
  get isEmpty(): boolean {
    return !this.isMember && this.children.size === 0;
  }

  /** The part below an element; made when it is missing. */
  child(element: string): FieldSet {
    const known = this.children.get(element);
    if (known !== undefined) return known;
    const made = new FieldSet();
    this.children.set(element, made);
    return made;
  }

  /** Removes the part below an element as a whole. */
  without(path: readonly string[]): FieldSet {
    const [first, ...rest] = path;
    const result = new FieldSet();
    if (first === undefined) return result;
    result.isMember = this.isMember;
    for (const [element, child] of this.children) {
      const kept = element === first ? child.without(rest) : child;
      if (!kept.isEmpty) result.children.set(element, kept);
    }
    return result;
  }

  /** Every member's path. */
  *paths(prefix: readonly string[] = []): Generator<readonly string[]> {
    if (this.isMember) yield prefix;
    for (const [element, child] of this.children) yield* child.paths([...prefix, element]);
  }
}

/** Which members of a result there are, by whether they are in one set, in the other. */
type Rule = (inA: boolean, inB: boolean) => boolean;

/** What is in either of two sets. */
export function union(a: FieldSet, b: FieldSet): FieldSet {
  return combine(a, b, (inA, inB) => inA || inB);
}

/** What is in the first set and not in the second. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  return combine(a, b, (inA, inB) => inA && !inB);
}

/** What is in both sets. */
export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  return combine(a, b, (inA, inB) => inA && inB);
}

/** Whether two sets have the same members. */
export function isSameSet(a: FieldSet, b: FieldSet): boolean {
  return combine(a, b, (inA, inB) => inA !== inB).isEmpty;
}

const NOTHING = new FieldSet();

function combine(a: FieldSet, b: FieldSet, rule: Rule): FieldSet {
  const result = new FieldSet();
  result.isMember = rule(a.isMember, b.isMember);
  for (const element of new Set([...a.children.keys(), ...b.children.keys()])) {
    const child = combine(
      a.children.get(element) ?? NOTHING,
      b.children.get(element) ?? NOTHING,
      rule,
    );
    if (!child.isEmpty) result.children.set(element, child);
  }
  return result;
}

/** Deeper than any object that there is. */
const MAX_DEPTH = 100;

/** Reads a set as `fieldsV1` has it; null when it is none. */
export function decodeFields(value: unknown, depth = 0): FieldSet | null {
  if (!isJsonObject(value) || depth > MAX_DEPTH) return null;
  const set = new FieldSet();
  const entries = Object.entries(value);
  set.isMember = depth > 0 && (entries.length === 0 || Object.hasOwn(value, '.'));
  for (const [text, inner] of entries) {
    if (text === '.') continue;
    const element = canonicalElement(text);
    const child = element === null ? null : decodeFields(inner, depth + 1);
    if (element === null || child === null) return null;
    set.children.set(element, child);
  }
  return set;
}

/** Writes a set as `fieldsV1` has it. */
export function encodeFields(set: FieldSet): JsonObject {
  const result: JsonObject = {};
  if (set.isMember && set.children.size > 0) result['.'] = {};
  for (const [element, child] of [...set.children].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    setField(result, element, encodeFields(child));
  }
  return result;
}

/** The element of a field. */
export function fieldElement(name: string): string {
  return `f:${name}`;
}

/** The element of an item of a list by its keys. */
export function keyElement(keys: JsonObject): string {
  const sorted = Object.entries(keys).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `k:${JSON.stringify(Object.fromEntries(sorted))}`;
}

/** The element of a plain value in a list. */
export function valueElement(value: unknown): string {
  return `v:${JSON.stringify(value)}`;
}

/** Others may write the same element with blanks, or its keys in another order. */
function canonicalElement(text: string): string | null {
  if (text.startsWith('f:')) return text;
  try {
    const value = JSON.parse(text.slice(2)) as unknown;
    if (text.startsWith('k:') && isJsonObject(value)) return keyElement(value);
    if (text.startsWith('v:')) return valueElement(value);
  } catch {
    // No element.
  }
  return null;
}

/** A path as messages write it: `.spec.containers[name="main"].image`. */
export function pathText(path: readonly string[]): string {
  return path
    .map((element) => {
      const rest = element.slice(2);
      if (element.startsWith('f:')) return `.${rest}`;
      if (element.startsWith('v:')) return `[=${rest}]`;
      const keys = Object.entries(JSON.parse(rest) as JsonObject);
      return `[${keys.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}]`;
    })
    .join('');
}
