/** podFailurePolicy: which rule a failed pod matches, and what follows. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../src/decide/decide.ts';
import { matchFailureRule } from '../../src/decide/failurePolicy.ts';
import type { Decision, FailureRule, PodFacts, UnjudgedPod } from '../../src/decide/types.ts';
import { failedPod, lostPod, observed, SECOND, T0, type Given } from './builders.ts';

type Converge = Extract<Decision, { type: 'converge' }>;
type End = Extract<Decision, { type: 'end' }>;

function facts(over: Partial<PodFacts> = {}): PodFacts {
  return {
    path: 'default/pi-abcde',
    containers: [{ name: 'main', exitCode: 42 }],
    conditions: [{ type: 'Ready', status: 'False' }],
    ...over,
  };
}

function exits(exitCode: number, podNumber = 1): UnjudgedPod {
  return { ...failedPod(podNumber), facts: facts({ containers: [{ name: 'main', exitCode }] }) };
}

const DISRUPTED = facts({
  containers: [],
  conditions: [{ type: 'DisruptionTarget', status: 'True' }],
});

function onCodes(
  action: FailureRule['action'],
  values: number[],
  more: Partial<NonNullable<FailureRule['onExitCodes']>> = {},
): FailureRule {
  return { action, onExitCodes: { operator: 'In', values, ...more } };
}

function onDisruption(action: FailureRule['action']): FailureRule {
  return { action, onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] };
}

describe('matchFailureRule', () => {
  const cases: { name: string; rules: FailureRule[]; pod: PodFacts; want: string | null }[] = [
    {
      name: 'In: one of the codes',
      rules: [onCodes('FailJob', [1, 42])],
      pod: facts(),
      want: 'Container main for pod default/pi-abcde failed with exit code 42 matching FailJob rule at index 0',
    },
    { name: 'In: another code', rules: [onCodes('FailJob', [1, 41])], pod: facts(), want: null },
    {
      name: 'NotIn: a code that is not among them',
      rules: [onCodes('FailJob', [1], { operator: 'NotIn' })],
      pod: facts(),
      want: 'Container main for pod default/pi-abcde failed with exit code 42 matching FailJob rule at index 0',
    },
    {
      name: 'NotIn: one that is',
      rules: [onCodes('FailJob', [42], { operator: 'NotIn' })],
      pod: facts(),
      want: null,
    },
    {
      name: 'NotIn never matches a container that succeeded',
      rules: [onCodes('FailJob', [42], { operator: 'NotIn' })],
      pod: facts({ containers: [{ name: 'main', exitCode: 0 }] }),
      want: null,
    },
    {
      name: 'the first container that satisfies the operator is named',
      rules: [onCodes('FailJob', [5, 6])],
      pod: facts({
        containers: [
          { name: 'a', exitCode: 0 },
          { name: 'b', exitCode: 6 },
          { name: 'c', exitCode: 5 },
        ],
      }),
      want: 'Container b for pod default/pi-abcde failed with exit code 6 matching FailJob rule at index 0',
    },
    {
      name: 'of a certain container only',
      rules: [onCodes('FailJob', [5, 6], { containerName: 'c' })],
      pod: facts({
        containers: [
          { name: 'b', exitCode: 6 },
          { name: 'c', exitCode: 5 },
        ],
      }),
      want: 'Container c for pod default/pi-abcde failed with exit code 5 matching FailJob rule at index 0',
    },
    {
      name: 'of a certain container, which did not fail so',
      rules: [onCodes('FailJob', [6], { containerName: 'c' })],
      pod: facts({
        containers: [
          { name: 'b', exitCode: 6 },
          { name: 'c', exitCode: 5 },
        ],
      }),
      want: null,
    },
    {
      name: 'a condition of type and status',
      rules: [onDisruption('FailJob')],
      pod: DISRUPTED,
      want: 'Pod default/pi-abcde has condition DisruptionTarget matching FailJob rule at index 0',
    },
    {
      name: 'a condition of another status',
      rules: [
        { action: 'FailJob', onPodConditions: [{ type: 'DisruptionTarget', status: 'False' }] },
      ],
      pod: DISRUPTED,
      want: null,
    },
    {
      name: 'any of several conditions',
      rules: [
        {
          action: 'FailJob',
          onPodConditions: [
            { type: 'Other', status: 'True' },
            { type: 'DisruptionTarget', status: 'True' },
          ],
        },
      ],
      pod: DISRUPTED,
      want: 'Pod default/pi-abcde has condition DisruptionTarget matching FailJob rule at index 0',
    },
    {
      name: 'the first rule that matches decides',
      rules: [onCodes('Ignore', [1]), onCodes('FailIndex', [42]), onCodes('FailJob', [42])],
      pod: facts(),
      want: 'Container main for pod default/pi-abcde failed with exit code 42 matching FailIndex rule at index 1',
    },
    { name: 'no rules', rules: [], pod: facts(), want: null },
  ];

  test.each(cases)('$name', ({ rules, pod, want }) => {
    expect(matchFailureRule(rules, { facts: pod })?.text ?? null).toBe(want);
  });

  test('without a policy nothing is looked at', () => {
    expect(matchFailureRule(null, { facts: facts() })).toBeNull();
    expect(matchFailureRule([onCodes('Ignore', [42])], {})).toBeNull();
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

const SPEC = { parallelism: 2, completions: 9, replacesEnded: true };
const verdict = (rules: FailureRule[], pod: UnjudgedPod, more: Given['spec'] = {}) =>
  converge({ spec: { ...SPEC, failureRules: rules, ...more }, unjudged: [pod] }).judge
    ?.judgements[0];

describe('a failed pod that matches a rule', () => {
  test('Ignore: it is not counted, its index is tried again, and the next pod waits', () => {
    const spec = { ...SPEC, failureRules: [onCodes('Ignore', [42])], backoffLimit: 0 };
    const decision = converge({ spec, unjudged: [exits(42)] });
    expect(decision.judge).toMatchObject({
      judgements: [{ podNumber: 1, index: 0, verdict: 'ignored', countsToLimit: false }],
      failuresInRow: 1,
      gate: { notBeforeMs: T0 + 10 * SECOND },
    });
    expect(decision.figures.failed).toBe(0);
    expect(decision.pods).toEqual({ type: 'keep' });
  });

  test('Count: it counts, as without a match', () => {
    const rules = [onCodes('Count', [42]), onCodes('FailJob', [1], { operator: 'NotIn' })];
    expect(verdict(rules, exits(42))).toEqual(verdict([], exits(42)));
  });

  test('FailJob: the Job fails with a message that says why, whatever backoffLimit allows', () => {
    const spec = { ...SPEC, failureRules: [onCodes('FailJob', [42])], backoffLimit: 100 };
    const decision = end({ spec, unjudged: [exits(42)], counters: { active: 1 } });
    expect(decision.standing.conditions).toMatchObject([
      {
        type: 'FailureTarget',
        reason: 'PodFailurePolicy',
        message:
          'Container main for pod default/pi-abcde failed with exit code 42 matching FailJob rule at index 0',
      },
    ]);
    expect(decision.stopsPodsAs).toBe('failed');
    // The pod keeps waiting for its verdict: until the end is on record only it says why.
    expect(decision).toMatchObject({ judge: { judgements: [], gate: { limit: 0 } }, finish: null });
    const { conditions } = decision.standing;
    const later = end({ spec, unjudged: [exits(42)], status: { conditions } });
    expect(later).toMatchObject({ judge: { judgements: [{ verdict: 'failed' }] } });
    expect(later).toMatchObject({ finish: 'Failed', figures: { failed: 1 } });
  });

  test('FailJob comes before backoffLimit, deadline and success', () => {
    const decision = end(
      {
        spec: {
          ...SPEC,
          failureRules: [onCodes('FailJob', [42])],
          backoffLimit: 0,
          activeDeadlineSeconds: 1,
        },
        counters: { succeeded: 9 },
        unjudged: [exits(42)],
      },
      T0 + 9 * SECOND,
    );
    expect(decision.standing.conditions[0]?.reason).toBe('PodFailurePolicy');
  });

  test('FailJob of several pods: the first of them is named', () => {
    const pods = [exits(2, 7), exits(1, 3), exits(9, 1)];
    const spec = { ...SPEC, failureRules: [onCodes('FailJob', [1, 2])] };
    const { message } = end({ spec, unjudged: pods }).standing.conditions[0]!;
    expect(message).toContain('exit code 1 ');
  });

  test('FailIndex: its index fails at once, and the others go on', () => {
    const spec = { indexed: true, backoffLimitPerIndex: 5 };
    expect(verdict([onCodes('FailIndex', [42])], exits(42), spec)).toEqual({
      podNumber: 1,
      index: 0,
      verdict: 'indexFailed',
      countsToLimit: true,
    });
  });

  test('Ignore with a limit for each index: counted apart, and part of its delay', () => {
    const pod = { ...exits(42), failures: { counted: 1, ignored: 1 } };
    const spec = { indexed: true, backoffLimitPerIndex: 1 };
    expect(verdict([onCodes('Ignore', [42])], pod, spec)).toEqual({
      podNumber: 1,
      index: 0,
      verdict: 'ignored',
      countsToLimit: false,
      failures: { counted: 1, ignored: 2 },
      retryAtMs: T0 + 40 * SECOND,
    });
  });
});

describe('a lost pod that matches a rule', () => {
  const lost = (losses: number): UnjudgedPod => ({ ...lostPod(1, losses), facts: DISRUPTED });

  test('Ignore: not counted, and replaced at once', () => {
    const spec = { ...SPEC, failureRules: [onDisruption('Ignore')] };
    const decision = converge({ spec, unjudged: [lost(1)] });
    expect(decision.judge).toMatchObject({
      judgements: [{ verdict: 'ignored', countsToLimit: false }],
      failuresInRow: 0,
      gate: { notBeforeMs: 0 },
    });
    expect(decision.pods).toEqual({ type: 'open', count: 2 });
  });

  test('Ignore, the third time in a row: the next pod waits', () => {
    const spec = { ...SPEC, failureRules: [onDisruption('Ignore')] };
    const { judge } = converge({ spec, unjudged: [lost(3)] });
    expect(judge).toMatchObject({ judgements: [{ verdict: 'ignored' }], failuresInRow: 1 });
  });

  test('Ignore comes before backoffLimit 0, which counts every loss', () => {
    const found = verdict([onDisruption('Ignore')], lost(1), { backoffLimit: 0 });
    expect(found).toMatchObject({ verdict: 'ignored', countsToLimit: false });
  });

  test('Count: an ordinary failure from the first time on', () => {
    expect(verdict([onDisruption('Count')], lost(1))).toMatchObject({ countsToLimit: true });
    expect(verdict([onCodes('Count', [1])], lost(1))).toMatchObject({ countsToLimit: false });
  });

  test('FailJob: the Job fails', () => {
    const spec = { ...SPEC, failureRules: [onDisruption('FailJob')] };
    expect(end({ spec, unjudged: [lost(1)] }).standing.conditions[0]?.message).toBe(
      'Pod default/pi-abcde has condition DisruptionTarget matching FailJob rule at index 0',
    );
  });
});
