import { cronCalendarOf, CRON_JOB_KIND, formatTime, parseObject } from '@drover/shared';
import { expect, test } from 'vitest';
import type { CronDecision, CronObserved, CronOwnedJob } from '../../src/decide/cronTypes.ts';
import { decideCronJob } from '../../src/decide/decideCronJob.ts';

const MINUTE = 60_000;
const T0 = Date.UTC(2026, 0, 15, 12);
const YEAR_END = T0 + 365 * 24 * 60 * MINUTE;
const RUNS_FOR_MS = 2 * MINUTE;
/** CRON_YEAR_SEED repeats a run. */
const SEED = Number(process.env['CRON_YEAR_SEED'] ?? Date.now() % 1_000_000);

/** Numbers from 0 to 1, the same for a seed. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** What Redis keeps of a CronJob; changed by a decision as a whole, and only when it was made from the present version. */
class KeptState {
  version = 0;
  lastScheduleMs: number | null = null;
  checkedMs: number | null = null;
  lastSuccessMs: number | null = null;
  owned: { readonly uid: string; readonly startMs: number }[] = [];
  active: { readonly uid: string; readonly name: string }[] = [];
  readonly started: number[] = [];

  apply(decision: CronDecision, version: number, nowMs: number): void {
    if (version !== this.version) return;
    this.version++;
    const pruned = new Set(decision.prune.map(({ uid }) => uid));
    this.owned = this.owned.filter(({ uid }) => !pruned.has(uid));
    this.active = [...decision.active];
    for (const slotMs of decision.start) {
      const uid = String(slotMs);
      this.started.push(slotMs);
      this.owned.push({ uid, startMs: nowMs });
      this.active.push({ uid, name: uid });
      this.lastScheduleMs = Math.max(this.lastScheduleMs ?? 0, slotMs);
    }
    this.lastSuccessMs = decision.lastSuccessMs;
    this.checkedMs = decision.checkedMs ?? this.checkedMs;
  }

  jobs(nowMs: number): CronOwnedJob[] {
    return this.owned.map(({ uid, startMs }) => {
      const isOver = nowMs >= startMs + RUNS_FOR_MS;
      return {
        uid,
        name: uid,
        end: isOver ? 'Complete' : null,
        startTimeMs: startMs,
        completionTimeMs: isOver ? startMs + RUNS_FOR_MS : null,
        createdMs: startMs,
        isNew: false,
        isManual: false,
      };
    });
  }
}

test('a year of every five minutes, with controllers that die and controllers that are late: each time has one Job', () => {
  const made = parseObject(CRON_JOB_KIND, {
    metadata: { name: 'report', annotations: { 'drover.dev/cron-catch-up': 'all' } },
    spec: {
      schedule: '*/5 * * * *',
      timeZone: 'America/New_York',
      jobTemplate: {
        spec: {
          template: {
            spec: { restartPolicy: 'Never', containers: [{ name: 'a', command: ['true'] }] },
          },
        },
      },
    },
  });
  const metadata = { ...made.metadata, creationTimestamp: formatTime(T0) };
  const calendar = cronCalendarOf({ ...made, metadata, status: {} });
  const random = randomFrom(SEED);
  const state = new KeptState();
  const observe = (nowMs: number): CronObserved => ({
    nowMs,
    maxStarts: 25,
    spec: made.spec,
    calendar,
    createdMs: T0,
    isDeleted: false,
    active: state.active,
    lastScheduleMs: state.lastScheduleMs,
    lastSuccessMs: state.lastSuccessMs,
    checkedMs: state.checkedMs,
    suspendedMs: null,
    owned: state.jobs(nowMs),
  });

  let late: { readonly decision: CronDecision; readonly version: number } | null = null;
  for (let nowMs = T0; nowMs < YEAR_END;) {
    const [decision, { version }] = [decideCronJob(observe(nowMs)), state];
    if (random() < 0.05) {
      // It died before it wrote; another one looks some time later.
      nowMs += Math.floor(random() * 40 * MINUTE);
      continue;
    }
    state.apply(decision, version, nowMs);
    // One that was held up for long writes what it decided then.
    if (late !== null) state.apply(late.decision, late.version, nowMs);
    late = random() < 0.1 ? { decision, version } : null;
    nowMs = Math.max(nowMs, decision.nextAtMs ?? nowMs + MINUTE);
  }

  const count = state.started.length;
  expect(count, `seed ${SEED}`).toBeGreaterThan(365 * 288 - 20);
  const expected = Array.from({ length: count }, (_, i) => T0 + (i + 1) * 5 * MINUTE);
  expect(
    state.started.every((slotMs, i) => slotMs === expected[i]),
    `seed ${SEED}`,
  ).toBe(true);
  expect(state.lastSuccessMs, `seed ${SEED}`).toBeGreaterThan(YEAR_END - 60 * MINUTE);
  expect(state.owned.length).toBeLessThan(40);
});
