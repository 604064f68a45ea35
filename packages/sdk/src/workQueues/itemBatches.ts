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
    const prepared = prepare(await checkSchema(item, position, rules), position, rules);
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
  { schema }: ItemRules<Item>,
): Promise<Checked> {
  if (schema === null) return { value: item };
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
  const issues: ValidationIssue[] = [];
  const refuse = (detail: string): void => {
    issues.push({ path: `items[${position}]`, kind: 'Invalid', detail });
  };
  const text = toJson(value);
  const bytes = text === null ? 0 : Buffer.byteLength(text);
  if (text === null) refuse(`must be JSON; it is ${describe(value)}`);
  else if (bytes > MAX_ITEM_BYTES) {
    refuse(`has ${bytes} bytes as JSON, at most ${MAX_ITEM_BYTES} are allowed: store it elsewhere`);
  }
  const key = keyOf === null ? null : keyOf(value as Item);
  if (key !== null && (typeof key !== 'string' || key === '')) {
    refuse(`its key must be a text that is not empty; it is ${describe(key)}`);
  } else if (key !== null && Buffer.byteLength(key) > MAX_ITEM_KEY_BYTES) {
    refuse(`its key has more than ${MAX_ITEM_KEY_BYTES} bytes`);
  }
  return issues.length > 0 ? { issues } : { data: value, bytes, key };
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
