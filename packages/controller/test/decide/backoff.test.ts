import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  backoffDelayMs,
  DEFAULT_BACKOFF,
  delaysNextPod,
  extendFailureRow,
} from '../../src/decide/backoff.ts';
import { failedPod, lostPod, T0 } from './builders.ts';

describe('backoffDelayMs', () => {
  test.each([
    [0, 0],
    [1, 10_000],
    [2, 20_000],
    [6, 320_000],
    [7, 600_000],
    [8, 600_000],
    [5000, 600_000],
  ])('after %i failures in a row: %i ms', (failures, wantMs) => {
    expect(backoffDelayMs(failures, DEFAULT_BACKOFF)).toBe(wantMs);
  });

  test('grows, and stays within base and cap', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 0, max: 1_000_000 }),
        (failures, baseMs, aboveMs) => {
          const policy = { baseMs, capMs: baseMs + aboveMs };
          const delayMs = backoffDelayMs(failures, policy);
          expect(delayMs).toBeGreaterThanOrEqual(baseMs);
          expect(delayMs).toBeLessThanOrEqual(policy.capMs);
          expect(backoffDelayMs(failures + 1, policy)).toBeGreaterThanOrEqual(delayMs);
        },
      ),
    );
  });

  test.each([-1, 1.5, Number.NaN])('refuses %d failures', (failures) => {
    expect(() => backoffDelayMs(failures, DEFAULT_BACKOFF)).toThrow(RangeError);
  });
});

describe('extendFailureRow', () => {
  const cases: {
    name: string;
    row: Parameters<typeof extendFailureRow>[0];
    pods: Parameters<typeof extendFailureRow>[1];
    want: ReturnType<typeof extendFailureRow>;
  }[] = [
    {
      name: 'nothing new changes nothing',
      row: { failuresInRow: 2, lastFailureMs: 50, lastSuccessMs: 0 },
      pods: [],
      want: { failuresInRow: 2, lastFailureMs: 50 },
    },
    {
      name: 'all failures of one look are added',
      row: { failuresInRow: 2, lastFailureMs: 50, lastSuccessMs: 40 },
      pods: [failedPod(1, 60), failedPod(2, 70)],
      want: { failuresInRow: 4, lastFailureMs: 70 },
    },
    {
      name: 'a success since resets to the failures after it',
      row: { failuresInRow: 5, lastFailureMs: 50, lastSuccessMs: 65 },
      pods: [failedPod(1, 60), failedPod(2, 70)],
      want: { failuresInRow: 1, lastFailureMs: 70 },
    },
    {
      name: 'a failure in the millisecond of the success does not count',
      row: { failuresInRow: 5, lastFailureMs: 50, lastSuccessMs: 60 },
      pods: [failedPod(1, 60)],
      want: { failuresInRow: 0, lastFailureMs: 60 },
    },
    {
      name: 'what ran beside the last success and ended together with it is not after it',
      row: { failuresInRow: 0, lastFailureMs: 0, lastSuccessMs: 1000 },
      pods: [
        { ...failedPod(1, 1001), startMs: 900 },
        { ...failedPod(2, 1999), startMs: 999 },
        { ...failedPod(3, 2000), startMs: 999 },
        { ...failedPod(4, 1001), startMs: 1000 },
      ],
      want: { failuresInRow: 2, lastFailureMs: 2000 },
    },
    {
      name: 'nor is it when the looks come one after the other',
      row: { failuresInRow: 0, lastFailureMs: 1005, lastSuccessMs: 1000 },
      pods: [{ ...failedPod(5, 1010), startMs: 900 }],
      want: { failuresInRow: 0, lastFailureMs: 1010 },
    },
    {
      name: 'a success without new failures resets to none',
      row: { failuresInRow: 5, lastFailureMs: 50, lastSuccessMs: 51 },
      pods: [],
      want: { failuresInRow: 0, lastFailureMs: 50 },
    },
    {
      name: 'the time of the last failure never goes back',
      row: { failuresInRow: 1, lastFailureMs: 50, lastSuccessMs: 0 },
      pods: [failedPod(1, 45)],
      want: { failuresInRow: 2, lastFailureMs: 50 },
    },
  ];

  test.each(cases)('$name', ({ row, pods, want }) => {
    expect(extendFailureRow(row, pods)).toEqual(want);
  });
});

describe('delaysNextPod', () => {
  test('lost and deleted pods are not part of the row', () => {
    expect(delaysNextPod(lostPod(1, 2), null)).toBe(false);
    expect(delaysNextPod(failedPod(1, T0, 'Deleted'), null)).toBe(false);
    expect(delaysNextPod(failedPod(1, T0, 'Deleted'), 'Count')).toBe(false);
  });

  test('failed ones are, and the third loss of an index in a row', () => {
    expect(delaysNextPod(failedPod(1), null)).toBe(true);
    expect(delaysNextPod(lostPod(1, 3), null)).toBe(true);
  });

  test('ignored failures are, but for losses', () => {
    expect(delaysNextPod(failedPod(1), 'Ignore')).toBe(true);
    expect(delaysNextPod(lostPod(1, 1), 'Ignore')).toBe(false);
    expect(delaysNextPod(lostPod(1, 3), 'Ignore')).toBe(true);
  });

  test('a loss that a rule counts is an ordinary failure', () => {
    expect(delaysNextPod(lostPod(1, 1), 'Count')).toBe(true);
  });
});
