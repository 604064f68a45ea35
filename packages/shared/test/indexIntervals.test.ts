import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  checkIndexIntervals,
  countIndexes,
  formatIndexIntervals,
  parseIndexIntervals,
} from '../src/index.ts';

/** As Redis' SETBIT lays bits out; no longer than its last set bit needs. */
function bitmapOf(indexes: Iterable<number>): Uint8Array {
  const all = [...indexes];
  const bytes = new Uint8Array(all.length === 0 ? 0 : (Math.max(...all) >> 3) + 1);
  for (const index of all) bytes[index >> 3] = (bytes[index >> 3] ?? 0) | (0x80 >> (index & 7));
  return bytes;
}

function expand(text: string): number[] {
  return parseIndexIntervals(text, Number.MAX_SAFE_INTEGER).flatMap(({ first, last }) =>
    Array.from({ length: last - first + 1 }, (_, at) => first + at),
  );
}

const indexSets = fc.uniqueArray(fc.nat(300)).map((set) => set.toSorted((a, b) => a - b));

describe('formatIndexIntervals', () => {
  test.each([
    [[], ''],
    [[0], '0'],
    [[0, 1], '0,1'],
    [[0, 1, 2], '0-2'],
    [[2, 4, 5, 7, 8, 9], '2,4,5,7-9'],
    [[7, 8], '7,8'],
    [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], '0-16'],
    [[15, 16, 31], '15,16,31'],
  ])('%j is %s', (indexes, want) => {
    expect(formatIndexIntervals(bitmapOf(indexes), 1000)).toBe(want);
  });

  test('the first index is the most significant bit of the first byte', () => {
    expect(formatIndexIntervals(Uint8Array.of(0b1000_0001, 0b0100_0000), 16)).toBe('0,7,9');
  });

  test('bits from count on are not looked at', () => {
    expect(formatIndexIntervals(Uint8Array.of(0xff, 0xff), 10)).toBe('0-9');
    expect(formatIndexIntervals(Uint8Array.of(0xff, 0xff), 8)).toBe('0-7');
    expect(formatIndexIntervals(Uint8Array.of(0xff, 0xff), 0)).toBe('');
  });

  test('what it writes, the reader and the check read back', () => {
    fc.assert(
      fc.property(indexSets, (indexes) => {
        const text = formatIndexIntervals(bitmapOf(indexes), 301);
        expect(expand(text)).toEqual(indexes);
        expect(checkIndexIntervals(text, 301)).toEqual({ type: 'valid', count: indexes.length });
        expect(countIndexes(bitmapOf(indexes), 301)).toBe(indexes.length);
      }),
    );
  });

  test('runs of three and more are intervals, shorter ones are not', () => {
    fc.assert(
      fc.property(indexSets, (indexes) => {
        const items = formatIndexIntervals(bitmapOf(indexes), 301).split(',');
        for (const item of items.filter((text) => text.includes('-'))) {
          const [first = 0, last = 0] = item.split('-').map(Number);
          expect(last - first).toBeGreaterThanOrEqual(2);
        }
        const numbers = items.filter((text) => /^\d+$/.test(text)).map(Number);
        const inThrees = numbers.filter((index, at) => numbers[at + 2] === index + 2);
        expect(inThrees).toEqual([]);
      }),
    );
  });

  test('a million indexes, all, none and every second', () => {
    const count = 1_000_000;
    const bytes = count / 8;
    expect(formatIndexIntervals(new Uint8Array(bytes).fill(0xff), count)).toBe('0-999999');
    expect(formatIndexIntervals(new Uint8Array(bytes), count)).toBe('');
    const text = formatIndexIntervals(new Uint8Array(bytes).fill(0b1010_1010), count);
    expect(text.startsWith('0,2,4,')).toBe(true);
    expect(text.endsWith(',999996,999998')).toBe(true);
    expect(text.split(',')).toHaveLength(count / 2);
  });
});

describe('parseIndexIntervals forgives', () => {
  test.each([
    ['', 10, []],
    ['3', 10, [{ first: 3, last: 3 }]],
    ['1-2', 10, [{ first: 1, last: 2 }]],
    ['1,2,3-5', 10, [{ first: 1, last: 5 }]],
    [
      '5,1',
      10,
      [
        { first: 1, last: 1 },
        { first: 5, last: 5 },
      ],
    ],
    ['2-8,3-4', 10, [{ first: 2, last: 8 }]],
    [
      'x,1,2-y,,4',
      10,
      [
        { first: 1, last: 1 },
        { first: 4, last: 4 },
      ],
    ],
    ['5-3', 10, []],
    ['8-20', 10, [{ first: 8, last: 9 }]],
    ['10,11', 10, []],
  ])('"%s" below %i', (text, completions, want) => {
    expect(parseIndexIntervals(text, completions)).toEqual(want);
  });
});

describe('checkIndexIntervals does not', () => {
  test.each([
    ['0-1-2', /can have at most two parts/],
    ['a', /cannot convert string to integer for index: "a"/],
    ['1,,2', /cannot convert string to integer for index: ""/],
    ['-1', /cannot convert/],
    ['1.5', /cannot convert/],
    ['10', /too large index: "10"/],
    ['8-10', /too large index: "10"/],
    ['3,3', /non-increasing order, previous: 3, current: 3/],
    ['5,4', /non-increasing order, previous: 5, current: 4/],
    ['4-4', /non-increasing order/],
    ['4-2', /non-increasing order/],
    ['1-4,4', /non-increasing order/],
  ])('"%s"', (text, problem) => {
    const check = checkIndexIntervals(text, 10);
    expect(check.type === 'invalid' ? check.problem : '').toMatch(problem);
  });

  test('counts what is named', () => {
    expect(checkIndexIntervals('0,2-4,9', 10)).toEqual({ type: 'valid', count: 5 });
    expect(checkIndexIntervals('', 10)).toEqual({ type: 'valid', count: 0 });
  });
});
