import { isUtf8 } from 'node:buffer';

import { MAX_ITEM_BYTES } from '@drover/shared';

/** A line that can't be read, and why. */
export interface BadLine {
  readonly problem: string;
}

/** Lines that follow each other. */
export interface LineBlock {
  /** Number of the first one in its source, from 1. */
  readonly firstNumber: number;
  readonly lines: readonly (string | BadLine)[];
  /** Bytes of the source up to the end of the block. */
  readonly bytesRead: number;
}

/** White space and escapes make a line longer than its item, but not without end. */
const MAX_LINE_BYTES = 16 * MAX_ITEM_BYTES;
const NEWLINE = 0x0a;

/**
 * Parts bytes in lines, as many at a time as come together: that is several times faster than line by line,
 * and no more than a piece of the source and one line are in memory. A carriage return at the end of a line
 * belongs to its end, a byte order mark to no line.
 */
export async function* readLineBlocks(source: AsyncIterable<Buffer>): AsyncGenerator<LineBlock> {
  let rest = new Rest();
  let firstNumber = 1;
  let bytesRead = 0;
  let isBegin = true;
  for await (const chunk of source) {
    bytesRead += chunk.length;
    const end = chunk.lastIndexOf(NEWLINE);
    if (end === -1) {
      rest.add(chunk);
      continue;
    }
    let lines = rest.end(chunk.subarray(0, end));
    if (isBegin) lines = withoutBom(lines);
    isBegin = false;
    rest = new Rest();
    if (end + 1 < chunk.length) rest.add(chunk.subarray(end + 1));
    yield { firstNumber, lines, bytesRead };
    firstNumber += lines.length;
  }
  if (rest.isEmpty) return;
  const lines = rest.end(Buffer.alloc(0));
  yield { firstNumber, lines: isBegin ? withoutBom(lines) : lines, bytesRead };
}

/** The beginning of a line whose end has not come. */
class Rest {
  #parts: Buffer[] = [];
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  add(part: Buffer): void {
    this.#length += part.length;
    // Whatever its end is, it is too long: nothing of it is kept.
    if (this.#length > MAX_LINE_BYTES) this.#parts = [];
    else this.#parts.push(part);
  }

  /** The lines that it makes with what follows. */
  end(bytes: Buffer): (string | BadLine)[] {
    if (this.#length <= MAX_LINE_BYTES) {
      return parseLines(this.isEmpty ? bytes : Buffer.concat([...this.#parts, bytes]));
    }
    const end = bytes.indexOf(NEWLINE);
    const problem = `has more than ${MAX_LINE_BYTES} bytes: an item has at most ${MAX_ITEM_BYTES}`;
    return [{ problem }, ...(end === -1 ? [] : parseLines(bytes.subarray(end + 1)))];
  }
}

function parseLines(bytes: Buffer): (string | BadLine)[] {
  if (isUtf8(bytes)) {
    const text = bytes.toString();
    const lines = text.split('\n');
    return text.includes('\r') ? lines.map(withoutReturn) : lines;
  }
  const lines: (string | BadLine)[] = [];
  for (let from = 0; from <= bytes.length;) {
    const newline = bytes.indexOf(NEWLINE, from);
    const end = newline === -1 ? bytes.length : newline;
    const line = bytes.subarray(from, end);
    lines.push(isUtf8(line) ? withoutReturn(line.toString()) : { problem: 'is not UTF-8' });
    from = end + 1;
  }
  return lines;
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

function withoutBom([first, ...rest]: readonly (string | BadLine)[]): (string | BadLine)[] {
  if (first === undefined) return [];
  return [typeof first === 'string' ? first.replace(/^\uFEFF/, '') : first, ...rest];
}
