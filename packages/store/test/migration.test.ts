import { type TestRedis, startRedis, uniquePrefix } from '@drover/testkit';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { installationKey } from '../src/keys.ts';
import { LAYOUT_VERSION, layoutRefusal, parseLayout } from '../src/migration/layout.ts';
import { migrateLayout, planMigration } from '../src/migration/migrate.ts';
import { STEPS, stepsFrom } from '../src/migration/steps.ts';
import { scriptSource } from '../src/scripts.ts';
import { newSessionId } from '../src/session.ts';
import { Store } from '../src/store.ts';
import { newJob } from './support/bed.ts';

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = server.connect();
});
afterAll(() => server.stop());

let prefix: string;
let store: Store;
beforeEach(async () => {
  prefix = uniquePrefix();
  store = await Store.open({ redis, prefix, settings: { shardCount: 3 } });
});

const CONTAINER = {
  name: 'main',
  resources: { requests: { cpu: '500m' }, limits: { memory: '1Ki' } },
};
/** What {@link CONTAINER} takes of quota, which Jobs of layout 2 do not say. */
const SHARE = '500 1024 0 1024 4';

/** Jobs as layout 2 has them, spread over namespaces. */
async function makeOlder(count: number): Promise<string[]> {
  const object = JSON.stringify({
    metadata: {},
    spec: { template: { spec: { containers: [CONTAINER] } } },
  });
  const uids = Array.from({ length: count }, (_, i) => `job-${i}`);
  await Promise.all(
    uids.map((uid, i) => {
      const namespace = `space-${i % 7}`;
      return store.shardOf(namespace).createJob({ ...newJob(uid), namespace, object, share: '' });
    }),
  );
  await setLayout('2');
  return uids;
}

const setLayout = (text: string) => redis.hset(installationKey(prefix), 'layoutVersion', text);
const layout = () => redis.hget(installationKey(prefix), 'layoutVersion');

async function shares(uids: readonly string[]): Promise<(string | null)[]> {
  const all = store.shards.map(({ keys }) => keys);
  return await Promise.all(
    uids.map(async (uid) => {
      const found = await Promise.all(all.map((keys) => redis.hget(keys.job(uid).job, 'share')));
      return found.find((share) => share !== null) ?? null;
    }),
  );
}

describe('the field layoutVersion', () => {
  test.each([
    ['1', /version 1, this Drover has 3 and knows no way from there: let the Jobs end/],
    ['2', /version 2, .*: an older version wrote them: stop .*`drover migrate`/],
    ['2>3', /version 2, and their migration to 3 was begun .*: let it end; .*`drover migrate`/],
    ['4', /version 4, .*: a newer version wrote them: use that version here too/],
    ['3>4', /version 4, .*: a newer version wrote them/],
    ['x', /version "x", which is no version/],
  ])('%j says why, and what to do', (text, expected) => {
    const refusal = layoutRefusal(text, 'drover');
    expect(`${refusal?.message}: ${refusal?.advice}`).toMatch(expected);
  });

  test('of this version is right', () => {
    expect(layoutRefusal(String(LAYOUT_VERSION), 'drover')).toBeNull();
  });

  test('of a migration is no number, so that versions which knew of none refuse it, too', () => {
    expect(parseLayout('2>3')).toEqual({ version: 2, migratingTo: 3 });
    expect(Number('2>3')).toBeNaN();
  });
});

test('there is a way from each layout since the oldest, step by step', () => {
  expect(STEPS.map(({ from }) => from)).toEqual([2]);
  expect(stepsFrom(2)).toEqual(STEPS);
  expect(stepsFrom(1)).toBeNull();
});

test('Jobs get what they lack, on all shards; who opens it before, and meanwhile, is refused', async () => {
  const uids = await makeOlder(450);
  const finished = uids[3]!;
  for (const { keys } of store.shards) {
    const key = keys.job(finished).job;
    if ((await redis.exists(key)) === 1) await redis.hset(key, 'finished', 1);
  }
  await expect(Store.open({ redis, prefix })).rejects.toThrow(/drover migrate/);
  expect(await planMigration(redis, prefix)).toMatchObject({
    from: 2,
    to: 3,
    isBegun: false,
    jobs: 450,
  });

  const looked: number[] = [];
  const refusals: unknown[] = [];
  const result = await migrateLayout(redis, {
    prefix,
    onProgress: (done, total) => {
      expect(total).toBe(450);
      looked.push(done);
      refusals.push(Store.open({ redis, prefix }).catch((error: Error) => error.message));
    },
  });
  expect(result).toEqual({ type: 'migrated', changedJobs: 449 });
  expect(looked.at(-1)).toBe(450);
  expect(await refusals[0]).toMatch(/migration to 3 was begun/);
  const found = await shares(uids);
  expect(found[3]).toBeNull();
  expect(new Set(found.toSpliced(3, 1))).toEqual(new Set([SHARE]));
  await Store.open({ redis, prefix });
  expect(await redis.hget(installationKey(prefix), 'migrationCursor')).toBeNull();

  // There is nothing to do for who comes after.
  expect(await planMigration(redis, prefix)).toMatchObject({ steps: [] });
  expect(await migrateLayout(redis, { prefix })).toEqual({ type: 'migrated', changedJobs: 0 });
});

test('one that was broken off is gone on with from where it was, and two at once do no harm', async () => {
  const uids = await makeOlder(500);
  const other = server.connect();
  await expect(
    migrateLayout(other, { prefix, onProgress: () => other.disconnect() }),
  ).rejects.toThrow(/closed|nodes/);
  const before = (await shares(uids)).filter((share) => share !== null).length;
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan(500);
  expect(await layout()).toBe('2>3');
  expect(await planMigration(redis, prefix)).toMatchObject({ isBegun: true });

  const results = await Promise.all([
    migrateLayout(redis, { prefix }),
    migrateLayout(server.connect(), { prefix }),
  ]);
  const changed = results.map((result) => (result.type === 'migrated' ? result.changedJobs : 0));
  expect(changed[0]! + changed[1]!).toBe(500 - before);
  expect(await shares(uids)).toEqual(uids.map(() => SHARE));
  expect(await layout()).toBe('3');
});

test('a Job that goes in between leaves nothing', async () => {
  const [uid] = await makeOlder(1);
  const keys = store.shards.map((shard) => shard.keys.job(uid!).job);
  const source = scriptSource('addJobFields');
  await Promise.all(keys.map((key) => redis.del(key)));
  expect(await redis.eval(source, 1, keys[0]!, '{"share":"1"}')).toBe(0);
  expect(await Promise.all(keys.map((key) => redis.exists(key)))).toEqual([0, 0, 0]);
});

test('it refuses while controllers and workers run, and says which', async () => {
  await makeOlder(1);
  const shard = store.shards[0]!;
  const subscriber = store.openSubscriber();
  const leave = await subscriber.subscribe(shard.keys.wakeChannel, () => undefined);
  const session = { id: newSessionId(), node: 'older-worker', lanes: {}, leaseTtlMs: 60_000 };
  await shard.registerSession(session);
  const inUse = { controllers: 1, workers: ['older-worker'] };
  expect(await planMigration(redis, prefix)).toMatchObject({ inUse });
  expect(await migrateLayout(redis, { prefix })).toEqual({ type: 'inUse', inUse });
  // Nobody is kept from going on with the older version.
  expect(await layout()).toBe('2');
  leave();
  subscriber.close();
});

test('it says so when there is nothing, or no way', async () => {
  await expect(planMigration(redis, uniquePrefix())).rejects.toThrow(/there is no installation/);
  await setLayout('4');
  await expect(planMigration(redis, prefix)).rejects.toThrow(/a newer version wrote them/);
  await setLayout('1');
  await expect(migrateLayout(redis, { prefix })).rejects.toThrow(/knows no way from there/);
});
