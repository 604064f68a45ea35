/** Limits for each index: backoffLimitPerIndex and maxFailedIndexes. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../src/decide/decide.ts';
import type { Decision, IndexFailures, UnjudgedPod } from '../../src/decide/types.ts';
import { failedPod, lostPod, observed, SECOND, T0, type Given } from './builders.ts';

type Converge = Extract<Decision, { type: 'converge' }>;
type End = Extract<Decision, { type: 'end' }>;

const INDEXED = {
  indexed: true,
  completions: 10,
  parallelism: 3,
  backoffLimit: 2 ** 31 - 1,
  backoffLimitPerIndex: 1,
};

function converge(given: Given, nowMs = T0): Converge {
  const decision = decide(look(given), nowMs);
  expect(decision.type).toBe('converge');
  return decision as Converge;
}

function end(given: Given, nowMs = T0): End {
  const decision = decide(look(given), nowMs);
  expect(decision.type).toBe('end');
  return decision as End;
}

function look(given: Given) {
  return observed({ ...given, spec: { ...INDEXED, ...given.spec } });
}

function failed(podNumber: number, failures: Partial<IndexFailures> = {}): UnjudgedPod {
  return { ...failedPod(podNumber), index: podNumber - 1, failures: { ...NONE, ...failures } };
}

const NONE = { counted: 0, ignored: 0 };
const verdicts = (given: Given, nowMs = T0) => converge(given, nowMs).judge?.judgements;

describe('a failed pod of a Job with backoffLimitPerIndex', () => {
  test('is counted, and its index tried again after a delay of its own', () => {
    expect(verdicts({ unjudged: [failed(1)] })).toEqual([
      {
        podNumber: 1,
        index: 0,
        verdict: 'failed',
        countsToLimit: true,
        failures: { counted: 1, ignored: 0 },
        retryAtMs: T0 + 10 * SECOND,
      },
    ]);
  });

  test('delays the next pod of its index by all failures of it, ignored ones too', () => {
    const unjudged = [failed(1, { counted: 2, ignored: 1 })];
    const spec = { backoffLimitPerIndex: 5 };
    expect(verdicts({ spec, unjudged })?.[0]?.retryAtMs).toBe(T0 + 80 * SECOND);
  });

  test('whose delay is over when it is judged is tried again at once', () => {
    const [verdict] = verdicts({ unjudged: [failed(1)] }, T0 + 10 * SECOND) ?? [];
    expect(verdict).not.toHaveProperty('retryAtMs');
  });

  test('beyond the limit fails its index, and the other indexes go on', () => {
    const decision = converge({ unjudged: [failed(1, { counted: 1 })] });
    expect(decision.judge?.judgements).toEqual([
      { podNumber: 1, index: 0, verdict: 'indexFailed', countsToLimit: true },
    ]);
    expect(decision.figures).toMatchObject({ failed: 1, failedIndexes: 1 });
    expect(decision.pods).toEqual({ type: 'open', count: 3 });
  });

  test('with limit 0 is one too many', () => {
    const spec = { backoffLimitPerIndex: 0 };
    expect(verdicts({ spec, unjudged: [failed(1)] })?.[0]?.verdict).toBe('indexFailed');
  });

  test('that was lost counts to its index from the third loss on, or with limit 0', () => {
    const lost = (losses: number) => ({ ...lostPod(1, losses), failures: NONE });
    expect(verdicts({ unjudged: [lost(2)] })?.[0]).toMatchObject({ failures: NONE });
    expect(verdicts({ unjudged: [lost(2)] })?.[0]).not.toHaveProperty('retryAtMs');
    expect(verdicts({ unjudged: [lost(3)] })?.[0]).toMatchObject({
      failures: { counted: 1, ignored: 0 },
      retryAtMs: T0 + 10 * SECOND,
    });
    const spec = { backoffLimitPerIndex: 0 };
    expect(verdicts({ spec, unjudged: [lost(1)] })?.[0]?.verdict).toBe('indexFailed');
  });

  test('that its user deleted counts to its index and is replaced at once', () => {
    const [verdict] = verdicts({ unjudged: [failed(1)].map(deleted) }) ?? [];
    expect(verdict).toMatchObject({ failures: { counted: 1, ignored: 0 } });
    expect(verdict).not.toHaveProperty('retryAtMs');
  });

  test('holds up no other pod, and the back-off of the whole Job is not used', () => {
    const { judge } = converge({
      counters: { active: 2, failuresInRow: 3, lastFailureMs: T0 - 1 },
      unjudged: [failed(1)],
    });
    expect(judge).toMatchObject({
      failuresInRow: 0,
      gate: { limit: 3, notBeforeMs: 0, holdOnFailure: false, perIndex: true },
    });
  });

  test('counts to a backoffLimit that the user set', () => {
    const decision = end({ spec: { backoffLimit: 1 }, unjudged: [failed(1), failed(2)] });
    expect(decision.standing.conditions[0]?.reason).toBe('BackoffLimitExceeded');
  });
});

function deleted(pod: UnjudgedPod): UnjudgedPod {
  return { ...pod, reason: 'Deleted' };
}

describe('pods of a Job with backoffLimitPerIndex', () => {
  test('are as many as there are indexes for', () => {
    expect(converge({ startableCount: 1 }).pods).toEqual({ type: 'open', count: 1 });
    expect(converge({ startableCount: 0 }).pods).toEqual({ type: 'keep' });
  });

  test('an index whose back-off is over gets one', () => {
    const decision = converge({ startableCount: 0, indexes: { readyCount: 2 } });
    expect(decision.pods).toEqual({ type: 'open', count: 2 });
    expect(decision.judge).toMatchObject({ judgements: [] });
  });

  test('more indexes than one set of verdicts lets go are looked at again at once', () => {
    const decision = converge({ startableCount: 0, indexes: { readyCount: 501 } });
    expect(decision.next).toEqual({ type: 'at', atMs: T0 });
  });

  test('the next look is when the next back-off is over', () => {
    const given = {
      startableCount: 0,
      indexes: { nextReadyMs: T0 + 20 * SECOND },
      counters: { active: 1 },
    };
    expect(converge(given).next).toEqual({ type: 'at', atMs: T0 + 20 * SECOND });
    expect(converge({ ...given, unjudged: [failed(1)] }).next).toEqual({
      type: 'at',
      atMs: T0 + 10 * SECOND,
    });
  });

  test('fewer than wanted for lack of indexes is no reason to look again', () => {
    const decision = converge({ counters: { active: 1 }, startableCount: 1 });
    expect(decision.pods).toEqual({ type: 'open', count: 1 });
    expect(decision.next).toEqual({ type: 'resync' });
  });
});

describe('failed indexes', () => {
  const reasonOf = (decision: End) => decision.standing.conditions[0];

  test('with none left that could succeed the Job fails', () => {
    const given = { counters: { succeeded: 7 }, indexes: { failedCount: 3 }, startableCount: 0 };
    expect(reasonOf(end(given))).toMatchObject({
      type: 'FailureTarget',
      reason: 'FailedIndexes',
      message: 'Job has failed indexes',
    });
    expect(end(given).finish).toBe('Failed');
  });

  test('one that could still succeed keeps it going', () => {
    const given = { counters: { succeeded: 7, active: 1 }, indexes: { failedCount: 2 } };
    expect(converge(given).figures.failedIndexes).toBe(2);
  });

  test('as many as maxFailedIndexes are tolerated', () => {
    const spec = { maxFailedIndexes: 2 };
    converge({ spec, indexes: { failedCount: 2 } });
  });

  test('one more than maxFailedIndexes fails the Job at once, and what runs is stopped', () => {
    const spec = { maxFailedIndexes: 2 };
    const decision = end({
      spec,
      counters: { active: 3 },
      indexes: { failedCount: 2 },
      unjudged: [failed(5, { counted: 1 })],
    });
    expect(reasonOf(decision)).toMatchObject({
      reason: 'MaxFailedIndexesExceeded',
      message: 'Job has exceeded the specified maximal number of failed indexes',
    });
    expect(decision.stopsPodsAs).toBe('failed');
    expect(decision.figures.failedIndexes).toBe(3);
  });

  test('maxFailedIndexes 0: the first failed index is one too many', () => {
    const spec = { maxFailedIndexes: 0 };
    expect(reasonOf(end({ spec, indexes: { failedCount: 1 } }))?.reason).toBe(
      'MaxFailedIndexesExceeded',
    );
  });

  test('when both limits of indexes are reached it is MaxFailedIndexesExceeded', () => {
    const given = { spec: { maxFailedIndexes: 1 }, indexes: { failedCount: 10 } };
    expect(reasonOf(end(given))?.reason).toBe('MaxFailedIndexesExceeded');
  });

  test('the deadline and backoffLimit come first', () => {
    const spec = { activeDeadlineSeconds: 5, maxFailedIndexes: 0 };
    const indexes = { failedCount: 1 };
    expect(reasonOf(end({ spec, indexes }, T0 + 5 * SECOND))?.reason).toBe('DeadlineExceeded');
    const limited = { spec: { maxFailedIndexes: 0, backoffLimit: 0 }, indexes };
    const unjudged = [failed(2, { counted: 1 })];
    expect(reasonOf(end({ ...limited, unjudged }))?.reason).toBe('BackoffLimitExceeded');
  });

  test('are checked while the Job is suspended, too', () => {
    const spec = { suspended: true, maxFailedIndexes: 0 };
    expect(reasonOf(end({ spec, indexes: { failedCount: 1 } }))?.reason).toBe(
      'MaxFailedIndexesExceeded',
    );
  });

  test('none failed and all succeeded: Complete', () => {
    const decision = end({ counters: { succeeded: 10 }, startableCount: 0 });
    expect(decision.finish).toBe('Complete');
  });
});
