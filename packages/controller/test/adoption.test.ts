/** Pods that are nobody's, and Jobs that take them for their own. */
import { randomUUID } from 'node:crypto';
import { COMPLETION_INDEX_LABEL, podName, podSuffix } from '@drover/shared';
import type { AdoptedPod } from '@drover/store';
import { describe, expect, test } from 'vitest';
import type { ReconcileShard } from '../src/reconcile.ts';
import {
  type FakeWorker,
  type RunningPod,
  type SpecInput,
  TestBed,
  type TestController,
} from './bed.ts';

const UID_LABEL = 'batch.kubernetes.io/controller-uid';
const LABELS = { app: 'shared' };

let bed: TestBed;
let controller: TestController;
let worker: FakeWorker;

TestBed.forEachTest(async (fresh) => {
  bed = fresh;
  controller = bed.controller();
  worker = await bed.worker();
});

/** A Job whose pods run. */
async function running(spec: SpecInput): Promise<{ uid: string; pods: RunningPod[] }> {
  const uid = await bed.createJob(spec);
  await bed.settle(controller);
  const pods = await worker.acquireAll(uid);
  return { uid, pods: pods.toSorted((a, b) => a.claim.podNumber - b.claim.podNumber) };
}

async function orphan(uid: string): Promise<void> {
  await bed.shard.deleteJob(uid, { policy: 'Orphan' });
  await bed.settle(controller);
}

/** A Job that selects the pods that another one left. */
async function successor(old: string, spec: SpecInput): Promise<string> {
  const uid = await bed.createJob({ ...spec, select: { [UID_LABEL]: old } });
  await bed.settle(controller);
  return uid;
}

/** A pod without a Job that runs. */
async function lone(metadata: {
  labels?: object;
  annotations?: object;
  ownerReferences?: object[];
}) {
  const uid = await bed.createPod(metadata);
  await bed.settle(controller);
  const [pod] = await worker.acquireAll(uid);
  return { uid, pod: pod! };
}

async function relabel(
  uid: string,
  podNumber: number,
  labels: Record<string, string>,
  selected = 0,
) {
  const pod = await bed.shard.getPod(uid, podNumber);
  const outcome = await bed.shard.changePod({
    uid,
    podNumber,
    slot: pod?.kind === 'slot' ? pod.slot : 0,
    expectedResourceVersion: null,
    change: { labels },
    isSelected: selected === 1,
  });
  expect(outcome).toBe('changed');
  await bed.settle(controller);
}

async function states(uid: string): Promise<AdoptedPod['state'][]> {
  return (await bed.shard.adoption.list(uid)).map(({ state }) => state);
}

async function ownSlots(uid: string): Promise<number[]> {
  return (await bed.shard.allSlots(uid)).map(({ index }) => index).toSorted((a, b) => a - b);
}

/** Reports the end of a pod, and lets a second pass by, in which its host is looked at. */
async function end(pod: RunningPod, how: 'succeed' | 'fail' = 'succeed'): Promise<void> {
  await worker[how](pod);
  await bed.pass(1_500, controller);
}

/** The slot goes on with its next pod. */
async function succeedOnce(pod: RunningPod): Promise<void> {
  const answer = await worker.succeed(pod);
  if (answer.type === 'next') pod.claim = answer.claim;
}

describe('pods that Orphan left', () => {
  const shape = { completions: 6, parallelism: 3, completionMode: 'Indexed' } as const;

  test('count, take their indexes, and are counted once when they end', async () => {
    const old = await running(shape);
    const [, ...rest] = old.pods;
    await succeedOnce(old.pods[0]!);
    expect(old.pods[0]?.claim.index).toBe(3);
    await orphan(old.uid);
    const uid = await successor(old.uid, shape);
    // Index 0 is done, 1 to 3 run: nothing is started.
    expect(await bed.counters(uid)).toMatchObject({ active: 3, running: 3, succeeded: 1 });
    expect(await ownSlots(uid)).toEqual([]);
    expect(await bed.status(uid)).toMatchObject({ active: 3, succeeded: 1, completedIndexes: '0' });

    for (const pod of rest) await end(pod);
    expect(await bed.counters(uid)).toMatchObject({ active: 3, running: 1, succeeded: 3 });
    expect(await ownSlots(uid)).toEqual([4, 5]);
    expect(await states(uid)).toEqual(['ended', 'running', 'ended', 'ended'].toSorted());
    await bed.pass(60_000, controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 3, succeeded: 3 });
  });

  test('a failed one counts to backoffLimit, holds the next one up, and is told of by its name', async () => {
    const old = await running(shape);
    await orphan(old.uid);
    const uid = await successor(old.uid, { ...shape, backoffLimit: 1 });
    await end(old.pods[1]!, 'fail');
    expect(await bed.counters(uid)).toMatchObject({ active: 2, failed: 1, limitFailures: 1 });
    expect(await ownSlots(uid)).toEqual([]);
    const { podNumber } = old.pods[1]!.claim;
    const name = podName(`job-${old.uid}`, 1, podSuffix(old.uid, podNumber));
    const told = controller.told.filter(({ about }) => about.uid === uid);
    expect(told.map(({ message }) => message).join()).toContain(name);
    // Back-off of ten seconds, then its index is tried again.
    await bed.pass(12_000, controller);
    expect(await ownSlots(uid)).toEqual([1]);

    await end(old.pods[2]!, 'fail');
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ failed: 4, active: 0, terminating: 1 });
    expect((await worker.heartbeat()) as object).toMatchObject({ orders: [{ uid: old.uid }] });
    await end(old.pods[0]!);
    const { conditions = [] } = await bed.status(uid);
    expect(conditions.at(-1)).toMatchObject({ type: 'Failed', reason: 'BackoffLimitExceeded' });
  });

  test('whose worker is lost are replaced at once', async () => {
    const old = await running(shape);
    await orphan(old.uid);
    const uid = await successor(old.uid, { ...shape, backoffLimit: 1 });
    worker.isAlive = false;
    await bed.worker();
    await bed.pass(12_000, controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 3, failed: 3, limitFailures: 0 });
    expect(await ownSlots(uid)).toEqual([0, 1, 2]);
  });

  test('without an index that the Job could give them have to stop, and count for nothing', async () => {
    const old = await running(shape);
    await orphan(old.uid);
    const uid = await successor(old.uid, { ...shape, completions: 2, parallelism: 2 });
    expect(await bed.counters(uid)).toMatchObject({ active: 2, terminating: 1 });
    await end(old.pods[2]!);
    expect(await bed.counters(uid)).toMatchObject({ active: 2, terminating: 0, succeeded: 0 });
    for (const pod of old.pods.slice(0, 2)) await end(pod);
    expect((await bed.status(uid)).conditions?.at(-1)?.type).toBe('Complete');
  });

  test('are let go with the policy Orphan, and taken by the next one', async () => {
    const old = await running(shape);
    await orphan(old.uid);
    const uid = await successor(old.uid, shape);
    await orphan(uid);
    expect((await bed.shard.getPod(old.uid, 1))?.adopter).toMatchObject({ uid: null });
    const third = await successor(old.uid, shape);
    expect(await bed.counters(third)).toMatchObject({ active: 3, running: 3 });
  });

  test.each(['Background', 'Foreground'] as const)('go with the Job: %s', async (policy) => {
    const old = await running(shape);
    await succeedOnce(old.pods[0]!);
    await orphan(old.uid);
    const uid = await successor(old.uid, shape);
    await bed.shard.deleteJob(uid, { policy });
    await bed.settle(controller);
    expect(await worker.heartbeat()).toMatchObject({ orders: [{}, {}, {}] });
    for (const pod of old.pods) await worker.succeed(pod);
    await bed.pass(3_000, controller);
    for (const one of [uid, old.uid]) {
      const keys = await bed.store.redis.keys(`*${one}*`);
      expect(keys).toEqual([bed.shard.keys.job(one).job]);
    }
  });
});

describe('a pod without a Job', () => {
  test('is adopted when the Job comes, and when the pod comes', async () => {
    const before = await lone({ labels: LABELS });
    const uid = await bed.createJob({ select: LABELS, completions: 3, parallelism: 3 });
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 3, running: 1 });
    // One too many: the youngest of those that no worker has goes.
    const after = await lone({ labels: LABELS });
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 3, running: 1 });
    expect(await states(uid)).toHaveLength(2);
    for (const { pod } of [before, after]) await end(pod);
    expect(await bed.counters(uid)).toMatchObject({ active: 1, succeeded: 2 });
  });

  test('that says whose it is goes to that Job, whatever its selector', async () => {
    const uid = randomUUID();
    const selector = { matchLabels: { [UID_LABEL]: uid } };
    await bed.createJob({ completions: 2, parallelism: 2, selector }, { uid });
    await bed.settle(controller);
    await lone({ labels: { [UID_LABEL]: uid } });
    // Nothing tells that it runs: it is seen with the next look.
    await bed.pass(1_500, controller);
    expect(await states(uid)).toEqual(['running']);
    expect(await bed.counters(uid)).toMatchObject({ active: 2, running: 1 });
  });

  test.each([
    ['another controller', { labels: LABELS, ownerReferences: [{ uid: 'x', controller: true }] }],
    ['other labels', { labels: { app: 'other' } }],
  ])('with %s is left alone', async (_what, metadata) => {
    await lone(metadata);
    const uid = await bed.createJob({ select: LABELS, completions: 3, parallelism: 3 });
    await bed.settle(controller);
    expect(await states(uid)).toEqual([]);
  });

  test('that fails is counted, and replaced when the back-off is over', async () => {
    const { pod } = await lone({ labels: LABELS });
    const uid = await bed.createJob({ select: LABELS, completions: 2 });
    await bed.settle(controller);
    await end(pod, 'fail');
    expect(await bed.counters(uid)).toMatchObject({ active: 0, failed: 1, limitFailures: 1 });
    await bed.pass(12_000, controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 1, failed: 1 });
    await worker.runAll(await worker.acquireAll(uid));
    await bed.settle(controller);
    expect(await bed.status(uid)).toMatchObject({ succeeded: 2, failed: 1 });
  });

  test('that succeeds is the first success of a work-queue Job: no other is started', async () => {
    const { pod } = await lone({ labels: LABELS });
    const uid = await bed.createJob({ select: LABELS, parallelism: 3 });
    await bed.settle(controller);
    const [one, other] = await worker.acquireAll(uid);
    await end(pod);
    expect(await bed.counters(uid)).toMatchObject({ active: 2, succeeded: 1 });
    await end(one!, 'fail');
    expect(await bed.counters(uid)).toMatchObject({ active: 1, succeeded: 1, failed: 1 });
    await end(other!);
    expect(await bed.status(uid)).toMatchObject({ succeeded: 2, failed: 1 });
    expect((await bed.status(uid)).conditions?.at(-1)?.type).toBe('Complete');
  });

  test('by whose exit code the Job fails is named', async () => {
    const { uid: host, pod } = await lone({ labels: LABELS });
    const onExitCodes = { operator: 'In', values: [42] };
    const podFailurePolicy = { rules: [{ action: 'FailJob', onExitCodes }] };
    const uid = await bed.createJob({ select: LABELS, completions: 2, podFailurePolicy });
    await bed.settle(controller);
    await worker.fail(pod, 'Error', { exitCode: 42 });
    await bed.pass(1_500, controller);
    const failed = (await bed.status(uid)).conditions?.at(-1);
    expect(failed).toMatchObject({ type: 'Failed', reason: 'PodFailurePolicy' });
    expect(failed?.message).toContain(`pod default/pod-${host} failed with exit code 42`);
  });

  test('is left alone by Jobs that are finished, or that are being deleted', async () => {
    const finished = await bed.createJob({ select: LABELS, completions: 0 });
    const metadata = { finalizers: ['example.com/hold'] };
    const deleted = await bed.createJob({ select: LABELS, suspend: true }, metadata);
    await bed.settle(controller);
    await bed.shard.deleteJob(deleted);
    await bed.settle(controller);
    await lone({ labels: LABELS });
    for (const uid of [finished, deleted]) expect(await states(uid)).toEqual([]);
  });

  test('that its user deletes counts as failed, and is replaced', async () => {
    const pod = await lone({ labels: LABELS });
    const uid = await bed.createJob({ select: LABELS });
    await bed.settle(controller);
    await bed.shard.deleteJob(pod.uid, { policy: 'Foreground' });
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 1, terminating: 1, failed: 1 });
    await end(pod.pod);
    expect(await bed.counters(uid)).toMatchObject({ active: 1, terminating: 0, failed: 1 });
  });

  test('is stopped when the Job is suspended, uncounted', async () => {
    const pod = await lone({ labels: LABELS });
    const spec = { select: LABELS, completions: 2, parallelism: 2 };
    const uid = await bed.createJob(spec);
    await bed.settle(controller);
    await bed.updateJob(uid, { ...spec, suspend: true });
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, terminating: 1 });
    expect(await worker.heartbeat()).toMatchObject({ orders: [{ uid: pod.uid }] });
    await end(pod.pod);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, terminating: 0, failed: 0 });
  });

  test('by its annotation has an index of an Indexed Job', async () => {
    const annotations = { [COMPLETION_INDEX_LABEL]: '2' };
    const { pod } = await lone({ labels: LABELS, annotations });
    const shape = { completions: 4, parallelism: 2, completionMode: 'Indexed' } as const;
    const uid = await bed.createJob({ ...shape, select: LABELS });
    await bed.settle(controller);
    expect(await ownSlots(uid)).toEqual([0]);
    await end(pod);
    expect(await bed.status(uid)).toMatchObject({ completedIndexes: '2' });
    expect(await ownSlots(uid)).toEqual([0, 1]);
  });
});

describe('labels', () => {
  test('a pod that was released is taken back when it is selected again', async () => {
    const spec = { select: LABELS, completions: 4, parallelism: 2 };
    const { uid, pods } = await running(spec);
    await relabel(uid, 1, { app: 'none' });
    expect(await bed.counters(uid)).toMatchObject({ active: 2, running: 1 });
    await relabel(uid, 1, LABELS, 1);
    // One too many, and one that no worker has: that goes.
    expect(await bed.counters(uid)).toMatchObject({ active: 2, running: 2, terminating: 0 });
    await end(pods[0]!);
    expect(await bed.counters(uid)).toMatchObject({ active: 2, succeeded: 1 });
    // What it released, and took back, goes with it.
    await bed.shard.deleteJob(uid);
    await bed.settle(controller);
    await worker.succeed(pods[1]!);
    await bed.pass(3_000, controller);
    const keys = await bed.store.redis.keys(`*${uid}*`);
    expect(keys).toEqual([bed.shard.keys.job(uid).job]);
  });

  test('an adopted pod that is not selected any more is let go; what was counted stays', async () => {
    const old = await running({ completions: 2, parallelism: 2 });
    await orphan(old.uid);
    const uid = await successor(old.uid, { completions: 2, parallelism: 2 });
    await relabel(old.uid, 1, { app: 'none' });
    expect(await bed.counters(uid)).toMatchObject({ active: 2, running: 1 });
    expect(await ownSlots(uid)).toHaveLength(1);
    await end(old.pods[1]!);
    await relabel(old.uid, 2, { app: 'none' });
    expect(await bed.counters(uid)).toMatchObject({ active: 1, succeeded: 1 });
    expect(await bed.shard.adoption.list(uid)).toEqual([]);
  });
});

describe('what is kept of an adopted pod', () => {
  test('is not removed before it was counted', async () => {
    const { uid: host, pod } = await lone({ labels: LABELS });
    const uid = await bed.createJob({ select: LABELS, completions: 2 });
    await bed.settle(controller);
    await worker.succeed(pod);
    // Nobody has looked since.
    expect(await bed.shard.removePodRecord(host, 1)).toBe(true);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, succeeded: 1 });
  });
});

test('a Job adopts 500 pods at most, and says so', async () => {
  const count = 502;
  const old = await bed.createJob({ completions: count, parallelism: count });
  await bed.settle(controller);
  await orphan(old);
  const uid = await successor(old, { completions: count, parallelism: count });
  expect(await bed.counters(uid)).toMatchObject({ active: count });
  expect(await states(uid)).toHaveLength(500);
  const told = controller.told.filter(({ reason }) => reason === 'FailedAdoption');
  expect(told).toHaveLength(2);
  expect(told[0]?.message).toMatch(/^Pod "job-.*" is not adopted: the Job has adopted 500 pods/);
});

/** Dies at a step of those that write about adopted pods, before it or right after it. */
function dying(shard: ReconcileShard, at: number, when: 'before' | 'after'): ReconcileShard {
  let count = 0;
  const wrap = <T extends object>(target: T, names: readonly string[]): T =>
    new Proxy(target, {
      get: (one, name) => {
        const value = Reflect.get(one, name, one) as unknown;
        if (name === 'adoption') return wrap(value as object, ['adopt', 'tend', 'stop', 'release']);
        if (typeof value !== 'function') return value;
        if (!names.includes(String(name))) {
          return (...args: unknown[]) => {
            if (count > at) throw new Error('dead');
            return Reflect.apply(value, one, args) as unknown;
          };
        }
        return async (...args: unknown[]) => {
          if (count > at) throw new Error('dead');
          count += 1;
          if (count > at && when === 'before') throw new Error('dead');
          const result: unknown = await Reflect.apply(value, one, args);
          if (count > at) throw new Error('dead');
          return result;
        };
      },
    });
  return wrap(shard, ['stopPods', 'deleteJob', 'removePodRecord', 'purgeJob', 'judge']);
}

test.each(['before', 'after'] as const)(
  'a controller that dies %s any step leaves nothing undone, and counts nothing twice',
  async (when) => {
    for (let at = 0; ; at++) {
      bed = await bed.fresh();
      worker = await bed.worker();
      controller = bed.controller();
      const old = await running({ completions: 4, parallelism: 4 });
      await orphan(old.uid);
      const doomed = bed.controller(dying(bed.shard, at, when));
      let hasDied = false;
      const work = async (): Promise<void> => {
        await bed.settle(doomed).catch(() => (hasDied = true));
        // The taking of whoever died ends.
        await bed.pass(7_500, controller);
      };
      const uid = await bed.createJob({
        completions: 3,
        parallelism: 2,
        select: { [UID_LABEL]: old.uid },
      });
      await work();
      const told = new Set(
        (await worker.heartbeat().then((reply) => ('orders' in reply ? reply.orders : []))).map(
          ({ podNumber }) => podNumber,
        ),
      );
      expect(told.size).toBe(2);
      expect(await bed.counters(uid)).toMatchObject({ active: 2, terminating: 2 });
      for (const pod of old.pods) await worker.succeed(pod);
      bed.clock.advance(1_000);
      await work();
      expect(await bed.counters(uid)).toMatchObject({
        active: 1,
        terminating: 0,
        succeeded: 2,
        failed: 0,
      });
      await bed.shard.deleteJob(uid);
      await work();
      const keys = await bed.store.redis.keys(`*${uid}*`);
      expect(keys).toEqual([bed.shard.keys.job(uid).job]);
      if (!hasDied) break;
      expect(at).toBeLessThan(60);
    }
  },
);
