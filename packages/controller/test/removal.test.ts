/** What is deleted, when, and what goes with it. */
import { podName, podSuffix, podUid, type OwnerReference } from '@drover/shared';
import { describe, expect, test } from 'vitest';
import { ownedBy, T0, TestBed, type FakeWorker, type TestController } from './bed.ts';

const SECOND = 1000;

let bed: TestBed;
let controller: TestController;
let worker: FakeWorker;

TestBed.forEachTest(async (fresh) => {
  bed = fresh;
  controller = bed.controller();
  worker = await bed.worker();
});

/** Whether the object of a Job is there; pods of a tombstone may be, too. */
async function isThere(uid: string): Promise<boolean> {
  const job = await bed.shard.getJobByUid(uid);
  return job !== null && !job.deleted;
}

/** Creates a Job whose pods run. */
async function running(...args: Parameters<TestBed['createJob']>): Promise<string> {
  const uid = await bed.createJob(...args);
  await bed.settle(controller);
  await worker.acquireAll(uid);
  return uid;
}

/** Creates a Job and runs it to its end. */
async function finished(...args: Parameters<TestBed['createJob']>): Promise<string> {
  const uid = await bed.createJob(...args);
  await bed.settle(controller);
  await worker.runAll(await worker.acquireAll(uid));
  await bed.settle(controller);
  return uid;
}

async function dueAtMs(uid: string): Promise<number | null> {
  const score = await bed.store.redis.zscore(bed.shard.keys.due, `job:${uid}`);
  return score === null ? null : Number(score);
}

/** Everything that is left of a Job in Redis, but for the mark of a purged one. */
async function leftOf(uid: string): Promise<string[]> {
  const keys = await bed.store.redis.keys(`*${uid}*`);
  return keys.filter((key) => key !== bed.shard.keys.job(uid).job);
}

describe('ttlSecondsAfterFinished', () => {
  test('deletes a finished Job to the second, and looks at it but once before', async () => {
    const uid = await finished({ ttlSecondsAfterFinished: 100 });
    expect(await dueAtMs(uid)).toBe(T0 + 100 * SECOND);
    bed.clock.set(T0 + 100 * SECOND - 1);
    await bed.settle(controller);
    expect(await isThere(uid)).toBe(true);
    bed.clock.advance(1);
    await bed.settle(controller);
    expect(await isThere(uid)).toBe(false);
    expect(await leftOf(uid)).toEqual([]);
  });

  test('0 deletes it at once', async () => {
    const uid = await finished({ ttlSecondsAfterFinished: 0 });
    expect(await isThere(uid)).toBe(false);
  });

  test('of a failed Job counts from its end', async () => {
    const uid = await bed.createJob({ backoffLimit: 0, ttlSecondsAfterFinished: 10 });
    await bed.settle(controller);
    const [pod] = await worker.acquireAll(uid);
    bed.clock.advance(5 * SECOND);
    await worker.fail(pod!);
    await bed.settle(controller);
    expect(await dueAtMs(uid)).toBe(T0 + 15 * SECOND);
  });

  test('may be given, changed and taken away when the Job is finished', async () => {
    const uid = await finished({});
    expect(await dueAtMs(uid)).toBeNull();
    await bed.updateJob(uid, { ttlSecondsAfterFinished: 60 });
    await bed.settle(controller);
    expect(await dueAtMs(uid)).toBe(T0 + 60 * SECOND);
    await bed.updateJob(uid, {});
    await bed.settle(controller);
    expect(await dueAtMs(uid)).toBeNull();
    bed.clock.advance(100 * SECOND);
    await bed.updateJob(uid, { ttlSecondsAfterFinished: 60 });
    await bed.settle(controller);
    expect(await isThere(uid)).toBe(false);
  });

  test('changed at the very moment is heeded', async () => {
    const uid = await finished({ ttlSecondsAfterFinished: 10 });
    bed.clock.advance(10 * SECOND);
    let isChanged = false;
    const late = new Proxy(bed.shard, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target) as unknown;
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]) => {
          if (name === 'deleteJob' && !isChanged) {
            isChanged = true;
            await bed.updateJob(uid, { ttlSecondsAfterFinished: 1000 });
          }
          return Reflect.apply(value, target, args) as unknown;
        };
      },
    });
    await bed.settle(bed.controller(late));
    expect(isChanged).toBe(true);
    expect(await isThere(uid)).toBe(true);
    expect(await dueAtMs(uid)).toBe(T0 + 1000 * SECOND);
  });

  test('a finalizer holds the Job, whose pods are gone, until it is taken away', async () => {
    const uid = await finished({ ttlSecondsAfterFinished: 10 }, { finalizers: ['x/y'] });
    bed.clock.advance(10 * SECOND);
    await bed.settle(controller);
    expect(await bed.shard.getJobByUid(uid)).toMatchObject({
      deleted: false,
      deletionMs: T0 + 10 * SECOND,
      finalizers: ['x/y'],
    });
    expect((await bed.shard.listPods(uid, { limit: 10 })).pods).toEqual([]);
    expect(await dueAtMs(uid)).toBeNull();
    const job = (await bed.shard.getJobByUid(uid))!;
    const change = { ...job, expectedResourceVersion: null, specChanged: false, completions: 1 };
    await bed.shard.updateJob({ ...change, finalizers: [] });
    await bed.settle(controller);
    expect(await leftOf(uid)).toEqual([]);
  });
});

describe('Foreground', () => {
  test('stops the pods, counts them failed, and goes when the last one ended', async () => {
    const uid = await running({ parallelism: 2, completions: 5 });
    await bed.shard.deleteJob(uid, { policy: 'Foreground' });
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, terminating: 2, failed: 2 });
    expect(await bed.status(uid)).not.toHaveProperty('conditions');
    for (const slot of await bed.shard.allSlots(uid)) {
      expect(await isThere(uid)).toBe(true);
      await worker.succeed({ uid, slot: slot.slot, claim: { ...slot } });
      await bed.settle(controller);
    }
    expect(await leftOf(uid)).toEqual([]);
  });

  test('waits for what blocks it, and that for its own', async () => {
    const top = await bed.createJob({ suspend: true });
    const middle = await bed.createJob({ suspend: true }, { owners: [ownedBy(top)] });
    const bottom = await running({}, { owners: [ownedBy(middle)] });
    const free = await bed.createJob(
      { suspend: true },
      { owners: [ownedBy(top, false)], finalizers: ['x/y'] },
    );
    await bed.shard.deleteJob(top, { policy: 'Foreground' });
    await bed.settle(controller);
    expect(await Promise.all([top, middle, bottom, free].map(isThere))).toEqual(
      [top, middle, bottom, free].map(() => true),
    );
    const [slot] = await bed.shard.allSlots(bottom);
    await worker.succeed({ uid: bottom, slot: slot!.slot, claim: { ...slot! } });
    await bed.settle(controller);
    expect(await Promise.all([top, middle, bottom].map(isThere))).toEqual([false, false, false]);
    // It does not block, and has a finalizer of its own.
    expect(await isThere(free)).toBe(true);
    expect((await bed.shard.getJobByUid(free))?.deletionMs).not.toBeNull();
  });
});

describe('Background', () => {
  test('the owner is gone at once, and what belongs to it after it', async () => {
    const top = await bed.createJob({ suspend: true });
    const middle = await bed.createJob({ suspend: true }, { owners: [ownedBy(top)] });
    const bottom = await bed.createJob({ suspend: true }, { owners: [ownedBy(middle, false)] });
    await bed.settle(controller);
    await bed.shard.deleteJob(top);
    expect(await isThere(middle)).toBe(true);
    await bed.settle(controller);
    expect(await Promise.all([middle, bottom].map(isThere))).toEqual([false, false]);
    for (const uid of [top, middle, bottom]) expect(await leftOf(uid)).toEqual([]);
  });

  test('what has another owner stays, and has that one alone', async () => {
    const [one, two] = [await bed.createJob({}), await bed.createJob({})];
    const owners = [ownedBy(one), ownedBy(two)];
    const uid = await bed.createJob({ suspend: true }, { owners });
    await bed.shard.deleteJob(one);
    await bed.settle(controller);
    const object = JSON.parse((await bed.shard.getJobByUid(uid))!.object) as {
      metadata: { ownerReferences: OwnerReference[] };
    };
    expect(object.metadata.ownerReferences).toEqual([ownedBy(two)]);
    await bed.shard.deleteJob(two);
    await bed.settle(controller);
    expect(await isThere(uid)).toBe(false);
  });

  test('what comes after its owner was gone goes, too; an owner of an unknown kind is there', async () => {
    const gone = await bed.createJob({}, { owners: [ownedBy(crypto.randomUUID())] });
    const owner = { apiVersion: 'x/v1', kind: 'Thing', name: 'x', uid: crypto.randomUUID() };
    const kept = await bed.createJob({}, { owners: [owner] });
    await bed.settle(controller);
    expect(await isThere(gone)).toBe(false);
    expect(await isThere(kept)).toBe(true);
  });

  test('of more than a page nothing is forgotten', async () => {
    const top = await bed.createJob({ suspend: true });
    const all = await Promise.all(
      Array.from({ length: 120 }, () =>
        bed.createJob({ suspend: true }, { owners: [ownedBy(top)] }),
      ),
    );
    await bed.settle(controller);
    await bed.shard.deleteJob(top);
    await bed.settle(controller);
    expect((await Promise.all(all.map(isThere))).some(Boolean)).toBe(false);
  });
});

describe('Orphan', () => {
  test('pods go on and stay, what belonged to the Job does too, and nothing is replaced', async () => {
    const uid = await running({ parallelism: 3, completions: 9 });
    const child = await bed.createJob({ suspend: true }, { owners: [ownedBy(uid)] });
    await bed.settle(controller);
    await bed.shard.deleteJob(uid, { policy: 'Orphan' });
    await bed.settle(controller);
    expect(await isThere(uid)).toBe(false);
    expect(await isThere(child)).toBe(true);
    expect((await bed.shard.getJobByUid(child))?.object).not.toContain('ownerReferences');

    const [first, second, third] = (await bed.shard.allSlots(uid)).map((slot) => ({
      uid,
      slot: slot.slot,
      claim: { ...slot },
    }));
    expect((await worker.succeed(first!)).type).toBe('released');
    expect((await worker.fail(second!)).type).toBe('released');
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 1, failed: 0, unjudged: 0, kept: 2 });
    await bed.shard.removePodRecord(uid, first!.claim.podNumber);
    await bed.shard.removePodRecord(uid, second!.claim.podNumber);
    await bed.settle(controller);
    expect(await bed.counters(uid)).toMatchObject({ active: 1, kept: 0 });

    // With the last of them everything goes.
    await bed.shard.stopPods({
      uid,
      guard: null,
      pods: await bed.shard.allSlots(uid),
      countAs: 'unjudged',
    });
    await worker.succeed(third!);
    await bed.settle(controller);
    expect(await leftOf(uid)).toEqual([]);
    expect((await bed.shard.listOrphaned({ namespace: null, limit: 10 })).jobs).toEqual([]);
  });

  test('a pod that waits for a worker is offered, and one whose worker dies is not replaced', async () => {
    const uid = await bed.createJob({ parallelism: 2, completions: 2 });
    await bed.settle(controller);
    await bed.shard.deleteJob(uid, { policy: 'Orphan' });
    // Another controller, which does not know what is on offer.
    const other = bed.controller();
    await bed.settle(other);
    expect(other.offered).toEqual([1, 2]);
    await worker.acquireAll(uid);
    worker.isAlive = false;
    await bed.pass(10_000, other);
    expect(await bed.counters(uid)).toMatchObject({ active: 0, unjudged: 0, failed: 0, kept: 2 });
    expect(await dueAtMs(uid)).toBeNull();
  });
});

describe('what belongs to a pod', () => {
  function ownedByPod(uid: string, podNumber: number): OwnerReference {
    const name = podName(`job-${uid}`, null, podSuffix(uid, podNumber));
    return { apiVersion: 'v1', kind: 'Pod', name, uid: podUid(uid, podNumber) };
  }

  test('stays while the pod is there, ended or not, and goes with its record', async () => {
    const uid = await running({});
    const child = await bed.createJob({ suspend: true }, { owners: [ownedByPod(uid, 1)] });
    await bed.settle(controller);
    expect(await isThere(child)).toBe(true);
    const [slot] = await bed.shard.allSlots(uid);
    await worker.succeed({ uid, slot: slot!.slot, claim: { ...slot! } });
    await bed.settle(controller);
    expect(await isThere(child)).toBe(true);
    await bed.shard.removePodRecord(uid, 1);
    await bed.settle(controller);
    expect(await isThere(child)).toBe(false);
  });

  test('goes when the pod was stopped, and with the Job of the pod', async () => {
    const uid = await running({ parallelism: 2, completions: 2 });
    const one = await bed.createJob({ suspend: true }, { owners: [ownedByPod(uid, 1)] });
    const two = await bed.createJob({ suspend: true }, { owners: [ownedByPod(uid, 2)] });
    await bed.settle(controller);
    const slots = await bed.shard.allSlots(uid);
    const first = slots.find(({ podNumber }) => podNumber === 1)!;
    await bed.shard.stopPods({ uid, guard: null, pods: [first], countAs: 'unjudged' });
    await worker.fail({ uid, slot: first.slot, claim: { ...first } });
    await bed.settle(controller);
    expect(await Promise.all([one, two].map(isThere))).toEqual([false, true]);
    await bed.shard.deleteJob(uid);
    await bed.settle(controller);
    expect(await isThere(two)).toBe(false);
  });
});
