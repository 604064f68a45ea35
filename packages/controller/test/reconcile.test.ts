import { randomUUID } from 'node:crypto';
import type { JobStatus } from '@drover/shared';
import { describe, expect, test, vi } from 'vitest';
import type { ReconcileShard } from '../src/reconcile.ts';
import { reconcileSession } from '../src/sessions.ts';
import { reconcileWorkQueue } from '../src/workQueues.ts';
import { LANE, silent, T0, TestBed, type TestController } from './bed.ts';

let bed: TestBed;
let controller: TestController;

TestBed.forEachTest((fresh) => {
  bed = fresh;
  controller = bed.controller();
});

/** A shard whose calls are told beforehand. */
function spyOn(shard: ReconcileShard, before: (name: string) => Promise<void>): ReconcileShard {
  return new Proxy(shard, {
    get: (target, name) => {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        await before(String(name));
        return Reflect.apply(value, target, args) as unknown;
      };
    },
  });
}

function conditionTypes(status: JobStatus): string[] {
  return (status.conditions ?? []).map((one) => `${one.type}=${one.status}`);
}

describe('a new Job', () => {
  test('gets its slots, which are offered, and then a status', async () => {
    await bed.worker();
    const uid = await bed.createJob({ parallelism: 3, completions: 10 });
    await bed.settle(controller);

    expect(controller.offered).toEqual([1, 2, 3]);
    expect(await bed.counters(uid)).toMatchObject({ active: 3, running: 0, podCount: 3 });
    expect(await bed.status(uid)).toEqual({
      active: 3,
      ready: 0,
      startTime: '2026-01-15T12:00:00Z',
      terminating: 0,
      uncountedTerminatedPods: {},
    });
  });

  test('costs two calls beside the offer: submitting is quick', async () => {
    await bed.worker();
    const calls: string[] = [];
    const counted = bed.controller(spyOn(bed.shard, async (name) => void calls.push(name)));
    const uid = await bed.createJob({ parallelism: 2, completions: 2 });
    await counted.jobs.reconcile(uid);
    expect(calls).toEqual(['observeJob', 'openSlots']);
  });

  test('costs one when it was looked at as it was taken', async () => {
    await bed.worker();
    const calls: string[] = [];
    const counted = bed.controller(spyOn(bed.shard, async (name) => void calls.push(name)));
    const uid = await bed.createJob({ parallelism: 2, completions: 2 });
    const { look } = await bed.shard.takeAndObserve(10, 5000, uid, 500);
    await counted.jobs.reconcile(uid, '', look);
    expect(calls).toEqual(['openSlots']);
    expect(counted.offered).toEqual([1, 2]);
  });

  test('that its user changes while it is decided about gets what it says now', async () => {
    await bed.worker();
    const uid = await bed.createJob({ parallelism: 2, completions: 9 });
    let isChanged = false;
    const change = async (name: string) => {
      if (name !== 'openSlots' || isChanged) return;
      isChanged = true;
      await bed.updateJob(uid, { parallelism: 4, completions: 9 });
    };
    await bed.controller(spyOn(bed.shard, change)).jobs.reconcile(uid);
    expect(isChanged).toBe(true);
    expect((await bed.counters(uid)).active).toBe(4);
  });

  test('of more than 500 pods gets them in passes, all within one look', async () => {
    await bed.worker(2000);
    const uid = await bed.createJob({ parallelism: 1100, completions: 2000 });
    await bed.settle(controller);
    expect((await bed.counters(uid)).active).toBe(1100);
    expect(new Set(controller.offered).size).toBe(1100);
  });

  test('without completions completes without a pod', async () => {
    const uid = await bed.createJob({ completions: 0 });
    await bed.settle(controller);
    expect(await bed.status(uid)).toMatchObject({
      startTime: '2026-01-15T12:00:00Z',
      completionTime: '2026-01-15T12:00:00Z',
    });
    expect((await bed.counters(uid)).podCount).toBe(0);
  });
});

describe('a Job that runs', () => {
  test('completes, with both conditions, when its last pod succeeded', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 3, completions: 10 });
    await bed.settle(controller);
    const pods = await worker.acquireAll(uid);
    bed.clock.advance(5000);
    expect(await worker.runAll(pods)).toBe(10);
    await bed.settle(controller);

    const status = await bed.status(uid);
    expect(conditionTypes(status)).toEqual(['SuccessCriteriaMet=True', 'Complete=True']);
    expect(status).toMatchObject({
      succeeded: 10,
      ready: 0,
      terminating: 0,
      startTime: '2026-01-15T12:00:00Z',
      completionTime: '2026-01-15T12:00:05Z',
    });
    expect(status).not.toHaveProperty('active');
    expect((await bed.shard.getJobByUid(uid))?.finished).toBe(true);
  });

  test('Indexed: names the indexes that are done', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({
      parallelism: 5,
      completions: 8,
      completionMode: 'Indexed',
    });
    await bed.settle(controller);
    const pods = await worker.acquireAll(uid);
    const byIndex = new Map(pods.map((pod) => [pod.claim.index, pod]));
    for (const index of [0, 1, 3]) await worker.succeed(byIndex.get(index)!);
    await bed.pass(1000, controller);
    expect(await bed.status(uid)).toMatchObject({ completedIndexes: '0,1,3', succeeded: 3 });

    await worker.runAll([byIndex.get(2)!, byIndex.get(4)!]);
    await bed.settle(controller);
    await worker.runAll(await worker.acquireAll(uid));
    const open = (await bed.shard.allSlots(uid)).filter((slot) => slot.phase === 'Running');
    await worker.runAll(
      open.map((slot) => ({
        uid,
        slot: slot.slot,
        claim: {
          podNumber: slot.podNumber,
          index: slot.index,
          createdMs: 0,
          startMs: 0,
          restarts: 0,
        },
      })),
    );
    await bed.settle(controller);
    expect(await bed.status(uid)).toMatchObject({
      completedIndexes: '0-7',
      succeeded: 8,
      conditions: [{ type: 'SuccessCriteriaMet' }, { type: 'Complete' }],
    });
  });

  test('a work queue lets its other pods end after the first success', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 3 });
    await bed.settle(controller);
    const [first, second, third] = await worker.acquireAll(uid);
    expect(await worker.succeed(first!)).toEqual({ type: 'released' });
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 2, podCount: 3 });

    await worker.fail(second!);
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 1, podCount: 3 });
    await worker.succeed(third!);
    await bed.settle(controller);
    expect(await bed.status(uid)).toMatchObject({ succeeded: 2, failed: 1 });
    expect(conditionTypes(await bed.status(uid))).toContain('Complete=True');
  });

  test('status is folded at most once a second, and a look without news writes nothing', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 2, completions: 100 });
    await bed.settle(controller);
    const pods = await worker.acquireAll(uid);
    await worker.runAll(pods, 10);
    await bed.pass(999, controller);
    await bed.shard.trigger(`job:${uid}`);
    await bed.settle(controller);
    expect(await bed.status(uid)).not.toHaveProperty('succeeded');

    await bed.pass(1, controller);
    expect((await bed.status(uid)).succeeded).toBe(10);
    const version = (await bed.shard.getJobByUid(uid))!.resourceVersion;
    await bed.pass(30_000, controller);
    await bed.pass(30_000, controller);
    expect((await bed.shard.getJobByUid(uid))!.resourceVersion).toBe(version);
  });

  test('a look before a planned fold does not take its place', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 2, completions: 100 });
    await bed.settle(controller);
    const [first, second] = await worker.acquireAll(uid);
    await bed.pass(5000, controller);
    await worker.succeed(first!);
    await bed.pass(200, controller);
    await bed.shard.trigger(`job:${uid}`);
    await bed.settle(controller);
    expect((await bed.status(uid)).succeeded).toBe(1);
    await bed.pass(300, controller);
    // The fold that the first success planned is still to come: no other one is planned.
    await worker.succeed(second!);
    await bed.pass(1000, controller);
    expect((await bed.status(uid)).succeeded).toBe(2);
  });
});

describe('failed pods', () => {
  test('are shown within a second', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 1, completions: 2 });
    await bed.settle(controller);
    const [pod] = await worker.acquireAll(uid);
    await worker.fail(pod!);
    await bed.settle(controller);
    expect(await bed.status(uid)).not.toHaveProperty('failed');
    await bed.pass(1000, controller);
    expect((await bed.status(uid)).failed).toBe(1);
  });

  test('that come between two looks at an ending Job are counted before it ends', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 3, completions: 9, backoffLimit: 0 });
    await bed.settle(controller);
    const pods = await worker.acquireAll(uid);
    await worker.fail(pods[0]!);
    let isSecond = false;
    const failSecond = async (name: string) => {
      if (name !== 'judge' || isSecond) return;
      isSecond = true;
      await worker.fail(pods[1]!);
    };
    await bed.controller(spyOn(bed.shard, failSecond)).jobs.reconcile(uid);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, terminating: 1, failed: 3 });
    await worker.fail(pods[2]!);
    await bed.settle(controller);
    expect(conditionTypes(await bed.status(uid))).toEqual(['FailureTarget=True', 'Failed=True']);
  });

  test('are retried after the back-off, until backoffLimit is exceeded', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ backoffLimit: 2 });
    await bed.settle(controller);
    for (const delayMs of [10_000, 20_000]) {
      const [pod] = await worker.acquireAll(uid);
      await worker.fail(pod!);
      await bed.settle(controller);
      expect(await bed.counters(uid)).toMatchObject({ active: 0, unjudged: 0 });
      await bed.pass(delayMs - 1, controller);
      expect((await bed.counters(uid)).active).toBe(0);
      await bed.pass(1, controller);
      expect((await bed.counters(uid)).active).toBe(1);
    }
    const [pod] = await worker.acquireAll(uid);
    await worker.fail(pod!);
    await bed.settle(controller);
    const status = await bed.status(uid);
    expect(conditionTypes(status)).toEqual(['FailureTarget=True', 'Failed=True']);
    expect(status.conditions?.[1]).toMatchObject({ reason: 'BackoffLimitExceeded' });
    expect(status).toMatchObject({ failed: 3 });
    expect(status).not.toHaveProperty('completionTime');
  });

  test('the pods that ran when the Job failed are stopped, counted failed, and waited for', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 3, completions: 5, backoffLimit: 0 });
    await bed.settle(controller);
    const pods = await worker.acquireAll(uid);
    await worker.fail(pods[0]!);
    await bed.settle(controller);

    expect(conditionTypes(await bed.status(uid))).toEqual(['FailureTarget=True']);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, terminating: 2, failed: 3 });
    const heartbeat = await worker.heartbeat();
    expect(heartbeat.type === 'alive' && heartbeat.orders).toHaveLength(2);

    await worker.fail(pods[1]!);
    await bed.settle(controller);
    expect(conditionTypes(await bed.status(uid))).toEqual(['FailureTarget=True']);
    // Its exit code no longer matters.
    await worker.succeed(pods[2]!);
    await bed.settle(controller);
    expect(conditionTypes(await bed.status(uid))).toEqual(['FailureTarget=True', 'Failed=True']);
    expect(await bed.status(uid)).toMatchObject({ failed: 3, terminating: 0 });
    expect(await bed.status(uid)).not.toHaveProperty('succeeded');
  });

  test('a success ends the back-off', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 2, completions: 9 });
    await bed.settle(controller);
    const [first, second] = await worker.acquireAll(uid);
    await worker.fail(first!);
    await bed.settle(controller);
    expect((await bed.counters(uid)).active).toBe(1);
    bed.clock.advance(10);
    expect(await worker.succeed(second!)).toEqual({ type: 'released' });
    await bed.settle(controller);
    expect((await bed.counters(uid)).active).toBe(2);
  });

  test('container restarts fail an OnFailure Job at the limit', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ backoffLimit: 2, restartPolicy: 'OnFailure' });
    await bed.settle(controller);
    const [pod] = await worker.acquireAll(uid);
    const restart = async (restarts: number) =>
      bed.shard.recordRestart({
        uid,
        slot: pod!.slot,
        podNumber: pod!.claim.podNumber,
        session: worker.session,
        restarts,
      });
    expect(await restart(1)).toBe('recorded');
    await bed.settle(controller);
    expect(await bed.status(uid)).not.toHaveProperty('conditions');
    await restart(2);
    await bed.settle(controller);
    expect(conditionTypes(await bed.status(uid))).toEqual(['FailureTarget=True']);
    expect(await restart(3)).toBe('stopping');
    await worker.fail(pod!);
    await bed.settle(controller);
    expect(await bed.status(uid)).toMatchObject({ failed: 1 });
  });

  test('a pod that its user deleted is counted failed and replaced at once', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 1, completions: 2 });
    await bed.settle(controller);
    const [pod] = await worker.acquireAll(uid);
    const slots = await bed.shard.allSlots(uid);
    await bed.shard.stopPods({ uid, guard: null, pods: slots, countAs: 'unjudged' });
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 1, terminating: 1, failed: 1 });
    await worker.fail(pod!);
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 1, terminating: 0, failed: 1 });
  });
});

describe('activeDeadlineSeconds', () => {
  test('fails the Job at the deadline, to the millisecond', async () => {
    const worker = await bed.worker();
    bed.clock.advance(678);
    const uid = await bed.createJob({ activeDeadlineSeconds: 5, parallelism: 2, completions: 2 });
    await bed.settle(controller);
    const pods = await worker.acquireAll(uid);
    await bed.pass(4999, controller);
    expect(await bed.status(uid)).not.toHaveProperty('conditions');
    await bed.pass(1, controller);
    expect(conditionTypes(await bed.status(uid))).toEqual(['FailureTarget=True']);
    for (const pod of pods) await worker.fail(pod);
    await bed.settle(controller);
    const status = await bed.status(uid);
    expect(status.conditions?.map((one) => one.reason)).toEqual([
      'DeadlineExceeded',
      'DeadlineExceeded',
    ]);
    expect(status.failed).toBe(2);
  });
});

describe('suspend and resume', () => {
  test('stops the pods, clears startTime, waits without being due, and goes on', async () => {
    const worker = await bed.worker();
    const spec = { parallelism: 2, completions: 4, activeDeadlineSeconds: 60 };
    const uid = await bed.createJob(spec);
    await bed.settle(controller);
    const pods = await worker.acquireAll(uid);
    await worker.succeed(pods[0]!);
    bed.clock.advance(2000);

    await bed.updateJob(uid, { ...spec, suspend: true });
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, terminating: 2, succeeded: 1 });
    const suspended = await bed.status(uid);
    expect(conditionTypes(suspended)).toEqual(['Suspended=True']);
    expect(suspended).toMatchObject({ terminating: 2, succeeded: 1 });
    expect(suspended).not.toHaveProperty('startTime');

    const running = await bed.shard.allSlots(uid);
    for (const slot of running) {
      await worker.fail({ uid, slot: slot.slot, claim: { ...pods[0]!.claim, ...slot } });
    }
    await bed.pass(1000, controller);
    expect(await bed.status(uid)).toMatchObject({ terminating: 0, succeeded: 1 });
    expect(await bed.status(uid)).not.toHaveProperty('failed');
    expect(await bed.store.redis.zscore(bed.shard.keys.due, `job:${uid}`)).toBeNull();

    await bed.updateJob(uid, spec);
    await bed.settle(controller);
    expect(await bed.status(uid)).toMatchObject({
      active: 2,
      startTime: '2026-01-15T12:00:03Z',
      conditions: [{ type: 'Suspended', status: 'False', reason: 'JobResumed' }],
    });
    await worker.runAll(await worker.acquireAll(uid));
    await bed.settle(controller);
    expect(conditionTypes(await bed.status(uid))).toEqual([
      'Suspended=False',
      'SuccessCriteriaMet=True',
      'Complete=True',
    ]);
    expect((await bed.status(uid)).succeeded).toBe(4);
  });
});

describe('scaling', () => {
  test('down: pods without a worker go first, then the youngest; nothing is counted', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 4, completions: 20 });
    await bed.settle(controller);
    // Slots 1, 2 and 3 run, the last one for the shortest time; slot 4 waits.
    for (const slot of [1, 2, 3]) {
      await worker.acquire(uid, slot);
      bed.clock.advance(100);
    }
    await bed.updateJob(uid, { parallelism: 2, completions: 20 });
    await bed.settle(controller);
    const phases = new Map((await bed.shard.allSlots(uid)).map((slot) => [slot.slot, slot.phase]));
    expect(phases).toEqual(
      new Map([
        [1, 'Running'],
        [2, 'Running'],
        [3, 'Stopping'],
      ]),
    );
    expect(await bed.counters(uid)).toMatchObject({ active: 2, terminating: 1, failed: 0 });
  });

  test('to 0 and up again', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 2, completions: 20 });
    await bed.settle(controller);
    await worker.acquireAll(uid);
    await bed.updateJob(uid, { parallelism: 0, completions: 20 });
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, terminating: 2 });
    expect(await bed.status(uid)).not.toHaveProperty('conditions');
    await bed.updateJob(uid, { parallelism: 5, completions: 20 });
    await bed.settle(controller);
    // Indexes that were stopped are tried again first.
    expect(await bed.counters(uid)).toMatchObject({ active: 5, terminating: 2 });
    const pending = (await bed.shard.allSlots(uid)).filter((slot) => slot.phase === 'Pending');
    expect(pending.map((slot) => slot.index).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('holding', () => {
  test('takes back pods without a worker, lets the others end, and starts none', async () => {
    const worker = await bed.worker();
    const spec = { parallelism: 4, completions: 20 };
    const uid = await bed.createJob(spec);
    await bed.settle(controller);
    const pods = [await worker.acquire(uid, 1), await worker.acquire(uid, 2)];
    await bed.updateJob(uid, { ...spec, hold: true });
    // A worker takes one more just before it would be taken back.
    const takeThird = async (name: string) => {
      if (name === 'allSlots') pods.push(await worker.acquire(uid, 3));
    };
    await bed.controller(spyOn(bed.shard, takeThird)).jobs.reconcile(uid);
    expect(await bed.counters(uid)).toMatchObject({ active: 3, running: 3, terminating: 0 });
    for (const pod of pods) expect(await worker.succeed(pod!)).toEqual({ type: 'released' });
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, succeeded: 3 });

    await bed.updateJob(uid, spec);
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 4, succeeded: 3 });
  });
});

describe('a work queue', () => {
  async function createQueue(name: string): Promise<string> {
    const uid = randomUUID();
    const object = '{}';
    const queue = {
      uid,
      namespace: 'default',
      name,
      object,
      resultTtlMs: 60_000,
      maxResultBytes: 2 ** 28,
    };
    await bed.shard.workQueues.create(queue);
    return uid;
  }

  test('is deleted in Foreground though Redis has no memory left', async () => {
    const uid = await bed.createJob({ parallelism: 2, workQueue: 'pages' });
    await bed.settle(controller);
    const { redis } = bed.store;
    await redis.config('SET', 'maxmemory', '1');
    try {
      await controller.jobs.reconcile(uid);
      await bed.shard.deleteJob(uid, { policy: 'Foreground' });
      await bed.settle(controller);
    } finally {
      await redis.config('SET', 'maxmemory', '0');
    }
    expect(await bed.shard.getJobByUid(uid)).toBeNull();
  });

  test('that a Job names and that does not exist is waited for', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 2, workQueue: 'pages' });
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 0 });
    await createQueue('parcels');
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 0 });
    await createQueue('pages');
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 2 });
    expect(await worker.acquireAll(uid)).toHaveLength(2);
  });

  test('that exists is asked for once', async () => {
    await createQueue('pages');
    const uid = await bed.createJob({ parallelism: 2, workQueue: 'pages' });
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 2 });
    const find = vi.spyOn(bed.shard.workQueues, 'find');
    await controller.jobs.reconcile(uid);
    expect(find).not.toHaveBeenCalled();
  });

  test('whose producer died is not waited for', async () => {
    const uid = await createQueue('pages');
    const request = { uid, count: 3, of: null, leaseMs: 1_000 };
    await bed.shard.workQueues.reserve({ ...request, batchId: 'a' });
    bed.clock.advance(500);
    await bed.shard.workQueues.reserve({ ...request, batchId: 'b' });
    const { workQueues } = bed.shard;
    expect(await reconcileWorkQueue(workQueues, uid, silent)).toBe(T0 + 1_000);
    bed.clock.advance(500);
    expect(await reconcileWorkQueue(workQueues, uid, silent)).toBe(T0 + 1_500);
    bed.clock.advance(500);
    expect(await reconcileWorkQueue(workQueues, uid, silent)).toBeNull();
    expect((await workQueues.read(uid))!.counts).toMatchObject({ abandoned: 6, settled: 6 });
  });
});

describe('deletion', () => {
  /** Keys about a Job that are there to stay. */
  async function keysFor(uid: string): Promise<string[]> {
    const keys = await bed.store.redis.keys(`*${uid}*`);
    const ttls = await Promise.all(keys.map((key) => bed.store.redis.ttl(key)));
    return keys.filter((_key, i) => ttls[i] === -1);
  }

  test('stops the pods, keeps a tombstone until they ended, then leaves nothing', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 3, completions: 20 });
    await bed.settle(controller);
    const pods = await worker.acquireAll(uid);
    await worker.succeed(pods[0]!);
    await bed.shard.deleteJob(uid);
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, terminating: 3 });
    for (const slot of await bed.shard.allSlots(uid)) {
      await worker.fail({ uid, slot: slot.slot, claim: { ...pods[0]!.claim, ...slot } });
    }
    await bed.settle(controller);
    expect(await bed.shard.getJobByUid(uid)).toBeNull();
    expect(await keysFor(uid)).toEqual([]);
    expect(controller.jobs.rememberedCount).toBe(0);
  });

  test('of a finished Job leaves nothing either', async () => {
    const worker = await bed.worker();
    const uid = await bed.createJob({ parallelism: 3, completions: 300 });
    await bed.settle(controller);
    await worker.runAll(await worker.acquireAll(uid));
    await bed.settle(controller);
    await bed.shard.deleteJob(uid);
    await bed.settle(controller);
    expect(await keysFor(uid)).toEqual([]);
  });
});

describe('workers', () => {
  test('nothing is offered while none fits, and everything once one comes', async () => {
    const uid = await bed.createJob({ parallelism: 2, completions: 4 });
    await bed.settle(controller);
    expect(controller.offered).toEqual([]);
    expect((await bed.counters(uid)).active).toBe(2);
    await bed.worker(10);
    await bed.settle(controller);
    expect(controller.offered).toEqual([1, 2]);
  });

  test('no more is offered than the lanes and a tenth, and the next when one has ended', async () => {
    const worker = await bed.worker(10);
    const uid = await bed.createJob({ parallelism: 30, completions: 30 });
    await bed.settle(controller);
    expect(controller.offered).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const pod = await worker.acquire(uid, 1);
    expect(await worker.succeed(pod!)).toEqual({ type: 'released' });
    await bed.settle(controller);
    expect(controller.offered.slice(11)).toEqual([12]);
  });

  test('what is on offer is added again with a resync, and not before', async () => {
    await bed.worker(10);
    await bed.createJob({ parallelism: 2, completions: 4 });
    await bed.settle(controller);
    await bed.pass(1000, controller);
    await bed.pass(29_999, controller);
    expect(controller.offered).toEqual([1, 2]);
    await bed.pass(1, controller);
    expect(controller.offered).toEqual([1, 2, 1, 2]);
    expect(controller.offeredAgain).toEqual([1, 2]);
  });

  test('a lost worker: its pods are counted failed and replaced at once', async () => {
    const lost = await bed.worker(10);
    const uid = await bed.createJob({ parallelism: 3, completions: 9, backoffLimit: 1 });
    await bed.settle(controller);
    await lost.acquireAll(uid);
    await bed.worker(10);
    lost.isAlive = false;
    await bed.pass(5999, controller);
    expect((await bed.counters(uid)).failed).toBe(0);
    await bed.pass(1, controller);
    expect(await bed.counters(uid)).toMatchObject({
      active: 3,
      running: 0,
      failed: 3,
      limitFailures: 0,
      unjudged: 0,
    });
    expect(await lost.heartbeat()).toEqual({ type: 'ended' });
    expect(await bed.status(uid)).not.toHaveProperty('conditions');
    expect(await bed.shard.fittingLanes(LANE)).toBe(10);
    expect(controller.offered).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('a worker that is well is looked at again when its lease would end', async () => {
    const worker = await bed.worker();
    expect(await reconcileSession(bed.shard, worker.session, silent)).toBe(T0 + 6000);
  });

  test('a queue is marked contended while pods wait and another Job shares it', async () => {
    await bed.worker(10);
    const contended = async () =>
      Number(await bed.store.redis.hget(bed.shard.keys.contended, 'default.handler'));
    await bed.createJob({ parallelism: 5, completions: 50 });
    await bed.settle(controller);
    await bed.pass(1000, controller);
    expect(await contended()).toBe(0);
    await bed.createJob({ parallelism: 5, completions: 50 });
    await bed.settle(controller);
    await bed.pass(100, controller);
    expect(await contended()).toBeGreaterThan(bed.clock.now());
  });

  test('a queue that could not be marked contended is marked by the next look', async () => {
    await bed.worker(10);
    let calls = 0;
    const shard = new Proxy<ReconcileShard>(bed.shard, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target) as unknown;
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]) => {
          if (name === 'markContended' && ++calls === 1) throw new Error('OOM');
          return (await Reflect.apply(value, target, args)) as unknown;
        };
      },
    });
    const unlucky = bed.controller(shard);
    await bed.createJob({ parallelism: 5, completions: 50 });
    await bed.settle(unlucky);
    const uid = await bed.createJob({ parallelism: 15, completions: 50 });
    const looks = async () => {
      await bed.settle(unlucky);
      await bed.pass(100, unlucky);
    };
    await expect(looks()).rejects.toThrow('OOM');
    await unlucky.jobs.reconcile(uid);
    expect(calls).toBe(2);
  });
});

describe('a stored Job that can not be read', () => {
  test('is given up with a clear error', async () => {
    const uid = await bed.createJob();
    await bed.store.redis.hset(bed.shard.keys.job(uid).job, 'object', '{');
    await expect(controller.jobs.reconcile(uid)).rejects.toThrow(
      `the stored object of Job ${uid} is not JSON`,
    );
  });
});
