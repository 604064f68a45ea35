import { describe, expect, test } from 'vitest';

import { formatClock, parseDurationMs } from '../../src/text/duration.ts';

describe('parseDurationMs', () => {
  test.each([
    ['30', 30_000],
    ['1.5', 1_500],
    ['200ms', 200],
    ['90s', 90_000],
    ['2m', 120_000],
    ['1h30m', 5_400_000],
    ['1d', 86_400_000],
    ['0', 0],
  ])('%s', (text, want) => {
    expect(parseDurationMs(text)).toBe(want);
  });

  test.each(['', 'soon', '-1s', '1x', '5 s', 's', '1h30', '99999999999'])('refuses %j', (text) => {
    expect(parseDurationMs(text)).toBeNull();
  });
});

test.each([
  [0, '0:00'],
  [7_400, '0:07'],
  [754_000, '12:34'],
  [3_723_000, '1:02:03'],
])('formatClock(%i)', (ms, want) => {
  expect(formatClock(ms)).toBe(want);
});
