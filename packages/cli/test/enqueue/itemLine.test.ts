import { MAX_ITEM_BYTES } from '@drover/shared';
import { describe, expect, test } from 'vitest';

import { readItemLine, type LineFormat } from '../../src/enqueue/itemLine.ts';

const json: LineFormat = { isText: false, key: null };
const text: LineFormat = { isText: true, key: null };

describe('a line of JSON', () => {
  const cases: { line: string; want: unknown }[] = [
    { line: ' {"a": [1, "b"]} ', want: { a: [1, 'b'] } },
    { line: '"text"', want: 'text' },
    { line: 'null', want: null },
    { line: '[1]', want: [1] },
    { line: '9007199254740992', want: 9_007_199_254_740_992 },
    { line: '1e20', want: 1e20 },
    { line: '{"pi":3.14159265358979323846}', want: { pi: Math.PI } },
    {
      line: '"12345678901234567890 and \\" 12345678901234567891"',
      want: '12345678901234567890 and " 12345678901234567891',
    },
  ];
  test.each(cases)('$line', ({ line, want }) => {
    expect(readItemLine(line, json)).toEqual({ data: want });
  });

  test('that is empty or only white space is nothing', () => {
    expect(readItemLine('', json)).toBeNull();
    expect(readItemLine(' \t', json)).toBeNull();
  });

  const bad: { line: string; want: RegExp }[] = [
    { line: '{"a":1', want: /^is not JSON: / },
    { line: 'a,b', want: /^is not JSON: / },
    { line: '{"id":12345678901234567890}', want: /^has the number 12345678901234567890, / },
    { line: '[-9007199254740993]', want: /^has the number -9007199254740993, / },
  ];
  test.each(bad)('refused: $line', ({ line, want }) => {
    expect(readItemLine(line, json)).toEqual({ problem: expect.stringMatching(want) as string });
  });
});

test('a text is taken as it is, unless it is empty', () => {
  expect(readItemLine(' {"a":1} ', text)).toEqual({ data: ' {"a":1} ' });
  expect(readItemLine(' ', text)).toEqual({ data: ' ' });
  expect(readItemLine('', text)).toBeNull();
});

describe('the size', () => {
  test('is that of the item as JSON, not of its line', () => {
    const largest = 'x'.repeat(MAX_ITEM_BYTES - 2);
    expect(readItemLine(`   "${largest}"   `, json)).toEqual({ data: largest });
    expect(readItemLine(largest, text)).toEqual({ data: largest });
    const problem = `has ${MAX_ITEM_BYTES + 1} bytes as JSON, at most ${MAX_ITEM_BYTES} are allowed: store it elsewhere`;
    expect(readItemLine(`${largest}x`, text)).toEqual({ problem });
    expect(readItemLine(`"${largest}x"`, json)).toEqual({ problem });
  });

  test('counts what a short line grows to', () => {
    // Each number has 4 characters, and 21 as it is stored.
    const line = `[${Array(Math.ceil(MAX_ITEM_BYTES / 20))
      .fill('1e20')
      .join(',')}]`;
    expect(line.length).toBeLessThan(MAX_ITEM_BYTES / 3);
    expect(readItemLine(line, json)).toEqual({
      problem: expect.stringMatching(/^has \d+ bytes as JSON/) as string,
    });
  });
});

test('what could not be read stays so', () => {
  expect(readItemLine({ problem: 'is not UTF-8' }, text)).toEqual({ problem: 'is not UTF-8' });
});
