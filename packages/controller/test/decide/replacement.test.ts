/** podReplacementPolicy: when a pod that was told to stop is replaced. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../src/decide/decide.ts';
import type { Decision } from '../../src/decide/types.ts';
import { failedPod, observed, T0, type Given } from './builders.ts';

type Converge = Extract<Decision, { type: 'converge' }>;
type End = Extract<Decision, { type: 'end' }>;

const SPEC = { parallelism: 3, completions: 10, replacesEnded: true };

function converge(given: Given): Converge {
  const decision = decide(observed({ ...given, spec: { ...SPEC, ...given.spec } }), T0);
  expect(decision.type).toBe('converge');
  return decision as Converge;
}

describe('podReplacementPolicy Failed', () => {
  test('a pod that is terminating keeps its place', () => {
    expect(converge({ counters: { active: 2, terminating: 1 } }).pods).toEqual({ type: 'keep' });
    expect(converge({ counters: { active: 1, terminating: 1 } }).pods).toEqual({
      type: 'open',
      count: 1,
    });
  });

  test('more terminating pods than places open nothing, and stop nothing', () => {
    expect(converge({ counters: { active: 1, terminating: 7 } }).pods).toEqual({ type: 'keep' });
  });

  test('they hold up no scale-down', () => {
    const given = { spec: { parallelism: 1 }, counters: { active: 3, terminating: 2 } };
    expect(converge(given).pods).toEqual({ type: 'stop', count: 2 });
  });

  test('is part of the gate, and a change of it is written', () => {
    const { judge } = converge({ gate: { replaceEnded: false }, counters: { active: 3 } });
    expect(judge?.gate).toMatchObject({ limit: 3, replaceEnded: true });
    expect(converge({ counters: { active: 3 } }).judge).toBeNull();
  });

  test('nothing is opened beyond the indexes that are free', () => {
    // As after a change to TerminatingOrFailed: indexes of pods that terminate come back when these ended.
    const given = { spec: { replacesEnded: false }, counters: { terminating: 3 } };
    const decision = converge({ ...given, startableCount: 1 });
    expect(decision.pods).toEqual({ type: 'open', count: 1 });
    expect(decision.next).toEqual({ type: 'resync' });
  });
});

describe('a Job that fails with podReplacementPolicy Failed', () => {
  const spec = { ...SPEC, backoffLimit: 0 };

  function end(given: Given): End {
    const decision = decide(observed({ spec, ...given }), T0);
    expect(decision.type).toBe('end');
    return decision as End;
  }

  test('also counts the pods that are terminating, once', () => {
    const counters = { terminating: 2 };
    const first = end({ counters, unjudged: [failedPod(1)] });
    expect(first).toMatchObject({ stopsPodsAs: 'failed', finish: null });
    const status = { conditions: first.standing.conditions };
    expect(end({ counters, status }).stopsPodsAs).toBeNull();
  });

  test('and a success does not', () => {
    const counters = { terminating: 2, succeeded: 10 };
    expect(end({ spec: SPEC, counters })).toMatchObject({ stopsPodsAs: null, finish: null });
  });

  test('those that were told before the policy changed, too', () => {
    const other = { ...spec, replacesEnded: false };
    const given = { spec: other, counters: { terminating: 2 }, unjudged: [failedPod(1)] };
    expect(end(given).stopsPodsAs).toBe('failed');
  });
});
