/** successPolicy: when a Job is complete though not every index has succeeded. */
import { parseIndexIntervals } from '@drover/shared';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide } from '../../src/decide/decide.ts';
import { findEarlySuccess, lastIndexNeeded } from '../../src/decide/successPolicy.ts';
import type { Decision, SuccessRule } from '../../src/decide/types.ts';
import { failedPod, observed, SECOND, T0, type Given } from './builders.ts';

type Converge = Extract<Decision, { type: 'converge' }>;
type End = Extract<Decision, { type: 'end' }>;

/** Bits of the indexes that a text names. */
function bits(text: string): Uint8Array {
  const bitmap = new Uint8Array(8);
  for (const { first, last } of parseIndexIntervals(text, 64)) {
    for (let index = first; index <= last; index++) bitmap[index >> 3]! |= 0x80 >> (index & 7);
  }
  return bitmap;
}

function rule(indexes: string | null, count?: number): SuccessRule {
  if (indexes === null) return { indexes, count: count ?? 0 };
  const intervals = parseIndexIntervals(indexes, 64);
  const all = intervals.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  return { indexes: intervals, count: count ?? all };
}

/** The number of the rule that is met; null = none. */
function metBy(rules: SuccessRule[], done: string): number | null {
  const succeeded = parseIndexIntervals(done, 64).reduce(
    (n, { first, last }) => n + last - first + 1,
    0,
  );
  const message = findEarlySuccess(rules, succeeded, bits(done))?.message;
  return message === undefined ? null : Number(message.replace('Matched rules at index ', ''));
}

describe('findEarlySuccess', () => {
  const cases: { name: string; rules: SuccessRule[]; done: string; want: number | null }[] = [
    { name: 'indexes alone: all of them', rules: [rule('0,2-3')], done: '0,2-3', want: 0 },
    { name: 'and others beside', rules: [rule('0,2-3')], done: '0-9', want: 0 },
    { name: 'but one of them', rules: [rule('0,2-3')], done: '0-2,4-9', want: null },
    { name: 'count alone: as many', rules: [rule(null, 2)], done: '5,9', want: 0 },
    { name: 'but one', rules: [rule(null, 2)], done: '5', want: null },
    { name: 'both: as many of those indexes', rules: [rule('1-4', 2)], done: '0,2,4', want: 0 },
    { name: 'others do not count', rules: [rule('1-4', 2)], done: '0,2,5-9', want: null },
    { name: 'the first rule that is met', rules: [rule('0'), rule(null, 1)], done: '3', want: 1 },
    { name: 'of two that are', rules: [rule(null, 1), rule('3')], done: '3', want: 0 },
    { name: 'nothing before the first success', rules: [rule(null, 0)], done: '', want: null },
    { name: 'a count of 0 with the first success', rules: [rule(null, 0)], done: '7', want: 0 },
    { name: 'no indexes at all with the first success', rules: [rule('')], done: '7', want: 0 },
    { name: 'no policy', rules: [], done: '0-9', want: null },
  ];

  test.each(cases)('$name', ({ rules, done, want }) => {
    expect(metBy(rules, done)).toBe(want);
  });

  test('counts what is in both, whatever the intervals', () => {
    const indexes = fc.uniqueArray(fc.nat(63), { minLength: 1 });
    fc.assert(
      fc.property(indexes, indexes, fc.nat(64), (wanted, done, count) => {
        const both = wanted.filter((index) => done.includes(index)).length;
        const met = metBy([rule(wanted.toSorted((a, b) => a - b).join(), count)], done.join());
        expect(met).toBe(both >= count ? 0 : null);
      }),
    );
  });

  test('asks for no more bits than it needs', () => {
    expect(lastIndexNeeded([rule('0-2'), rule('40', 1), rule(null, 1)], 0)).toBe(-1);
    expect(lastIndexNeeded([rule('0-2'), rule('40', 1), rule(null, 1)], 1)).toBe(40);
    expect(lastIndexNeeded([rule('0-2'), rule('3,9')], 2)).toBe(9);
    expect(lastIndexNeeded([rule(null, 1)], 5)).toBe(-1);
  });
});

function converge(given: Given, nowMs = T0): Converge {
  const decision = decide(observed(given), nowMs);
  expect(decision.type).toBe('converge');
  return decision as Converge;
}

function end(given: Given, nowMs = T0): End {
  const decision = decide(observed(given), nowMs);
  expect(decision.type).toBe('end');
  return decision as End;
}

const SPEC = { indexed: true, parallelism: 3, completions: 9, successRules: [rule('2')] };

describe('a Job with a successPolicy', () => {
  const met: Given = { spec: SPEC, counters: { succeeded: 1, active: 3 }, done: bits('2') };

  test('is complete when a rule is met: what runs is stopped and not counted', () => {
    const decision = end(met);
    expect(decision).toMatchObject({ stopsPodsAs: 'uncounted', finish: null });
    expect(decision.standing.conditions).toMatchObject([
      {
        type: 'SuccessCriteriaMet',
        reason: 'SuccessPolicy',
        message: 'Matched rules at index 0',
      },
    ]);
  });

  test('ends with fewer successes than completions', () => {
    const decision = end({ ...met, counters: { succeeded: 1 } });
    expect(decision.finish).toBe('CompleteEarly');
    expect(decision.standing).toMatchObject({
      completionTimeMs: T0,
      conditions: [
        { type: 'SuccessCriteriaMet' },
        { type: 'Complete', reason: 'SuccessPolicy', message: 'Matched rules at index 0' },
      ],
    });
  });

  test('goes on when none is', () => {
    const decision = converge({ ...met, done: bits('1') });
    expect(decision.judge).toBeNull();
    expect(decision.pods).toEqual({ type: 'keep' });
  });

  test('is looked at with each success', () => {
    const { judge } = converge({ spec: SPEC, gate: { lookAtSuccesses: false } });
    expect(judge?.gate.lookAtSuccesses).toBe(true);
  });

  test('the policy comes before completions, when both are met', () => {
    const decision = end({ ...met, counters: { succeeded: 9 }, done: bits('0-8') });
    expect(decision.standing.conditions[0]?.reason).toBe('SuccessPolicy');
  });

  test('all completions without a rule that is met complete it as any other', () => {
    const spec = { ...SPEC, successRules: [rule('60')] };
    const decision = end({ spec, counters: { succeeded: 9 }, done: bits('0-8') });
    expect(decision.standing.conditions[0]?.reason).toBe('CompletionsReached');
    expect(decision.finish).toBe('Complete');
  });

  test('a failure that is seen in the same look comes first', () => {
    const failing = { ...met, spec: { ...SPEC, backoffLimit: 0 }, unjudged: [failedPod(1)] };
    expect(end(failing).standing.conditions[0]?.reason).toBe('BackoffLimitExceeded');
    const late = { ...met, spec: { ...SPEC, activeDeadlineSeconds: 1 } };
    expect(end(late, T0 + SECOND).standing.conditions[0]?.reason).toBe('DeadlineExceeded');
    const spec = { ...SPEC, backoffLimitPerIndex: 0, maxFailedIndexes: 0 };
    expect(end({ ...met, spec, indexes: { failedCount: 1 } }).standing.conditions[0]?.reason).toBe(
      'MaxFailedIndexesExceeded',
    );
  });

  test('waits for pods that are not judged: one of them may fail the Job', () => {
    expect(converge({ ...met, counters: { succeeded: 1, active: 3, unjudged: 1 } }).next).toEqual({
      type: 'at',
      atMs: T0,
    });
  });

  test('is complete while it is suspended, too', () => {
    expect(end({ ...met, spec: { ...SPEC, suspended: true } }).finish).toBeNull();
  });
});
