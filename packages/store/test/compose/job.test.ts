import { describe, expect, test } from 'vitest';

import { composeJob } from '../../src/compose/job.ts';
import { counters, job, stored, T0, UID } from './builders.ts';

test('versions, uid and time come from the store', () => {
  const composed = composeJob({ stored: stored(job()), counters: null, done: null });
  expect(composed).toMatchObject({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: 'work',
      uid: UID,
      generation: 3,
      resourceVersion: String(T0 * 4096 + 1),
      creationTimestamp: '2026-01-15T12:00:00Z',
    },
    status: {},
  });
});

test('a large resourceVersion is written as an integer', () => {
  const large = stored(job(), {}, { resourceVersion: 2 ** 52 });
  const composed = composeJob({ stored: large, counters: null, done: null });
  expect(composed.metadata.resourceVersion).toBe('4503599627370496');
});

test('of a Job whose pods were removed to make room an annotation says how many', () => {
  const whole = job({}, { annotations: { note: 'x' } });
  const { metadata } = composeJob({
    stored: stored(whole, {}, { droppedPods: 1234 }),
    counters: null,
    done: null,
  });
  expect(metadata.annotations).toEqual({ note: 'x', 'drover.dev/dropped-pods': '1234' });
});

test('of a Job that waits for finalizers they are shown, and since when it waits', () => {
  const deleting = stored(job(), {}, { deletionMs: T0 + 5_000, finalizers: ['a/b'] });
  const { metadata } = composeJob({ stored: deleting, counters: null, done: null });
  expect(metadata).toMatchObject({
    deletionTimestamp: '2026-01-15T12:00:05Z',
    deletionGracePeriodSeconds: 0,
    finalizers: ['a/b'],
  });
});

describe('the status', () => {
  const folded = { active: 5, ready: 4, terminating: 0, startTime: '2026-01-15T12:00:00Z' };

  test('of a Job that goes on has the figures of now', () => {
    const live = counters({ active: 2, running: 1, terminating: 1, succeeded: 3, failed: 1 });
    const { status } = composeJob({ stored: stored(job(), folded), counters: live, done: null });
    expect(status).toEqual({
      active: 2,
      ready: 1,
      terminating: 1,
      succeeded: 3,
      failed: 1,
      startTime: '2026-01-15T12:00:00Z',
    });
  });

  test('leaves counts of zero out', () => {
    const { status } = composeJob({
      stored: stored(job(), folded),
      counters: counters(),
      done: null,
    });
    expect(status).toEqual({ ready: 0, terminating: 0, startTime: '2026-01-15T12:00:00Z' });
  });

  test('of a Job that nobody has looked at stays empty', () => {
    const { status } = composeJob({ stored: stored(job()), counters: counters(), done: null });
    expect(status).toEqual({});
  });

  test('of a finished Job is what was written at its end', () => {
    const last = { succeeded: 3, completionTime: '2026-01-15T12:00:09Z' };
    const finished = stored(job(), last, { finished: true });
    const live = counters({ succeeded: 2 });
    expect(composeJob({ stored: finished, counters: live, done: null }).status).toEqual(last);
  });

  test('of an Indexed Job has the indexes from the bitmap', () => {
    const indexed = job({ completions: 10, completionMode: 'Indexed' });
    const done = Buffer.from([0b1110_0100, 0b1100_0000]);
    const live = counters({ succeeded: 6 });
    const { status } = composeJob({ stored: stored(indexed), counters: live, done });
    expect(status).toEqual({ succeeded: 6, completedIndexes: '0-2,5,8,9' });
    const none = composeJob({ stored: stored(indexed), counters: live, done: Buffer.alloc(0) });
    expect(none.status).toEqual({ succeeded: 6 });
  });
});
