import {
  InvalidItemsError,
  MAX_ITEM_BYTES,
  MAX_ITEM_KEY_BYTES,
  type ValidationIssue,
} from '@drover/shared';
import { MAX_BATCH_ITEMS } from '@drover/store';
import type { Schema, SchemaIssue } from '@drover/worker';

/** Most bytes of the items of one batch; a single one may be larger. */
const MAX_BATCH_BYTES = 1024 * 1024;
/** Problems told at once. */
const MAX_ISSUES = 100;

/** Where items come from, or one item: what is iterable and neither text nor bytes is a source. */
export type ItemSource<Item> = Iterable<Item> | AsyncIterable<Item>;

/** An item that may be enqueued. */
export interface PreparedItem {
  readonly data: unknown;
  /** Bytes of its data as JSON. */
  readonly bytes: number;
  readonly key: string | null;
}

/** What is asked of each item. */
export interface ItemRules<Item> {
  readonly queueName: string;
  readonly schema: Schema<Item> | null;
  readonly keyOf: ((item: Item) => string) | null;
}

/** Whether a value has items, and is not one itself. */
export function isItemSource<Item>(value: Item | ItemSource<Item>): value is ItemSource<Item> {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  return Symbol.asyncIterator in value || Symbol.iterator in value;
}

/**
 * Checks items and puts them together in batches: at most 1000 items and 1 MiB each. A source is read no
 * further than is asked for.
 *
 * @throws InvalidItemsError with all that is wrong with the items of the present batch. Batches that were
 *   yielded before are not touched by that.
 */
export async function* itemBatches<Item>(
  source: ItemSource<Item>,
  rules: ItemRules<Item>,
): AsyncGenerator<PreparedItem[]> {
  let batch: PreparedItem[] = [];
  let issues: ValidationIssue[] = [];
  let bytes = 0;
  let position = 0;
  for await (const item of source) {
    // Nothing to wait for where there is no schema.
    const checked =
      rules.schema === null ? { value: item } : await checkSchema(item, position, rules.schema);
    const prepared = prepare(checked, position, rules);
    position++;
    if ('issues' in prepared) {
      issues = [...issues, ...prepared.issues];
      // Enough to see what is wrong.
      if (issues.length >= MAX_ISSUES) break;
      continue;
    }
    const isFull = batch.length === MAX_BATCH_ITEMS || bytes + prepared.bytes > MAX_BATCH_BYTES;
    if (isFull && batch.length > 0) {
      if (issues.length > 0) break;
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(prepared);
    bytes += prepared.bytes;
  }
  if (issues.length > 0) throw new InvalidItemsError(rules.queueName, issues);
  if (batch.length > 0) yield batch;
}

type Checked = { readonly value: unknown } | { readonly issues: readonly ValidationIssue[] };

async function checkSchema<Item>(
  item: Item,
  position: number,
  schema: Schema<Item>,
): Promise<Checked> {
  const result = await schema['~standard'].validate(item);
  if (result.issues === undefined) return { value: result.value };
  return { issues: result.issues.map((issue) => schemaIssue(issue, position)) };
}

function schemaIssue({ message, path = [] }: SchemaIssue, position: number): ValidationIssue {
  const keys = path.map((part) => (typeof part === 'object' ? part.key : part));
  const text = keys.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`));
  return { path: `items[${position}]${text.join('')}`, kind: 'Invalid', detail: message };
}

function prepare<Item>(
  checked: Checked,
  position: number,
  { keyOf }: ItemRules<Item>,
): PreparedItem | { readonly issues: readonly ValidationIssue[] } {
  if ('issues' in checked) return checked;
  const { value } = checked;
  const text = toJson(value);
  const bytes = text === null ? 0 : Buffer.byteLength(text);
  const key = keyOf === null ? null : keyOf(value as Item);
  const ofData = dataProblem(value, text, bytes);
  const ofKey = key === null ? null : keyProblem(key);
  if (ofData === null && ofKey === null) return { data: value, bytes, key };
  const issues = [ofData, ofKey]
    .filter((detail) => detail !== null)
    .map((detail) => ({ path: `items[${position}]`, kind: 'Invalid', detail }) as const);
  return { issues };
}

function dataProblem(value: unknown, text: string | null, bytes: number): string | null {
  if (text === null) return `must be JSON; it is ${describe(value)}`;
  return bytes <= MAX_ITEM_BYTES
    ? null
    : `has ${bytes} bytes as JSON, at most ${MAX_ITEM_BYTES} are allowed: store it elsewhere`;
}

function keyProblem(key: unknown): string | null {
  if (typeof key !== 'string' || key === '') {
    return `its key must be a text that is not empty; it is ${describe(key)}`;
  }
  // Programs find it in their environment.
  if (key.includes('\0')) return 'its key contains a NUL character';
  return Buffer.byteLength(key) <= MAX_ITEM_KEY_BYTES
    ? null
    : `its key has more than ${MAX_ITEM_KEY_BYTES} bytes`;
}

function toJson(value: unknown): string | null {
  try {
    return JSON.stringify(value) ?? null;
  } catch {
    // A cycle or a BigInt.
    return null;
  }
}

function describe(value: unknown): string {
  if (value === undefined || value === null || value === '')
    return JSON.stringify(value) ?? 'undefined';
  return `a ${typeof value}`;
}
