/** Jobs with limits for each index, on a real Redis. */
import { expect, test } from 'vitest';
import { type FakeWorker, type RunningPod, TestBed, type TestController } from './bed.ts';

let bed: TestBed;
let controller: TestController;
let worker: FakeWorker;

TestBed.forEachTest(async (fresh) => {
  bed = fresh;
  controller = bed.controller();
  worker = await bed.worker();
});

const INDEXED = { completionMode: 'Indexed', backoffLimit: 2 ** 31 - 1 } as const;

/** Takes every pod that waits, by index. */
async function takeAll(uid: string): Promise<Map<number, RunningPod>> {
  const pods = await worker.acquireAll(uid);
  return new Map(pods.map((pod) => [pod.claim.index, pod] as const));
}

function indexesOf(pods: ReadonlyMap<number, RunningPod>): number[] {
  return [...pods.keys()].toSorted((a, b) => a - b);
}

test('every index is tried as often as its limit says, and one that fails holds up no other', async () => {
  const uid = await bed.createJob({
    ...INDEXED,
    completions: 4,
    parallelism: 2,
    backoffLimitPerIndex: 1,
  });
  await bed.settle(controller);
  expect(await bed.status(uid)).toMatchObject({ active: 2, failedIndexes: '' });
  let pods = await takeAll(uid);
  await worker.fail(pods.get(0)!);
  await bed.settle(controller);
  // Index 0 waits for its back-off; the next one takes its place.
  pods = new Map([...pods, ...(await takeAll(uid))]);
  expect(indexesOf(pods)).toEqual([0, 1, 2]);
  await worker.fail(pods.get(2)!);
  await bed.settle(controller);
  pods = new Map([...pods, ...(await takeAll(uid))]);
  expect(indexesOf(pods)).toEqual([0, 1, 2, 3]);
  await worker.succeed(pods.get(3)!);
  await bed.settle(controller);
  expect(await takeAll(uid)).toEqual(new Map());

  await bed.pass(9_000, controller);
  expect(await takeAll(uid)).toEqual(new Map());
  await bed.pass(1_000, controller);
  pods = await takeAll(uid);
  // Parallelism is 2, and index 1 still runs.
  expect(indexesOf(pods)).toEqual([0]);
  expect(pods.get(0)!.claim.failures).toEqual({ counted: 1, ignored: 0 });
  await worker.fail(pods.get(0)!);
  await bed.settle(controller);
  await bed.pass(1_000, controller);
  expect(await bed.status(uid)).toMatchObject({
    failed: 3,
    succeeded: 1,
    completedIndexes: '3',
    failedIndexes: '0',
  });

  pods = await takeAll(uid);
  expect(indexesOf(pods)).toEqual([2]);
  await worker.succeed(pods.get(2)!);
  await bed.settle(controller);
  const one = (await bed.shard.allSlots(uid)).find((slot) => slot.index === 1)!;
  await worker.succeed({
    uid,
    slot: one.slot,
    claim: { ...one, podNumber: one.podNumber },
  });
  await bed.settle(controller);
  expect(await bed.status(uid)).toMatchObject({
    failed: 3,
    succeeded: 3,
    completedIndexes: '1-3',
    failedIndexes: '0',
    conditions: [
      { type: 'FailureTarget', reason: 'FailedIndexes' },
      { type: 'Failed', reason: 'FailedIndexes', message: 'Job has failed indexes' },
    ],
  });
});

test('an index that failed for good is in the status that the same look writes', async () => {
  const uid = await bed.createJob({
    ...INDEXED,
    completions: 9,
    parallelism: 2,
    backoffLimitPerIndex: 0,
  });
  await bed.settle(controller);
  for (const pod of (await takeAll(uid)).values()) await worker.fail(pod);
  await bed.pass(1_000, controller);
  await controller.jobs.reconcile(uid);
  expect(await bed.status(uid)).toMatchObject({ active: 2, failed: 2, failedIndexes: '0,1' });
});

test('more failed indexes than allowed fail the Job, and its pods are stopped', async () => {
  const uid = await bed.createJob({
    ...INDEXED,
    completions: 9,
    parallelism: 3,
    backoffLimitPerIndex: 0,
    maxFailedIndexes: 1,
  });
  await bed.settle(controller);
  const pods = await takeAll(uid);
  await worker.fail(pods.get(0)!);
  await bed.settle(controller);
  expect((await bed.status(uid)).conditions).toBeUndefined();
  await worker.fail(pods.get(2)!);
  await bed.settle(controller);
  await bed.pass(1_000, controller);
  expect(await bed.status(uid)).toMatchObject({
    // Index 1 and the pod in place of index 0 were stopped: one runs, one was Pending.
    failed: 4,
    terminating: 1,
    failedIndexes: '0,2',
    conditions: [{ type: 'FailureTarget', reason: 'MaxFailedIndexesExceeded' }],
  });
  await worker.succeed(pods.get(1)!);
  await bed.settle(controller);
  expect((await bed.status(uid)).conditions?.at(-1)).toMatchObject({
    type: 'Failed',
    reason: 'MaxFailedIndexesExceeded',
    message: 'Job has exceeded the specified maximal number of failed indexes',
  });
});
