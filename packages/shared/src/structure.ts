/**
 * Parses what a user gave into a schema's shape, and reports everything that does not fit: what is
 * wrong is put aside and the rest parsed again, so that the rules can be checked on the rest and
 * all problems be told at once.
 */

import type * as z from 'zod';

import { assert } from './assert.ts';
import { invalid, notSupported, quoteAll, required, type ValidationIssue } from './issues.ts';

type Segment = string | number;
type JsonObject = Record<string, unknown>;

/** A schema's `error` returns this text for a value that is to be reported as missing. */
export const COUNTS_AS_MISSING = 'counts as missing';

/** Fields whose keys are data, not fields: their keys are written in brackets. */
const MAP_FIELDS: ReadonlySet<Segment> = new Set([
  'labels',
  'annotations',
  'matchLabels',
  'nodeSelector',
  'limits',
  'requests',
  'overhead',
  'data',
  'binaryData',
  'stringData',
]);

/** Every round puts aside at least one value, and no path is this deep. */
const MAX_ROUNDS = 64;

/** What {@link parseStructure} made of the input. */
export interface Structured<T> {
  /** The input in the schema's shape, with defaults; without what did not fit. */
  readonly value: T;
  /** What did not fit. */
  readonly issues: readonly ValidationIssue[];
  /**
   * Whether the value of a field is what the user gave. Rules that look at an unsound field are
   * not checked: they would report a consequence of something that was already reported.
   */
  readonly isSound: (path: string) => boolean;
}

/** Writes a path as Kubernetes does: `spec.template.spec.containers[0].name`, `labels[a.b/c]`. */
export function pathText(segments: readonly Segment[]): string {
  let text = '';
  for (const [at, segment] of segments.entries()) {
    const isKey = at > 0 && MAP_FIELDS.has(segments[at - 1] ?? '');
    if (typeof segment === 'number' || isKey) text += `[${segment}]`;
    else text += text === '' ? segment : `.${segment}`;
  }
  return text;
}

/**
 * A copy of the input without what means "not set": keys whose value is null or undefined, as in
 * `creationTimestamp: null`. In maps such as labels a null is a mistake and stays. Dates, which
 * client libraries use for times, become text.
 */
export function withoutNulls(input: unknown, field: Segment = ''): unknown {
  if (Array.isArray(input)) return input.map((item) => withoutNulls(item));
  if (input instanceof Date) return input.toISOString();
  if (typeof input !== 'object' || input === null) return input;
  const entries: [string, unknown][] = [];
  for (const [key, value] of Object.entries(input)) {
    if (value === undefined || (value === null && !MAP_FIELDS.has(field))) continue;
    entries.push([key, withoutNulls(value, key)]);
  }
  return Object.fromEntries(entries);
}

/**
 * Parses `input`, which is changed on the way.
 *
 * @param suggest - What an unknown field may have been meant to be, for its message; or ''.
 */
export function parseStructure<S extends z.ZodType>(
  schema: S,
  input: unknown,
  suggest: (path: readonly Segment[]) => string,
): Structured<z.output<S>> {
  const issues = putPrototypesAside(input, []);
  const unsound = new Set(issues.map(({ path }) => path));
  const isSound = (path: string): boolean => {
    for (const bad of unsound) {
      if (path === bad || path.startsWith(`${bad}.`) || path.startsWith(`${bad}[`)) return false;
    }
    return true;
  };
  const root: JsonObject = { input };
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const result = schema.safeParse(root['input']);
    if (result.success) return { value: result.data, issues, isSound };
    for (const problem of result.error.issues) {
      const found = put(root, problem, suggest);
      for (const issue of found) {
        if (isSound(issue.path)) issues.push(issue);
      }
      for (const { path } of found) unsound.add(path);
    }
  }
  throw new Error(`assertion failed: input can't be made to fit after ${MAX_ROUNDS} rounds`);
}

/** Schemas pass over this name in silence, wherever it stands. */
const PROTOTYPE = '__proto__';

function putPrototypesAside(input: unknown, path: readonly Segment[]): ValidationIssue[] {
  if (Array.isArray(input)) {
    return input.flatMap((item, at) => putPrototypesAside(item, [...path, at]));
  }
  if (!isObject(input)) return [];
  const found = Object.entries(input).flatMap(([key, value]) =>
    key === PROTOTYPE ? [] : putPrototypesAside(value, [...path, key]),
  );
  if (!Object.hasOwn(input, PROTOTYPE)) return found;
  delete input[PROTOTYPE];
  const detail = 'nothing can have this name';
  return [...found, invalid(pathText([...path, PROTOTYPE]), undefined, detail)];
}

/** Puts the cause of one problem aside and tells what it was. */
function put(
  root: JsonObject,
  problem: z.core.$ZodIssue,
  suggest: (path: readonly Segment[]) => string,
): ValidationIssue[] {
  const path = problem.path.filter((segment): segment is Segment => typeof segment !== 'symbol');
  if (problem.code === 'unrecognized_keys') {
    const object = valueAt(root, path);
    assert(isObject(object), 'only an object has unknown fields');
    return problem.keys.map((key) => {
      delete object[key];
      const detail = suggest([...path, key]);
      return { path: pathText([...path, key]), kind: 'UnknownField', detail };
    });
  }

  const value = valueAt(root, path);
  replace(root, path, value === undefined, placeholder(problem));
  const text = pathText(path);
  if (problem.code === 'invalid_value') {
    const choices = problem.values.map(String);
    const isMissing = value === undefined || value === '' || problem.message === COUNTS_AS_MISSING;
    if (isMissing) return [required(text, `valid values: ${quoteAll(choices)}`)];
    return [notSupported(text, value, choices)];
  }
  if (value === undefined) {
    // Of a missing object or list, the rules say what of it is needed.
    const isScalar = typeof placeholder(problem) !== 'object';
    return isScalar ? [required(text)] : [];
  }
  return [invalid(text, value, describe(problem))];
}

/** A value that fits where `problem` was found, the less meaning the better. */
function placeholder(problem: z.core.$ZodIssue): unknown {
  if (problem.code === 'invalid_value') return problem.values[0];
  if (problem.code !== 'invalid_type') return '';
  switch (problem.expected) {
    case 'object':
    case 'record':
      return {};
    case 'array':
      return [];
    case 'number':
    case 'int':
      return 0;
    case 'boolean':
      return false;
    default:
      return '';
  }
}

function describe(problem: z.core.$ZodIssue): string {
  switch (problem.code) {
    case 'invalid_type':
      return `must be ${TYPE_TEXTS[problem.expected] ?? problem.expected}`;
    case 'too_big':
      return `must be less than or equal to ${problem.maximum}`;
    case 'too_small':
      return `must be greater than or equal to ${problem.minimum}`;
    default:
      return problem.message;
  }
}

const TYPE_TEXTS: Readonly<Record<string, string>> = {
  object: 'an object',
  record: 'an object',
  array: 'a list',
  string: 'a string (in quotes)',
  number: 'an integer',
  int: 'an integer',
  boolean: 'true or false',
};

/** An optional field is left out, so that its default applies; anything else is filled in. */
function replace(
  root: JsonObject,
  path: readonly Segment[],
  isMissing: boolean,
  value: unknown,
): void {
  const parent = path.length === 0 ? root : valueAt(root, path.slice(0, -1));
  const key = path.at(-1) ?? 'input';
  if (Array.isArray(parent)) parent[Number(key)] = value;
  else if (!isObject(parent)) assert(false, `no object at ${pathText(path)}`);
  else if (isMissing || path.length === 0) parent[key] = value;
  else delete parent[key];
}

function valueAt(root: JsonObject, path: readonly Segment[]): unknown {
  let value = root['input'];
  for (const segment of path) {
    if (Array.isArray(value)) value = value[Number(segment)];
    else if (isObject(value) && Object.hasOwn(value, segment)) value = value[segment];
    else return undefined;
  }
  return value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Parses an object from storage. Fields that this version does not know are kept.
 *
 * @returns null when the rest does not fit the schema.
 */
export function parseLenient<S extends z.ZodType>(schema: S, input: unknown): z.output<S> | null {
  const strict = schema.safeParse(input);
  if (strict.success) return strict.data;

  const root: JsonObject = { input: jsonCopy(input) };
  const unknownFields: { readonly path: Segment[]; readonly value: unknown }[] = [];
  for (const problem of strict.error.issues) {
    if (problem.code !== 'unrecognized_keys') return null;
    const path = problem.path.filter((segment): segment is Segment => typeof segment !== 'symbol');
    const object = valueAt(root, path);
    assert(isObject(object), 'only an object has unknown fields');
    for (const key of problem.keys) {
      unknownFields.push({ path: [...path, key], value: object[key] });
      delete object[key];
    }
  }
  const known = schema.safeParse(root['input']);
  if (!known.success) return null;
  const result: JsonObject = { input: known.data };
  for (const { path, value } of unknownFields) replace(result, path, true, value);
  return known.data;
}

function jsonCopy(input: unknown): unknown {
  return JSON.parse(JSON.stringify(input)) as unknown;
}
