import { describe, expect, test } from 'vitest';

import { isWanted } from '../../src/queue/deadFilter.ts';

const item = {
  id: 7,
  data: null,
  key: null,
  error: 'connect ETIMEDOUT',
  reason: 'Failed',
  attempts: 3,
  endTime: '2026-01-15T12:00:00.000000Z',
} as const;

describe('isWanted', () => {
  const cases = [
    { filter: {}, want: true },
    { filter: { id: [6, 7] }, want: true },
    { filter: { id: [6] }, want: false },
    { filter: { match: 'ETIMEDOUT' }, want: true },
    { filter: { match: 'ECONN' }, want: false },
    { filter: { id: [7], match: 'ECONN' }, want: false },
  ];
  test.each(cases)('$filter', ({ filter, want }) => {
    expect(isWanted(item, filter)).toBe(want);
  });
});
