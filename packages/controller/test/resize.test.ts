/** Elastic Indexed Jobs on a real Redis. */
import { expect, test } from 'vitest';
import {
  type FakeWorker,
  type RunningPod,
  type SpecInput,
  TestBed,
  type TestController,
} from './bed.ts';

let bed: TestBed;
let controller: TestController;
let worker: FakeWorker;
let uid: string;

TestBed.forEachTest(async (fresh) => {
  bed = fresh;
  controller = bed.controller();
  worker = await bed.worker();
});

function sized(size: number, more: SpecInput = {}): SpecInput {
  return { completionMode: 'Indexed', completions: size, parallelism: size, ...more };
}

/** Takes every pod that waits, by index. */
async function takeAll(): Promise<Map<number, RunningPod>> {
  const pods = await worker.acquireAll(uid);
  return new Map(pods.map((pod) => [pod.claim.index, pod] as const));
}

async function begin(more: SpecInput = {}): Promise<Map<number, RunningPod>> {
  uid = await bed.createJob(sized(6, more));
  await bed.settle(controller);
  const pods = await takeAll();
  await worker.succeed(pods.get(1)!);
  await worker.succeed(pods.get(5)!);
  return pods;
}

async function resize(size: number, more: SpecInput = {}): Promise<void> {
  await bed.updateJob(uid, sized(size, more));
  await bed.settle(controller);
}

test('it shrinks: pods beyond are stopped and not counted, and what is done there is forgotten', async () => {
  const pods = await begin();
  await resize(3);
  expect(await bed.status(uid)).toMatchObject({
    active: 2,
    terminating: 2,
    succeeded: 1,
    completedIndexes: '1',
  });
  const { orders = [] } = (await worker.heartbeat()) as { orders?: { slot: number }[] };
  expect(new Set(orders.map(({ slot }) => slot))).toEqual(
    new Set([pods.get(3)!.slot, pods.get(4)!.slot]),
  );
  // Whatever these do, it is nothing to the Job.
  await worker.succeed(pods.get(3)!);
  await worker.fail(pods.get(4)!);
  await worker.succeed(pods.get(0)!);
  await worker.succeed(pods.get(2)!);
  await bed.settle(controller);
  expect(await bed.status(uid)).toMatchObject({ succeeded: 3, completedIndexes: '0-2' });
  expect((await bed.status(uid)).failed).toBeUndefined();
  expect((await bed.status(uid)).conditions?.at(-1)?.type).toBe('Complete');
});

test('it grows again: indexes that it had before run anew', async () => {
  await begin();
  await resize(3);
  await resize(6);
  const pods = await takeAll();
  expect([...pods.keys()].toSorted((a, b) => a - b)).toEqual([3, 4, 5]);
  await worker.succeed(pods.get(5)!);
  await bed.pass(1_500, controller);
  expect(await bed.status(uid)).toMatchObject({ succeeded: 2, completedIndexes: '1,5' });
});

test('with podReplacementPolicy Failed only when the pods of then have ended', async () => {
  const more = { podReplacementPolicy: 'Failed' } as const;
  const pods = await begin(more);
  await resize(3, more);
  await resize(6, more);
  expect(await takeAll()).toEqual(new Map());
  await worker.fail(pods.get(3)!);
  await worker.fail(pods.get(4)!);
  await bed.settle(controller);
  expect([...(await takeAll()).keys()].toSorted((a, b) => a - b)).toEqual([3, 4, 5]);
});

test('a smaller range that is done completes the Job', async () => {
  await begin();
  await resize(0);
  expect(await bed.status(uid)).toMatchObject({ terminating: 4 });
  await bed.updateJob(uid, sized(0));
  expect(await bed.status(uid)).toMatchObject({ conditions: [{ type: 'SuccessCriteriaMet' }] });
});

test('failed indexes beyond are forgotten, too, and so is how often they failed', async () => {
  const more = { backoffLimitPerIndex: 1, backoffLimit: 99 } as const;
  const pods = await begin(more);
  await worker.fail(pods.get(3)!);
  await worker.fail(pods.get(4)!);
  await bed.pass(10_500, controller);
  const again = await takeAll();
  await worker.fail(again.get(4)!);
  await bed.pass(1_500, controller);
  expect(await bed.status(uid)).toMatchObject({ failed: 3, failedIndexes: '4' });
  await resize(3, more);
  expect(await bed.status(uid)).toMatchObject({ failed: 3, failedIndexes: '' });
  await resize(6, more);
  const anew = await takeAll();
  expect([...anew.values()].map(({ claim }) => claim.failures)).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});
