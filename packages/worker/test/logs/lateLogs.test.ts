import { describe, expect, test } from 'vitest';

import { isLeftBehind } from '../../src/logs/lateLogs.ts';

const THERE = {
  deleted: false,
  orphaned: false,
  finalizers: [],
  deletionMs: null,
  hasFreePods: false,
};
const FOREGROUND = { ...THERE, deletionMs: 1, finalizers: ['foregroundDeletion'] };

describe('a log of a pod that does not count', () => {
  test.each([
    ['is gone', null, true],
    ['is there', THERE, false],
    ['is deleted, and not removed yet', { ...THERE, deleted: true }, true],
    ['is being taken apart, its pods before it', FOREGROUND, true],
    [
      'waits for a finalizer of somebody, pods and all',
      { ...FOREGROUND, finalizers: ['me/x'] },
      false,
    ],
    ['left its pods behind', { ...THERE, deleted: true, orphaned: true }, false],
    ['has pods that outlive it', { ...FOREGROUND, hasFreePods: true }, false],
  ])('whose Job %s', (_name, job, expected) => {
    expect(isLeftBehind(job)).toBe(expected);
  });
});
