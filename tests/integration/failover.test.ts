import { type CreateOptions, Drover, NotFoundError } from '@drover/sdk';
import { findOrphanKeys, inspectInstallation, shardIndexOf, watchShard } from '@drover/store';
import { type RedisClusterProcesses, type RedisSentinelProcesses, waitFor } from '@drover/testkit';
import { expect, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob } from './support/manifests.ts';
import { runsByIndex } from './support/records.ts';

const SHARDS = 8;
const PODS = 12;
/** DROVER_LONG=1 waits until a server that comes back is a replica. */
const IS_LONG = process.env['DROVER_LONG'] === '1';

/** A namespace of each shard. */
function namespaces(): string[] {
  const byShard = new Map<number, string>();
  for (let i = 0; byShard.size < SHARDS; i++) byShard.set(shardIndexOf(`n${i}`, SHARDS), `n${i}`);
  return [...byShard.entries()].toSorted(([a], [b]) => a - b).map(([, name]) => name);
}

test('a cluster: Jobs of all shards go on when a master is killed and its replica takes its place', async () => {
  await using engine = await Engine.forTest({
    redis: { topology: 'cluster', replicas: true },
    settings: { shardCount: SHARDS, resyncMs: 5_000 },
  });
  const { drover, store, records, prefix } = engine;
  const cluster = engine.redis as RedisClusterProcesses;
  await Promise.all([engine.controller(), engine.worker({ maxPods: 40 })]);
  const names = namespaces();
  const job = (namespace: string): string => `of-${namespace}`;
  await Promise.all(
    names.map(async (namespace) => {
      const shape = { name: job(namespace), completions: PODS, parallelism: 3, indexed: true };
      await drover.jobs.create(handlerJob('work', shape, { ms: 200 }), { namespace });
    }),
  );
  // The first shard lies on the first master: who watches it is told that changes may be missing.
  const keys = store.shards[0]!.keys;
  const watched = (async () => {
    const since = await store.shards[0]!.resourceVersion();
    const { signal } = new AbortController();
    const connection = cluster.connect();
    for await (const _ of watchShard(connection, keys, { since, pods: false, signal }));
  })();
  watched.catch(() => undefined);
  await waitFor(() => names.every((namespace) => records.read(job(namespace)).length > 0));

  await cluster.masters[0]!.kill();
  await expect(watched).rejects.toMatchObject({ code: 'WATCH_EXPIRED' });
  const jobs = await Promise.all(
    names.map((namespace) =>
      drover.jobs.wait(job(namespace), { namespace, for: 'finished', timeoutMs: 60_000 }),
    ),
  );
  for (const { status } of jobs) {
    expect(status).toMatchObject({ succeeded: PODS, completedIndexes: `0-${PODS - 1}` });
  }
  for (const namespace of names) expect(runsByIndex(records.read(job(namespace))).size).toBe(PODS);
  // What looks at all keys and all shards sees all nodes.
  const { shards, readyNodes } = await inspectInstallation(store.redis, prefix);
  expect([shards.length, readyNodes]).toEqual([SHARDS, 1]);
  expect(shards.map(({ controllers }) => controllers)).toEqual(shards.map(() => 1));
  expect(await findOrphanKeys(store.redis, { prefix })).toMatchObject({ orphans: [] });
}, 120_000);

test('the address of one node of a cluster is refused with that of the cluster', async () => {
  await using engine = await Engine.forTest({ redis: { topology: 'cluster' } });
  const { url } = (engine.redis as RedisClusterProcesses).masters[0]!;
  await using one = new Drover({ connection: url, prefix: 'other' });
  await expect(
    Promise.all(namespaces().map((namespace) => one.jobs.list({ namespace }))),
  ).rejects.toThrow(`give redis+cluster://${new URL(url).host}`);
}, 60_000);

test('three Sentinels: a failover loses what no replica had, which is not what was asked to be there', async () => {
  await using engine = await Engine.forTest({ redis: { topology: 'sentinel', sentinels: 3 } });
  const { drover, records } = engine;
  const servers = engine.redis as RedisSentinelProcesses;
  await Promise.all([engine.controller(), engine.worker({ maxPods: 20 })]);
  const create = (name: string, options: CreateOptions = {}): Promise<unknown> => {
    const shape = { name, completions: PODS, parallelism: 3, indexed: true };
    const job = handlerJob('work', shape, { ms: 100 });
    return drover.jobs.create(job, options);
  };
  await create('kept', { durability: { replicas: 1, timeoutMs: 20_000 } });
  await waitFor(() => records.read('kept').length > 0);

  await servers.cutReplication();
  await create('lost');
  await expect(
    create('unsure', { durability: { replicas: 1, timeoutMs: 100 } }),
  ).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringMatching(/^Job default\/unsure .* 0 of 1 replicas/) as string,
  });
  expect((await drover.jobs.get('unsure')).metadata.name).toBe('unsure');

  await servers.kill();
  await servers.untilPromoted();
  for (const name of ['lost', 'unsure']) {
    await waitFor(async () => {
      const error: unknown = await drover.jobs.get(name).then(
        () => null,
        (reason: unknown) => reason,
      );
      return error instanceof NotFoundError;
    });
  }
  expect((await engine.finished('kept', 60_000)).status).toMatchObject({
    succeeded: PODS,
    completedIndexes: `0-${PODS - 1}`,
  });
  expect(runsByIndex(records.read('kept')).size).toBe(PODS);

  // It takes itself for the master still, and nobody else does. After ten seconds it is the replica.
  await servers.restart();
  await create('next', IS_LONG ? { durability: { replicas: 1, timeoutMs: 60_000 } } : {});
  expect((await engine.finished('next')).status).toMatchObject({ succeeded: PODS });
}, 240_000);

test.each([
  [{ replicas: 0 }, 'durability.replicas is 0'],
  [{ replicas: 1, timeoutMs: 0.5 }, 'durability.timeoutMs is 0.5'],
])('durability %j is refused', async (durability, want) => {
  await using drover = new Drover({ connection: 'redis://127.0.0.1:1' });
  const job = handlerJob('work', { name: 'a' });
  await expect(drover.jobs.create(job, { durability })).rejects.toThrow(want);
});
