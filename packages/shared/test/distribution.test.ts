import { describe, expect, test } from 'vitest';

import { Distribution, LONG_TIME_BOUNDS, SHORT_TIME_BOUNDS } from '../src/distribution.ts';

describe('Distribution', () => {
  const cases = [
    { name: 'below the first bound', value: -1, place: 0 },
    { name: 'on a bound: it is included', value: 10, place: 1 },
    { name: 'just above a bound', value: 10.001, place: 2 },
    { name: 'on the last bound', value: 100, place: 2 },
    { name: 'above all', value: 101, place: 3 },
  ];

  test.each(cases)('$name', ({ value, place }) => {
    const distribution = new Distribution([1, 10, 100]);
    distribution.note(value);
    expect(distribution.counts).toEqual([0, 1, 2, 3].map((at) => (at === place ? 1 : 0)));
    expect(distribution).toMatchObject({ sum: value, count: 1 });
  });

  test('bounds rise', () => {
    for (const bounds of [SHORT_TIME_BOUNDS, LONG_TIME_BOUNDS]) {
      expect(bounds.toSorted((a, b) => a - b)).toEqual(bounds);
    }
  });
});
