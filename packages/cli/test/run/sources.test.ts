import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { guardFolder } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readRows, splitWords } from '../../src/run/sources.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'drover-sources-'));
  guardFolder(dir);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function* stdinOf(text: string | Buffer): AsyncGenerator<Buffer> {
  // In pieces, as a pipe has it.
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += 3) yield bytes.subarray(at, at + 3);
}

async function rowsOf(words: string[], input: string | Buffer = '', isNullSeparated = false) {
  return await readRows(splitWords(words).sources, { isNullSeparated, stdin: stdinOf(input) });
}

test('the command ends where the arguments begin', () => {
  expect(splitWords(['echo', '{}', ':::', 'a', 'b', ':::+', '1', '::::', 'f', 'g'])).toEqual({
    command: ['echo', '{}'],
    sources: [
      { type: 'values', values: ['a', 'b'], isLinked: false },
      { type: 'values', values: ['1'], isLinked: true },
      { type: 'file', path: 'f', isLinked: false },
      { type: 'file', path: 'g', isLinked: false },
    ],
  });
  expect(splitWords(['echo', '::', ':::::']).sources).toEqual([]);
  expect(() => splitWords([':::+', 'a'])).toThrow(/a source before it/);
});

describe('rows', () => {
  test('combine each with each, the last source fastest', async () => {
    expect(await rowsOf([':::', 'a', 'b', ':::', '1', '2'])).toEqual([
      ['a', '1'],
      ['a', '2'],
      ['b', '1'],
      ['b', '2'],
    ]);
  });

  test('link value by value', async () => {
    const rows = await rowsOf([':::', 'a', 'b', ':::+', '1', '2', ':::', 'x']);
    expect(rows).toEqual([
      ['a', '1', 'x'],
      ['b', '2', 'x'],
    ]);
    await expect(rowsOf([':::', 'a', 'b', ':::+', '1'])).rejects.toThrow('2 and 1 arguments');
  });

  test('are lines of files and of standard input, empty ones too', async () => {
    const path = join(dir, 'lines');
    writeFileSync(path, 'a\n\nb\r\nc');
    expect(await rowsOf(['::::', path])).toEqual([['a'], [''], ['b\r'], ['c']]);
    expect(await rowsOf(['::::', '-'], ' ü \n')).toEqual([[' ü ']]);
    expect(await rowsOf(['::::', '-'], 'a b\0c\nd\0', true)).toEqual([['a b'], ['c\nd']]);
    expect(await rowsOf(['::::', '-'], '')).toEqual([]);
    expect(await rowsOf([':::', 'a', ':::'])).toEqual([]);
  });

  test('that can not be read are all told at once', async () => {
    const reading = rowsOf(['::::', join(dir, 'nothing'), dir]);
    await expect(reading).rejects.toMatchObject({
      message: expect.stringMatching(/nothing: can't be read: there is no such file/),
      details: [expect.stringMatching(/it is a directory/)],
    });
  });

  test.each([
    ['a\nb\0c\n', /line 2 has a NUL byte/],
    [Buffer.from([0x61, 0x0a, 0xff, 0x0a]), /line 2 is not UTF-8/],
  ])('with bytes that no argument can have are refused (%#)', async (input, problem) => {
    await expect(rowsOf(['::::', '-'], input)).rejects.toThrow(problem);
  });

  test('from standard input twice, or too many, are refused', async () => {
    await expect(rowsOf(['::::', '-', '-'])).rejects.toThrow(/only once/);
    const thousand = Array.from({ length: 1001 }, (_, i) => String(i));
    await expect(rowsOf([':::', ...thousand, ':::', ...thousand])).rejects.toThrow(/1002001/);
  });
});
