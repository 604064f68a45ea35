import { describe, expect, test } from 'vitest';
import {
  crashLoopDelayMs,
  crashLoopRestarts,
  DEFAULT_CRASH_LOOP,
} from '../../src/process/crashLoop.ts';

describe('crashLoopDelayMs', () => {
  test.each([
    [0, 10_000],
    [1, 20_000],
    [2, 40_000],
    [4, 160_000],
    [5, 300_000],
    [5_000, 300_000],
  ])('after %i restarts it is %i ms', (restarts, want) => {
    expect(crashLoopDelayMs(restarts)).toBe(want);
  });

  test('base and cap can be chosen', () => {
    const policy = { ...DEFAULT_CRASH_LOOP, baseMs: 5, capMs: 12 };
    expect([0, 1, 2].map((restarts) => crashLoopDelayMs(restarts, policy))).toEqual([5, 10, 12]);
  });

  test.each([-1, 0.5, Number.NaN])('%d restarts are a bug of the caller', (restarts) => {
    expect(() => crashLoopDelayMs(restarts)).toThrow(RangeError);
  });
});

describe('crashLoopRestarts', () => {
  test('a run just below ten minutes does not reset', () => {
    expect(crashLoopRestarts(3, 599_999)).toBe(3);
  });

  test('a run of ten minutes does', () => {
    expect(crashLoopRestarts(3, 600_000)).toBe(0);
  });
});
