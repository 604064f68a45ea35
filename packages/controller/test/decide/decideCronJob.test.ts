import {
  cronCalendarOf,
  CRON_JOB_KIND,
  type CronJob,
  formatTime,
  parseObject,
} from '@drover/shared';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CronObserved, CronOwnedJob } from '../../src/decide/cronTypes.ts';
import { decideCronJob } from '../../src/decide/decideCronJob.ts';

const T0 = Date.UTC(2026, 0, 15, 12);
const MINUTE = 60_000;

const jobTemplate = {
  spec: {
    template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', command: ['true'] }] } },
  },
};

interface Given {
  readonly spec?: Partial<CronJob['spec']>;
  readonly annotations?: Record<string, string>;
  readonly observed?: Partial<CronObserved>;
}

/** A CronJob of every minute that was made at T0; each case says only what it is about. */
function observed(nowMs: number, { spec, annotations, observed: over }: Given = {}): CronObserved {
  const made = parseObject(CRON_JOB_KIND, {
    metadata: { name: 'report', annotations },
    spec: { schedule: '* * * * *', jobTemplate, ...spec },
  });
  const last = over?.lastScheduleMs ?? null;
  const calendar = cronCalendarOf({
    ...made,
    metadata: { ...made.metadata, creationTimestamp: formatTime(T0) },
    status: last === null ? {} : { lastScheduleTime: formatTime(last) },
  });
  return {
    nowMs,
    maxStarts: 25,
    spec: made.spec,
    calendar,
    createdMs: T0,
    isDeleted: false,
    active: [],
    lastScheduleMs: null,
    lastSuccessMs: null,
    checkedMs: null,
    suspendedMs: null,
    owned: [],
    ...over,
  };
}

function owned(name: string, over: Partial<CronOwnedJob> = {}): CronOwnedJob {
  const base = { end: null, startTimeMs: T0, completionTimeMs: null, createdMs: T0 };
  return { uid: `uid-${name}`, name, ...base, isNew: false, isManual: false, ...over };
}

const ran = { uid: 'uid-a', name: 'a' };

describe('decideCronJob', () => {
  const cases: { name: string; given: CronObserved; want: object }[] = [
    {
      name: 'before its first time it waits for it',
      given: observed(T0 + 30_000),
      want: { start: [], checkedMs: null, nextAtMs: T0 + MINUTE },
    },
    {
      name: 'at its time it starts, and waits for the next',
      given: observed(T0 + MINUTE),
      want: { start: [T0 + MINUTE], checkedMs: T0 + MINUTE, nextAtMs: T0 + 2 * MINUTE },
    },
    {
      name: 'a time that has had its Job is over',
      given: observed(T0 + MINUTE, { observed: { lastScheduleMs: T0 + MINUTE } }),
      want: { start: [], nextAtMs: T0 + 2 * MINUTE },
    },
    {
      name: 'jitter: later by as much, for the same time',
      given: observed(T0 + MINUTE, { annotations: { 'drover.dev/cron-jitter-seconds': '50' } }),
      want: { start: [], nextAtMs: expect.any(Number) as number },
    },
    {
      name: 'the deadline: a time that is just within it starts',
      given: observed(T0 + 65_000, { spec: { startingDeadlineSeconds: 6 } }),
      want: { start: [T0 + MINUTE], skips: [] },
    },
    {
      name: 'the deadline: a time that is just past it does not',
      given: observed(T0 + 65_000, { spec: { startingDeadlineSeconds: 5 } }),
      want: { start: [], skips: [{ slotMs: T0 + MINUTE, reason: 'deadline' }] },
    },
    {
      name: 'a date that is excluded passes',
      given: observed(T0 + 5 * MINUTE, {
        annotations: { 'drover.dev/cron-exclude-dates': '2026-01-15' },
      }),
      want: {
        start: [],
        skips: [{ slotMs: T0 + MINUTE, reason: 'excludedDate' }],
        nextAtMs: Date.UTC(2026, 0, 16),
      },
    },
    {
      name: 'Forbid waits for the Job that runs',
      given: observed(T0 + 2 * MINUTE, {
        spec: { concurrencyPolicy: 'Forbid' },
        observed: {
          active: [ran],
          owned: [owned('a')],
          lastScheduleMs: T0 + MINUTE,
          checkedMs: T0 + MINUTE,
        },
      }),
      want: {
        start: [],
        skips: [{ slotMs: T0 + 2 * MINUTE, reason: 'forbidden' }],
        active: [ran],
        nextAtMs: T0 + 3 * MINUTE,
      },
    },
    {
      name: 'Forbid does not wait for one made by hand',
      given: observed(T0 + MINUTE, {
        spec: { concurrencyPolicy: 'Forbid' },
        observed: { owned: [owned('a', { isManual: true })] },
      }),
      want: { start: [T0 + MINUTE], active: [] },
    },
    {
      name: 'what is told once is not told again',
      given: observed(T0 + 2 * MINUTE + 1, {
        spec: { concurrencyPolicy: 'Forbid' },
        observed: {
          active: [ran],
          owned: [owned('a')],
          lastScheduleMs: T0 + MINUTE,
          checkedMs: T0 + 2 * MINUTE,
        },
      }),
      want: { start: [], skips: [], events: [], checkedMs: null },
    },
    {
      name: 'suspended it starts nothing, and waits for a change',
      given: observed(T0 + MINUTE, { spec: { suspend: true } }),
      want: { start: [], suspendedMs: T0 + MINUTE, nextAtMs: null },
    },
    {
      name: 'being deleted it starts nothing',
      given: observed(T0 + MINUTE, { observed: { isDeleted: true } }),
      want: { start: [], nextAtMs: null },
    },
    {
      name: 'a zone that is not known here is told of',
      given: observed(T0 + MINUTE, {
        observed: { calendar: { ok: false, wrong: 'timeZone', why: 'unknown time zone X' } },
      }),
      want: { start: [], events: [expect.objectContaining({ reason: 'UnknownTimeZone' })] },
    },
    {
      name: 'a Job that failed is no success',
      given: observed(T0 + 30_000, {
        observed: { active: [ran], owned: [owned('a', { end: 'Failed' })] },
      }),
      want: { active: [], lastSuccessMs: null },
    },
    {
      name: 'a Job that nobody knows is told of',
      given: observed(T0 + 30_000, { observed: { owned: [owned('x', { isNew: true })] } }),
      want: { events: [expect.objectContaining({ reason: 'UnexpectedJob' })] },
    },
    {
      name: 'of Jobs that never started the one with the later name is kept',
      given: observed(T0 + 30_000, {
        spec: { failedJobsHistoryLimit: 1 },
        observed: {
          owned: ['c', 'b'].map((name) => owned(name, { end: 'Failed', startTimeMs: null })),
        },
      }),
      want: { prune: [expect.objectContaining({ name: 'b' })] },
    },
  ];

  test.each(cases)('$name', ({ given, want }) => {
    expect(decideCronJob(given)).toMatchObject(want);
  });

  test('whatever was missed: starts and notes are of different times that came, and none is noted twice', () => {
    const policies = fc.constantFrom('Allow' as const, 'Forbid' as const, 'Replace' as const);
    const catchUps = fc.constantFrom('none', 'latest', 'all');
    fc.assert(
      fc.property(
        fc.nat(400),
        fc.nat(400),
        policies,
        catchUps,
        fc.boolean(),
        fc.option(fc.nat(7200), { nil: undefined }),
        (lastMinute, past, concurrencyPolicy, catchUp, runs, startingDeadlineSeconds) => {
          const lastScheduleMs = T0 + lastMinute * MINUTE;
          const nowMs = lastScheduleMs + past * MINUTE + 7;
          const decision = decideCronJob(
            observed(nowMs, {
              spec: { concurrencyPolicy, startingDeadlineSeconds },
              annotations: { 'drover.dev/cron-catch-up': catchUp },
              observed: {
                lastScheduleMs,
                ...(runs && { active: [ran], owned: [owned('a')] }),
              },
            }),
          );
          const times = [...decision.start, ...decision.skips.map(({ slotMs }) => slotMs)];
          expect(new Set(times).size).toBe(times.length);
          for (const time of times) {
            expect(time).toBeGreaterThan(lastScheduleMs);
            expect(time).toBeLessThanOrEqual(nowMs);
          }
          expect(decision.start.length).toBeLessThanOrEqual(25);
          expect(decision.start.toSorted((a, b) => a - b)).toEqual(decision.start);
          const mayStart = { Allow: 25, Forbid: runs ? 0 : 1, Replace: 1 };
          expect(decision.start.length).toBeLessThanOrEqual(mayStart[concurrencyPolicy]);
          const isReplacing = concurrencyPolicy === 'Replace' && decision.start.length > 0;
          expect(decision.replace).toHaveLength(isReplacing && runs ? 1 : 0);
          expect(decision.nextAtMs).not.toBeNull();
        },
      ),
      { numRuns: 50 },
    );
  });
});
