/** How a Job comes to its end after it is finished, and what becomes of one that is to be deleted. */
import { describe, expect, test } from 'vitest';
import type { JobCondition } from '@drover/shared';
import { decide } from '../../src/decide/decide.ts';
import type { Decision } from '../../src/decide/types.ts';
import { failedPod, type Given, observed, SECOND, T0 } from './builders.ts';

/** Finished at T0. */
const COMPLETE: JobCondition = {
  type: 'Complete',
  status: 'True',
  reason: 'CompletionsReached',
  lastTransitionTime: '2026-01-15T12:00:00Z',
};

describe('ttlSecondsAfterFinished', () => {
  const finished: Given = { finished: true, status: { conditions: [COMPLETE] } };
  const cases: { name: string; given: Given; nowMs?: number; want: Decision }[] = [
    {
      name: 'none: a finished Job stays',
      given: finished,
      want: { type: 'rest', next: { type: 'never' } },
    },
    {
      name: 'a finished Job is not looked at before its time is over',
      given: { ...finished, spec: { ttlSecondsAfterFinished: 100 } },
      nowMs: T0 + 99 * SECOND,
      want: { type: 'rest', next: { type: 'until', atMs: T0 + 100 * SECOND } },
    },
    {
      name: 'a finished Job is deleted when its time is over, inclusive',
      given: { ...finished, spec: { ttlSecondsAfterFinished: 100 } },
      nowMs: T0 + 100 * SECOND,
      want: { type: 'expire' },
    },
    {
      name: '0: a finished Job is deleted at once',
      given: { ...finished, spec: { ttlSecondsAfterFinished: 0 } },
      want: { type: 'expire' },
    },
    {
      name: 'a Job that is being deleted already is left to its finalizers',
      given: { ...finished, spec: { ttlSecondsAfterFinished: 0 }, deletion: 'others' },
      want: { type: 'rest', next: { type: 'never' } },
    },
  ];
  test.each(cases)('$name', ({ given, nowMs = T0, want }) => {
    expect(decide(observed(given), nowMs)).toEqual(want);
  });

  test('the pass that ends a Job says when it is looked at again', () => {
    const given = { spec: { ttlSecondsAfterFinished: 100 }, counters: { succeeded: 1 } };
    // The time of a condition has no milliseconds.
    expect(decide(observed(given), T0 + 700)).toMatchObject({
      type: 'end',
      finish: 'Complete',
      next: { type: 'until', atMs: T0 + 100 * SECOND },
    });
  });

  test('of a Job that is not finished means nothing', () => {
    expect(decide(observed({ spec: { ttlSecondsAfterFinished: 0 } }), T0).type).toBe('converge');
  });
});

describe('a Job that waits for finalizers of others', () => {
  test('starts nothing, while what runs or waits for a worker goes on', () => {
    const spec = { parallelism: 5, completions: 10 };
    const look = observed({
      spec,
      deletion: 'others',
      counters: { active: 3, running: 2 },
      pendingCount: 1,
    });
    expect(decide(look, T0)).toMatchObject({
      type: 'converge',
      judge: { gate: { limit: 0 } },
      pods: { type: 'keep' },
      offerLimit: 3,
    });
  });

  test('counts what fails and replaces nothing', () => {
    const look = observed({ deletion: 'others', unjudged: [failedPod(1)] });
    expect(decide(look, T0)).toMatchObject({
      type: 'converge',
      judge: { judgements: [{ verdict: 'failed', countsToLimit: true }] },
      pods: { type: 'keep' },
      figures: { failed: 1 },
    });
  });

  test('completes, and fails, like any other', () => {
    expect(decide(observed({ deletion: 'others', counters: { succeeded: 1 } }), T0)).toMatchObject({
      type: 'end',
      finish: 'Complete',
    });
    const counters = { limitFailures: 7, active: 2 };
    expect(decide(observed({ deletion: 'others', counters }), T0)).toMatchObject({
      type: 'end',
      stopsPodsAs: 'failed',
    });
  });

  test('is not suspended any more', () => {
    const look = observed({
      deletion: 'others',
      spec: { suspended: true },
      status: { startTimeMs: null },
      counters: { active: 1, running: 1 },
    });
    expect(decide(look, T0)).toMatchObject({ type: 'converge', pods: { type: 'keep' } });
  });
});

describe('Foreground', () => {
  const cases: { name: string; given: Given; want: Partial<Decision> }[] = [
    {
      name: 'stops the pods that run',
      given: { counters: { active: 2, running: 1, terminating: 1 } },
      want: { type: 'dismantle', stopsPods: true, isEmpty: false },
    },
    {
      name: 'waits for pods that are terminating',
      given: { counters: { terminating: 1, failed: 1 } },
      want: { type: 'dismantle', stopsPods: false, isEmpty: false, next: { type: 'resync' } },
    },
    {
      name: 'removes the rest when nothing runs',
      given: { gate: { limit: 0 } },
      want: { type: 'dismantle', judge: null, stopsPods: false, isEmpty: true },
    },
    {
      name: 'a finished Job keeps its status',
      given: { finished: true, status: { conditions: [COMPLETE] } },
      want: { type: 'dismantle', judge: null, isEmpty: true, shown: null },
    },
    {
      name: 'goes on though the Job should fail now',
      given: { counters: { limitFailures: 7, active: 1 } },
      want: { type: 'dismantle', stopsPods: true },
    },
  ];
  test.each(cases)('$name', ({ given, want }) => {
    expect(decide(observed({ ...given, deletion: 'foreground' }), T0)).toMatchObject(want);
  });

  test('judges failed pods before it counts itself empty', () => {
    const look = observed({ deletion: 'foreground', unjudged: [failedPod(1)] });
    expect(decide(look, T0)).toMatchObject({
      type: 'dismantle',
      judge: { judgements: [{ podNumber: 1 }], gate: { limit: 0 } },
      isEmpty: true,
    });
  });
});

describe('Orphan', () => {
  test('first lets everything go, finished or not', () => {
    expect(decide(observed({ deletion: 'orphan', counters: { active: 1 } }), T0)).toEqual({
      type: 'orphan',
    });
    expect(decide(observed({ deletion: 'orphan', finished: true }), T0)).toEqual({
      type: 'orphan',
    });
  });

  const orphaned: Given = {
    orphaned: true,
    deleted: true,
    gate: { limit: 0, holdOnFailure: false },
  };
  const cases: { name: string; given: Given; want: Partial<Decision> }[] = [
    {
      name: 'pods that run are left alone, and those that wait are on offer',
      given: { counters: { active: 4, running: 1 }, pendingCount: 3 },
      want: { type: 'tend', judge: null, offerLimit: 4, next: { type: 'resync' } },
    },
    {
      name: 'pods that fail count for nothing and are not replaced',
      given: { unjudged: [failedPod(1)], counters: { kept: 1 } },
      want: {
        type: 'tend',
        judge: {
          judgements: [{ index: 0, podNumber: 1, verdict: 'ignored', countsToLimit: false }],
          gate: { limit: 0, notBeforeMs: 0, deadlineMs: 0, holdOnFailure: false },
          failuresInRow: 0,
          lastFailureMs: 0,
        },
      },
    },
    {
      name: 'no deadline of the Job is left',
      given: { gate: { limit: 0, deadlineMs: T0 }, counters: { active: 1 } },
      want: { type: 'tend', judge: expect.objectContaining({ judgements: [] }) as never },
    },
    {
      name: 'pods that ended stay until they are deleted',
      given: { counters: { kept: 2 } },
      want: { type: 'tend', next: { type: 'never' } },
    },
    { name: 'with the last pod everything goes', given: {}, want: { type: 'purge' } },
    {
      name: 'a pod that is terminating is waited for',
      given: { counters: { terminating: 1 } },
      want: { type: 'tend', next: { type: 'resync' } },
    },
    {
      name: 'the object waits for finalizers of others',
      given: { deleted: false, deletion: 'others' },
      want: { type: 'tend', next: { type: 'never' } },
    },
  ];
  test.each(cases)('$name', ({ given, want }) => {
    expect(decide(observed({ ...orphaned, ...given }), T0)).toMatchObject(want);
  });
});
