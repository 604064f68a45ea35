/** CronJobs: from a schedule to Jobs, on a real Redis with a clock that the test moves. */
import { randomUUID } from 'node:crypto';
import { manualJobOf, parseJob } from '@drover/shared';
import { completeJob, newJobOf, ownersOf } from '@drover/store';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { T0, TestBed } from './bed.ts';
import { Crash, CronBed, type CronSpecInput } from './cronBed.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Days of the long run: half of one ordinarily, 365 when somebody wants to know. */
const DAYS = Number(process.env['DROVER_CRON_DAYS'] ?? 0.5);

let server: TestBed;
let cron: CronBed;

beforeAll(async () => {
  server = await TestBed.open();
});
afterAll(() => server.redis.stop());
beforeEach(async () => {
  cron = new CronBed(await server.fresh());
});

/** Names of the Jobs for whole minutes, from `fromMs` on. */
function names(fromMs: number, count: number, stepMs: number): string[] {
  return Array.from({ length: count }, (_, i) => `report-${(fromMs + i * stepMs) / MINUTE}`);
}

async function made(spec: CronSpecInput, annotations: Record<string, string> = {}): Promise<void> {
  await cron.create(spec, annotations);
}

test('makes a Job for each time, with name, owner, labels and annotations as in Kubernetes', async () => {
  cron.runsForMs = null;
  await made({ schedule: '*/5 * * * *', timeZone: 'Europe/Berlin' });
  expect(await cron.jobs()).toEqual([]);
  await cron.runUntil(T0 + 5 * MINUTE);
  const [name] = await cron.jobs();
  expect(name).toBe(`report-${T0 / MINUTE + 5}`);
  const { shard } = cron.bed;
  const view = (await shard.getJob('default', name!))!;
  const { metadata, spec } = JSON.parse(view.object) as { metadata: object; spec: object };
  const { metadata: own, status } = await cron.get();
  expect(metadata).toMatchObject({
    name,
    labels: { app: 'report' },
    annotations: {
      note: 'x',
      'batch.kubernetes.io/cronjob-scheduled-timestamp': '2026-01-15T13:05:00+01:00',
    },
    ownerReferences: [
      {
        apiVersion: 'batch/v1',
        kind: 'CronJob',
        name: 'report',
        uid: own.uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  });
  expect(spec).toMatchObject({ completions: 1, parallelism: 1, backoffLimit: 6 });
  expect(status).toEqual({
    active: [{ apiVersion: 'batch/v1', kind: 'Job', namespace: 'default', name, uid: view.uid }],
    lastScheduleTime: '2026-01-15T12:05:00Z',
  });
  cron.bed.clock.advance(1_500);
  await cron.end(name!);
  expect((await cron.get()).status).toEqual({
    lastScheduleTime: '2026-01-15T12:05:00Z',
    lastSuccessfulTime: '2026-01-15T12:05:01Z',
  });
  expect(cron.events.map(({ reason, message }) => `${reason}: ${message}`)).toEqual([
    `SuccessfulCreate: Created job ${name}`,
    `SawCompletedJob: Saw completed job: ${name}, condition: Complete`,
  ]);
});

describe('each time has exactly one Job', () => {
  const wanted = () => names(T0 + 5 * MINUTE, DAYS * 288, 5 * MINUTE);

  test('of a five-minute schedule, with a controller that dies at every seventh step', async () => {
    await made({ schedule: '*/5 * * * *' });
    let steps = 0;
    cron.onStep = (when) => {
      steps += 1;
      // Odd, so that it dies before and after steps in turn.
      if (steps % 7 === 0 && (when === 'before' || steps % 2 === 1)) throw new Crash();
    };
    await cron.runUntil(T0 + DAYS * DAY + MINUTE);
    expect(cron.made).toEqual(wanted());
    expect(steps).toBeGreaterThan(DAYS * 288);
    // History is bounded all the way.
    expect((await cron.jobs()).length).toBeLessThanOrEqual(4);
  }, 3_600_000);

  test('with three controllers that look at the same moment', async () => {
    cron = new CronBed(cron.bed, 3);
    await made({ schedule: '*/5 * * * *' });
    await cron.runUntil(T0 + 3 * HOUR);
    expect(cron.made).toEqual(names(T0 + 5 * MINUTE, 36, 5 * MINUTE));
  });

  test('of every second: no two share a name', async () => {
    await made({ schedule: '@every 1s' });
    await cron.runUntil(T0 + 2 * MINUTE);
    expect(cron.made).toHaveLength(120);
    expect(new Set(cron.made).size).toBe(120);
    expect(cron.made[0]).toBe(`report-${T0 / 1000 + 1}`);
    expect(cron.made[59]).toBe(`report-${T0 / MINUTE + 1}`);
  });
});

describe('times that were missed', () => {
  test('only the latest has a Job, as in Kubernetes; of very many a warning tells', async () => {
    await made({ schedule: '* * * * *' });
    cron.bed.clock.advance(101 * MINUTE + 30_000);
    await cron.settle();
    expect(cron.made).toEqual(names(T0 + 101 * MINUTE, 1, 0));
    expect(cron.reasons).toContain('TooManyMissedTimes');
    const history = await cron.bed.shard.cronJobs.history('default', 'report');
    expect(history.filter(({ type }) => type === 'skipped')).toHaveLength(100);
    expect(history.at(-1)).toMatchObject({ type: 'started', slotMs: T0 + 101 * MINUTE });
  });

  test('a hundred are not too many', async () => {
    await made({ schedule: '* * * * *' });
    cron.bed.clock.advance(100 * MINUTE + 30_000);
    await cron.settle();
    expect(cron.made).toHaveLength(1);
    expect(cron.reasons).not.toContain('TooManyMissedTimes');
  });

  test('years of every second take no longer', async () => {
    await made({ schedule: '@every 1s' });
    cron.bed.clock.advance(3 * 365 * DAY);
    await cron.settle();
    expect(cron.made).toHaveLength(1);
    expect(cron.reasons).toContain('TooManyMissedTimes');
  });

  test('startingDeadlineSeconds: what is too late has none', async () => {
    await made({ schedule: '0 * * * *', startingDeadlineSeconds: 60 });
    cron.bed.clock.advance(HOUR + 2 * MINUTE);
    await cron.settle();
    expect(cron.made).toEqual([]);
    expect(cron.events.map(({ message }) => message)).toEqual([
      'missed scheduled time to start a job: Thu, 15 Jan 2026 13:00:00 +0000',
    ]);
    expect(await cron.bed.shard.cronJobs.history('default', 'report')).toEqual([
      { type: 'skipped', slotMs: T0 + HOUR, reason: 'deadline' },
    ]);
    cron.bed.clock.advance(HOUR - MINUTE - 30_000);
    await cron.settle();
    expect(cron.made).toEqual(names(T0 + 2 * HOUR, 1, 0));
  });

  test('catch-up none: none; all: each, the oldest first, up to the limit', async () => {
    await made({ schedule: '0 * * * *' }, { 'drover.dev/cron-catch-up': 'none' });
    cron.bed.clock.advance(3 * HOUR + MINUTE);
    await cron.settle();
    expect(cron.made).toEqual([]);
    await cron.runUntil(T0 + 4 * HOUR);
    expect(cron.made).toEqual(names(T0 + 4 * HOUR, 1, 0));

    cron = new CronBed(await server.fresh());
    await made(
      { schedule: '*/10 * * * *' },
      { 'drover.dev/cron-catch-up': 'all', 'drover.dev/cron-catch-up-limit': '30' },
    );
    cron.bed.clock.advance(10 * HOUR);
    await cron.settle();
    expect(cron.made).toEqual(names(T0 + 10 * HOUR - 29 * 10 * MINUTE, 30, 10 * MINUTE));
    const history = await cron.bed.shard.cronJobs.history('default', 'report');
    expect(history.map(({ type }) => type)).toEqual([
      ...Array.from({ length: 30 }, () => 'skipped'),
      ...Array.from({ length: 30 }, () => 'started'),
    ]);
  });

  test('catch-up all with Forbid: one after the other', async () => {
    cron.runsForMs = MINUTE;
    await made(
      { schedule: '0 * * * *', concurrencyPolicy: 'Forbid' },
      { 'drover.dev/cron-catch-up': 'all' },
    );
    cron.bed.clock.advance(3 * HOUR + MINUTE);
    await cron.settle();
    expect(cron.made).toHaveLength(1);
    await cron.runUntil(T0 + 3 * HOUR + 10 * MINUTE);
    expect(cron.made).toEqual(names(T0 + HOUR, 3, HOUR));
  });

  test('a clock that jumps ahead, and one that goes back, make no Job twice', async () => {
    await made({ schedule: '*/5 * * * *' });
    await cron.runUntil(T0 + 10 * MINUTE);
    cron.bed.clock.set(T0 + 3 * HOUR + MINUTE);
    await cron.settle();
    cron.bed.clock.set(T0 + 30 * MINUTE);
    await cron.settle();
    await cron.runUntil(T0 + 3 * HOUR + 10 * MINUTE);
    expect(cron.made).toEqual([
      ...names(T0 + 5 * MINUTE, 2, 5 * MINUTE),
      ...names(T0 + 3 * HOUR, 3, 5 * MINUTE),
    ]);
  });
});

describe('concurrencyPolicy', () => {
  test('Forbid: times pass while a Job runs; when it ends the last of them has its Job at once', async () => {
    cron.runsForMs = null;
    await made({ schedule: '*/5 * * * *', concurrencyPolicy: 'Forbid' });
    await cron.runUntil(T0 + 17 * MINUTE);
    const [first] = names(T0 + 5 * MINUTE, 1, 0);
    expect(cron.made).toEqual([first]);
    expect(cron.reasons.filter((reason) => reason === 'JobAlreadyActive')).toHaveLength(2);
    expect((await cron.get()).status.lastScheduleTime).toBe('2026-01-15T12:05:00Z');
    await cron.end(first!);
    expect(cron.made).toEqual([first, ...names(T0 + 15 * MINUTE, 1, 0)]);
    expect(await cron.bed.shard.cronJobs.history('default', 'report')).toEqual([
      { type: 'started', slotMs: T0 + 5 * MINUTE, atMs: T0 + 5 * MINUTE },
      { type: 'skipped', slotMs: T0 + 10 * MINUTE, reason: 'forbidden' },
      { type: 'started', slotMs: T0 + 15 * MINUTE, atMs: T0 + 17 * MINUTE },
    ]);
  });

  test('Replace: the Job that runs is deleted for the next', async () => {
    cron.runsForMs = null;
    await made({ schedule: '*/5 * * * *', concurrencyPolicy: 'Replace' });
    await cron.runUntil(T0 + 15 * MINUTE);
    const all = names(T0 + 5 * MINUTE, 3, 5 * MINUTE);
    expect(cron.made).toEqual(all);
    expect(await cron.jobs()).toEqual(all.slice(-1));
    expect((await cron.get()).status.active).toMatchObject([{ name: all[2] }]);
    expect(cron.reasons).toEqual([
      'SuccessfulCreate',
      'SuccessfulDelete',
      'SuccessfulCreate',
      'SuccessfulDelete',
      'SuccessfulCreate',
    ]);
  });

  test('Allow: they run side by side; one that is deleted is missed', async () => {
    cron.runsForMs = null;
    await made({ schedule: '*/5 * * * *' });
    await cron.runUntil(T0 + 15 * MINUTE);
    expect((await cron.get()).status.active).toHaveLength(3);
    const uid = await cron.bed.shard.findJob('default', cron.made[1]!);
    await cron.bed.shard.deleteJob(uid!);
    await cron.settle();
    expect((await cron.get()).status.active).toHaveLength(2);
    expect(cron.events.at(-1)?.message).toBe(`Active job went missing: ${cron.made[1]}`);
  });
});

describe('history limits', () => {
  test('the oldest finished Jobs go, those that succeeded and those that failed each by theirs', async () => {
    cron.runsForMs = null;
    await made({
      schedule: '*/5 * * * *',
      successfulJobsHistoryLimit: 2,
      failedJobsHistoryLimit: 1,
    });
    await cron.runUntil(T0 + 30 * MINUTE);
    const all = cron.made;
    for (const [i, name] of all.entries())
      await cron.end(name, i % 2 === 0 ? 'Complete' : 'Failed');
    expect(await cron.jobs()).toEqual([all[2], all[4], all[5]]);
    await cron.change({ successfulJobsHistoryLimit: 0, failedJobsHistoryLimit: 0 });
    expect(await cron.jobs()).toEqual([]);
    expect((await cron.get()).status.lastSuccessfulTime).toBe('2026-01-15T12:30:00Z');
  });
});

describe('changes', () => {
  test('of schedule and zone: the next time is by the new ones', async () => {
    await made({ schedule: '0 0 * * *' });
    await cron.change({ schedule: '30 * * * *' });
    await cron.runUntil(T0 + HOUR);
    expect(cron.made).toEqual(names(T0 + 30 * MINUTE, 1, 0));
    // 09:00 in New York is 14:00 UTC.
    await cron.change({ schedule: '0 9 * * *', timeZone: 'America/New_York' });
    await cron.runUntil(T0 + 3 * HOUR);
    expect(cron.made.slice(1)).toEqual(names(T0 + 2 * HOUR, 1, 0));
    expect((await cron.get()).metadata.generation).toBe(1);
  });

  test('suspended: no Job and no look; resumed: the last time that passed has its Job at once', async () => {
    await made({ schedule: '*/5 * * * *' });
    await cron.runUntil(T0 + 5 * MINUTE);
    await cron.change({ suspend: true });
    expect(await cron.bed.shard.take(1, 1)).toMatchObject({ nextAtMs: null });
    cron.bed.clock.advance(16 * MINUTE);
    await cron.change({ suspend: false });
    expect(cron.made).toEqual([...names(T0 + 5 * MINUTE, 1, 0), ...names(T0 + 20 * MINUTE, 1, 0)]);
    const history = await cron.bed.shard.cronJobs.history('default', 'report');
    expect(history.slice(1, -1)).toEqual([
      { type: 'skipped', slotMs: T0 + 10 * MINUTE, reason: 'suspended' },
      { type: 'skipped', slotMs: T0 + 15 * MINUTE, reason: 'suspended' },
    ]);
  });

  test('a schedule that never comes is told of, and waits for a change', async () => {
    await made({ schedule: '59 23 31 2 *' });
    expect(cron.reasons).toEqual(['InvalidSchedule']);
    expect(await cron.bed.shard.take(1, 1)).toMatchObject({ nextAtMs: null });
  });

  test('a name that is taken by another Job is told of, and the next time goes on', async () => {
    await cron.bed.shard.createJob({
      uid: '6f1d2c3b-4a59-4687-9abc-def012345678',
      namespace: 'default',
      name: names(T0 + 5 * MINUTE, 1, 0)[0]!,
      object: '{"metadata":{},"spec":{}}',
      status: '{}',
      completions: 1,
      queue: 'default.handler',
      fittingKey: 'x',
      indexed: false,
    });
    cron.runsForMs = null;
    await made({ schedule: '*/5 * * * *' });
    await cron.runUntil(T0 + 10 * MINUTE);
    expect(cron.made).toEqual(names(T0 + 10 * MINUTE, 1, 0));
    expect(cron.events[0]?.message).toMatch(/^Error creating job: jobs.batch ".*" already exists$/);
    expect((await cron.bed.shard.cronJobs.history('default', 'report'))[0]).toMatchObject({
      reason: 'nameTaken',
    });
  });
});

test('a run by hand is in the history, also when its name ends like one of the schedule', async () => {
  await made({ schedule: '0 0 * * *' });
  const { shard, clock } = cron.bed;
  const { job } = parseJob(manualJobOf(await cron.get(), 'report-20260115'));
  const named = { uid: randomUUID(), name: 'report-20260115', createdMs: clock.now() };
  await shard.createJob(newJobOf(completeJob(job, named)));
  await cron.settle();
  expect(await shard.cronJobs.history('default', 'report')).toEqual([
    { type: 'manual', slotMs: T0, job: named.name, uid: named.uid },
  ]);
});

describe('a time for which quota leaves no room', () => {
  const DENIED =
    /^Error creating job: jobs.batch "report-\d+" is forbidden: exceeded quota: small, requested: count\/jobs.batch=1, used: count\/jobs.batch=1, limited: count\/jobs.batch=1$/;
  const [first, second] = names(T0 + 5 * MINUTE, 2, 5 * MINUTE) as [string, string];

  beforeEach(async () => {
    const hard = { 'count/jobs.batch': '1' };
    await cron.bed.shard.objects.create({
      kind: 'ResourceQuota',
      namespace: 'default',
      name: 'small',
      uid: '6f1d2c3b-4a59-4687-9abc-def012345678',
      object: JSON.stringify({ metadata: {}, spec: { hard } }),
      finalizerCount: 0,
    });
    cron.runsForMs = null;
  });

  const history = async () => await cron.bed.shard.cronJobs.history('default', 'report');
  const makeRoom = async (): Promise<void> => {
    const { shard } = cron.bed;
    await shard.deleteJob((await shard.getJob('default', first))!.uid, { policy: 'Background' });
  };

  test('is tried again, and says so until there is some', async () => {
    await made({ schedule: '*/5 * * * *' });
    await cron.runUntil(T0 + 11 * MINUTE);
    expect(await cron.jobs()).toEqual([first]);
    expect(cron.events.at(-1)?.message).toMatch(DENIED);
    expect((await history()).at(-1)).toMatchObject({ type: 'skipped', reason: 'quota' });
    const { resourceVersion } = (await cron.get()).metadata;
    await cron.runUntil(T0 + 12 * MINUTE);
    // Nothing is written for an attempt in vain.
    expect((await cron.get()).metadata.resourceVersion).toBe(resourceVersion);
    await makeRoom();
    await cron.runUntil(T0 + 13 * MINUTE);
    expect(await cron.jobs()).toEqual([second]);
    expect((await cron.get()).status.lastScheduleTime).toBe('2026-01-15T12:10:00Z');
    expect((await history()).at(-1)).toMatchObject({ type: 'started' });
  });

  test('is given up when its deadline has passed', async () => {
    await made({ schedule: '*/5 * * * *', startingDeadlineSeconds: 60 });
    await cron.runUntil(T0 + 12 * MINUTE);
    await makeRoom();
    await cron.runUntil(T0 + 14 * MINUTE);
    expect(cron.made).toEqual([first]);
    expect((await history()).at(-1)).toMatchObject({ type: 'skipped', reason: 'quota' });
  });
});

describe('deletion', () => {
  const deleted = async (finalizers: string[]): Promise<void> => {
    cron.runsForMs = null;
    await made({ schedule: '*/5 * * * *' });
    await cron.runUntil(T0 + 10 * MINUTE);
    expect(await cron.jobs()).toHaveLength(2);
    await cron.change({}, { finalizers, isDeletion: true });
    await cron.runUntil(T0 + 20 * MINUTE);
    await expect(cron.get()).rejects.toThrow('there is no CronJob');
    expect(cron.made).toHaveLength(2);
    expect(await cron.bed.shard.cronJobs.history('default', 'report')).toEqual([]);
  };

  test('in Background: it is gone, and its Jobs after it', async () => {
    await deleted([]);
    expect(await cron.jobs()).toEqual([]);
  });

  test('in Foreground: its Jobs first', async () => {
    await deleted(['foregroundDeletion']);
    expect(await cron.jobs()).toEqual([]);
  });

  test('in Foreground: what blocks it need not be a Job', async () => {
    await made({ schedule: '0 0 * * *' });
    const { name, uid } = (await cron.get()).metadata;
    const owner = { apiVersion: 'batch/v1', kind: 'CronJob', name, uid };
    const metadata = { ownerReferences: [{ ...owner, blockOwnerDeletion: true }] };
    const { objects } = cron.bed.shard;
    const path = { kind: 'ConfigMap', namespace: 'default', name: 'own' };
    const object = JSON.stringify({ metadata: { ...metadata, finalizers: ['x.io/y'] } });
    const owners = ownersOf({ metadata });
    await objects.create({ ...path, uid: randomUUID(), object, finalizerCount: 1, owners });
    await cron.change({}, { finalizers: ['foregroundDeletion'], isDeletion: true });
    const stored = (await objects.get(path))!;
    expect(stored.deletedMs).not.toBeNull();
    expect((await cron.get()).metadata.deletionTimestamp).toBeDefined();
    const expectedResourceVersion = stored.resourceVersion;
    await objects.update({ ...stored, expectedResourceVersion, object: '{}', finalizerCount: 0 });
    await cron.runUntil(T0 + MINUTE);
    await expect(cron.get()).rejects.toThrow('there is no CronJob');
  });

  test('Orphan: its Jobs stay, and belong to nobody', async () => {
    await deleted(['orphan']);
    const jobs = await cron.jobs();
    expect(jobs).toEqual(cron.made);
    const view = await cron.bed.shard.getJob('default', jobs[0]!);
    expect(JSON.parse(view!.object)).not.toHaveProperty('metadata.ownerReferences');
  });
});
