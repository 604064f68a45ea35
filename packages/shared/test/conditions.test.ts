import { describe, expect, test } from 'vitest';

import {
  getCondition,
  isConditionTrue,
  makeCondition,
  setCondition,
  terminalCondition,
  type JobCondition,
} from '../src/index.ts';

const T0 = Date.UTC(2026, 0, 1);
const suspended = makeCondition('Suspended', 'True', 'JobSuspended', 'Job suspended', T0);
const target = makeCondition('FailureTarget', 'True', 'DeadlineExceeded', 'too long', T0);

test('a new condition has both times', () => {
  expect(suspended).toEqual({
    type: 'Suspended',
    status: 'True',
    reason: 'JobSuspended',
    message: 'Job suspended',
    lastProbeTime: '2026-01-01T00:00:00Z',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  });
});

describe('setCondition', () => {
  test('adds at the end and leaves the list alone', () => {
    const list: readonly JobCondition[] = Object.freeze([suspended]);
    expect(setCondition(list, target)).toEqual([suspended, target]);
    expect(list).toEqual([suspended]);
  });

  test('a changed status takes the place and the new times', () => {
    const resumed = makeCondition('Suspended', 'False', 'JobResumed', 'Job resumed', T0 + 5000);
    expect(setCondition([suspended, target], resumed)).toEqual([resumed, target]);
  });

  test('the same status with another reason keeps the times', () => {
    const again = makeCondition('FailureTarget', 'True', 'BackoffLimitExceeded', 'b', T0 + 5000);
    expect(setCondition([suspended, target], again)).toEqual([
      suspended,
      {
        ...again,
        lastProbeTime: target.lastProbeTime,
        lastTransitionTime: target.lastTransitionTime,
      },
    ]);
  });

  test('what says the same changes nothing', () => {
    const list = [suspended, target];
    const same = makeCondition('Suspended', 'True', 'JobSuspended', 'Job suspended', T0 + 5000);
    expect(setCondition(list, same)).toBe(list);
  });
});

test('conditions are found by type', () => {
  const off: JobCondition = { ...suspended, status: 'False' };
  expect(getCondition([off, target], 'FailureTarget')).toBe(target);
  expect(getCondition([off], 'Complete')).toBeNull();
  expect(getCondition(undefined, 'Complete')).toBeNull();
  expect(isConditionTrue([suspended], 'Suspended')).toBe(true);
  expect(isConditionTrue([off], 'Suspended')).toBe(false);
});

test('only Complete and Failed are terminal, and only when True', () => {
  const failed: JobCondition = { type: 'Failed', status: 'True' };
  expect(terminalCondition([suspended, target])).toBeNull();
  expect(terminalCondition([{ ...failed, status: 'False' }])).toBeNull();
  expect(terminalCondition([suspended, failed])).toBe(failed);
  expect(terminalCondition([{ type: 'Complete', status: 'True' }])).not.toBeNull();
});
