import { describe, expect, test } from 'vitest';
import { composeStatus, renderIndexes } from '../../src/decide/status.ts';
import { T0 } from './builders.ts';

const NONE = { active: 0, ready: 0, terminating: 0, succeeded: 0, failed: 0 };
const STARTED = { startTimeMs: T0, completionTimeMs: null, conditions: [] };

describe('composeStatus', () => {
  test('leaves out counts of 0 as Kubernetes does, but for ready and terminating', () => {
    expect(composeStatus({ indexed: false }, NONE, STARTED, null)).toEqual({
      ready: 0,
      startTime: '2026-01-15T12:00:00Z',
      terminating: 0,
      uncountedTerminatedPods: {},
    });
  });

  test('a suspended Job shows no startTime', () => {
    const standing = { ...STARTED, startTimeMs: null };
    expect(composeStatus({ indexed: false }, NONE, standing, null)).not.toHaveProperty('startTime');
  });

  test('shows all that there is', () => {
    const condition = {
      type: 'Complete' as const,
      status: 'True' as const,
      reason: 'CompletionsReached',
      message: 'm',
      lastProbeTime: '2026-01-15T12:00:01Z',
      lastTransitionTime: '2026-01-15T12:00:01Z',
    };
    const status = composeStatus(
      { indexed: false },
      { active: 3, ready: 2, terminating: 1, succeeded: 5, failed: 4 },
      { startTimeMs: T0 + 999, completionTimeMs: T0 + 1999, conditions: [condition] },
      null,
    );
    expect(status).toEqual({
      active: 3,
      completionTime: '2026-01-15T12:00:01Z',
      conditions: [condition],
      failed: 4,
      ready: 2,
      startTime: '2026-01-15T12:00:00Z',
      succeeded: 5,
      terminating: 1,
      uncountedTerminatedPods: {},
    });
  });

  test('an Indexed Job names its indexes, and counts those', () => {
    const done = renderIndexes(Uint8Array.of(0b11100101), 8);
    const status = composeStatus({ indexed: true }, { ...NONE, succeeded: 4 }, STARTED, done);
    expect(status).toMatchObject({ completedIndexes: '0-2,5,7', succeeded: 5 });
  });

  test('a Job with limits for each index shows those that failed, even when there is none', () => {
    const status = (failed: number[]) =>
      composeStatus(
        { indexed: true },
        NONE,
        STARTED,
        renderIndexes(new Uint8Array(0), 8),
        renderIndexes(Uint8Array.from(failed), 8),
      );
    expect(status([0b01100000]).failedIndexes).toBe('1,2');
    expect(status([]).failedIndexes).toBe('');
  });

  test('an Indexed Job without a success has no completedIndexes', () => {
    const status = composeStatus(
      { indexed: true },
      NONE,
      STARTED,
      renderIndexes(new Uint8Array(0), 8),
    );
    expect(status).not.toHaveProperty('completedIndexes');
    expect(status).not.toHaveProperty('succeeded');
  });
});

describe('renderIndexes', () => {
  test('leaves out bits beyond completions', () => {
    expect(renderIndexes(Uint8Array.of(0xff, 0xff), 11)).toEqual({ text: '0-10', count: 11 });
  });

  test('takes missing bytes for zeros', () => {
    expect(renderIndexes(Uint8Array.of(0b10000000), 100)).toEqual({ text: '0', count: 1 });
  });
});
