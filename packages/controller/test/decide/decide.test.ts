import { describe, expect, test } from 'vitest';
import { decide } from '../../src/decide/decide.ts';
import type { Decision, Observed, PodChange } from '../../src/decide/types.ts';
import { MAX_OPENS_PER_PASS } from '../../src/decide/wanted.ts';
import { failedPod, lostPod, observed, SECOND, T0, type Given } from './builders.ts';

type Converge = Extract<Decision, { type: 'converge' }>;
type End = Extract<Decision, { type: 'end' }>;

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

function conditionTypes(decision: { standing: { conditions: readonly { type: string }[] } }) {
  return decision.standing.conditions.map((condition) => condition.type);
}

const interim = (type: 'SuccessCriteriaMet' | 'FailureTarget', reason: string) => ({
  type,
  status: 'True' as const,
  reason,
  message: 'as written before',
  lastProbeTime: '2026-01-15T11:00:00Z',
  lastTransitionTime: '2026-01-15T11:00:00Z',
});

describe('how many pods a Job gets', () => {
  const cases: { name: string; given: Given; want: Converge['pods'] }[] = [
    {
      name: 'one pod for a Job of one completion',
      given: {},
      want: { type: 'open', count: 1 },
    },
    {
      name: 'as many as parallelism',
      given: { spec: { parallelism: 3, completions: 10 } },
      want: { type: 'open', count: 3 },
    },
    {
      name: 'never more than completions that remain',
      given: { spec: { parallelism: 5, completions: 10 }, counters: { succeeded: 8 } },
      want: { type: 'open', count: 2 },
    },
    {
      name: 'none when the remaining completions are running',
      given: { spec: { parallelism: 5, completions: 10 }, counters: { succeeded: 8, active: 2 } },
      want: { type: 'keep' },
    },
    {
      name: 'none while parallelism is 0',
      given: { spec: { parallelism: 0, completions: 10 } },
      want: { type: 'keep' },
    },
    {
      name: 'all active pods stop when parallelism falls to 0',
      given: { spec: { parallelism: 0, completions: 10 }, counters: { active: 3 } },
      want: { type: 'stop', count: 3 },
    },
    {
      name: 'the surplus stops when parallelism falls',
      given: { spec: { parallelism: 2, completions: 10 }, counters: { active: 5 } },
      want: { type: 'stop', count: 3 },
    },
    {
      name: 'the difference opens when parallelism rises',
      given: { spec: { parallelism: 7, completions: 10 }, counters: { active: 5 } },
      want: { type: 'open', count: 2 },
    },
    {
      name: 'a pod that is terminating does not hold up its replacement',
      given: {
        spec: { parallelism: 2, completions: 10 },
        counters: { active: 1, terminating: 1 },
      },
      want: { type: 'open', count: 1 },
    },
    {
      name: 'a work queue gets parallelism pods before its first success',
      given: { spec: { parallelism: 4, completions: null } },
      want: { type: 'open', count: 4 },
    },
    {
      name: 'a work queue gets no pod after its first success',
      given: {
        spec: { parallelism: 4, completions: null },
        counters: { active: 2, succeeded: 1 },
      },
      want: { type: 'keep' },
    },
    {
      name: 'a work queue loses no pod after its first success, whatever parallelism says',
      given: {
        spec: { parallelism: 0, completions: null },
        counters: { active: 2, succeeded: 1 },
      },
      want: { type: 'keep' },
    },
    {
      name: 'a work queue is scaled down before its first success',
      given: { spec: { parallelism: 1, completions: null }, counters: { active: 4 } },
      want: { type: 'stop', count: 3 },
    },
    {
      name: 'exactly the cap in one pass',
      given: { spec: { parallelism: MAX_OPENS_PER_PASS, completions: 9999 } },
      want: { type: 'open', count: MAX_OPENS_PER_PASS },
    },
    {
      name: 'no more than the cap in one pass',
      given: { spec: { parallelism: MAX_OPENS_PER_PASS + 1, completions: 9999 } },
      want: { type: 'open', count: MAX_OPENS_PER_PASS },
    },
  ];

  test.each(cases)('$name', ({ given, want }) => {
    expect(converge(given).pods).toEqual(want);
  });

  test('a pass that opened as many as it may looks again at once', () => {
    const parallelism = MAX_OPENS_PER_PASS + 1;
    expect(converge({ spec: { parallelism, completions: 9999 } }).next).toEqual({
      type: 'at',
      atMs: T0,
    });
    expect(converge({ spec: { parallelism: MAX_OPENS_PER_PASS, completions: 9999 } }).next).toEqual(
      { type: 'resync' },
    );
  });
});

describe('the gate', () => {
  test('opens to parallelism when the Job is new', () => {
    const { judge } = converge({
      spec: { parallelism: 3, completions: 10 },
      gate: { limit: 0 },
      status: { startTimeMs: null },
    });
    expect(judge).toEqual({
      judgements: [],
      gate: { limit: 3, notBeforeMs: 0, deadlineMs: 0, holdOnFailure: true },
      failuresInRow: 0,
      lastFailureMs: 0,
    });
  });

  test('is not written when it is as it should be', () => {
    expect(converge({ spec: { parallelism: 3, completions: 10 } }).judge).toBeNull();
  });

  test('closes after the first success of a work queue', () => {
    const given = { spec: { parallelism: 3, completions: null } };
    expect(converge(given).judge).toBeNull();
    const { judge } = converge({ ...given, counters: { succeeded: 1, active: 2 } });
    expect(judge?.gate.limit).toBe(0);
  });

  test('carries the deadline to the millisecond', () => {
    const { judge } = converge(
      { spec: { activeDeadlineSeconds: 30 }, status: { startTimeMs: null } },
      T0 + 678,
    );
    expect(judge?.gate.deadlineMs).toBe(T0 + 30 * SECOND + 678);
  });
});

describe('backoffLimit', () => {
  const failures = (count: number) =>
    Array.from({ length: count }, (_, i) => failedPod(i + 1, T0 - SECOND));

  const cases: { name: string; given: Given; exceeded: boolean }[] = [
    {
      name: 'as many failed pods as the limit are tolerated',
      given: { spec: { backoffLimit: 2 }, unjudged: failures(2) },
      exceeded: false,
    },
    {
      name: 'one failed pod more than the limit is too much',
      given: { spec: { backoffLimit: 2 }, unjudged: failures(3) },
      exceeded: true,
    },
    {
      name: 'earlier failures and new ones are added',
      given: { spec: { backoffLimit: 2 }, counters: { limitFailures: 2 }, unjudged: failures(1) },
      exceeded: true,
    },
    {
      name: 'limit 0: no failure is fine',
      given: { spec: { backoffLimit: 0 } },
      exceeded: false,
    },
    {
      name: 'limit 0: the first failure is too much',
      given: { spec: { backoffLimit: 0 }, unjudged: failures(1) },
      exceeded: true,
    },
    {
      name: 'restarts do not count with restartPolicy Never',
      given: { spec: { backoffLimit: 1 }, counters: { active: 1, restarts: 9 } },
      exceeded: false,
    },
    {
      name: 'OnFailure: fewer restarts than the limit are tolerated',
      given: {
        spec: { backoffLimit: 3, restartsContainers: true },
        counters: { active: 1, restarts: 2 },
      },
      exceeded: false,
    },
    {
      name: 'OnFailure: as many restarts as the limit are too much',
      given: {
        spec: { backoffLimit: 3, restartsContainers: true },
        counters: { active: 1, restarts: 3 },
      },
      exceeded: true,
    },
    {
      name: 'OnFailure with limit 0: no restart is fine',
      given: { spec: { backoffLimit: 0, restartsContainers: true }, counters: { active: 1 } },
      exceeded: false,
    },
    {
      name: 'OnFailure with limit 0: the first restart is too much',
      given: {
        spec: { backoffLimit: 0, restartsContainers: true },
        counters: { active: 1, restarts: 1 },
      },
      exceeded: true,
    },
    {
      name: 'OnFailure: failed pods count as with Never',
      given: { spec: { backoffLimit: 2, restartsContainers: true }, unjudged: failures(3) },
      exceeded: true,
    },
  ];

  test.each(cases)('$name', ({ given, exceeded }) => {
    const decision = decide(observed(given), T0);
    expect(decision.type).toBe(exceeded ? 'end' : 'converge');
    if (decision.type !== 'end') return;
    expect(decision.standing.conditions[0]).toMatchObject({
      type: 'FailureTarget',
      status: 'True',
      reason: 'BackoffLimitExceeded',
      message: 'Job has reached the specified backoff limit',
    });
  });

  test('pods that run when the limit is exceeded are stopped and counted failed', () => {
    const decision = end({
      spec: { backoffLimit: 0, parallelism: 3, completions: 3 },
      counters: { active: 2 },
      unjudged: failures(1),
    });
    expect(decision.stopsPodsAs).toBe('failed');
    expect(decision.finish).toBeNull();
    expect(decision.judge?.gate.limit).toBe(0);
    expect(conditionTypes(decision)).toEqual(['FailureTarget']);
  });

  test('both conditions come in one pass when nothing runs', () => {
    const decision = end({ spec: { backoffLimit: 0 }, unjudged: failures(1) });
    expect(decision.finish).toBe('Failed');
    expect(decision.stopsPodsAs).toBeNull();
    expect(conditionTypes(decision)).toEqual(['FailureTarget', 'Failed']);
    expect(decision.standing.conditions[1]).toMatchObject({
      reason: 'BackoffLimitExceeded',
      message: 'Job has reached the specified backoff limit',
      lastTransitionTime: '2026-01-15T12:00:00Z',
      lastProbeTime: '2026-01-15T12:00:00Z',
    });
    expect(decision.standing.completionTimeMs).toBeNull();
    expect(decision.figures.failed).toBe(1);
    expect(decision.next).toEqual({ type: 'never' });
  });

  test('a failure beats a success that is seen in the same look', () => {
    const decision = end({
      spec: { backoffLimit: 0, parallelism: 2, completions: 1 },
      counters: { succeeded: 1 },
      unjudged: failures(1),
    });
    expect(conditionTypes(decision)).toEqual(['FailureTarget', 'Failed']);
  });
});

describe('lost pods', () => {
  const verdicts = (given: Given) => converge(given, T0).judge?.judgements;

  test('the second loss in a row of an index does not count to the limit', () => {
    expect(verdicts({ unjudged: [lostPod(1, 2)] })).toEqual([
      { podNumber: 1, index: 0, verdict: 'failed', countsToLimit: false },
    ]);
  });

  test('the third loss in a row of an index counts to the limit', () => {
    expect(verdicts({ unjudged: [lostPod(1, 3)] })).toEqual([
      { podNumber: 1, index: 0, verdict: 'failed', countsToLimit: true },
    ]);
  });

  test.each(['NodeLost', 'Drained', 'RolledBack'])('%s counts as a loss', (reason) => {
    const unjudged = [{ ...lostPod(1, 1), reason }];
    expect(verdicts({ unjudged })?.[0]?.countsToLimit).toBe(false);
  });

  test.each(['Error', 'StartError', 'DeadlineExceeded', 'OOMKilled', 'Deleted'])(
    '%s counts to the limit at once',
    (reason) => {
      const unjudged = [failedPod(1, T0, reason)];
      expect(verdicts({ unjudged })?.[0]?.countsToLimit).toBe(true);
    },
  );

  test('are counted failed, and replaced at once', () => {
    const decision = converge({ unjudged: [lostPod(1, 1)] });
    expect(decision.pods).toEqual({ type: 'open', count: 1 });
    expect(decision.figures.failed).toBe(1);
    expect(decision.judge).toMatchObject({ failuresInRow: 0, gate: { notBeforeMs: 0 } });
  });

  test('the third loss in a row waits like an ordinary failure', () => {
    const decision = converge({ unjudged: [lostPod(1, 3)] });
    expect(decision.pods).toEqual({ type: 'keep' });
    expect(decision.next).toEqual({ type: 'at', atMs: T0 + 10 * SECOND });
  });

  test('backoffLimit 0 counts every loss', () => {
    const decision = end({ spec: { backoffLimit: 0 }, unjudged: [lostPod(1, 1)] });
    expect(decision.judge?.judgements[0]?.countsToLimit).toBe(true);
    expect(decision.finish).toBe('Failed');
  });
});

describe('back-off', () => {
  test('a failed pod is replaced after 10 s, and not a millisecond sooner', () => {
    const given = { counters: { failuresInRow: 1, lastFailureMs: T0 } };
    const before = converge(given, T0 + 10 * SECOND - 1);
    expect(before.pods).toEqual({ type: 'keep' });
    expect(before.next).toEqual({ type: 'at', atMs: T0 + 10 * SECOND });
    expect(converge(given, T0 + 10 * SECOND).pods).toEqual({ type: 'open', count: 1 });
  });

  test('failures of one look are all added', () => {
    const decision = converge({
      spec: { parallelism: 4, completions: 4 },
      unjudged: [1, 2, 3, 4].map((podNumber) => failedPod(podNumber, T0 - podNumber)),
    });
    expect(decision.judge).toMatchObject({ failuresInRow: 4, lastFailureMs: T0 - 1 });
    expect(decision.next).toEqual({ type: 'at', atMs: T0 - 1 + 80 * SECOND });
  });

  test('a success since the last failure ends the wait', () => {
    const decision = converge({
      spec: { parallelism: 2, completions: 4 },
      gate: { notBeforeMs: T0 + 40 * SECOND },
      counters: { failuresInRow: 3, lastFailureMs: T0, lastSuccessMs: T0 + 1, succeeded: 1 },
    });
    expect(decision.judge).toMatchObject({ failuresInRow: 0, gate: { notBeforeMs: 0 } });
    expect(decision.pods).toEqual({ type: 'open', count: 2 });
  });

  test('a success before the last failure ends nothing', () => {
    const given = {
      gate: { notBeforeMs: T0 + 40 * SECOND },
      spec: { parallelism: 2, completions: 4 },
      counters: { failuresInRow: 3, lastFailureMs: T0, lastSuccessMs: T0 - 1, succeeded: 1 },
    };
    expect(converge(given, T0 + SECOND).pods).toEqual({ type: 'keep' });
    expect(converge(given, T0 + SECOND).judge).toBeNull();
  });

  test('a pod that its user deleted is counted, and replaced at once', () => {
    const decision = converge({ unjudged: [failedPod(1, T0, 'Deleted')] });
    expect(decision.judge?.judgements).toEqual([
      { podNumber: 1, index: 0, verdict: 'failed', countsToLimit: true },
    ]);
    expect(decision.pods).toEqual({ type: 'open', count: 1 });
  });

  test('pods that wait do not hold up a Job that has all it wants', () => {
    const decision = converge({
      spec: { parallelism: 1, completions: 2 },
      counters: { active: 1, failuresInRow: 1, lastFailureMs: T0 },
    });
    expect(decision.next).toEqual({ type: 'resync' });
  });

  test('other values for base and cap are obeyed', () => {
    const given = observed({ counters: { failuresInRow: 5, lastFailureMs: T0 } });
    expect(decide(given, T0, { baseMs: 10, capMs: 50 })).toMatchObject({
      next: { type: 'at', atMs: T0 + 50 },
    });
  });
});

describe('activeDeadlineSeconds', () => {
  const spec = { activeDeadlineSeconds: 30, parallelism: 2, completions: 5 };

  test('wakes exactly at the deadline', () => {
    expect(converge({ spec, counters: { active: 2 } }, T0 + SECOND).next).toEqual({
      type: 'at',
      atMs: T0 + 30 * SECOND,
    });
  });

  test('a millisecond before the deadline the Job goes on', () => {
    converge({ spec }, T0 + 30 * SECOND - 1);
  });

  test('at the deadline the Job fails, and its pods are counted failed', () => {
    const decision = end({ spec, counters: { active: 2 } }, T0 + 30 * SECOND);
    expect(decision.standing.conditions[0]).toMatchObject({
      type: 'FailureTarget',
      reason: 'DeadlineExceeded',
      message: 'Job was active longer than specified deadline',
    });
    expect(decision.stopsPodsAs).toBe('failed');
  });

  test('the earlier of back-off and deadline wakes', () => {
    const failing = { counters: { failuresInRow: 3, lastFailureMs: T0 } };
    expect(converge({ spec, ...failing }, T0 + SECOND).next).toMatchObject({
      atMs: T0 + 30 * SECOND,
    });
    const later = { ...spec, activeDeadlineSeconds: 50 };
    expect(converge({ spec: later, ...failing }, T0 + SECOND).next).toMatchObject({
      atMs: T0 + 40 * SECOND,
    });
  });

  test('runs on while parallelism is 0, and wants no pod to have started', () => {
    const paused = { ...spec, parallelism: 0 };
    expect(converge({ spec: paused }, T0).next).toMatchObject({ atMs: T0 + 30 * SECOND });
    expect(end({ spec: paused }, T0 + 30 * SECOND).finish).toBe('Failed');
  });

  test('0 fails the Job before it starts a pod', () => {
    const decision = end({
      spec: { activeDeadlineSeconds: 0 },
      status: { startTimeMs: null },
    });
    expect(decision.finish).toBe('Failed');
    expect(decision.standing.startTimeMs).toBe(T0);
  });

  test('when both limits are reached in one look, the reason is BackoffLimitExceeded', () => {
    const decision = end(
      { spec: { ...spec, backoffLimit: 0 }, unjudged: [failedPod(1)] },
      T0 + 30 * SECOND,
    );
    expect(decision.standing.conditions[0]).toMatchObject({ reason: 'BackoffLimitExceeded' });
  });

  test('beats completions that were reached in the same look', () => {
    const decision = end({ spec, counters: { succeeded: 5 } }, T0 + 30 * SECOND);
    expect(decision.finish).toBe('Failed');
  });

  test('keeps the fraction of a second with which the Job started', () => {
    const gate = { deadlineMs: T0 + 30 * SECOND + 678 };
    converge({ spec, gate }, T0 + 30 * SECOND + 677);
    end({ spec, gate }, T0 + 30 * SECOND + 678);
  });

  test('a changed duration counts from startTime, and at once', () => {
    const gate = { deadlineMs: T0 + 30 * SECOND + 678 };
    const shorter = { ...spec, activeDeadlineSeconds: 10 };
    expect(converge({ spec: shorter, gate }, T0).next).toMatchObject({ atMs: T0 + 10 * SECOND });
    end({ spec: shorter, gate }, T0 + 10 * SECOND);
    const removed = { ...spec, activeDeadlineSeconds: null };
    expect(converge({ spec: removed, gate }, T0 + 40 * SECOND).judge?.gate.deadlineMs).toBe(0);
  });

  test('is not enforced while the Job is suspended', () => {
    const suspended = { ...spec, suspended: true };
    const decision = decide(observed({ spec: suspended }), T0 + 99 * SECOND);
    expect(decision).toMatchObject({ type: 'suspend', judge: { gate: { deadlineMs: 0 } } });
  });
});

describe('success', () => {
  test('completions reached and nothing running: both conditions in one pass', () => {
    const decision = end({
      spec: { parallelism: 2, completions: 3 },
      counters: { succeeded: 3 },
    });
    expect(decision.finish).toBe('Complete');
    expect(conditionTypes(decision)).toEqual(['SuccessCriteriaMet', 'Complete']);
    expect(decision.standing.conditions.map((one) => one.reason)).toEqual([
      'CompletionsReached',
      'CompletionsReached',
    ]);
    expect(decision.standing.completionTimeMs).toBe(T0);
    expect(decision.judge).toBeNull();
  });

  test('one success short of completions the Job goes on', () => {
    converge({ spec: { parallelism: 2, completions: 3 }, counters: { succeeded: 2 } });
  });

  test('waits for pods that are terminating', () => {
    const decision = end({ counters: { succeeded: 1, terminating: 1 } });
    expect(decision.finish).toBeNull();
    expect(decision.stopsPodsAs).toBeNull();
    expect(decision.standing.completionTimeMs).toBeNull();
    expect(conditionTypes(decision)).toEqual(['SuccessCriteriaMet']);
    expect(decision.next).toEqual({ type: 'resync' });
  });

  test('pods beyond completions are stopped and not counted', () => {
    expect(end({ counters: { succeeded: 1, active: 1 } }).stopsPodsAs).toBe('uncounted');
  });

  test('a Job of 0 completions completes without a pod', () => {
    const decision = end({ spec: { completions: 0 }, status: { startTimeMs: null } });
    expect(decision.finish).toBe('Complete');
    expect(decision.standing.startTimeMs).toBe(T0);
  });

  test('a work queue completes when all pods ended and at least one succeeded', () => {
    const spec = { parallelism: 3, completions: null };
    expect(end({ spec, counters: { succeeded: 1 } }).finish).toBe('Complete');
    converge({ spec, counters: { succeeded: 1, active: 1 } });
    converge({ spec, counters: { succeeded: 0 } });
  });

  test('a work queue whose other pods failed too often fails, although one succeeded', () => {
    const decision = end({
      spec: { parallelism: 3, completions: null, backoffLimit: 0 },
      counters: { succeeded: 1 },
      unjudged: [failedPod(2)],
    });
    expect(decision.finish).toBe('Failed');
  });

  test('is not declared while failed pods are left to judge', () => {
    const decision = converge({
      spec: { backoffLimit: 1000 },
      counters: { succeeded: 1, unjudged: 501 },
      unjudged: Array.from({ length: 500 }, (_, i) => failedPod(i + 1)),
    });
    expect(decision.next).toEqual({ type: 'at', atMs: T0 });
    expect(decision.pods).toEqual({ type: 'keep' });
  });
});

describe('an interim condition', () => {
  test('for success stands, whatever failed since', () => {
    const decision = end(
      {
        spec: { backoffLimit: 0, activeDeadlineSeconds: 1 },
        status: { conditions: [interim('SuccessCriteriaMet', 'CompletionsReached')] },
        counters: { succeeded: 1 },
        unjudged: [failedPod(9)],
      },
      T0 + 99 * SECOND,
    );
    expect(decision.finish).toBe('Complete');
    expect(decision.judge?.judgements).toHaveLength(1);
  });

  test('for failure stands, whatever succeeded since and whatever the spec says now', () => {
    const decision = end({
      spec: { completions: 1, backoffLimit: 99 },
      status: { conditions: [interim('FailureTarget', 'BackoffLimitExceeded')] },
      counters: { succeeded: 1 },
    });
    expect(decision.finish).toBe('Failed');
    expect(decision.standing.conditions[0]).toEqual(
      interim('FailureTarget', 'BackoffLimitExceeded'),
    );
    expect(decision.standing.conditions[1]).toMatchObject({
      type: 'Failed',
      reason: 'BackoffLimitExceeded',
      message: 'as written before',
    });
  });

  test('is followed by the stops that a crash prevented', () => {
    const conditions = [interim('FailureTarget', 'DeadlineExceeded')];
    expect(end({ status: { conditions }, counters: { active: 3 } }).stopsPodsAs).toBe('failed');
  });
});

describe('suspend', () => {
  test('a Job created suspended gets the condition and no startTime', () => {
    const decision = decide(
      observed({
        spec: { suspended: true },
        status: { startTimeMs: null },
        gate: { limit: 0 },
      }),
      T0,
    );
    expect(decision).toMatchObject({
      type: 'suspend',
      judge: null,
      stopsPods: false,
      standing: { startTimeMs: null },
      next: { type: 'never' },
    });
    expect((decision as { standing: unknown }).standing).toMatchObject({
      conditions: [
        { type: 'Suspended', status: 'True', reason: 'JobSuspended', message: 'Job suspended' },
      ],
    });
  });

  test('closes the gate and stops what runs', () => {
    const given = observed({ spec: { suspended: true, parallelism: 3 }, counters: { active: 2 } });
    expect(decide(given, T0)).toMatchObject({
      type: 'suspend',
      judge: { gate: { limit: 0 } },
      stopsPods: true,
      next: { type: 'resync' },
    });
  });

  test('forgets the back-off, so that a resumed Job starts at once', () => {
    const given = observed({
      spec: { suspended: true },
      counters: { failuresInRow: 4, lastFailureMs: T0 },
      gate: { limit: 0, notBeforeMs: T0 + 80 * SECOND },
    });
    expect(decide(given, T0)).toMatchObject({
      judge: { failuresInRow: 0, gate: { notBeforeMs: 0 } },
    });
  });

  test('a suspended Job that has what it wants completes', () => {
    const decision = end({
      spec: { suspended: true },
      status: { startTimeMs: null },
      counters: { succeeded: 1 },
      gate: { limit: 0 },
    });
    expect(decision.finish).toBe('Complete');
    expect(decision.standing.startTimeMs).toBe(T0);
  });

  test('a suspended Job that fails while pods of it terminate has no startTime until the end', () => {
    const given: Given = {
      spec: { suspended: true, backoffLimit: 0 },
      status: { startTimeMs: null },
      unjudged: [failedPod(1)],
    };
    const waits = end({ ...given, counters: { terminating: 1 } });
    expect(waits).toMatchObject({ finish: null, standing: { startTimeMs: null } });
    expect(end(given)).toMatchObject({ finish: 'Failed', standing: { startTimeMs: T0 } });
  });

  test('a suspended Job that failed too often fails', () => {
    expect(
      end({ spec: { suspended: true, backoffLimit: 0 }, unjudged: [failedPod(1)] }).finish,
    ).toBe('Failed');
  });

  test('resume: condition False, startTime now, pods at once', () => {
    const suspended = {
      ...interim('SuccessCriteriaMet', ''),
      type: 'Suspended' as const,
      reason: 'JobSuspended',
    };
    const decision = converge({ status: { startTimeMs: null, conditions: [suspended] } }, T0 + 500);
    expect(decision.standing.startTimeMs).toBe(T0 + 500);
    expect(decision.standing.conditions).toEqual([
      {
        type: 'Suspended',
        status: 'False',
        reason: 'JobResumed',
        message: 'Job resumed',
        lastProbeTime: '2026-01-15T12:00:00Z',
        lastTransitionTime: '2026-01-15T12:00:00Z',
      },
    ]);
    expect(decision.pods).toEqual({ type: 'open', count: 1 });
  });

  test('a Job that never was suspended has no such condition', () => {
    expect(converge({}).standing.conditions).toEqual([]);
  });
});

describe('a finished or deleted Job', () => {
  test('finished: nothing, whatever the counters say', () => {
    expect(decide(observed({ finished: true, counters: { active: 1 } }), T0)).toEqual({
      type: 'rest',
      next: { type: 'never' },
    });
  });

  test('deleted with active pods: they are stopped', () => {
    expect(decide(observed({ deleted: true, counters: { active: 1 } }), T0)).toEqual({
      type: 'clear',
    });
  });

  test('deleted without active pods: what is left is removed, finished or not', () => {
    expect(decide(observed({ deleted: true, finished: true }), T0)).toEqual({ type: 'purge' });
  });
});

describe('what is offered to workers', () => {
  const spec = { parallelism: 100, completions: 100 };
  const cases: { name: string; given: Given; want: number }[] = [
    { name: 'nothing when no worker fits', given: { spec, fittingLanes: 0 }, want: 0 },
    { name: 'the lanes and a tenth', given: { spec, fittingLanes: 50 }, want: 55 },
    { name: 'at least one more than a few lanes', given: { spec, fittingLanes: 1 }, want: 2 },
    {
      name: 'no more than there is room for, of pods that request resources',
      given: { spec, fittingLanes: 50, reserves: true },
      want: 50,
    },
    { name: 'all when the lanes suffice', given: { spec, fittingLanes: 100 }, want: 100 },
    {
      name: 'what a work queue still has to run',
      given: {
        spec: { parallelism: 10, completions: null },
        counters: { succeeded: 1, active: 4 },
      },
      want: 4,
    },
  ];
  test.each(cases)('$name', ({ given, want }) => {
    expect(converge(given).offerLimit).toBe(want);
  });

  test('others are asked to make room when pods wait and several Jobs share the queue', () => {
    expect(converge({ jobsOnQueue: 2, pendingCount: 1 }).contended).toBe(true);
    expect(converge({ jobsOnQueue: 1, pendingCount: 1 }).contended).toBe(false);
    expect(converge({ jobsOnQueue: 2, pendingCount: 0 }).contended).toBe(false);
  });
});

describe('deciding twice', () => {
  test('a Job at rest between changes asks for nothing but the next resync', () => {
    const settled: Observed = observed({
      spec: { parallelism: 2, completions: 9 },
      counters: { active: 2, running: 2, succeeded: 3 },
    });
    expect(decide(settled, T0)).toMatchObject({
      judge: null,
      pods: { type: 'keep' },
      next: { type: 'resync' },
    });
  });
});

describe('a held Job', () => {
  const spec = { parallelism: 5, completions: 10 };
  const cases: { name: string; given: Given; limit: number; pods: PodChange }[] = [
    {
      name: 'starts nothing and keeps what runs',
      given: { spec, held: true, counters: { active: 3, running: 3 } },
      limit: 0,
      pods: { type: 'keep' },
    },
    {
      name: 'takes back the pods that no worker has yet',
      given: { spec, held: true, counters: { active: 5, running: 3 }, pendingCount: 2 },
      limit: 0,
      pods: { type: 'stopPending' },
    },
    {
      name: 'is scaled down like any other',
      given: {
        spec: { parallelism: 2, completions: 10 },
        held: true,
        counters: { active: 5, running: 3 },
        pendingCount: 2,
      },
      limit: 0,
      pods: { type: 'stop', count: 3 },
    },
    {
      name: 'goes on when it is let go',
      given: { spec, counters: { active: 1, running: 1 }, gate: { limit: 0 } },
      limit: 5,
      pods: { type: 'open', count: 4 },
    },
  ];
  test.each(cases)('$name', ({ given, limit, pods }) => {
    const decision = converge(given);
    expect(decision.pods).toEqual(pods);
    expect(decision.judge?.gate.limit).toBe(limit);
  });

  test('is complete when enough succeeded', () => {
    const look = observed({ spec, held: true, counters: { succeeded: 10 } });
    expect(decide(look, T0)).toMatchObject({ type: 'end', finish: 'Complete' });
  });
});
