import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COMPLETIONS_REACHED, DEADLINE_EXCEEDED, SUSPENDED } from '../../src/decide/conditions.ts';
import { decide } from '../../src/decide/decide.ts';
import type { Decision, Observed, PodVerdict } from '../../src/decide/types.ts';
import { MAX_OPENS_PER_PASS } from '../../src/decide/wanted.ts';
import { T0 } from './builders.ts';

const count = (max: number) => fc.oneof(fc.nat(3), fc.nat(max));
const time = fc.integer({ min: T0, max: T0 + 100_000 });
const maybeTime = fc.oneof(fc.constant(0), time);

const condition = fc
  .constantFrom(COMPLETIONS_REACHED, DEADLINE_EXCEEDED, SUSPENDED)
  .map((text) => ({
    ...text,
    lastProbeTime: '2026-01-15T12:00:00Z',
    lastTransitionTime: '2026-01-15T12:00:00Z',
  }));

const rule = fc
  .record({
    action: fc.constantFrom(
      'Ignore' as const,
      'Count' as const,
      'FailIndex' as const,
      'FailJob' as const,
    ),
    operator: fc.constantFrom('In' as const, 'NotIn' as const),
    values: fc.uniqueArray(fc.nat(3), { minLength: 1, maxLength: 2 }),
    byCondition: fc.boolean(),
  })
  .map(({ action, operator, values, byCondition }) => ({
    action,
    ...(byCondition
      ? { onPodConditions: [{ type: 'DisruptionTarget', status: 'True' as const }] }
      : { onExitCodes: { operator, values } }),
  }));

const successRule = fc.record({
  indexes: fc.option(fc.constant([{ first: 1, last: 2 }])),
  count: fc.nat(4),
});

const facts = fc.record({
  path: fc.constant('default/pod'),
  containers: fc.array(fc.record({ name: fc.constant('main'), exitCode: fc.nat(3) }), {
    maxLength: 2,
  }),
  conditions: fc.subarray([{ type: 'DisruptionTarget', status: 'True' }]),
});

/** Any look at a Job, sensible or not: the rules must hold all the same. */
const looks: fc.Arbitrary<Observed> = fc
  .record({
    spec: fc.record({
      parallelism: count(2000),
      completions: fc.option(count(3000)),
      indexed: fc.boolean(),
      backoffLimit: fc.oneof(fc.nat(3), fc.constant(1_000_000)),
      activeDeadlineSeconds: fc.option(fc.nat(200)),
      ttlSecondsAfterFinished: fc.option(fc.nat(200)),
      suspended: fc.boolean(),
      restartsContainers: fc.boolean(),
      failureRules: fc.option(fc.array(rule, { maxLength: 3 })),
      isForeign: fc.constant(false),
      successRules: fc.array(successRule, { maxLength: 2 }),
      replacesEnded: fc.boolean(),
      backoffLimitPerIndex: fc.option(fc.nat(2)),
      maxFailedIndexes: fc.option(fc.nat(5)),
    }),
    status: fc.record({
      startTimeMs: fc.option(time.map((ms) => Math.floor(ms / 1000) * 1000)),
      conditions: fc.array(condition, { maxLength: 1 }),
    }),
    finished: fc.constant(false),
    range: fc.constant(null),
    deletion: fc.constantFrom(null, 'others'),
    orphaned: fc.constant(false),
    deleted: fc.constant(false),
    held: fc.boolean(),
    gate: fc.record({
      limit: count(2000),
      notBeforeMs: maybeTime,
      deadlineMs: maybeTime,
      holdOnFailure: fc.boolean(),
    }),
    counters: fc.record({
      active: count(2000),
      running: fc.constant(0),
      terminating: fc.nat(3),
      succeeded: count(3000),
      failed: fc.nat(5),
      limitFailures: fc.nat(5),
      unjudged: fc.constant(0),
      restarts: fc.nat(5),
      failuresInRow: fc.nat(5),
      lastFailureMs: maybeTime,
      lastSuccessMs: maybeTime,
      kept: fc.nat(3),
    }),
    unjudged: fc.uniqueArray(
      fc.record({
        podNumber: fc.integer({ min: 1, max: 99 }),
        index: fc.nat(9),
        failures: fc.record({ counted: fc.nat(3), ignored: fc.nat(3) }),
        facts,
        reason: fc.constantFrom('Error', 'NodeLost', 'Drained', 'Deleted'),
        startMs: time,
        endMs: time,
        losses: fc.nat(4),
      }),
      { selector: (pod) => pod.podNumber, maxLength: 5 },
    ),
    pendingCount: fc.nat(10),
    fittingLanes: fc.nat(100),
    reserves: fc.boolean(),
    jobsOnQueue: fc.nat(3),
    done: fc.uint8Array({ maxLength: 2 }),
    startableCount: count(3000),
    indexes: fc.record({
      failedCount: fc.nat(8),
      readyCount: fc.nat(9),
      // Those of the past are ready.
      nextReadyMs: fc.option(time.map((ms) => ms + 100_000)),
    }),
    moreUnjudged: fc.oneof(fc.constant(0), fc.nat(3)),
  })
  .map(({ moreUnjudged, ...look }) => ({
    ...look,
    indexes: look.spec.backoffLimitPerIndex === null ? null : look.indexes,
    counters: { ...look.counters, unjudged: look.unjudged.length + moreUnjudged },
  }));

function holds(check: (decision: Decision, look: Observed, nowMs: number) => void): void {
  fc.assert(
    fc.property(looks, time, (look, nowMs) => check(decide(look, nowMs), look, nowMs)),
    { numRuns: 2000 },
  );
}

function isCounted({ verdict }: PodVerdict): boolean {
  return verdict !== 'ignored';
}

/** The look that follows when the decision's verdicts and status were written and nothing else happened. */
function applied(look: Observed, decision: Decision): Observed {
  if (!('standing' in decision)) return look;
  const { judge, standing } = decision;
  const failedNow = judge?.judgements.filter((one) => one.verdict === 'indexFailed').length ?? 0;
  const limitFailures = judge?.judgements.filter((one) => one.countsToLimit).length ?? 0;
  return {
    ...look,
    status: {
      startTimeMs:
        standing.startTimeMs === null ? null : Math.floor(standing.startTimeMs / 1000) * 1000,
      conditions: standing.conditions,
    },
    gate: judge?.gate ?? look.gate,
    unjudged: [],
    indexes: look.indexes && {
      ...look.indexes,
      failedCount: look.indexes.failedCount + failedNow,
      readyCount: 0,
    },
    counters: {
      ...look.counters,
      ...(judge && { failuresInRow: judge.failuresInRow, lastFailureMs: judge.lastFailureMs }),
      failed: look.counters.failed + (judge?.judgements.filter(isCounted).length ?? 0),
      limitFailures: look.counters.limitFailures + limitFailures,
      unjudged: look.counters.unjudged - (judge?.judgements.length ?? 0),
    },
  };
}

describe('decide, for any look at a Job', () => {
  test('opening never leads above parallelism, the remaining completions or the cap', () => {
    holds((decision, { spec, counters }) => {
      if (decision.type !== 'converge' || decision.pods.type !== 'open') return;
      const after = counters.active + decision.pods.count;
      expect(decision.pods.count).toBeGreaterThanOrEqual(1);
      expect(decision.pods.count).toBeLessThanOrEqual(MAX_OPENS_PER_PASS);
      expect(after).toBeLessThanOrEqual(spec.parallelism);
      const remaining = (spec.completions ?? Number.POSITIVE_INFINITY) - counters.succeeded;
      expect(after).toBeLessThanOrEqual(remaining);
    });
  });

  test('what is opened is what the gate lets through at that moment', () => {
    holds((decision, look, nowMs) => {
      if (decision.type !== 'converge' || decision.pods.type !== 'open') return;
      const gate = decision.judge?.gate ?? look.gate;
      expect(look.counters.active + decision.pods.count).toBeLessThanOrEqual(gate.limit);
      expect(gate.notBeforeMs).toBeLessThanOrEqual(nowMs);
      expect(gate.deadlineMs || Number.POSITIVE_INFINITY).toBeGreaterThan(nowMs);
      const isJudged = applied(look, decision).counters.unjudged === 0;
      expect(isJudged || !gate.holdOnFailure).toBe(true);
    });
  });

  test('stopping never goes below what is wanted, and never touches a work queue that succeeded', () => {
    holds((decision, { spec, counters, held }) => {
      if (decision.type !== 'converge' || decision.pods.type !== 'stop' || held) return;
      const after = counters.active - decision.pods.count;
      expect(after).toBeGreaterThanOrEqual(0);
      expect(spec.completions === null && counters.succeeded > 0).toBe(false);
      const wanted =
        spec.completions === null
          ? spec.parallelism
          : Math.max(0, Math.min(spec.parallelism, spec.completions - counters.succeeded));
      expect(after).toBe(wanted);
    });
  });

  test('a held Job opens nothing and stops no pod that runs', () => {
    holds((decision, { counters, held }) => {
      if (decision.type !== 'converge' || !held) return;
      expect(decision.pods.type).not.toBe('open');
      if (decision.pods.type !== 'stop') return;
      expect(counters.active - decision.pods.count).toBeGreaterThanOrEqual(0);
      expect(counters.active - decision.pods.count).toBeLessThanOrEqual(counters.running);
    });
  });

  test('a terminal condition comes only when nothing runs, ends or waits for a verdict', () => {
    holds((decision, look) => {
      if (decision.type !== 'end') return;
      const { counters } = applied(look, decision);
      const isSettled =
        counters.active === 0 && counters.terminating === 0 && counters.unjudged === 0;
      expect(decision.finish !== null).toBe(isSettled);
      // A failure also counts pods that are terminating because their user deleted them.
      const counts = decision.stopsPodsAs === 'failed' && counters.terminating > 0;
      expect(decision.stopsPodsAs !== null).toBe(counters.active > 0 || counts);
    });
  });

  test('an ending Job keeps its gate closed', () => {
    holds((decision) => {
      if (decision.type !== 'end' || decision.judge === null) return;
      expect(decision.judge.gate.limit).toBe(0);
    });
  });

  test('a suspended Job opens nothing and closes its gate', () => {
    holds((decision, { spec, deletion }) => {
      if (!spec.suspended || deletion !== null) return;
      expect(decision.type).not.toBe('converge');
      if (decision.type !== 'suspend' || decision.judge === null) return;
      expect(decision.judge.gate.limit).toBe(0);
    });
  });

  test('a Job that is being deleted starts nothing, and stops nothing unless it ends', () => {
    holds((decision, { deletion, gate }) => {
      if (deletion === null || decision.type !== 'converge') return;
      expect(decision.pods).toEqual({ type: 'keep' });
      expect((decision.judge?.gate ?? gate).limit).toBe(0);
    });
  });

  test('the next look is not in the past', () => {
    holds((decision, _look, nowMs) => {
      if (!('next' in decision) || decision.next.type !== 'at') return;
      expect(decision.next.atMs).toBeGreaterThanOrEqual(nowMs);
    });
  });

  test('a verdict that was written is never changed, whatever happens then', () => {
    fc.assert(
      fc.property(looks, looks, time, time, (first, second, nowMs, laterMs) => {
        const before = decide(first, nowMs);
        if (before.type !== 'end') return;
        const { status } = applied(first, before);
        const after = decide({ ...second, status }, laterMs);
        expect(after.type).toBe('end');
        if (after.type !== 'end') return;
        expect(after.standing.conditions.slice(0, before.standing.conditions.length)).toEqual(
          before.standing.conditions,
        );
        const kinds = after.standing.conditions.map((one) => one.type);
        expect(kinds.includes('Complete') && kinds.includes('Failed')).toBe(false);
        expect(kinds.includes('Complete') && kinds.includes('FailureTarget')).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  test('once applied, the same look has nothing more to judge and says the same', () => {
    holds((decision, look, nowMs) => {
      if (!('standing' in decision)) return;
      const after = applied(look, decision);
      if (after.counters.unjudged > 0) return;
      const again = decide(after, nowMs);
      if (!('standing' in again)) throw new Error('a live Job stays one');
      expect(again.type).toBe(decision.type);
      expect(again.judge).toBeNull();
      expect(again.standing.conditions).toEqual(decision.standing.conditions);
    });
  });
});
