import { MAX_ITEM_BYTES } from '@drover/shared';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { readLineBlocks, type BadLine } from '../../src/enqueue/lines.ts';

async function* inPieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

/** All lines, and whether their numbers and the count of bytes are right. */
async function linesOf(bytes: Buffer | string, sizes: readonly number[] = [4096]) {
  const lines: (string | BadLine)[] = [];
  let bytesRead = 0;
  for await (const block of readLineBlocks(inPieces(Buffer.from(bytes as string), sizes))) {
    expect(block.firstNumber).toBe(lines.length + 1);
    lines.push(...block.lines);
    ({ bytesRead } = block);
  }
  expect(bytesRead).toBe(Buffer.byteLength(bytes));
  return lines;
}

describe('readLineBlocks', () => {
  const cases: { name: string; text: string | Buffer; want: (string | BadLine)[] }[] = [
    { name: 'nothing', text: '', want: [] },
    { name: 'the last line without a newline', text: 'a\nb', want: ['a', 'b'] },
    { name: 'a newline at the end', text: 'a\nb\n', want: ['a', 'b'] },
    { name: 'empty lines count', text: '\na\n\n\nb', want: ['', 'a', '', '', 'b'] },
    { name: 'carriage returns', text: 'a\r\nb\r\n\r\nc\r', want: ['a', 'b', '', 'c'] },
    { name: 'a byte order mark', text: '\uFEFFa\n\uFEFFb', want: ['a', '\uFEFFb'] },
    { name: 'only a byte order mark', text: '\uFEFF', want: [''] },
    {
      name: 'a line that is not UTF-8 between others',
      text: Buffer.concat([Buffer.from('ä\n'), Buffer.from([0xff, 0x41]), Buffer.from('\nö\r\n')]),
      want: ['ä', { problem: 'is not UTF-8' }, 'ö'],
    },
  ];
  test.each(cases)('$name, whatever the pieces are', async ({ text, want }) => {
    for (const size of [1, 2, 3, 4096]) expect(await linesOf(text, [size])).toEqual(want);
  });

  test('a line that is too long is told, not kept, and the next ones are read', async () => {
    // What comes in one piece with its end is read before it is looked at.
    const long = Buffer.alloc(16 * MAX_ITEM_BYTES + 2 * 65_536, 'x');
    const read = async (...parts: Buffer[]): Promise<string[]> => {
      const lines = await linesOf(Buffer.concat(parts), [65_536]);
      return lines.map((line) => (typeof line === 'string' ? line.slice(0, 9) : line.problem));
    };
    const problem = expect.stringMatching(/^has more than 4194304 bytes/) as string;
    const begin = Buffer.from('a\n');
    expect(await read(begin, long, Buffer.from('\nb\nc'))).toEqual(['a', problem, 'b', 'c']);
    expect(await read(begin, long)).toEqual(['a', problem]);
    expect(await read(long, Buffer.from('\n'))).toEqual([problem]);
  });

  test('any text comes back line by line', async () => {
    const line = fc.string({ unit: 'grapheme' }).filter((text) => !/[\r\n]|^\uFEFF/.test(text));
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(fc.array(line), sizes, async (lines, pieces) => {
        const text = lines.map((one) => `${one}\n`).join('');
        expect(await linesOf(text, pieces)).toEqual(lines);
      }),
    );
  });
});
