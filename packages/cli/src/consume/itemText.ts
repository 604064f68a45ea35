import { isUtf8 } from 'node:buffer';

import { MAX_ITEM_RESULT_BYTES } from '@drover/shared';

import { inexactNumber } from '../enqueue/itemLine.ts';

/** What a program reads of an item: a text as it is, unless it should be JSON, anything else as JSON. Pure. */
export function textOf(data: unknown, asJson: boolean): string {
  return typeof data === 'string' && !asJson ? data : JSON.stringify(data);
}

/** The line of an item, without its end; null when it is a text with line breaks, which is no line. Pure. */
export function lineOf(data: unknown, asJson: boolean): string | null {
  const text = textOf(data, asJson);
  return text.includes('\n') ? null : text;
}

/** What is kept of something that a program printed, or why it can't be. */
export type ReadResult =
  | {
      /** JSON; '' = nothing was printed. */
      readonly json: string;
    }
  | { readonly problem: string };

/** Makes a result of what a program printed: JSON if it is some, else the text without the line breaks at its end. Pure. */
export function readResult(printed: Buffer): ReadResult {
  if (!isUtf8(printed)) return { problem: 'what it printed is not UTF-8' };
  const text = printed.toString().replace(/[\r\n]+$/, '');
  if (text === '') return { json: '' };
  const json = isExactJson(text) ? JSON.stringify(JSON.parse(text)) : JSON.stringify(text);
  const bytes = Buffer.byteLength(json);
  return bytes > MAX_ITEM_RESULT_BYTES ? { problem: tooLong(bytes) } : { json };
}

/** Why what a program printed is not kept. */
export function tooLong(bytes: number | string): string {
  return `it printed ${bytes} bytes; a result has at most ${MAX_ITEM_RESULT_BYTES}: store it elsewhere and print where`;
}

/** What would become another number is kept as a text. */
function isExactJson(text: string): boolean {
  try {
    JSON.parse(text);
  } catch {
    return false;
  }
  return inexactNumber(text) === null;
}
