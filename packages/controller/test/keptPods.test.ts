/** What is kept of pods that ended: of each Job, and of all finished ones. */
import { describe, expect, test } from 'vitest';
import { TestBed, type FakeWorker, type TestController } from './bed.ts';

let bed: TestBed;
let worker: FakeWorker;

TestBed.forEachTest(async (fresh) => {
  bed = fresh;
  worker = await bed.worker();
});

function controllerFor(perJob: number, ofShard = 1_000_000): TestController {
  return bed.controller(bed.shard, { perJob, ofShard });
}

/** Numbers and outcomes of the pods that are kept. */
async function kept(uid: string): Promise<string[]> {
  const { pods } = await bed.shard.listPods(uid, { limit: 5000 });
  return pods.map((pod) => `${pod.podNumber} ${pod.kind === 'record' ? pod.outcome : pod.phase}`);
}

async function keptTotal(): Promise<number> {
  return await bed.shard.keptTotal();
}

/** Runs a Job of so many pods to its end. */
async function finished(controller: TestController, completions: number): Promise<string> {
  const uid = await bed.createJob({ completions, parallelism: 1 });
  await bed.settle(controller);
  await worker.runAll(await worker.acquireAll(uid));
  await bed.settle(controller);
  return uid;
}

describe('of a Job', () => {
  test('the newest are kept; the counts are those of all', async () => {
    const controller = controllerFor(3);
    const uid = await finished(controller, 10);
    expect(await kept(uid)).toEqual(['8 Succeeded', '9 Succeeded', '10 Succeeded']);
    const job = (await bed.shard.getJobByUid(uid))!;
    expect(job).toMatchObject({ droppedPods: 7, counters: { succeeded: 10, kept: 3 } });
    expect(JSON.parse(job.status)).toMatchObject({ succeeded: 10 });
    // The overlays are gone with them, and what is left can be read.
    expect(await bed.shard.getPod(uid, 7)).toBeNull();
  });

  test('failed ones are kept before those that succeeded, and go when only they are left', async () => {
    const controller = controllerFor(3);
    const uid = await bed.createJob({ completions: 4, parallelism: 1, backoffLimit: 100 });
    await bed.settle(controller);
    let pods = await worker.acquireAll(uid);
    for (let failures = 0; failures < 5; failures++) {
      await worker.fail(pods[0]!);
      await bed.pass(700_000, controller);
      pods = await worker.acquireAll(uid);
    }
    expect(await kept(uid)).toEqual(['3 Failed', '4 Failed', '5 Failed', '6 Running']);
    await worker.runAll(pods);
    await bed.settle(controller);
    expect(await kept(uid)).toEqual(['3 Failed', '4 Failed', '5 Failed']);
    expect(await bed.counters(uid)).toMatchObject({ succeeded: 4, failed: 5, kept: 3 });
  });

  test('its own limit counts, down to none', async () => {
    const controller = controllerFor(100);
    const uid = await bed.createJob({ completions: 5, parallelism: 1, keptPods: 0 });
    await bed.settle(controller);
    await worker.runAll(await worker.acquireAll(uid));
    await bed.settle(controller);
    expect(await kept(uid)).toEqual([]);
    expect((await bed.shard.getJobByUid(uid))!.droppedPods).toBe(5);
  });

  test('a pod that ran for longer than many others is removed, too', async () => {
    const controller = controllerFor(2);
    const uid = await bed.createJob({ completions: 9, parallelism: 2 });
    await bed.settle(controller);
    const [slow, quick] = (await worker.acquireAll(uid)).toSorted(
      (a, b) => a.claim.podNumber - b.claim.podNumber,
    );
    await worker.runAll([quick!], 8);
    await bed.pass(2_000, controller);
    expect(await kept(uid)).toEqual(['1 Running', '8 Succeeded', '9 Succeeded']);
    await worker.succeed(slow!);
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ succeeded: 9, kept: 2 });
    expect(await kept(uid)).toHaveLength(2);
  });

  test('of several chunks of records those that are empty are freed', async () => {
    const controller = controllerFor(10);
    const uid = await bed.createJob({ completions: 3_000, parallelism: 1 });
    await bed.settle(controller);
    await worker.runAll(await worker.acquireAll(uid));
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ succeeded: 3_000, kept: 10 });
    const chunks = [0, 1, 2].map((chunk) => bed.shard.keys.podChunk(uid, chunk));
    expect(await Promise.all(chunks.map((key) => bed.store.redis.exists(key)))).toEqual([0, 0, 1]);
  });

  test('logs go with the pods', async () => {
    const controller = controllerFor(0);
    const uid = await bed.createJob({});
    await bed.settle(controller);
    const [pod] = await worker.acquireAll(uid);
    const log = bed.shard.podLogKey(uid, 1);
    await bed.store.redis.xadd(log, '*', 'a', 'b');
    await worker.succeed(pod!, { hasLog: true });
    await bed.settle(controller);
    expect(await bed.store.redis.exists(log)).toBe(0);
  });
});

describe('of all finished Jobs', () => {
  test('those of the Jobs that finished first go, until a tenth of room is made', async () => {
    const controller = controllerFor(1_000, 20);
    const uids: string[] = [];
    for (let i = 0; i < 4; i++) {
      uids.push(await finished(controller, 6));
      bed.clock.advance(100);
    }
    expect(await keptTotal()).toBe(24);
    await bed.pass(3_000, controller);
    expect(await keptTotal()).toBe(18);
    expect(await Promise.all(uids.map(async (uid) => (await kept(uid)).length))).toEqual([
      0, 6, 6, 6,
    ]);
    expect((await bed.shard.getJobByUid(uids[0]!))!.droppedPods).toBe(6);
  });

  test('failed ones of any Job are kept before those that succeeded of all', async () => {
    const controller = controllerFor(1_000, 3);
    const failing = await bed.createJob({ backoffLimit: 0, completions: 2 });
    await bed.settle(controller);
    const [pod] = await worker.acquireAll(failing);
    await worker.fail(pod!);
    await bed.settle(controller);
    bed.clock.advance(100);
    const good = await finished(controller, 4);
    await bed.pass(3_000, controller);
    expect(await kept(failing)).toEqual(['1 Failed']);
    expect(await kept(good)).toEqual(['4 Succeeded']);
    expect(await keptTotal()).toBe(2);
    // When there is no other left, failed ones go, too.
    const strict = controllerFor(1_000, 0);
    await bed.shard.trigger('kept:all');
    await bed.settle(strict);
    expect(await keptTotal()).toBe(0);
    expect(await kept(failing)).toEqual([]);
  });

  test('room is made when there is none left in Redis, past Jobs of which only failed ones are left', async () => {
    const controller = controllerFor(1_000);
    const failing = await bed.createJob({ backoffLimit: 0, completions: 2 });
    await bed.settle(controller);
    const [pod] = await worker.acquireAll(failing);
    await worker.fail(pod!);
    await bed.settle(controller);
    bed.clock.advance(100);
    await finished(controller, 4);
    await bed.shard.trigger('kept:all');
    const { redis } = bed.store;
    await redis.config('SET', 'maxmemory', '1');
    try {
      await bed.settle(controllerFor(1_000, 2));
    } finally {
      await redis.config('SET', 'maxmemory', '0');
    }
    expect(await keptTotal()).toBe(1);
    expect(await kept(failing)).toEqual(['1 Failed']);
  });

  test('those of deleted Jobs do not count, however they are removed', async () => {
    const controller = controllerFor(1_000);
    const uids = [
      await finished(controller, 3),
      await finished(controller, 3),
      await finished(controller, 3),
    ];
    expect(await keptTotal()).toBe(9);
    await bed.shard.removePodRecord(uids[0]!, 2);
    expect(await keptTotal()).toBe(8);
    await bed.shard.deleteJob(uids[0]!);
    await bed.shard.deleteJob(uids[1]!, { policy: 'Foreground' });
    await bed.settle(controller);
    expect(await keptTotal()).toBe(3);
    await bed.shard.deleteJob(uids[2]!);
    await bed.settle(controller);
    expect(await keptTotal()).toBe(0);
    expect(await bed.shard.oldestKept()).toBeNull();
  });

  test('one that was removed while its turn was being noted does not stop the others’', async () => {
    const controller = controllerFor(100, 10);
    const gone = await finished(controller, 2);
    await bed.shard.deleteJob(gone);
    await bed.settle(controller);
    await bed.shard.keepForFailures(gone, 1);
    const uid = await bed.createJob({ completions: 12, parallelism: 1, backoffLimit: 100 });
    await bed.settle(controller);
    let pods = await worker.acquireAll(uid);
    for (let failures = 0; failures < 12; failures++) {
      await worker.fail(pods[0]!);
      await bed.pass(700_000, controller);
      pods = await worker.acquireAll(uid);
    }
    await worker.runAll(pods);
    await bed.settle(controller);
    await bed.pass(2_000, controller);
    expect(await keptTotal()).toBe(9);
  });

  test('an idle system does nothing for it', async () => {
    const controller = controllerFor(1_000, 5);
    await finished(controller, 9);
    await bed.pass(3_000, controller);
    expect(await keptTotal()).toBe(4);
    expect(await bed.store.redis.zcard(bed.shard.keys.due)).toBe(1);
  });
});
