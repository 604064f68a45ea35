import { afterAll, beforeAll, beforeEach, afterEach, expect, test } from 'vitest';

import { Backend, composeJobs, JobsClient } from '@drover/sdk/internals';
import type { Job } from '@drover/shared';
import { openClient, type Shard } from '@drover/store';
import { startProxy, startRedis, uniquePrefix, waitFor, type TestRedis } from '@drover/testkit';

import type { PageRequest } from '../../src/api/resource.ts';
import { Selection } from '../../src/api/selection.ts';
import { JobsResource } from '../../src/resources/jobs.ts';
import { FeedWatch } from '../../src/watch/feedWatch.ts';

/** Bytes of the hot state before the number of active pods. */
const ACTIVE_AT = 7 * 8;

let redis: TestRedis;
let backend: Backend;
let shard: Shard;
let jobs: JobsClient;
let resource: JobsResource;
let ending: AbortController;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  backend = new Backend({ connection: redis.url, prefix: uniquePrefix() });
  shard = (await backend.store()).shardOf('default');
  jobs = new JobsClient(backend, 'default');
  resource = new JobsResource(backend);
  ending = new AbortController();
});
afterEach(async () => {
  ending.abort();
  resource.close();
  await backend.close();
});

function manifest(name: string) {
  const containers = [{ name: 'main', image: 'noop' }];
  const template = {
    spec: { restartPolicy: 'Never', runtimeClassName: 'handler', containers },
  };
  return { metadata: { name }, spec: { parallelism: 2, completions: 4, template } };
}

function wanted(more: Partial<PageRequest> = {}): PageRequest {
  const selection = new Selection([], [], {});
  return { namespace: 'default', selection, limit: null, after: null, notOlderThan: null, ...more };
}

/** Begins to watch; resolves when what is there was told. */
async function watch(watched: Pick<JobsResource, 'watch'>): Promise<void> {
  const started = Promise.withResolvers<void>();
  void (async () => {
    const from = { type: 'initial' } as const;
    const request = { ...wanted(), from, bookmarkMs: null, signal: ending.signal };
    for await (const { type } of watched.watch(request)) {
      if (type === 'BOOKMARK') started.resolve();
    }
  })().catch(started.reject);
  await started.promise;
}

/** How often Redis was asked for a Job. */
async function jobReads(): Promise<number> {
  const stats = await redis.connect().info('commandstats');
  return Number(/cmdstat_hgetall:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

function marks(items: readonly object[]): unknown[] {
  return (items as readonly Job[]).map(({ metadata }) => metadata.labels?.['mark']);
}

test('while somebody watches, a list is as things are now, and reads no Job anew', async () => {
  for (const name of ['a', 'b', 'c']) await jobs.create(manifest(name));
  await watch(resource);
  for (let n = 0; n < 20; n++) {
    await jobs.patch('b', { metadata: { labels: { mark: String(n) } } });
    const { items } = await resource.list(wanted());
    expect(marks(items)[1]).toBe(String(n));
  }
  await jobs.delete('a');
  await jobs.create(manifest('d'));
  const { items } = await resource.list(wanted());
  expect(items.map(({ metadata }) => metadata.name)).toEqual(['b', 'c', 'd']);
  const before = await jobReads();
  const again = await resource.list(wanted());
  expect(await jobReads()).toBe(before);
  // The same objects, so that their text is made once.
  expect(again.items.every((item, i) => item === items[i])).toBe(true);
});

test('a list waits for a change that was made before it, though the Job changed again before it was read', async () => {
  await jobs.create(manifest('a'));
  const reading = Promise.withResolvers<void>();
  const mayRead = Promise.withResolvers<void>();
  let reads = 0;
  const feed = new FeedWatch<Job>(backend, {
    apiVersion: 'batch/v1',
    kind: 'Job',
    list: async (of) => await composeJobs(of, (await of.listJobs(ALL)).jobs),
    read: async (of, entries) => {
      reads += 1;
      if (reads === 1) {
        reading.resolve();
        await mayRead.promise;
      }
      const views = await Promise.all(entries.map(({ uid }) => of.getJobByUid(uid)));
      return await composeJobs(
        of,
        views.filter((view) => view !== null),
      );
    },
  });
  const listed = () =>
    feed.list(
      wanted(),
      () => Promise.reject(new Error('it is read from the store')),
      () => Promise.resolve(null),
    );
  try {
    await watch(feed);
    await jobs.patch('a', { metadata: { labels: { mark: '1' } } });
    await reading.promise;
    const list = listed();
    // By then the list knows up to where it has to wait.
    await backend.run((store) => store.redis.ping());
    await backend.run((store) => store.redis.ping());
    await jobs.patch('a', { metadata: { labels: { mark: '2' } } });
    mayRead.resolve();
    expect(marks((await list).items)).toEqual(['2']);
  } finally {
    feed.close();
  }
});

test('figures of a Job that runs are those of the moment', async () => {
  const { metadata } = await jobs.create(manifest('a'));
  await jobs.create(manifest('b'));
  await watch(resource);
  const { hot } = shard.keys.job(metadata.uid);
  const client = redis.connect();
  for (const active of [2, 1]) {
    const packed = (await client.getBuffer(hot))!;
    packed.writeDoubleBE(active, ACTIVE_AT);
    await client.set(hot, packed);
    const { items } = await resource.list(wanted());
    expect((items as readonly Job[]).map(({ status }) => status.active)).toEqual([
      active,
      undefined,
    ]);
    expect(items[0]).toEqual(await jobs.get('a'));
  }
});

test('half of the connection of a watch is gone: lists come from the store, and it ends', async () => {
  const proxy = await startProxy({ target: { port: redis.port } });
  const lame = openClient(`redis://127.0.0.1:${proxy.port}`);
  lame.on('error', () => undefined);
  backend.duplicate = () => Promise.resolve(lame);
  const ended = (async () => {
    const from = { type: 'initial' } as const;
    const request = { ...wanted(), from, bookmarkMs: null, signal: ending.signal };
    const told: string[] = [];
    for await (const { type } of resource.watch(request)) told.push(type);
    return told;
  })();
  ended.catch(() => undefined);
  await waitFor(() => proxy.connectionCount === 1);
  await jobs.create(manifest('before'));
  await waitFor(async () => (await resource.list(wanted())).items.length === 1);
  proxy.blackhole();
  await jobs.create(manifest('after'));
  const { items } = await resource.list(wanted());
  expect(items.map(({ metadata }) => metadata.name)).toEqual(['after', 'before']);
  // It did not wait for as long as for a watch that is merely slow.
  await expect(ended).rejects.toThrow('nothing comes over the connection');
  await proxy.stop();
});

test('lists that read as much as there is again and again do so from memory, in the same order', async () => {
  for (let n = 0; n < 20; n++) await jobs.create(manifest(`job-${n}`));
  const first = await resource.list(wanted({ limit: 7 }));
  const all = await resource.list(wanted());
  await waitFor(async () => {
    const before = await jobReads();
    for (let n = 0; n < 10; n++) await resource.list(wanted());
    return (await jobReads()) === before;
  });
  // What began in the store goes on.
  const rest = await resource.list(wanted({ after: first.next }));
  expect([...first.items, ...rest.items]).toEqual(all.items);
  // Any version will do: nobody is asked.
  await jobs.create(manifest('new'));
  const { length } = (await resource.list(wanted({ notOlderThan: 0 }))).items;
  expect([20, 21]).toContain(length);
  const version = Number((await jobs.get('new')).metadata.resourceVersion);
  const { items, resourceVersion } = await resource.list(wanted({ notOlderThan: version }));
  expect(items).toHaveLength(21);
  expect(Number(resourceVersion)).toBeGreaterThanOrEqual(version);
});

const ALL = { namespace: null, limit: 100 };
