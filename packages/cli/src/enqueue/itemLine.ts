import { inexactNumber, MAX_ITEM_BYTES } from '@drover/shared';

import { findKey, type KeyRule } from './itemKey.ts';
import type { BadLine } from './lines.ts';

/** What the lines of a source are. */
export interface LineFormat {
  /** Each line is a text; else each is JSON. */
  readonly isText: boolean;
  /** Null: items have no keys. */
  readonly key: KeyRule | null;
}

/** What a line says: an item, nothing, or something that can't be enqueued. */
export type ReadLine = { readonly data: unknown } | BadLine | null;

/** As JSON an item is at most so many times as long as its line: `1e20` becomes 21 digits. */
const MAX_GROWTH = 8;
/** Digits that may be more than a number can hold. */
const MANY_DIGITS = /\d{16}/;

/** Reads a line. Pure. An empty one is nothing. */
export function readItemLine(line: string | BadLine, { isText, key }: LineFormat): ReadLine {
  if (typeof line !== 'string') return line;
  if (isText ? line === '' : line.trim() === '') return null;
  let data: unknown = line;
  if (!isText) {
    try {
      data = JSON.parse(line);
    } catch (error) {
      return { problem: `is not JSON: ${error instanceof Error ? error.message : ''}` };
    }
    const number = MANY_DIGITS.test(line) ? inexactNumber(line) : null;
    if (number !== null) {
      return { problem: `has the number ${number}, which would become another: make it a text` };
    }
  }
  const bytes =
    line.length * MAX_GROWTH > MAX_ITEM_BYTES ? Buffer.byteLength(JSON.stringify(data)) : 0;
  if (bytes > MAX_ITEM_BYTES) {
    return {
      problem: `has ${bytes} bytes as JSON, at most ${MAX_ITEM_BYTES} are allowed: store it elsewhere`,
    };
  }
  const found = key === null ? null : findKey(key, data);
  return found !== null && 'problem' in found ? found : { data };
}
