/** Labels and annotations of pods of Jobs, and what a Job does with a pod that it does not select any more. */
import { waitFor } from '@drover/testkit';
import { beforeEach, describe, expect, test } from 'vitest';
import type { StoredPod } from '../src/api.ts';
import { FAILED, type HeldPod, StoreBed, T0 } from './support/bed.ts';
import { violations } from './support/invariants.ts';

let bed: StoreBed;
let session: string;
StoreBed.forEachTest(async (fresh) => {
  bed = fresh;
  session = await bed.registerSession();
});

async function stored({ uid, claim }: HeldPod): Promise<StoredPod> {
  const pod = await bed.shard.getPod(uid, claim.podNumber);
  if (pod === null) throw new Error('no such pod');
  return pod;
}

/** Gives a pod labels; by default those that its Job selects. */
async function relabel(pod: HeldPod, isSelected: boolean, expected?: number) {
  const { resourceVersion, changed } = await stored(pod);
  return await bed.shard.changePod({
    uid: pod.uid,
    podNumber: pod.claim.podNumber,
    slot: pod.slot,
    expectedResourceVersion: expected ?? Math.max(resourceVersion, changed?.resourceVersion ?? 0),
    change: { labels: { mine: String(isSelected) } },
    isSelected,
  });
}

async function counters(uid: string) {
  return (await bed.shard.getJobByUid(uid))!.counters;
}

describe('changePod', () => {
  test('is kept with the pod, also when it ends, and goes with its record', async () => {
    const [pod] = (await bed.runningJob(session, 1)) as [HeldPod];
    const { resourceVersion } = await stored(pod);
    expect(await relabel(pod, true)).toBe('changed');
    expect(await relabel(pod, true, resourceVersion)).toBe('conflict');
    const before = await stored(pod);
    expect(before.changed).toMatchObject({ labels: { mine: 'true' }, isFree: false });
    expect(before.changed!.resourceVersion).toBeGreaterThan(resourceVersion);
    expect(await counters(pod.uid)).toMatchObject({ active: 1, running: 1 });

    await bed.report([pod]);
    expect(await stored(pod)).toMatchObject({
      outcome: 'Succeeded',
      changed: { labels: { mine: 'true' } },
    });
    expect(await relabel(pod, true)).toBe('changed');
    await bed.shard.removePodRecord(pod.uid, 1);
    expect(await bed.redis.exists(bed.shard.keys.job(pod.uid).changed)).toBe(0);
  });

  test('is of a later version than the pod was, and what ends later is of a later one still', async () => {
    const [pod] = (await bed.runningJob(session, 1)) as [HeldPod];
    await relabel(pod, true);
    const changed = await stored(pod);
    await bed.report([pod]);
    const ended = await stored(pod);
    expect(ended.resourceVersion).toBeGreaterThan(changed.changed!.resourceVersion);
  });

  test('there is no pod that could be changed', async () => {
    const [pod] = (await bed.runningJob(session, 1)) as [HeldPod];
    const none = { ...pod, claim: { ...pod.claim, podNumber: 7 } };
    const change = { uid: pod.uid, podNumber: 7, slot: none.slot, change: {}, isSelected: true };
    expect(await bed.shard.changePod({ ...change, expectedResourceVersion: 0 })).toBe('notFound');
  });
});

describe('a pod that its Job does not select any more', () => {
  let pods: [HeldPod, HeldPod];
  let uid: string;
  beforeEach(async () => {
    const over = { completions: 2, indexed: true };
    pods = (await bed.runningJob(session, 2, over, { limit: 2 })) as [HeldPod, HeldPod];
    uid = pods[0].uid;
    await bed.settleDue();
    await relabel(pods[0], false);
  });

  async function allIsWell(): Promise<void> {
    expect(violations(await bed.raw([uid], [session]))).toEqual([]);
  }

  test('is nobody’s: it leaves its place and its index, and the Job is due', async () => {
    expect(await counters(uid)).toMatchObject({ active: 1, running: 1, terminating: 0 });
    expect(await bed.dueAtMs(`job:${uid}`)).toBe(T0);
    expect(await stored(pods[0])).toMatchObject({ phase: 'Running', changed: { isFree: true } });
    await allIsWell();
    const [slot] = await bed.openSlots(uid, 1);
    const other = await bed.acquire(uid, slot!, session);
    expect(other.claim.index).toBe(pods[0].claim.index);
    await allIsWell();

    // Whatever becomes of it, it counts for nothing.
    expect(await bed.report([pods[0]], FAILED)).toEqual([{ type: 'released' }]);
    expect(await counters(uid)).toMatchObject({ active: 2, unjudged: 0, failed: 0, kept: 0 });
    expect(await stored(pods[0])).toMatchObject({ outcome: 'Failed', changed: { isFree: true } });
    await bed.report([other, pods[1]]);
    expect(await counters(uid)).toMatchObject({ active: 0, succeeded: 2, kept: 2 });
    await allIsWell();
  });

  test('is stopped by its user only, and leaves nothing then', async () => {
    const slots = (await bed.shard.allSlots(uid)).filter(({ isFree }) => isFree);
    const guard = await bed.guard(uid);
    expect(await bed.shard.stopPods({ uid, guard, pods: slots, countAs: 'failed' })).toMatchObject({
      count: 0,
    });
    const stop = { uid, guard: null, pods: slots, countAs: 'unjudged' } as const;
    expect(await bed.shard.stopPods(stop)).toMatchObject({ count: 1 });
    expect(await bed.shard.heartbeat(session)).toMatchObject({ orders: [{ podNumber: 1 }] });
    expect(await stored(pods[0])).toMatchObject({ phase: 'Stopping' });
    await bed.report([pods[0]], FAILED);
    expect(await counters(uid)).toMatchObject({ active: 1, terminating: 0, unjudged: 0 });
    expect(await bed.shard.getPod(uid, 1)).toBeNull();
    await allIsWell();
  });

  test('is lost with its worker, and neither counted nor replaced', async () => {
    await bed.shard.expireSession(session, { force: true });
    await bed.shard.endLostPods(session, uid, [pods[0].slot, pods[1].slot]);
    expect(await counters(uid)).toMatchObject({ active: 0, unjudged: 1, kept: 1 });
    expect(await stored(pods[0])).toMatchObject({ reason: 'NodeLost' });
  });

  test('restarts without the Job hearing of it', async () => {
    const { slot, claim } = pods[0];
    const restart = { uid, slot, podNumber: claim.podNumber, session, restarts: 3 };
    expect(await bed.shard.recordRestart(restart)).toBe('recorded');
    expect(await bed.shard.recordRestart(restart)).toBe('replayed');
    expect(await counters(uid)).toMatchObject({ restarts: 0 });
    await allIsWell();
  });

  test('that is removed while its Job is purged leaves nothing', async () => {
    await bed.report([pods[0]]);
    await bed.shard.deleteJob(uid);
    const slots = (await bed.shard.allSlots(uid)).filter(({ isFree }) => !isFree);
    await bed.shard.stopPods({ uid, guard: null, pods: slots, countAs: 'uncounted' });
    await bed.report([pods[1]]);
    expect(await bed.shard.purgeJob(uid)).toBe('more');
    expect(await bed.shard.removePodRecord(uid, 1)).toBe(true);
    await waitFor(async () => (await bed.shard.purgeJob(uid)) === 'purged');
    expect(await bed.redis.keys(`*${uid}*`)).toEqual([bed.shard.keys.job(uid).job]);
  });

  test.each(['running', 'ended'])('outlives its Job when it is %s', async (how) => {
    if (how === 'ended') await bed.report([pods[0]]);
    await bed.shard.deleteJob(uid);
    const slots = (await bed.shard.allSlots(uid)).filter(({ isFree }) => !isFree);
    await bed.shard.stopPods({ uid, guard: null, pods: slots, countAs: 'uncounted' });
    expect((await bed.shard.listPods(uid, { limit: 10 })).pods).toMatchObject([{ podNumber: 1 }]);
    expect(await bed.shard.purgeJob(uid)).toBe('notEmpty');
    await bed.report([pods[1]]);

    expect(await bed.shard.purgeJob(uid)).toBe('more');
    expect(await bed.shard.purgeJob(uid)).toBe('left');
    // Sent again, late.
    expect(await bed.shard.purgeJob(uid)).not.toBe('purged');
    const [left] = (await bed.shard.listOrphaned({ namespace: null, limit: 10 })).jobs;
    const isRunning = how === 'running';
    expect(left).toMatchObject({
      orphaned: true,
      counters: { active: isRunning ? 1 : 0, kept: isRunning ? 0 : 1 },
    });
    if (isRunning) await bed.report([pods[0]]);
    const pod = await stored(pods[0]);
    expect(pod).toMatchObject({ outcome: 'Succeeded', changed: { labels: { mine: 'false' } } });

    await bed.shard.removePodRecord(uid, 1);
    expect(await bed.shard.purgeJob(uid)).toBe('more');
    expect(await bed.shard.purgeJob(uid)).toBe('purged');
    expect(await bed.redis.keys(`${bed.shard.keys.tag}:job:${uid}:*`)).toEqual([]);
    expect(await bed.redis.zcard(bed.shard.keys.changed)).toBe(0);
  });

  test('is not among those that are removed to make room', async () => {
    await bed.report(pods);
    const drop = { from: 1, to: 2, most: 2, failed: true };
    expect(await bed.shard.dropPods(uid, drop)).toMatchObject({ removed: 1 });
    expect(await bed.shard.getPod(uid, 1)).not.toBeNull();
    await bed.shard.removePodRecord(uid, 1);
    expect(await counters(uid)).toMatchObject({ kept: 0 });
  });
});

describe('is not released', () => {
  test('a pod that no worker has', async () => {
    const uid = await bed.createJob();
    await bed.setGate(uid);
    const [slot] = await bed.openSlots(uid, 1);
    const { resourceVersion } = (await bed.shard.getPod(uid, 1))!;
    const change = {
      uid,
      podNumber: 1,
      slot: slot!,
      expectedResourceVersion: resourceVersion,
      change: {},
    };
    expect(await bed.shard.changePod({ ...change, isSelected: false })).toBe('pending');
    expect(await bed.shard.changePod({ ...change, isSelected: true })).toBe('changed');
  });

  test('one that was told to stop, nor one of a Job that is being deleted', async () => {
    const [one, two] = (await bed.runningJob(session, 2)) as [HeldPod, HeldPod];
    const pods = (await bed.shard.allSlots(one.uid)).filter(({ slot }) => slot === one.slot);
    const stop = { uid: one.uid, guard: null, pods, countAs: 'unjudged' } as const;
    await bed.shard.stopPods(stop);
    expect(await relabel(one, false)).toBe('changed');
    expect((await stored(one)).changed).toMatchObject({ isFree: false });
    await bed.shard.deleteJob(one.uid, { policy: 'Foreground' });
    expect(await relabel(two, false)).toBe('changed');
    expect(await counters(one.uid)).toMatchObject({ active: 1, terminating: 1 });
  });
});
