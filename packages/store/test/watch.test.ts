import { once } from 'node:events';
import { startProxy } from '@drover/testkit';
import { describe, expect, test, vi } from 'vitest';
import { openClient } from '../src/redisClient.ts';
import {
  announcePodWatcher,
  lastChange,
  readChanges,
  type WatchEntry,
  WatchExpiredError,
  watchShard,
} from '../src/watch.ts';
import { LANE, QUEUE, StoreBed } from './support/bed.ts';

/** A real uid, where uids of pods are made from it. */
const UID = '4be0b0a2-0000-4000-8000-000000000001';

let bed: StoreBed;
StoreBed.forEachTest((fresh) => {
  bed = fresh;
});

/** Reads entries until there are so many. */
async function watch(since: number, count: number, pods = false): Promise<WatchEntry[]> {
  const abort = new AbortController();
  const entries: WatchEntry[] = [];
  const options = { since, pods, signal: abort.signal };
  for await (const batch of watchShard(bed.server.connect(), bed.shard.keys, options)) {
    entries.push(...batch);
    if (entries.length >= count) abort.abort();
  }
  return entries;
}

function told(entries: readonly WatchEntry[]): string[] {
  return entries.map((entry) =>
    entry.kind === 'Pods'
      ? `pods ${entry.uid} ${entry.from}..${entry.to}`
      : `${entry.type} ${entry.namespace}/${entry.name}`,
  );
}

async function touch(uid: string): Promise<void> {
  await bed.shard.writeStatus({
    ...(await bed.guard(uid)),
    status: '{}',
    finish: null,
    critical: false,
  });
}

test('a watch tells what happens to kept objects', async () => {
  const path = { kind: 'ConfigMap', namespace: 'default', name: 'settings', uid: 'u1' };
  const object = { ...path, object: '{}', finalizerCount: 0 };
  const { objects } = bed.shard;
  await objects.create(object);
  const expectedResourceVersion = (await objects.get(path))!.resourceVersion;
  await objects.update({ ...object, expectedResourceVersion });
  await objects.delete(object);
  const entries = await watch(0, 3);
  expect(told(entries)).toEqual([
    'ADDED default/settings',
    'MODIFIED default/settings',
    'DELETED default/settings',
  ]);
  expect(entries[1]).toMatchObject({ kind: 'Object', of: 'ConfigMap', uid: 'u1' });
  expect(entries[0]?.resourceVersion).toBe(expectedResourceVersion);
});

describe('a watch of Jobs', () => {
  test('tells what happens to them, with rising versions, as a get then shows it', async () => {
    await bed.createJob({ uid: 'u1', name: 'a' });
    await touch('u1');
    const update = { uid: 'u1', object: '{}', completions: 1, queue: QUEUE, fittingKey: LANE };
    await bed.shard.updateJob({ ...update, expectedResourceVersion: null, specChanged: true });
    const version = (await bed.shard.getJobByUid('u1'))!.resourceVersion;
    await bed.shard.deleteJob('u1');
    const entries = await watch(0, 4);
    expect(told(entries)).toEqual([
      'ADDED default/a',
      'MODIFIED default/a',
      'MODIFIED default/a',
      'DELETED default/a',
    ]);
    const versions = entries.map((entry) => entry.resourceVersion);
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    expect(new Set(versions).size).toBe(4);
    expect(versions[2]).toBe(version);
  });

  test('goes on after the version that it is given', async () => {
    await bed.createJob({ uid: 'u1', name: 'a' });
    const { resourceVersion } = await bed.shard.listJobs({ namespace: null, limit: 10 });
    await bed.createJob({ uid: 'u2', name: 'b' });
    expect(told(await watch(resourceVersion, 1))).toEqual(['ADDED default/b']);
  });

  test('waits for what comes, and ends with its signal', async () => {
    await bed.createJob({ uid: 'u1', name: 'a' });
    const waiting = watch(await bed.shard.resourceVersion(), 1);
    await bed.createJob({ uid: 'u2', name: 'b' });
    expect(told(await waiting)).toEqual(['ADDED default/b']);
  });

  test('can begin before the first Job, though workers moved the clock', async () => {
    await bed.registerSession();
    const session = await bed.registerSession();
    await bed.shard.heartbeat(session);
    const since = await bed.shard.resourceVersion();
    expect(since).toBeGreaterThan(0);
    const waiting = watch(since, 1);
    await bed.createJob({ uid: 'u1', name: 'a' });
    expect(told(await waiting)).toEqual(['ADDED default/a']);
  });

  test('from a version that Redis does not know (any more) has expired', async () => {
    await bed.createJob({ uid: 'u1' });
    const future = (await bed.shard.resourceVersion()) + 1;
    await expect(watch(future, 1)).rejects.toBeInstanceOf(WatchExpiredError);
    await bed.redis.flushall();
    await expect(watch(future - 1, 1)).rejects.toMatchObject({ code: 'WATCH_EXPIRED' });
  });

  test('that fell behind what is kept has expired', async () => {
    await bed.createJob({ uid: 'u1', name: 'a' });
    const since = await bed.shard.resourceVersion();
    for (let i = 0; i < 5; i++) await touch('u1');
    const kept = await bed.shard.resourceVersion();
    await touch('u1');
    await bed.redis.xtrim(bed.shard.keys.watch, 'MAXLEN', '=', 2);
    await expect(watch(since, 1)).rejects.toBeInstanceOf(WatchExpiredError);
    expect(told(await watch(kept, 1))).toEqual(['MODIFIED default/a']);
  });
});

/** Tells of so many changes of a Job, with the versions after the newest. */
async function tellOf(count: number, keep = count): Promise<void> {
  const { watch: key, clock } = bed.shard.keys;
  const base = await bed.shard.resourceVersion();
  await bed.redis.set(clock, String(base + 2 * count));
  const fields = ['k', 'Job', 'e', 'MODIFIED', 'u', 'u1', 's', 'default', 'n', 'a'];
  const adding = bed.redis.multi();
  for (let i = 1; i <= count; i++) adding.xadd(key, `${base + i}-0`, ...fields);
  await adding.xtrim(key, 'MAXLEN', '=', keep).exec();
}

test('a watch goes on though much of what it has yet to read was there when it looked', async () => {
  await tellOf(2_500);
  expect(await watch(0, 2_500)).toHaveLength(2_500);
});

describe('a watch that runs has expired', () => {
  /** Begins a watch; `next` resolves with its next batch that is not empty. */
  async function begin(since: number) {
    const redis = bed.server.connect();
    const clientId = await redis.client('ID');
    const abort = new AbortController();
    const batches = watchShard(redis, bed.shard.keys, { since, pods: false, signal: abort.signal });
    const next = async (): Promise<WatchEntry[]> => {
      for (;;) {
        const { value, done } = await batches.next();
        if (done === true || value.length > 0) return value ?? [];
      }
    };
    return { redis, clientId, next, end: () => abort.abort() };
  }

  test('when it fell behind what is kept meanwhile', async () => {
    await bed.createJob({ uid: 'u1', name: 'a' });
    const { next, end } = await begin(0);
    expect(await next()).toHaveLength(1);
    // As many as fill a batch, after some that were trimmed unseen.
    await tellOf(1_500, 1_200);
    await expect(next()).rejects.toBeInstanceOf(WatchExpiredError);
    end();
  });

  test('when its connection was lost: Redis may have come back without the last changes', async () => {
    await bed.createJob({ uid: 'u1', name: 'a' });
    const { redis, clientId, next, end } = await begin(0);
    expect(await next()).toHaveLength(1);
    const ending = next().catch((error: unknown) => error);
    const closed = once(redis, 'close');
    await bed.redis.client('KILL', 'ID', clientId);
    await closed;
    await bed.createJob({ uid: 'u2', name: 'b' });
    expect(await ending).toBeInstanceOf(WatchExpiredError);
    end();
  });

  test('when no answer comes over its connection any more', async () => {
    const proxy = await startProxy({ target: { path: new URL(bed.server.url).pathname } });
    const redis = openClient(`redis://127.0.0.1:${proxy.port}`);
    redis.on('error', () => undefined);
    await redis.ping();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const options = { since: 0, pods: false, signal: new AbortController().signal };
      const watching = watchShard(redis, bed.shard.keys, options);
      const ended = watching.next().catch((error: unknown) => error);
      proxy.blackhole();
      await vi.advanceTimersByTimeAsync(20_000);
      expect(await ended).toBeInstanceOf(WatchExpiredError);
    } finally {
      vi.useRealTimers();
      await proxy.stop();
    }
  });

  test('when the data are gone, though new ones came', async () => {
    await bed.createJob({ uid: 'u1', name: 'a' });
    await bed.createJob({ uid: 'u2', name: 'b' });
    const { next, end } = await begin(0);
    expect(await next()).toHaveLength(2);
    const ending = next().catch((error: unknown) => error);
    await bed.redis.del(bed.shard.keys.watch);
    expect(await ending).toBeInstanceOf(WatchExpiredError);
    end();
  }, 15_000);
});

describe('a watch of pods', () => {
  test('tells which may have changed; nothing is written while nobody watches', async () => {
    const session = await bed.registerSession();
    const [quiet] = await bed.runningJob(
      session,
      1,
      { uid: UID, name: 'a', completions: 3 },
      { limit: 1 },
    );
    await bed.report([quiet!]);
    const since = await bed.shard.resourceVersion();
    expect(await bed.redis.xlen(bed.shard.keys.watch)).toBe(1);

    const complete = await announcePodWatcher(bed.redis, bed.shard.keys);
    expect(complete).toBe(since);
    const pod = await bed.acquire(UID, quiet!.slot, session);
    const [answer] = await bed.report([pod]);
    await bed.shard.stopPods({
      uid: UID,
      guard: null,
      pods: [{ slot: pod.slot, podNumber: 3, session }],
      countAs: 'unjudged',
    });
    expect(answer).toMatchObject({ type: 'next', claim: { podNumber: 3 } });
    await bed.shard.removePodRecord(UID, 1);
    expect(told(await watch(since, 3, true))).toEqual([
      `pods ${UID} 2..3`,
      `pods ${UID} 3..3`,
      `pods ${UID} 1..1`,
    ]);
    expect(await bed.redis.pttl(bed.shard.keys.podWatchers)).toBeGreaterThan(0);
    // Who comes later learns since when, not that it is from now on.
    expect(await announcePodWatcher(bed.redis, bed.shard.keys)).toBe(since);
  });
});

describe('changes up to now', () => {
  test('are those after a version; the newest is the last of them', async () => {
    expect(await lastChange(bed.redis, bed.shard.keys)).toBe(0);
    await bed.createJob({ uid: 'u1', name: 'a' });
    const since = await bed.shard.resourceVersion();
    expect(await readChanges(bed.redis, bed.shard.keys, since)).toEqual([]);
    await bed.createJob({ uid: 'u2', name: 'b' });
    await touch('u1');
    const changes = await readChanges(bed.redis, bed.shard.keys, since);
    expect(told(changes)).toEqual(['ADDED default/b', 'MODIFIED default/a']);
    expect(await lastChange(bed.redis, bed.shard.keys)).toBe(changes.at(-1)!.resourceVersion);
  });

  test('that were trimmed, or are yet to come, are not told in part', async () => {
    await bed.createJob({ uid: 'u1', name: 'a' });
    const since = await bed.shard.resourceVersion();
    await touch('u1');
    await touch('u1');
    await bed.redis.xtrim(bed.shard.keys.watch, 'MAXLEN', 1);
    const old = readChanges(bed.redis, bed.shard.keys, since);
    await expect(old).rejects.toThrow(WatchExpiredError);
    const future = readChanges(bed.redis, bed.shard.keys, since * 2);
    await expect(future).rejects.toThrow(WatchExpiredError);
  });
});
