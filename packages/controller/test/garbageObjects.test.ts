/** ConfigMaps and Secrets that belong to Jobs and pods go with them. */
import { randomUUID } from 'node:crypto';
import { type OwnerReference, podName, podSuffix, podUid } from '@drover/shared';
import { ownersOf } from '@drover/store';
import { describe, expect, test } from 'vitest';
import { ownedBy, TestBed, type TestController } from './bed.ts';

let bed: TestBed;
let controller: TestController;

TestBed.forEachTest((fresh) => {
  bed = fresh;
  controller = bed.controller();
});

const path = (name: string) => ({ kind: 'ConfigMap', namespace: 'default', name });

async function create(
  name: string,
  ownerReferences: OwnerReference[],
  finalizers: string[] = [],
): Promise<void> {
  const metadata = { name, namespace: 'default', ownerReferences, finalizers };
  await bed.shard.objects.create({
    ...path(name),
    uid: randomUUID(),
    object: JSON.stringify({ metadata, data: { a: 'b' } }),
    finalizerCount: finalizers.length,
    owners: ownersOf({ metadata }),
  });
}

/** Uids of the owners of an object; null = it is gone. */
async function ownersNow(name: string): Promise<string[] | null> {
  const stored = await bed.shard.objects.get(path(name));
  if (stored === null) return null;
  const { metadata, data } = JSON.parse(stored.object) as {
    metadata: { ownerReferences?: OwnerReference[] };
    data: unknown;
  };
  expect(data).toEqual({ a: 'b' });
  return (metadata.ownerReferences ?? []).map(({ uid }) => uid);
}

const owned = async (): Promise<string[]> =>
  bed.store.redis.zrange(bed.shard.keys.owned, '0', '-1');

describe('what belongs to a Job', () => {
  test('goes with it in the background, but for what others own, too', async () => {
    const [uid, other] = [await bed.createJob(), await bed.createJob()];
    await create('mine', [ownedBy(uid)]);
    await create('ours', [ownedBy(uid), ownedBy(other)]);
    await create('nobodys', []);
    await bed.settle(controller);
    expect(await ownersNow('mine')).toEqual([uid]);

    await bed.shard.deleteJob(uid);
    await bed.settle(controller);
    expect(await ownersNow('mine')).toBeNull();
    expect(await ownersNow('ours')).toEqual([other]);
    expect(await ownersNow('nobodys')).toEqual([]);
    await bed.shard.deleteJob(other);
    await bed.settle(controller);
    expect(await ownersNow('ours')).toBeNull();
    expect(await owned()).toEqual([]);
  });

  test('is let go by a deletion with the policy Orphan', async () => {
    const uid = await bed.createJob();
    await create('mine', [ownedBy(uid)]);
    await bed.settle(controller);
    await bed.shard.deleteJob(uid, { policy: 'Orphan' });
    await bed.settle(controller);
    expect(await bed.shard.getJob('default', `job-${uid}`)).toBeNull();
    expect(await ownersNow('mine')).toEqual([]);
    expect(await owned()).toEqual([]);
  });

  test('is waited for by a Foreground deletion, when it blocks it', async () => {
    const uid = await bed.createJob();
    await create('blocks', [ownedBy(uid)], ['example.com/held']);
    await create('does-not', [ownedBy(uid, false)], ['example.com/held']);
    await bed.settle(controller);
    await bed.shard.deleteJob(uid, { policy: 'Foreground' });
    await bed.settle(controller);
    expect((await bed.shard.objects.get(path('blocks')))?.deletedMs).not.toBeNull();
    expect(await bed.shard.getJob('default', `job-${uid}`)).not.toBeNull();

    const stored = (await bed.shard.objects.get(path('blocks')))!;
    const outcome = await bed.shard.objects.update({
      ...stored,
      finalizerCount: 0,
      expectedResourceVersion: stored.resourceVersion,
    });
    expect(outcome.type).toBe('removed');
    await bed.settle(controller);
    expect(await bed.shard.getJob('default', `job-${uid}`)).toBeNull();
  });

  test('goes too when it comes after its owner is gone', async () => {
    const uid = await bed.createJob();
    await bed.shard.deleteJob(uid);
    await bed.settle(controller);
    await create('late', [ownedBy(uid)]);
    await bed.settle(controller);
    expect(await ownersNow('late')).toBeNull();
  });

  test('stays when its owner is of a kind that nobody knows', async () => {
    const foreign = { apiVersion: 'example.com/v1', kind: 'Thing', name: 'a', uid: randomUUID() };
    const uid = await bed.createJob();
    await create('both', [foreign, ownedBy(uid)]);
    await bed.shard.deleteJob(uid);
    await bed.settle(controller);
    expect(await ownersNow('both')).toEqual([foreign.uid]);
  });

  test('is another’s from the moment its owners are changed', async () => {
    const [uid, other] = [await bed.createJob(), await bed.createJob()];
    await create('moved', [ownedBy(uid)]);
    const stored = (await bed.shard.objects.get(path('moved')))!;
    const metadata = { name: 'moved', namespace: 'default', ownerReferences: [ownedBy(other)] };
    await bed.shard.objects.update({
      ...stored,
      object: JSON.stringify({ metadata, data: { a: 'b' } }),
      finalizerCount: 0,
      expectedResourceVersion: stored.resourceVersion,
      owners: ownersOf({ metadata }),
    });
    await bed.shard.deleteJob(uid);
    await bed.settle(controller);
    expect(await ownersNow('moved')).toEqual([other]);
  });
});

test('what belongs to a pod goes when the pod is removed', async () => {
  const worker = await bed.worker();
  const uid = await bed.createJob();
  await bed.settle(controller);
  const name = podName(`job-${uid}`, null, podSuffix(uid, 1));
  const pod = { apiVersion: 'v1', kind: 'Pod', name, uid: podUid(uid, 1) };
  await create('of-pod', [pod]);
  await worker.runAll(await worker.acquireAll(uid));
  await bed.settle(controller);
  expect(await ownersNow('of-pod')).toEqual([pod.uid]);
  await bed.shard.removePodRecord(uid, 1);
  await bed.settle(controller);
  expect(await ownersNow('of-pod')).toBeNull();
});
