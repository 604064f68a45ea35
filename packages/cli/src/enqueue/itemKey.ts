import { createHash } from 'node:crypto';

import { MAX_ITEM_KEY_BYTES } from '@drover/shared';

import { badInput } from '../errors.ts';

/** Where the key of an item is: the whole item, or a path of fields in it. */
export type KeyRule =
  | { readonly type: 'whole' }
  | {
      readonly type: 'field';
      /** As the user wrote it. */
      readonly text: string;
      readonly path: readonly string[];
    };

/** A key, or why an item has none. */
export type FoundKey = { readonly key: string } | { readonly problem: string };

/**
 * Reads `--key`: `.` is the whole item, what begins with `/` a JSON pointer, anything else a field.
 *
 * @throws CliError
 */
export function parseKeyRule(text: string): KeyRule {
  if (text === '.') return { type: 'whole' };
  if (text === '')
    throw badInput('--key: a field is expected, a JSON pointer, or . (the whole item)');
  if (!text.startsWith('/')) return { type: 'field', text, path: [text] };
  const path = text.slice(1).split('/');
  if (path.some((step) => /~(?![01])/.test(step))) {
    throw badInput(`--key ${text}: in a JSON pointer ~ is written ~0, and / within a name ~1`);
  }
  const names = path.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  return { type: 'field', text, path: names };
}

/** The key of an item. Pure. */
export function findKey(rule: KeyRule, item: unknown): FoundKey {
  if (rule.type === 'whole') {
    const text = typeof item === 'string' ? item : JSON.stringify(item);
    return { key: isLong(text) || text === '' ? digest(text) : text };
  }
  let value: unknown = item;
  for (const step of rule.path) value = own(value, step);
  if (typeof value === 'number') return { key: String(value) };
  if (typeof value !== 'string') return { problem: problemOf(rule, value) };
  if (value === '') return { problem: `its key, ${rule.text}, is empty` };
  if (!isLong(value)) return { key: value };
  return { problem: `its key, ${rule.text}, has more than ${MAX_ITEM_KEY_BYTES} bytes` };
}

function own(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

function problemOf({ text, path }: KeyRule & { type: 'field' }, value: unknown): string {
  if (value !== undefined) {
    const what = value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
    return `its key, ${text}, must be a text or a number; it is ${what.replace('a object', 'an object')}`;
  }
  const isPath = path.length === 1 && /^\w+(\.\w+)+$/.test(text);
  const hint = isPath ? ` (of a field within a field: --key /${text.replaceAll('.', '/')})` : '';
  return `has no field ${text}, which is to be its key${hint}`;
}

function isLong(text: string): boolean {
  return text.length * 3 > MAX_ITEM_KEY_BYTES && Buffer.byteLength(text) > MAX_ITEM_KEY_BYTES;
}

function digest(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
