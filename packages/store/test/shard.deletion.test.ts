import { podUid } from '@drover/shared';
import { describe, expect, test } from 'vitest';
import type { JobView } from '../src/api.ts';
import { QUEUE, LANE, StoreBed, T0 } from './support/bed.ts';

const UID = '4be0b0a2-0000-4000-8000-00000000aaaa';
const OWNER = '4be0b0a2-0000-4000-8000-00000000bbbb';
const OTHER = '4be0b0a2-0000-4000-8000-00000000cccc';

let bed: StoreBed;

StoreBed.forEachTest((fresh) => {
  bed = fresh;
});

async function view(uid = UID): Promise<JobView> {
  const job = await bed.shard.getJobByUid(uid);
  if (job === null) throw new Error(`no Job ${uid}`);
  return job;
}

async function dependents(uid: string): Promise<string[]> {
  return (await bed.shard.dependents(uid, { limit: 10 })).dependents.map(({ member }) => member);
}

const update = { uid: UID, object: '{}', specChanged: false, completions: 1000 };
const asItIs = { expectedResourceVersion: null, queue: QUEUE, fittingKey: LANE };

describe('deleteJob', () => {
  test('of a Job with finalizers marks it, closes its gate, and frees nothing', async () => {
    await bed.createJob({ uid: UID, name: 'a', finalizers: ['x/one', 'x/two'] });
    await bed.setGate(UID);
    await bed.settleDue();
    const before = await view();
    bed.clock.advance(5);
    expect(await bed.shard.deleteJob(UID)).toBe('deleting');
    const after = await view();
    expect(after).toMatchObject({
      deleted: false,
      deletionMs: T0 + 5,
      finalizers: ['x/one', 'x/two'],
      gate: { limit: 0 },
    });
    expect(after.resourceVersion).toBeGreaterThan(before.resourceVersion);
    expect(await bed.settleDue()).toEqual([`job:${UID}`]);
    expect(await bed.shard.findJob('default', 'a')).toBe(UID);

    // Again: nothing is written.
    bed.clock.advance(5);
    expect(await bed.shard.deleteJob(UID)).toBe('deleting');
    expect(await view()).toEqual(after);
  });

  const policies = [
    { policy: 'Foreground', had: [], want: ['foregroundDeletion'] },
    { policy: 'Orphan', had: ['x/y'], want: ['x/y', 'orphan'] },
    { policy: 'Foreground', had: ['orphan', 'x/y'], want: ['x/y', 'foregroundDeletion'] },
    { policy: 'Background', had: ['x/y', 'foregroundDeletion'], want: ['x/y'] },
    { policy: undefined, had: ['orphan'], want: ['orphan'] },
  ] as const;
  test.each(policies)('$policy of one with $had leaves $want', async ({ policy, had, want }) => {
    await bed.createJob({ uid: UID, finalizers: had });
    expect(await bed.shard.deleteJob(UID, { policy })).toBe('deleting');
    expect((await view()).finalizers).toEqual(want);
  });

  test('in Background ends a deletion in Foreground that waits', async () => {
    await bed.createJob({ uid: UID, name: 'a' });
    expect(await bed.shard.deleteJob(UID, { policy: 'Foreground' })).toBe('deleting');
    expect(await bed.shard.deleteJob(UID, { policy: 'Background' })).toBe('deleted');
    expect(await bed.shard.findJob('default', 'a')).toBeNull();
  });

  test('of another version is refused', async () => {
    await bed.createJob({ uid: UID });
    const { resourceVersion } = await view();
    expect(await bed.shard.deleteJob(UID, { resourceVersion: resourceVersion - 1 })).toBe(
      'conflict',
    );
    expect(await bed.shard.deleteJob(UID, { resourceVersion })).toBe('deleted');
  });
});

describe('updateJob', () => {
  test('that takes the last finalizer of a Job to be deleted removes it', async () => {
    await bed.createJob({ uid: UID, name: 'a', finalizers: ['x/y', 'x/z'] });
    await bed.shard.deleteJob(UID);
    const change = (finalizers: string[]) =>
      bed.shard.updateJob({ ...update, ...asItIs, finalizers });
    expect(await change(['x/z'])).toBe('updated');
    expect(await change([])).toBe('deleted');
    expect(await bed.shard.findJob('default', 'a')).toBeNull();
    expect(await view()).toMatchObject({ deleted: true });
    expect(await bed.shard.updateJob({ ...update, ...asItIs })).toBe('notFound');
  });

  test('keeps finalizers and owners that it does not name', async () => {
    const owners = [{ uid: OWNER, blocks: true }];
    await bed.createJob({ uid: UID, finalizers: ['x/y'], owners });
    expect(await bed.shard.updateJob({ ...update, ...asItIs })).toBe('updated');
    expect((await view()).finalizers).toEqual(['x/y']);
    expect(await dependents(OWNER)).toEqual([`job:${UID}`]);
  });
});

describe('finalizeJob', () => {
  test('Foreground: not while a pod runs or something blocks it', async () => {
    const session = await bed.registerSession();
    const [pod] = await bed.runningJob(session, 1, { uid: UID });
    await bed.createJob({ uid: OTHER, owners: [{ uid: UID, blocks: true }] });
    await bed.shard.deleteJob(UID, { policy: 'Foreground' });
    const finalize = () => bed.shard.finalizeJob(UID, 'foregroundDeletion');
    expect(await finalize()).toBe('blocked');
    await bed.report([pod!]);
    expect(await finalize()).toBe('blocked');
    await bed.settleDue();

    await bed.shard.deleteJob(OTHER);
    // What waited for it is looked at.
    expect(await bed.settleDue()).toEqual([`gc:${UID}`, `job:${OTHER}`]);
    expect(await finalize()).toBe('deleted');
    expect(await finalize()).toBe('notFound');
    expect(await view()).toMatchObject({ deleted: true, emptied: true, counters: { kept: 0 } });
  });

  test('one that does not block is not waited for, and is looked at afterwards', async () => {
    await bed.createJob({ uid: UID });
    await bed.createJob({ uid: OTHER, owners: [{ uid: UID, blocks: false }] });
    await bed.shard.deleteJob(UID, { policy: 'Foreground' });
    await bed.settleDue();
    expect(await bed.shard.finalizeJob(UID, 'foregroundDeletion')).toBe('deleted');
    expect(await bed.settleDue()).toEqual([`gc:${UID}`, `job:${UID}`]);
  });

  test('does not take away what is not there, or of a Job that stays', async () => {
    await bed.createJob({ uid: UID, finalizers: ['foregroundDeletion'] });
    expect(await bed.shard.finalizeJob(UID, 'foregroundDeletion')).toBe('finalized');
    expect((await view()).finalizers).toEqual(['foregroundDeletion']);
    await bed.shard.deleteJob(UID);
    expect(await bed.shard.finalizeJob(UID, 'orphan')).toBe('finalized');
    expect(await view()).toMatchObject({ orphaned: false });
  });

  test('Orphan: the pods can still be found, by the name of the Job and by their own', async () => {
    const session = await bed.registerSession();
    await bed.runningJob(session, 2, { uid: UID, name: 'a' });
    expect((await bed.raw()).jobs.size).toBe(0);
    await bed.shard.deleteJob(UID, { policy: 'Orphan' });
    expect(await bed.shard.finalizeJob(UID, 'orphan')).toBe('deleted');
    expect(await bed.shard.findJob('default', 'a')).toBeNull();
    await bed.createJob({ uid: OTHER, name: 'a' });
    expect(await bed.shard.findPodOwners('default', 'a')).toEqual([OTHER, UID]);
    const { jobs } = await bed.shard.listOrphaned({ namespace: 'default', limit: 10 });
    expect(jobs).toMatchObject([{ uid: UID, deleted: true, orphaned: true }]);
    expect((await bed.shard.listPods(UID, { limit: 10 })).pods).toHaveLength(2);
    // Its place in the queue does not count any more.
    expect((await bed.shard.observeJob(OTHER, 0))?.jobsOnQueue).toBe(0);
    expect((await bed.shard.listOrphaned({ namespace: 'other', limit: 10 })).jobs).toEqual([]);
  });

  test('with a finalizer of others the Job stays', async () => {
    await bed.createJob({ uid: UID, name: 'a', finalizers: ['x/y'] });
    await bed.shard.deleteJob(UID, { policy: 'Orphan' });
    expect(await bed.shard.finalizeJob(UID, 'orphan')).toBe('finalized');
    expect(await view()).toMatchObject({ finalizers: ['x/y'], orphaned: true, deleted: false });
    // Then its pods stay, whoever lets it go.
    expect(await bed.shard.updateJob({ ...update, ...asItIs, finalizers: [] })).toBe('deleted');
    expect(await bed.shard.findPodOwners('default', 'a')).toEqual([UID]);
    expect(await bed.shard.purgeJob(UID)).toBe('more');
    expect(await bed.shard.purgeJob(UID)).toBe('purged');
    expect(await bed.shard.findPodOwners('default', 'a')).toEqual([]);
  });
});

describe('what belongs to an owner', () => {
  test('is a range, whatever other uids look like', async () => {
    await bed.createJob({ uid: UID, owners: [{ uid: OWNER, blocks: true }] });
    await bed.createJob({ uid: OTHER, owners: [{ uid: `${OWNER}0`, blocks: true }] });
    expect(await dependents(OWNER)).toEqual([`job:${UID}`]);
    expect(await bed.settleDue()).toContain(`gc:${OWNER}`);
  });

  test('comes in pages', async () => {
    const owners = [{ uid: OWNER, blocks: false }];
    for (const uid of ['u1', 'u2', 'u3']) await bed.createJob({ uid, owners });
    const first = await bed.shard.dependents(OWNER, { limit: 2 });
    expect(first.dependents).toEqual([
      { member: 'job:u1', blocks: false },
      { member: 'job:u2', blocks: false },
    ]);
    const second = await bed.shard.dependents(OWNER, { limit: 2, after: first.next! });
    expect(second).toEqual({ dependents: [{ member: 'job:u3', blocks: false }], next: null });
  });

  test('changes with its owners', async () => {
    await bed.createJob({ uid: UID, owners: [{ uid: OWNER, blocks: true }] });
    await bed.settleDue();
    const owners = [{ uid: OTHER, blocks: false }];
    await bed.shard.updateJob({ ...update, ...asItIs, owners });
    expect(await dependents(OWNER)).toEqual([]);
    expect(await dependents(OTHER)).toEqual([`job:${UID}`]);
    expect(await bed.settleDue()).toEqual([`gc:${OWNER}`, `gc:${OTHER}`, `job:${UID}`].toSorted());
  });

  test('may belong to a pod: its Job is told so', async () => {
    await bed.createJob({ uid: UID });
    const owning = async () => (await bed.shard.observeJob(UID, 0))?.hasOwningPods;
    await bed.createJob({ uid: OTHER, owners: [{ uid: UID, blocks: true }] });
    expect(await owning()).toBe(false);
    for (const podNumber of [1, 2 ** 40]) {
      const owner = podUid(UID, podNumber);
      await bed.createJob({ uid: `u${podNumber}`, owners: [{ uid: owner, blocks: true }] });
      expect(await owning()).toBe(true);
      expect(await bed.shard.owningPods(UID, 10)).toEqual([owner]);
      await bed.shard.deleteJob(`u${podNumber}`);
      expect(await owning()).toBe(false);
    }
  });
});
