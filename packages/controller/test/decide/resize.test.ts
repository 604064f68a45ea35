/** Elastic Indexed Jobs: completions changed together with parallelism. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../src/decide/decide.ts';
import type { Decision, FailureRule } from '../../src/decide/types.ts';
import { failedPod, observed, T0, type Given } from './builders.ts';

type Resize = Extract<Decision, { type: 'resize' }>;

const SPEC = { indexed: true, parallelism: 5, completions: 5 };

function decideOn(given: Given): Decision {
  return decide(observed({ ...given, spec: { ...SPEC, ...given.spec } }), T0);
}

function resize(given: Given): Resize {
  const decision = decideOn(given);
  expect(decision.type).toBe('resize');
  return decision as Resize;
}

describe('a smaller number of completions', () => {
  test('closes the gate first, and says from where on indexes go', () => {
    expect(resize({ range: { end: 8 }, counters: { active: 8 } })).toMatchObject({
      judge: { gate: { limit: 0 } },
      from: 5,
      completions: 5,
      isUnjudged: false,
    });
  });

  test('comes before deadline, limits and completions: these are of the new range', () => {
    const given = {
      range: { end: 8 },
      counters: { succeeded: 6, limitFailures: 99 },
      spec: { activeDeadlineSeconds: 0 },
    };
    expect(decideOn(given).type).toBe('resize');
  });

  test('a failed pod of an index that goes counts for nothing', () => {
    const outside = { ...failedPod(7), index: 6 };
    const { judge } = resize({ range: { end: 8 }, unjudged: [failedPod(1), outside] });
    expect(judge).toMatchObject({
      judgements: [
        { podNumber: 1, verdict: 'failed', countsToLimit: true },
        { podNumber: 7, verdict: 'ignored', countsToLimit: false },
      ],
      failuresInRow: 1,
    });
  });

  test('waits until all failed pods have their verdicts', () => {
    expect(resize({ range: { end: 8 }, counters: { unjudged: 1 } }).isUnjudged).toBe(true);
  });

  test('that was begun is ended, whatever the spec says now', () => {
    const spec = { parallelism: 9, completions: 9 };
    expect(resize({ spec, range: { end: 8, cut: 3 } })).toMatchObject({ from: 3, completions: 9 });
    const back = { parallelism: 8, completions: 8 };
    expect(resize({ spec: back, range: { end: 8, cut: 3 } })).toMatchObject({ from: 3 });
  });
});

describe('a larger number of completions', () => {
  test('leaves the gate as it is', () => {
    expect(resize({ range: { end: 3 }, gate: { limit: 3 } })).toMatchObject({
      judge: null,
      from: null,
      completions: 5,
    });
  });

  test('waits for pods of a former range that may not be replaced yet; the Job goes on', () => {
    expect(decideOn({ range: { end: 3, hasTail: true } }).type).toBe('converge');
  });
});

test('a Job whose end is fixed gets no further index, but loses some', () => {
  const met = {
    type: 'SuccessCriteriaMet',
    status: 'True',
    reason: 'CompletionsReached',
  } as const;
  const given = { status: { conditions: [met] }, counters: { terminating: 1 } };
  expect(decideOn({ ...given, range: { end: 3 } }).type).toBe('end');
  expect(decideOn({ ...given, range: { end: 8 } })).toMatchObject({ type: 'resize', from: 5 });
});

test('a pod that fails the Job is put on record before', () => {
  const rules = [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [3] } }] as const;
  const facts = {
    path: 'default/pod',
    containers: [{ name: 'main', exitCode: 3 }],
    conditions: [],
  };
  const unjudged = [{ ...failedPod(1), facts }];
  const spec = { failureRules: rules as unknown as FailureRule[], replacesEnded: true };
  expect(decideOn({ range: { end: 8 }, spec, unjudged }).type).toBe('end');
});

test('a Job that is finished, or of another controller, is left alone', () => {
  expect(decideOn({ finished: true, range: { end: 8 } }).type).toBe('rest');
  expect(decideOn({ spec: { isForeign: true }, range: { end: 8 } }).type).toBe('rest');
});
