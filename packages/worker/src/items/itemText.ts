import { isUtf8 } from 'node:buffer';

import { inexactNumber, MAX_ITEM_RESULT_BYTES } from '@drover/shared/items';

/** What a program reads of an item: a text as it is, unless it should be JSON, anything else as JSON. Pure. */
export function textOf(data: unknown, asJson: boolean): string {
  return typeof data === 'string' && !asJson ? data : JSON.stringify(data);
}

/** The line of an item, without its end; null when it is a text with line breaks, which is no line. Pure. */
export function lineOf(data: unknown, asJson: boolean): string | null {
  const text = textOf(data, asJson);
  return text.includes('\n') ? null : text;
}

/** What is kept of a program's result, or why it can't be. */
export type ReadResult =
  | {
      /** JSON; '' = it is empty. */
      readonly json: string;
    }
  | { readonly problem: string };

/** Makes a result of what a program printed or wrote: JSON if it is some, else the text without the line breaks at its end. Pure. */
export function readResult(written: Buffer): ReadResult {
  if (!isUtf8(written)) return { problem: 'its result is not UTF-8' };
  const text = written.toString().replace(/[\r\n]+$/, '');
  if (text === '') return { json: '' };
  const json = isExactJson(text) ? JSON.stringify(JSON.parse(text)) : JSON.stringify(text);
  const bytes = Buffer.byteLength(json);
  return bytes > MAX_ITEM_RESULT_BYTES ? { problem: tooLong(bytes) } : { json };
}

/** Why a program's result is not kept. */
export function tooLong(bytes: number | string): string {
  return `its result has ${bytes} bytes; at most ${MAX_ITEM_RESULT_BYTES} are kept: store it elsewhere and say where`;
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
