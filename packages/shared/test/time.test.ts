import { expect, test } from 'vitest';

import { formatMicroTime, formatTime, parseTime } from '../src/index.ts';

test('times are in whole seconds, cut off', () => {
  const timeMs = Date.UTC(2026, 1, 3, 4, 5, 6, 999);
  expect(formatTime(timeMs)).toBe('2026-02-03T04:05:06Z');
  expect(formatMicroTime(timeMs)).toBe('2026-02-03T04:05:06.999Z');
});

test('times are read with any offset, and bad ones are none', () => {
  expect(parseTime('2026-02-03T04:05:06Z')).toBe(Date.UTC(2026, 1, 3, 4, 5, 6));
  expect(parseTime('2026-02-03T06:05:06+02:00')).toBe(Date.UTC(2026, 1, 3, 4, 5, 6));
  expect(parseTime('soon')).toBeNull();
  expect(parseTime(undefined)).toBeNull();
});
