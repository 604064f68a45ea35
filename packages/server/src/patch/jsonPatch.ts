import { applyPatch, Pointer, type Operation } from 'rfc6902';

import { isJsonObject } from '../api/object.ts';
import { ApiError, badRequest } from '../http/status.ts';

/** As in Kubernetes: one that needs more is better sent as another kind of patch. */
const MAX_OPERATIONS = 10_000;
/** Of what `copy` copies, as JSON: a few operations that each double the object would else fill the memory. */
const MAX_COPIED_BYTES = 3 * 1024 * 1024;
const OPERATIONS: ReadonlySet<unknown> = new Set([
  'add',
  'remove',
  'replace',
  'move',
  'copy',
  'test',
]);

/** Checks that a value is a JSON patch (RFC 6902). @throws ApiError */
export function readJsonPatch(value: unknown): readonly Operation[] {
  if (!Array.isArray(value)) throw badRequest('a JSON patch is a list of operations');
  if (value.length > MAX_OPERATIONS) {
    throw new ApiError(
      413,
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${value.length}`,
    );
  }
  for (const [at, operation] of value.entries()) {
    const { op, path, from } = isJsonObject(operation) ? operation : {};
    const needsFrom = op === 'move' || op === 'copy';
    const isSound =
      OPERATIONS.has(op) && typeof path === 'string' && (!needsFrom || typeof from === 'string');
    if (!isSound) throw badRequest(`operation ${at} of the JSON patch is none of RFC 6902`);
  }
  return value as Operation[];
}

/** Applies a JSON patch; what is given stays as it is. @throws ApiError when it does not fit. */
export function applyJsonPatch(object: unknown, operations: readonly Operation[]): unknown {
  // The document may be replaced as a whole.
  const root = { document: structuredClone(object) };
  let copiedBytes = 0;
  for (const [at, operation] of operations.entries()) {
    const moved = underRoot(operation);
    let problem = pointerProblem(root, moved);
    if (problem === null && moved.op === 'copy') {
      copiedBytes += JSON.stringify(Pointer.fromJSON(moved.from).get(root)).length;
      if (copiedBytes > MAX_COPIED_BYTES) throw copiesTooMuch();
    }
    problem ??= applyPatch(root, [moved])[0]?.message ?? null;
    if (problem === null) continue;
    throw new ApiError(
      422,
      'Invalid',
      `the patch does not fit the object: operation ${at} (${operation.op} ${operation.path}): ${problem}`,
    );
  }
  return root.document;
}

function copiesTooMuch(): ApiError {
  return new ApiError(
    413,
    'RequestEntityTooLarge',
    `what the JSON patch copies is larger than ${MAX_COPIED_BYTES} bytes`,
  );
}

function underRoot(operation: Operation): Operation {
  const moved = { ...operation, path: `/document${operation.path}` };
  return 'from' in moved ? { ...moved, from: `/document${moved.from}` } : moved;
}

/** What the library does not look at: items that are none, and names that mean something to JavaScript. */
function pointerProblem(root: unknown, operation: Operation): string | null {
  const adds = operation.op === 'add' || operation.op === 'move' || operation.op === 'copy';
  const problem = 'from' in operation ? pathProblem(root, operation.from, false) : null;
  return problem ?? pathProblem(root, operation.path, adds);
}

function pathProblem(root: unknown, pointer: string, adds: boolean): string | null {
  if (/~(?![01])/.test(pointer)) return '"~" has to be followed by 0 or 1';
  const tokens = pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  let value = root;
  for (const [at, token] of tokens.entries()) {
    const isLast = at === tokens.length - 1;
    if (token === '__proto__' || token === 'constructor' || token === 'prototype') {
      return `there can be no field "${token}"`;
    }
    if (Array.isArray(value)) {
      if (adds && isLast && token === '-') return null;
      const max = adds && isLast ? value.length : value.length - 1;
      const isItem = /^(0|[1-9]\d{0,8})$/.test(token) && Number(token) <= max;
      if (!isItem) return `there is no item "${token}"`;
      value = value[Number(token)];
    } else if (isJsonObject(value)) {
      if (!Object.hasOwn(value, token)) {
        return adds && isLast ? null : `there is no field "${token}"`;
      }
      value = value[token];
    } else return `there is nothing that has "${token}"`;
  }
  return null;
}
