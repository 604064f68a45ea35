/** Jobs with policies, on a real Redis. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FakeWorker, TestBed, type TestController } from './bed.ts';

let server: TestBed;
let bed: TestBed;
let controller: TestController;
let worker: FakeWorker;

beforeAll(async () => {
  server = await TestBed.open();
});
afterAll(() => server.redis.stop());
beforeEach(async () => {
  bed = await server.fresh();
  controller = bed.controller();
  worker = await bed.worker();
});

async function deletePods(uid: string): Promise<void> {
  const pods = await bed.shard.allSlots(uid);
  await bed.shard.stopPods({ uid, guard: null, pods, countAs: 'unjudged' });
}

describe('podReplacementPolicy Failed', () => {
  test('a pod that its user deleted is replaced when it has ended, and counted for its end', async () => {
    const uid = await bed.createJob({
      parallelism: 2,
      completions: 4,
      podReplacementPolicy: 'Failed',
    });
    await bed.settle(controller);
    const [one, two] = await worker.acquireAll(uid);
    await deletePods(uid);
    await bed.pass(1_000, controller);
    const between = await bed.status(uid);
    expect(between).toMatchObject({ ready: 0, terminating: 2 });
    for (const field of ['active', 'failed', 'succeeded'])
      expect(between).not.toHaveProperty(field);
    expect(await bed.counters(uid)).toMatchObject({ podCount: 2 });

    await worker.succeed(one!);
    await bed.settle(controller);
    await worker.fail(two!);
    await bed.settle(controller);
    await bed.pass(1_000, controller);
    expect(await bed.status(uid)).toMatchObject({
      active: 2,
      terminating: 0,
      succeeded: 1,
      failed: 1,
    });
  });

  test('may be given while the Job runs, and then holds for pods that are told to stop', async () => {
    const spec = { parallelism: 2, completions: 4 };
    const uid = await bed.createJob(spec);
    await bed.settle(controller);
    await worker.acquireAll(uid);
    await bed.updateJob(uid, { ...spec, podReplacementPolicy: 'Failed' });
    await bed.settle(controller);
    await deletePods(uid);
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, terminating: 2, failed: 0 });

    await bed.updateJob(uid, spec);
    await bed.settle(controller);
    // Their indexes are still theirs, and two others are free.
    expect(await bed.counters(uid)).toMatchObject({ active: 2, terminating: 2, failed: 0 });
  });

  test('a Job that fails counts them all at once', async () => {
    const uid = await bed.createJob({
      parallelism: 3,
      completions: 4,
      backoffLimit: 0,
      podReplacementPolicy: 'Failed',
    });
    await bed.settle(controller);
    const pods = await worker.acquireAll(uid);
    const [first] = (await bed.shard.allSlots(uid)).filter((slot) => slot.slot === pods[0]!.slot);
    await bed.shard.stopPods({ uid, guard: null, pods: [first!], countAs: 'unjudged' });
    await worker.fail(pods[1]!);
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, terminating: 2, failed: 3 });
    await worker.succeed(pods[0]!);
    await worker.succeed(pods[2]!);
    await bed.settle(controller);
    expect(await bed.status(uid)).toMatchObject({
      failed: 3,
      terminating: 0,
      conditions: [{ type: 'FailureTarget' }, { type: 'Failed', reason: 'BackoffLimitExceeded' }],
    });
  });
});
