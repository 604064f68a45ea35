/** What is asked of many Jobs in one tick is one script, in which each Job is for itself. */
import { describe, expect, test } from 'vitest';
import type { Verdicts } from '../src/api.ts';
import { MAX_JOBS_PER_SCRIPT } from '../src/jobScripts.ts';
import { FAILED, newJob, OPEN_GATE, QUEUE, StoreBed, T0 } from './support/bed.ts';

let bed: StoreBed;
StoreBed.forEachTest((fresh) => {
  bed = fresh;
});

const OPENING: Verdicts = {
  judgements: [],
  gate: OPEN_GATE,
  failuresInRow: 0,
  lastFailureMs: 0,
};

/** How many scripts a call sends. */
async function scriptsOf(run: () => Promise<unknown>): Promise<number> {
  await bed.redis.config('RESETSTAT');
  await run();
  const stats = await bed.redis.info('commandstats');
  // The first time that a connection sends a script it sends its text.
  const calls = stats.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+)/gm);
  return [...calls].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function createMany(count: number): Promise<string[]> {
  const uids = Array.from({ length: count }, (_, i) => `u${i}`);
  await Promise.all(uids.map((uid) => bed.createJob({ uid, completions: 1 })));
  return uids;
}

async function queueCount(): Promise<string | null> {
  return await bed.redis.hget(bed.shard.keys.queues, QUEUE);
}

describe('createJob', () => {
  test('of many Jobs is one script, and each is as if it had come alone', async () => {
    const uids = Array.from({ length: MAX_JOBS_PER_SCRIPT }, (_, i) => `u${i}`);
    const created = async () => Promise.all(uids.map((uid) => bed.shard.createJob(newJob(uid))));
    expect(await scriptsOf(created)).toBe(1);
    const jobs = (await bed.shard.listJobs({ namespace: 'default', limit: 100 })).jobs;
    expect(jobs.map((job) => job.uid).toSorted()).toEqual(uids.toSorted());
    expect(new Set(jobs.map((job) => job.resourceVersion)).size).toBe(uids.length);
    for (const uid of uids) expect(await bed.dueAtMs(`job:${uid}`)).toBe(T0);
    const told = await bed.redis.xrange(bed.shard.keys.watch, '-', '+');
    expect(told).toHaveLength(uids.length);
  });

  test('answers each Job for itself: new, repeated, name taken before or in the same tick', async () => {
    await bed.createJob({ uid: 'old', name: 'taken' });
    const jobs = [
      { ...newJob('a'), name: 'a' },
      { ...newJob('old'), name: 'taken' },
      { ...newJob('b'), name: 'taken' },
      { ...newJob('c'), name: 'a' },
      { ...newJob('a'), name: 'other' },
      { ...newJob('d'), name: 'd', completions: null, indexed: true },
    ];
    const answers = await Promise.all(jobs.map((job) => bed.shard.createJob(job)));
    expect(answers.map(({ type }) => type)).toEqual([
      'created',
      'replayed',
      'alreadyExists',
      'alreadyExists',
      'replayed',
      'created',
    ]);
    const { jobs: stored } = await bed.shard.listJobs({ namespace: 'default', limit: 10 });
    expect(stored.map(({ uid, name }) => `${uid} ${name}`)).toEqual(['a a', 'd d', 'old taken']);
    expect((await bed.rawJob('a')).hot).toMatchObject({ completions: 1000, indexed: 0 });
    expect((await bed.rawJob('d')).hot).toMatchObject({ completions: -1, indexed: 1 });
  });

  test('wakes the controllers once', async () => {
    const subscriber = bed.store.openSubscriber();
    const messages: string[] = [];
    await subscriber.subscribe(bed.shard.keys.wakeChannel, (message) => messages.push(message));
    await createMany(20);
    // Comes behind everything that the script told.
    await bed.redis.publish(bed.shard.keys.wakeChannel, 'end');
    await expect.poll(() => messages.at(-1)).toBe('end');
    subscriber.close();
    expect(messages).toEqual([String(T0), 'end']);
  });
});

describe('observeJob', () => {
  test('of many Jobs is one script; what is gone is null', async () => {
    const uids = await createMany(10);
    let looks: unknown[] = [];
    const look = async () => {
      looks = await Promise.all(
        [...uids, 'nobody'].map(async (uid) => (await bed.shard.observeJob(uid, 5))?.job.uid),
      );
    };
    expect(await scriptsOf(look)).toBe(1);
    expect(looks).toEqual([...uids, undefined]);
  });

  test('of Jobs with many pods is cut into scripts that do not take long, and all are seen', async () => {
    const session = await bed.registerSession();
    for (const uid of ['u1', 'u2', 'u3']) {
      await bed.report(await bed.runningJob(session, 150, { uid }), FAILED);
    }
    let counts: unknown[] = [];
    const look = async () => {
      const looks = await Promise.all(
        ['u1', 'u2', 'u3'].map((uid) => bed.shard.observeJob(uid, 0)),
      );
      counts = looks.map((one) => [one?.job.uid, one?.unjudged.length]);
    };
    expect(await scriptsOf(look)).toBe(2);
    expect(counts).toEqual([
      ['u1', 150],
      ['u2', 150],
      ['u3', 150],
    ]);
  });
});

describe('openSlots', () => {
  test('judges, opens and writes the status of each Job; one that moved is left alone', async () => {
    const uids = await createMany(3);
    const guards = await Promise.all(uids.map((uid) => bed.guard(uid)));
    await bed.setGate('u1');
    const status = { text: '{"active":1}', critical: true };
    const replies = await Promise.all(
      guards.map((guard) => bed.shard.openSlots(guard, 1, { judge: OPENING, status })),
    );
    const opened = {
      type: 'opened',
      slots: [1],
      decisionVersion: 3,
      isStatusWritten: true,
      denial: null,
    };
    expect(replies).toEqual([opened, { type: 'moved' }, opened]);
    expect(await queueCount()).toBe('2');
    const jobs = await Promise.all(uids.map((uid) => bed.shard.getJobByUid(uid)));
    expect(jobs.map((job) => job?.status)).toEqual(['{"active":1}', '{}', '{"active":1}']);
    expect(jobs.map((job) => job?.counters.active)).toEqual([1, 0, 1]);
    expect((await bed.guard('u0')).decisionVersion).toBe(3);
  });

  test('counts failed pods and gives their indexes back before it opens', async () => {
    const session = await bed.registerSession();
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1', completions: 1 });
    await bed.report([pod!], FAILED);
    const guard = await bed.guard('u1');
    const judge: Verdicts = {
      ...OPENING,
      judgements: [{ podNumber: 1, verdict: 'failed', countsToLimit: true }],
      failuresInRow: 1,
      lastFailureMs: T0,
    };
    expect(await bed.shard.openSlots(guard, 1, { judge })).toMatchObject({ slots: [2] });
    const { counters } = (await bed.shard.getJobByUid('u1'))!;
    expect(counters).toMatchObject({
      active: 1,
      failed: 1,
      limitFailures: 1,
      unjudged: 0,
      failuresInRow: 1,
      lastFailureMs: T0,
    });
    // The index that failed is the one that is tried again.
    expect((await bed.acquire('u1', 2, session)).claim.index).toBe(0);
  });

  test('of fewer than were wanted leaves the status as it was', async () => {
    await bed.createJob({ uid: 'u1', completions: 2 });
    const guard = await bed.guard('u1');
    const status = { text: '{"active":5}', critical: true };
    expect(await bed.shard.openSlots(guard, 5, { judge: OPENING, status })).toEqual({
      type: 'opened',
      slots: [1, 2],
      decisionVersion: guard.decisionVersion + 1,
      isStatusWritten: false,
      denial: null,
    });
    expect((await bed.shard.getJobByUid('u1'))?.status).toBe('{}');
  });

  test('keeps to its bounds: many slots of many Jobs are several scripts', async () => {
    const uids = ['u1', 'u2', 'u3', 'u4'];
    const guards = await Promise.all(
      uids.map(async (uid) => {
        await bed.createJob({ uid });
        await bed.setGate(uid);
        return bed.guard(uid);
      }),
    );
    const open = async () => Promise.all(guards.map((guard) => bed.shard.openSlots(guard, 200)));
    expect(await scriptsOf(open)).toBe(2);
    for (const uid of uids) expect((await bed.rawJob(uid)).slots).toHaveLength(200);
  });
});

describe('a Job whose state can not be read', () => {
  /** The others are looked at, opened, run, written and read as if it were not there. */
  test('takes no other with it', async () => {
    const session = await bed.registerSession();
    const uids = await createMany(5);
    const guards = await Promise.all(uids.map((uid) => bed.guard(uid)));
    await Promise.all(
      guards.slice(0, 3).map((guard) => bed.shard.openSlots(guard, 1, { judge: OPENING })),
    );
    await bed.redis.set(bed.shard.keys.job('u2').hot, 'nothing that could be read');
    const only = async (run: (uid: string) => Promise<unknown>): Promise<string[]> => {
      const ends = await Promise.allSettled(uids.map(run));
      return uids.filter((_uid, i) => ends[i]!.status === 'rejected');
    };
    const status = { status: '{}', finish: null, critical: true };
    const guardOf = (uid: string) => guards[uids.indexOf(uid)]!;
    expect(await only((uid) => bed.shard.observeJob(uid, 1))).toEqual(['u2']);
    expect(await only((uid) => bed.shard.getJobByUid(uid))).toEqual(['u2']);
    const open = (uid: string) => bed.shard.openSlots(guardOf(uid), 1, { judge: OPENING });
    expect(await only(open)).toEqual(['u2']);
    const write = (uid: string) => bed.shard.writeStatus({ ...guardOf(uid), ...status });
    expect(await only(write)).toEqual(['u2']);
    expect(await only((uid) => bed.acquire(uid, 1, session))).toEqual(['u2']);
    for (const uid of ['u0', 'u1', 'u3', 'u4']) {
      expect((await bed.rawJob(uid)).hot).toMatchObject({ active: 1, running: 1, podCount: 1 });
    }
    expect(await queueCount()).toBe('5');
  });
});

describe('writeStatus', () => {
  test('of many Jobs writes those that are settled and tells the watchers which ended', async () => {
    const session = await bed.registerSession();
    const done = await bed.runningJob(session, 1, { uid: 'done', completions: 1 });
    await bed.runningJob(session, 1, { uid: 'runs', completions: 1 });
    await bed.report(done);
    const since = String(await bed.shard.resourceVersion());
    const inputs = await Promise.all(
      ['done', 'runs', 'runs'].map(async (uid, i) => ({
        ...(await bed.guard(uid)),
        status: `{"no":${i}}`,
        finish: i === 2 ? null : ('Complete' as const),
        critical: false,
      })),
    );
    const replies = await Promise.all(inputs.map((input) => bed.shard.writeStatus(input)));
    expect(replies.map(({ type }) => type)).toEqual(['written', 'notSettled', 'written']);
    expect((await bed.shard.getJobByUid('done'))?.finished).toBe(true);
    expect((await bed.shard.getJobByUid('runs'))?.status).toBe('{"no":2}');
    expect(await queueCount()).toBe('1');
    const told = await bed.redis.xrange(bed.shard.keys.watch, `(${since}-0`, '+');
    expect(told.map(([, fields]) => `${fields[3]} ${fields[5]}`)).toEqual([
      'FINISHED done',
      'MODIFIED runs',
    ]);
  });
});

describe('done', () => {
  test('of many members is one script, and each is for itself', async () => {
    await createMany(4);
    const { taken } = await bed.shard.take(4, 5000);
    await bed.shard.trigger(taken[1]!.member);
    const stale = { ...taken[2]!, token: 'of another' };
    let replies: unknown[] = [];
    const giveBack = async () => {
      replies = await Promise.all([
        bed.shard.done(taken[0]!, null),
        bed.shard.done(taken[1]!, T0 + 9000),
        bed.shard.done(stale, null),
        bed.shard.done(taken[3]!, T0 + 7000),
        bed.shard.done(taken[3]!, null),
      ]);
    };
    expect(await scriptsOf(giveBack)).toBe(1);
    expect(replies).toEqual(['done', 'again', 'replayed', 'done', 'replayed']);
    const dueAt = await Promise.all(taken.map(({ member }) => bed.dueAtMs(member)));
    expect(dueAt).toEqual([null, T0, T0 + 5000, T0 + 7000]);
  });
});

describe('acquire', () => {
  test('of many slots is one script: of one Job, of others, of none', async () => {
    const session = await bed.registerSession();
    for (const uid of ['u1', 'u2']) {
      await bed.createJob({ uid });
      await bed.setGate(uid);
      await bed.openSlots(uid, 2);
    }
    const ask = async (uid: string, slot: number, knownGeneration = 0) =>
      bed.shard.acquire({ uid, slot, session, attemptsStarted: 1, knownGeneration });
    let replies: Awaited<ReturnType<typeof ask>>[] = [];
    const askAll = async () => {
      replies = await Promise.all([ask('u1', 1), ask('u1', 2, 1), ask('u2', 1), ask('u2', 9)]);
    };
    expect(await scriptsOf(askAll)).toBe(1);
    expect(replies).toMatchObject([
      { type: 'run', claim: { podNumber: 1 }, job: { uid: 'u1' } },
      { type: 'run', claim: { podNumber: 2 }, job: null },
      { type: 'run', claim: { podNumber: 1 }, job: { uid: 'u2' } },
      { type: 'gone' },
    ]);
    const running = await Promise.all(
      ['u1', 'u2'].map(async (uid) => (await bed.shard.getJobByUid(uid))?.counters.running),
    );
    expect(running).toEqual([2, 1]);
    const { claims } = bed.shard.keys.session(session);
    expect((await bed.redis.smembers(claims)).toSorted()).toEqual(['u1:1', 'u1:2', 'u2:1']);
  });

  test('sends the object of a Job once, and gives it to all of its slots that do not know it', async () => {
    const session = await bed.registerSession();
    const object = JSON.stringify({ metadata: {}, spec: { text: 'x'.repeat(100_000) } });
    await bed.createJob({ uid: 'u1', object });
    await bed.setGate('u1');
    const slots = await bed.openSlots('u1', 20);
    await bed.redis.config('RESETSTAT');
    const replies = await Promise.all(
      slots.map((slot) =>
        bed.shard.acquire({ uid: 'u1', slot, session, attemptsStarted: 1, knownGeneration: 0 }),
      ),
    );
    for (const reply of replies) expect(reply).toMatchObject({ type: 'run', job: { object } });
    const sent = /total_net_output_bytes:(\d+)/.exec(await bed.redis.info('stats'));
    expect(Number(sent?.[1])).toBeLessThan(2 * object.length);
  });

  test('for several sessions asks for each of them', async () => {
    const [first, second] = [await bed.registerSession(), await bed.registerSession()];
    await bed.createJob({ uid: 'u1' });
    await bed.setGate('u1');
    await bed.openSlots('u1', 2);
    await Promise.all([bed.acquire('u1', 1, first), bed.acquire('u1', 2, second)]);
    const slots = await bed.shard.allSlots('u1');
    expect(new Map(slots.map((one) => [one.slot, one.session]))).toEqual(
      new Map([
        [1, first],
        [2, second],
      ]),
    );
  });
});
