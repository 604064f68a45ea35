import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { inspectInstallation } from '../src/inspect/installation.ts';
import { findOrphanKeys } from '../src/inspect/orphanKeys.ts';
import { inspectServer } from '../src/inspect/server.ts';
import { itemQueuePrefix, podLogKey } from '../src/keys.ts';
import { StoreBed } from './support/bed.ts';

let bed: StoreBed;

StoreBed.forEachTest((fresh) => {
  bed = fresh;
});

const inspect = () => inspectInstallation(bed.redis, bed.store.prefix);
const orphans = () => findOrphanKeys(bed.redis, { prefix: bed.store.prefix });

test('a Redis says how it is, and how far its clock is from ours', async () => {
  const facts = await inspectServer(bed.redis);
  expect(facts).toMatchObject({
    role: 'master',
    isCluster: false,
    clusterState: null,
    replicas: 0,
    maxmemoryPolicy: 'noeviction',
    evictedKeys: 0,
    persistenceErrors: [],
  });
  expect(facts.version).toMatch(/^\d+\.\d+/);
  expect(facts.usedBytes).toBeGreaterThan(0);
  // One machine has one clock.
  expect(Math.abs(facts.clockOffsetMs)).toBeLessThan(1_000);
});

describe('an installation', () => {
  test('that is not there', async () => {
    const facts = await inspectInstallation(bed.redis, `${bed.store.prefix}-other`);
    expect(facts).toMatchObject({ layoutVersion: null, shards: [] });
  });

  test('its Jobs, what is due, and who listens for it', async () => {
    await bed.createJob({ name: 'a' });
    const [shard] = (await inspect()).shards;
    expect(shard).toMatchObject({ jobs: 1, unfinishedJobs: 1, controllers: 0, sessions: 0 });
    expect(shard!.overdue.count).toBe(1);
    expect(shard!.stuckJobs).toEqual({ count: 0, names: [] });
    const subscriber = bed.store.openSubscriber();
    await subscriber.subscribe(bed.shard.keys.wakeChannel, () => undefined);
    expect((await inspect()).shards[0]).toMatchObject({ controllers: 1 });
    subscriber.close();
  });

  test('an unfinished Job that is not due is stuck, unless it is suspended or managed elsewhere', async () => {
    const specs = { stuck: {}, asleep: { suspend: true }, other: { managedBy: 'example.com/a' } };
    for (const [name, spec] of Object.entries(specs)) {
      await bed.createJob({ name, object: JSON.stringify({ metadata: { name }, spec }) });
    }
    await bed.redis.del(bed.shard.keys.due);
    expect((await inspect()).shards[0]!.stuckJobs).toEqual({
      count: 1,
      names: ['default/stuck'],
    });
  });

  test('quota that is granted to nobody is told of, and only that', async () => {
    await bed.shard.objects.create({
      kind: 'ResourceQuota',
      namespace: 'default',
      name: 'small',
      uid: randomUUID(),
      object: JSON.stringify({ metadata: {}, spec: { hard: { pods: '9' } } }),
      finalizerCount: 0,
    });
    const woken = await bed.shard.quotas.wake('default', '');
    await bed.shard.quotas.wake('default', woken.type === 'uncounted' ? woken.counting : '');
    const uid = await bed.createJob({ name: 'a' });
    await bed.setGate(uid);
    await bed.openSlots(uid, 3);
    await bed.createJob({ name: 'alone', bare: true });
    expect((await inspect()).shards[0]!.wrongQuotas).toEqual({ count: 0, names: [] });
    await bed.redis.hincrby(bed.shard.keys.quotaUsed, 'default pods', 1);
    expect((await inspect()).shards[0]!.wrongQuotas).toEqual({ count: 1, names: ['default'] });
  });

  test('a session whose lease ran out long ago', async () => {
    const id = await bed.registerSession();
    // The test's clock is behind Redis' by months.
    expect((await inspect()).shards[0]).toMatchObject({
      sessions: 1,
      lapsedSessions: { count: 1, names: [id] },
    });
  });
});

describe('keys that belong to nothing', () => {
  test('none of a Job with a running pod, of its session and its log, of a work queue', async () => {
    const [pod] = await bed.runningJob(await bed.registerSession(), 1);
    await bed.redis.xadd(podLogKey(bed.store.prefix, pod!.uid, 1), '*', 'c', 'main');
    const uid = randomUUID();
    await bed.shard.workQueues.create({
      uid,
      namespace: 'default',
      name: 'letters',
      object: '{"metadata":{}}',
      resultTtlMs: 1_000,
      maxResultBytes: 1_000,
    });
    await bed.redis.set(`${itemQueuePrefix(bed.store.prefix, uid)}:items:1`, 'x');
    const { keys, ...found } = await orphans();
    expect(found).toEqual({ orphans: [], unpurgedJobs: [] });
    expect(keys).toBeGreaterThan(10);
  });

  test('those of Jobs, sessions and work queues that are gone, but for those that expire', async () => {
    const { redis } = bed;
    const { prefix } = bed.store;
    const [uid, { tag }] = [randomUUID(), bed.shard.keys];
    const left = [
      `${tag}:job:${uid}:slots`,
      `${tag}:session:0123456789abcdef:claims`,
      `${tag}:wq:${uid}:keys`,
      `${itemQueuePrefix(prefix, uid)}:items:1`,
      podLogKey(prefix, uid, 7),
    ];
    for (const key of left) await redis.set(key, 'x');
    await redis.set(`${tag}:job:${uid}:progress:1`, '0.5', 'PX', 60_000);
    expect(new Set((await orphans()).orphans)).toEqual(new Set(left));
  });

  test('nor what is left of a work queue that is being removed', async () => {
    const uid = randomUUID();
    await bed.redis.set(`${itemQueuePrefix(bed.store.prefix, uid)}:items:1`, 'x');
    await bed.redis.zadd(bed.shard.keys.due, '1', `items:${uid}`);
    expect((await orphans()).orphans).toEqual([]);
  });

  test('a deleted Job that no controller will purge', async () => {
    const uid = await bed.createJob();
    await bed.redis.hset(bed.shard.keys.job(uid).job, 'deleted', '1');
    expect((await orphans()).unpurgedJobs).toEqual([]);
    await bed.redis.del(bed.shard.keys.due);
    expect((await orphans()).unpurgedJobs).toEqual([uid]);
  });
});
