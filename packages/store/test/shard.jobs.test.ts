import { describe, expect, test } from 'vitest';
import { LANE, newJob, QUEUE, StoreBed, T0 } from './support/bed.ts';

let bed: StoreBed;
StoreBed.forEachTest((fresh) => {
  bed = fresh;
});

describe('createJob', () => {
  test('stores the Job with generation 1 and makes it due at once', async () => {
    const created = await bed.shard.createJob({ ...newJob('u1'), name: 'a', completions: null });
    const job = await bed.shard.getJob('default', 'a');
    expect(created).toEqual({
      type: 'created',
      resourceVersion: job!.resourceVersion,
      createdMs: T0,
    });
    expect(job).toMatchObject({
      uid: 'u1',
      namespace: 'default',
      name: 'a',
      generation: 1,
      createdMs: T0,
      queue: QUEUE,
      fittingKey: LANE,
      finished: false,
      deleted: false,
    });
    expect(job!.counters.active).toBe(0);
    expect(job!.resourceVersion).toBeGreaterThanOrEqual(T0 * 4096);
    expect(await bed.dueAtMs('job:u1')).toBe(T0);
  });

  test('with the same uid again is a replay and changes nothing', async () => {
    await bed.createJob({ uid: 'u1', name: 'a' });
    const before = await bed.shard.getJob('default', 'a');
    expect(
      await bed.shard.createJob({ ...newJob('u1'), name: 'a', object: '{"other":1}' }),
    ).toEqual({ type: 'replayed' });
    expect(await bed.shard.getJob('default', 'a')).toEqual(before);
  });

  test('of a name that is taken is refused, in this namespace only', async () => {
    await bed.createJob({ uid: 'u1', name: 'a' });
    expect(await bed.shard.createJob({ ...newJob('u2'), name: 'a' })).toEqual({
      type: 'alreadyExists',
    });
    expect(
      await bed.shard.createJob({ ...newJob('u3'), name: 'a', namespace: 'other' }),
    ).toMatchObject({ type: 'created' });
    expect(await bed.shard.getJobByUid('u2')).toBeNull();
  });

  test('of a name that was deleted is a new Job', async () => {
    await bed.createJob({ uid: 'u1', name: 'a' });
    await bed.shard.deleteJob('u1');
    expect(await bed.shard.createJob({ ...newJob('u2'), name: 'a' })).toMatchObject({
      type: 'created',
    });
    expect(await bed.shard.findJob('default', 'a')).toBe('u2');
  });
});

describe('listJobs', () => {
  test('pages in order of namespace and name, and leaves deleted Jobs out', async () => {
    for (const [uid, namespace, name] of [
      ['u1', 'b', 'x'],
      ['u2', 'a', 'z'],
      ['u3', 'a', 'y'],
      ['u4', 'a-b', 'x'],
      ['u5', 'a', 'w'],
    ] as const) {
      await bed.createJob({ uid, namespace, name });
    }
    await bed.shard.deleteJob('u5');
    const all = await bed.shard.listJobs({ namespace: null, limit: 10 });
    expect(all.jobs.map((job) => job.uid)).toEqual(['u4', 'u3', 'u2', 'u1']);
    expect(all.next).toBeNull();
    expect(all.resourceVersion).toBe(await bed.shard.resourceVersion());

    const first = await bed.shard.listJobs({ namespace: 'a', limit: 1 });
    expect(first.jobs.map((job) => job.uid)).toEqual(['u3']);
    const second = await bed.shard.listJobs({ namespace: 'a', limit: 1, after: first.next! });
    expect(second.jobs.map((job) => job.uid)).toEqual(['u2']);
    const third = await bed.shard.listJobs({ namespace: 'a', limit: 1, after: second.next! });
    expect(third).toMatchObject({ jobs: [], next: null });
  });

  test('finds the Jobs that a pod may belong to by its name', async () => {
    const long = 'x'.repeat(58);
    const names = ['ab', 'ab-3', 'abc', `${long}yy`, `${long}z`, 'x'.repeat(57)];
    for (const name of names) await bed.createJob({ uid: name, name });
    const find = (name: string) => bed.shard.findOwnersOfPod('default', name);
    expect(await find('ab-bcdfg')).toEqual(['ab']);
    expect(await find('ab-3-bcdfg')).toEqual(['ab-3', 'ab']);
    // Of a long name the end is cut off.
    expect((await find(`${long}bcdfg`)).toSorted()).toEqual([`${long}yy`, `${long}z`]);
    expect(await find('ab-0ae1i')).toEqual([]);
  });
});

describe('updateJob', () => {
  const update = { uid: 'u1', object: '{"new":1}', completions: 5, queue: QUEUE, fittingKey: LANE };

  test('of a spec bumps generation, decisionVersion and resourceVersion, and makes the Job due', async () => {
    await bed.createJob({ uid: 'u1', name: 'a' });
    await bed.settleDue();
    const before = (await bed.shard.getJobByUid('u1'))!;
    const { decisionVersion } = await bed.guard('u1');
    const version = before.resourceVersion;
    const reply = bed.shard.updateJob({
      ...update,
      expectedResourceVersion: version,
      specChanged: true,
    });
    expect(await reply).toBe('updated');
    const after = (await bed.shard.getJobByUid('u1'))!;
    expect(after).toMatchObject({ generation: 2, object: '{"new":1}' });
    expect(after.resourceVersion).toBeGreaterThan(version);
    expect(await bed.guard('u1')).toMatchObject({
      generation: 2,
      decisionVersion: decisionVersion + 1,
    });
    expect((await bed.rawJob('u1')).hot).toMatchObject({ completions: 5, generation: 2 });
    expect(await bed.dueAtMs('job:u1')).toBe(T0);
  });

  test('of metadata alone moves no generation', async () => {
    await bed.createJob({ uid: 'u1', name: 'a', completions: 7 });
    const guard = await bed.guard('u1');
    await bed.shard.updateJob({ ...update, expectedResourceVersion: null, specChanged: false });
    expect(await bed.guard('u1')).toEqual(guard);
    expect((await bed.rawJob('u1')).hot?.completions).toBe(7);
  });

  test('from an older version is a conflict and writes nothing', async () => {
    await bed.createJob({ uid: 'u1', name: 'a' });
    const old = (await bed.shard.getJobByUid('u1'))!.resourceVersion;
    const change = { ...update, expectedResourceVersion: old, specChanged: true };
    expect(await bed.shard.updateJob(change)).toBe('updated');
    const before = await bed.shard.getJobByUid('u1');
    expect(await bed.shard.updateJob({ ...change, object: '{"lost":1}' })).toBe('conflict');
    expect(await bed.shard.getJobByUid('u1')).toEqual(before);
  });

  test('of a Job that is not there, or deleted, finds none', async () => {
    const change = { ...update, expectedResourceVersion: null, specChanged: true };
    expect(await bed.shard.updateJob(change)).toBe('notFound');
    await bed.createJob({ uid: 'u1', name: 'a' });
    await bed.shard.deleteJob('u1');
    expect(await bed.shard.updateJob(change)).toBe('notFound');
  });

  test('to another queue takes the Job off the count of the first', async () => {
    await bed.createJob({ uid: 'u1', name: 'a' });
    await bed.setGate('u1');
    await bed.openSlots('u1', 1);
    expect(await bed.redis.hget(bed.shard.keys.queues, QUEUE)).toBe('1');
    const moved = { ...update, queue: 'gpu.process', fittingKey: 'gpu/process' };
    await bed.shard.updateJob({ ...moved, expectedResourceVersion: null, specChanged: true });
    await bed.setGate('u1');
    await bed.openSlots('u1', 1);
    expect(await bed.redis.hgetall(bed.shard.keys.queues)).toEqual({
      [QUEUE]: '0',
      'gpu.process': '1',
    });
  });
});

describe('deleteJob and purgeJob', () => {
  test('frees the name at once and stays as a tombstone until the last pod ended', async () => {
    const session = await bed.registerSession();
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1', name: 'a' });
    await bed.settleDue();
    expect(await bed.shard.deleteJob('u1')).toBe('deleted');
    expect(await bed.shard.deleteJob('u1')).toBe('notFound');
    expect(await bed.shard.getJob('default', 'a')).toBeNull();
    expect(await bed.dueAtMs('job:u1')).toBe(T0);
    expect(await bed.shard.getJobByUid('u1')).toMatchObject({
      deleted: true,
      counters: { active: 1 },
    });
    expect(await bed.shard.purgeJob('u1')).toBe('notEmpty');

    await bed.settleDue();
    // The gate is closed: what ends now is not followed by another pod, and the Job is due.
    expect(await bed.report([pod!])).toEqual([{ type: 'released' }]);
    expect(await bed.dueAtMs('job:u1')).toBe(T0);
    await purge('u1');
    expect(await bed.shard.getJobByUid('u1')).toBeNull();
    expect(await bed.shard.observeJob('u1', 10)).toBeNull();
  });

  test('a Job that is not deleted is not purged', async () => {
    const session = await bed.registerSession();
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1', completions: 1 });
    await bed.report([pod!]);
    expect(await bed.shard.purgeJob('u1')).toBe('notEmpty');
    expect((await bed.shard.listPods('u1', { limit: 10 })).pods).toHaveLength(1);
  });

  test('a purge takes records, overlays and logs of thousands of pods with it, in steps', async () => {
    const session = await bed.registerSession();
    const podCount = 9 * 1024;
    const pods = await bed.runningJob(
      session,
      100,
      { uid: 'u1', completions: podCount },
      { limit: 100 },
    );
    const overlay = { message: 'done' };
    let last = 0;
    while (pods.length > 0) {
      const answers = await bed.report(pods, { hasLog: true, overlay });
      const ended = new Set<(typeof pods)[number]>();
      for (const [i, answer] of answers.entries()) {
        if (answer.type === 'next') pods[i]!.claim = answer.claim;
        else ended.add(pods[i]!);
        if (answer.type === 'next') last = Math.max(last, answer.claim.podNumber);
      }
      pods.splice(0, pods.length, ...pods.filter((pod) => !ended.has(pod)));
    }
    expect(last).toBe(podCount);
    const logs = [1, 1023, 1024, podCount].map((podNumber) => bed.shard.podLogKey('u1', podNumber));
    for (const log of logs) await bed.redis.xadd(log, '*', 'a', 'b');
    const records = await bed.redis.keys(`${bed.shard.keys.tag}:job:u1:pods:*`);
    expect(records).toHaveLength(10);

    await bed.shard.deleteJob('u1');
    expect(await purge('u1')).toBeGreaterThan(1);
    expect(await bed.redis.exists(...logs)).toBe(0);
    // Only the mark is left, and not for ever.
    expect(await bed.redis.keys(`${bed.shard.keys.tag}:job:u1*`)).toEqual([
      bed.shard.keys.job('u1').job,
    ]);
    expect(await bed.redis.pttl(bed.shard.keys.job('u1').job)).toBeGreaterThan(0);
    expect(await bed.redis.hget(bed.shard.keys.queues, QUEUE)).toBe('0');
  });

  test('what comes late for a purged Job finds nothing and leaves nothing', async () => {
    const session = await bed.registerSession();
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1', name: 'a', completions: 1 });
    const guard = await bed.guard('u1');
    await bed.report([pod!]);
    await bed.shard.deleteJob('u1');
    await purge('u1');
    expect(await bed.shard.createJob({ ...newJob('u1'), name: 'a' })).toEqual({ type: 'replayed' });
    expect(await bed.shard.findJob('default', 'a')).toBeNull();
    expect(await bed.report([pod!])).toEqual([{ type: 'stale' }]);
    expect(await bed.shard.openSlots(guard, 1)).toEqual({ type: 'gone' });
    expect(
      await bed.shard.stopPods({ uid: 'u1', guard: null, pods: [], countAs: 'failed' }),
    ).toEqual({ type: 'gone' });
    const status = { ...guard, status: '{}', finish: null, critical: true };
    expect(await bed.shard.writeStatus(status)).toEqual({ type: 'gone' });
    expect(await bed.shard.purgeJob('u1')).toBe('purged');
    expect(await bed.redis.keys(`${bed.shard.keys.tag}:job:u1:*`)).toEqual([]);
  });
});

async function purge(uid: string): Promise<number> {
  let steps = 0;
  for (;;) {
    const reply = await bed.shard.purgeJob(uid);
    if (reply === 'purged') return steps;
    expect(reply).toBe('more');
    steps++;
  }
}

test('the Job that stands for a pod is found by no name of a Job', async () => {
  await bed.shard.createJob({ ...newJob('u1'), name: 'pod', namespace: 'pods', bare: true });
  for (const namespace of ['pods', '~pods']) {
    expect(await bed.shard.getJob(namespace, 'pod')).toBeNull();
    expect(await bed.shard.listJobs({ namespace, limit: 10 })).toMatchObject({ jobs: [] });
  }
  expect(await bed.shard.getBarePod('pods', 'pod')).toMatchObject({ uid: 'u1' });
});

test('the namespaces of a shard are those with something in them', async () => {
  expect(await bed.shard.namespaces(['ConfigMap'])).toEqual([]);
  await bed.createJob({ uid: 'u1', name: 'a', namespace: 'b' });
  await bed.createJob({ uid: 'u2', name: 'z', namespace: 'b' });
  // '-' sorts before the slash that ends a namespace.
  await bed.createJob({ uid: 'u3', name: 'a', namespace: 'b-c' });
  await bed.shard.createJob({ ...newJob('u4'), name: 'pod', namespace: 'pods', bare: true });
  const kept = { kind: 'ConfigMap', namespace: 'maps', name: 'm', uid: 'u5' };
  await bed.shard.objects.create({ ...kept, object: '{}', finalizerCount: 0 });
  expect(await bed.shard.namespaces(['ConfigMap'])).toEqual(['b', 'b-c', 'maps', 'pods']);
  expect(await bed.shard.namespaces([])).toEqual(['b', 'b-c', 'pods']);
  for (const [namespace, want] of [
    ['b', true],
    ['pods', true],
    ['maps', true],
    ['map', false],
    ['c', false],
  ] as const) {
    expect(await bed.shard.isInUse(namespace, ['ConfigMap']), namespace).toBe(want);
  }
  expect(await bed.shard.isInUse('maps', [])).toBe(false);
});
