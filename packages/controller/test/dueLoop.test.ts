import { setImmediate as nextTurn } from 'node:timers/promises';
import { TerminalError } from '@drover/shared';
import { type Shard, Store, type Subscriber } from '@drover/store';
import { startRedis, type TestRedis, uniquePrefix, waitFor } from '@drover/testkit';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DueLoop } from '../src/dueLoop.ts';
import { silent } from './bed.ts';

let redis: TestRedis;
let connection: Redis;
let shard: Shard;
let subscriber: Subscriber;
const loops: DueLoop[] = [];

beforeAll(async () => {
  redis = await startRedis({ appendOnly: true, config: { appendfsync: 'always' } });
});
afterAll(() => redis.stop());
beforeEach(async () => {
  connection = redis.connect();
  connection.options.maxRetriesPerRequest = null;
  const store = await Store.open({ redis: connection, prefix: uniquePrefix() });
  shard = store.shards[0]!;
  subscriber = store.openSubscriber();
});
afterEach(async () => {
  await Promise.all(loops.splice(0).map((loop) => loop.close()));
  subscriber.close();
});

type Handle = (member: string) => Promise<number | null>;

async function startLoop(handle: Handle, concurrency = 32): Promise<DueLoop> {
  const loop = new DueLoop({ shard, subscriber, handle, concurrency, logger: silent });
  loops.push(loop);
  await loop.start();
  return loop;
}

/** For loops that are told of no Job. */
const nobodyTold: Shard['takeAndObserve'] = () => Promise.reject(new Error('nobody told of a Job'));

/** A Job as far as the due set is concerned. */
async function createJob(uid: string): Promise<void> {
  await shard.createJob({
    uid,
    namespace: 'default',
    name: uid,
    object: '{}',
    status: '{}',
    completions: 1,
    queue: 'default.process',
    fittingKey: 'default/process',
    indexed: false,
  });
}

async function commandCount(): Promise<number> {
  const stats = await redis.connect().info('stats');
  return Number(/total_commands_processed:(\d+)/.exec(stats)?.[1]);
}

describe('DueLoop', () => {
  test('finds what was due before it started', async () => {
    await shard.trigger('job:a');
    const seen: string[] = [];
    await startLoop(async (member) => {
      seen.push(member);
      return null;
    });
    await waitFor(() => seen.length === 1);
    expect(seen).toEqual(['job:a']);
  });

  test('is woken by a trigger', async () => {
    const seen: string[] = [];
    await startLoop(async (member) => {
      seen.push(member);
      return null;
    });
    await shard.trigger('job:b');
    await waitFor(() => seen.includes('job:b'), { timeoutMs: 2000 });
  });

  test('looks at a Job as it takes it, when it was told of that one; at others it does not', async () => {
    const seen: [member: string, look: string | null][] = [];
    let expected = 0;
    const loop = new DueLoop({
      shard,
      subscriber,
      handle: async (member, _id, look) => {
        seen.push([member, look === null ? null : look.job.name]);
        return null;
      },
      expect: () => (expected += 1),
      concurrency: 32,
      logger: silent,
    });
    loops.push(loop);
    await shard.trigger('session:s');
    await loop.start();
    await waitFor(() => seen.length === 1);
    // One that comes while the loop asks what is due is not told of in time.
    for (let i = 1; seen.at(-1)![1] === null && i <= 50; i += 1) {
      await createJob(`a${i}`);
      await waitFor(() => seen.length === i + 1);
    }
    const [member, look] = seen.at(-1)!;
    expect(member).toBe(`job:${look}`);
    expect(expected).toBeGreaterThan(0);

    // One that is gone again, and two at once.
    seen.length = 0;
    await shard.trigger('job:b');
    await Promise.all([createJob('c'), createJob('d')]);
    await waitFor(() => seen.length === 3);
    expect(seen.toSorted(([a], [b]) => (a < b ? -1 : 1))).toEqual([
      ['job:b', null],
      ['job:c', null],
      ['job:d', null],
    ]);
  });

  test('comes back at the time that a handler asked for, and not before', async () => {
    const times: number[] = [];
    await shard.trigger('job:a');
    await startLoop(async () => {
      times.push(performance.now());
      return times.length === 1 ? Date.now() + 300 : null;
    });
    await waitFor(() => times.length === 2, { timeoutMs: 3000 });
    expect(times[1]! - times[0]!).toBeGreaterThan(290);
    expect(await connection.zcard(shard.keys.due)).toBe(0);
  });

  test('looks again when a member was triggered while it was in hand', async () => {
    const gate = Promise.withResolvers<void>();
    let count = 0;
    await startLoop(async () => {
      count += 1;
      if (count === 1) await gate.promise;
      return null;
    });
    await shard.trigger('job:a');
    await waitFor(() => count === 1);
    await shard.trigger('job:a');
    gate.resolve();
    await waitFor(() => count === 2, { timeoutMs: 2000 });
  });

  test('has no more members in hand than allowed, and gets through all of them', async () => {
    for (let i = 0; i < 100; i++) await shard.trigger(`job:${i}`);
    const seen = new Set<string>();
    let inHand = 0;
    let most = 0;
    await startLoop(async (member) => {
      inHand += 1;
      most = Math.max(most, inHand);
      await connection.ping();
      inHand -= 1;
      seen.add(member);
      return null;
    }, 7);
    await waitFor(() => seen.size === 100);
    expect(most).toBe(7);
  });

  test('members that are done together make room together: one taking for all of them', async () => {
    const LEFT = Array.from({ length: 320 }, (_, i) => `job:${i}`);
    const batches: number[] = [];
    const done: string[] = [];
    const loop = new DueLoop({
      shard: {
        keys: shard.keys,
        done: async ({ member }) => {
          done.push(member);
          return 'done';
        },
        take: async (max) => {
          const members = LEFT.splice(0, max);
          batches.push(members.length);
          const taken = members.map((member) => ({ member, token: 't', count: 1 }));
          return { nowMs: 1_000_000, nextAtMs: LEFT.length > 0 ? 0 : null, taken };
        },
        takeAndObserve: nobodyTold,
      },
      subscriber: { subscribe: async () => () => {}, onReady: () => {} },
      handle: async () => {
        await nextTurn();
        return null;
      },
      concurrency: 64,
      logger: silent,
    });
    loops.push(loop);
    await loop.start();
    await waitFor(() => done.length === 320);
    expect(batches.filter((size) => size > 0)).toEqual([64, 64, 64, 64, 64]);
  });

  test('two loops share the work: nothing is handled twice', async () => {
    const seen: string[] = [];
    const handle: Handle = async (member) => {
      seen.push(member);
      await connection.ping();
      return null;
    };
    await Promise.all([startLoop(handle, 3), startLoop(handle, 3)]);
    for (let i = 0; i < 100; i++) await shard.trigger(`job:${i}`);
    await waitFor(() => seen.length >= 100);
    expect(new Set(seen).size).toBe(100);
    expect(seen).toHaveLength(100);
  });

  test('tries again after an error, later', async () => {
    const times: number[] = [];
    await shard.trigger('job:a');
    await startLoop(async () => {
      times.push(performance.now());
      if (times.length === 1) throw new Error('not today');
      return null;
    });
    await waitFor(() => times.length === 2, { timeoutMs: 5000 });
    expect(times[1]! - times[0]!).toBeGreaterThan(950);
  });

  test('never pauses for longer than one resync, however often it failed', async () => {
    const seen: number[] = [];
    await shard.trigger('job:a');
    const loop = new DueLoop({
      shard,
      subscriber,
      handle: async () => {
        seen.push(performance.now());
        if (seen.length < 12) throw new Error('not yet');
        return null;
      },
      concurrency: 1,
      retryCapMs: 20,
      logger: silent,
    });
    loops.push(loop);
    await loop.start();
    // Without the limit this takes half an hour.
    await waitFor(() => seen.length === 12, { timeoutMs: 5000 });
  });

  test('gives up what no retry would help', async () => {
    let count = 0;
    await shard.trigger('job:a');
    await startLoop(async () => {
      count += 1;
      throw new TerminalError('never');
    });
    await waitFor(async () => (await connection.zcard(shard.keys.due)) === 0);
    expect(count).toBe(1);
  });

  test('idle, it sends nothing for seconds, whatever will be due later', async () => {
    for (let i = 0; i < 200; i++) await shard.trigger(`job:${i}`, Date.now() + 60_000);
    const seen: string[] = [];
    await startLoop(async (member) => {
      seen.push(member);
      return null;
    });
    await shard.trigger('job:first');
    await waitFor(() => seen.length === 1);
    await connection.ping();
    const before = await commandCount();
    const asked = performance.now();
    await waitFor(() => performance.now() - asked > 1500);
    // The commands of counting itself: INFO of two connections and their greetings.
    expect((await commandCount()) - before).toBeLessThan(12);
  });

  test('closing waits for what is in hand, and gives it back', async () => {
    const gate = Promise.withResolvers<void>();
    let isOver = false;
    const loop = await startLoop(async () => {
      await gate.promise;
      isOver = true;
      return null;
    });
    await shard.trigger('job:a');
    await waitFor(() => loop.inHandCount === 1);
    const closed = loop.close();
    gate.resolve();
    await closed;
    expect(isOver).toBe(true);
    expect(await connection.zcard(shard.keys.due)).toBe(0);
  });

  test('a wake-up that overtakes the answer of a taking is not lost', async () => {
    const answer = Promise.withResolvers<void>();
    let takings = 0;
    let tell: (message: string) => void = () => {};
    const loop = new DueLoop({
      shard: {
        keys: shard.keys,
        done: async () => 'done',
        take: async () => {
          takings += 1;
          // The second taking ran before the member became due, and is answered after it was told.
          if (takings === 2) await answer.promise;
          return { nowMs: 1_000_000, nextAtMs: null, taken: [] };
        },
        takeAndObserve: nobodyTold,
      },
      subscriber: {
        subscribe: async (_channel, listener) => {
          tell = listener;
          return () => {};
        },
        onReady: () => {},
      },
      handle: async () => null,
      concurrency: 1,
      logger: silent,
    });
    loops.push(loop);
    await loop.start();
    await waitFor(() => takings === 1);
    await nextTurn();
    loop.wake();
    tell('1000050');
    answer.resolve();
    await waitFor(() => takings === 3, { timeoutMs: 2000 });
  });

  test('looks again when its wake-ups come back after a break', async () => {
    const seen: string[] = [];
    const comebacks: (() => void)[] = [];
    const loop = new DueLoop({
      shard,
      // One that lost its connection, and so all messages.
      subscriber: {
        subscribe: async () => () => {},
        onReady: (listener) => void comebacks.push(listener),
      },
      handle: async (member) => {
        seen.push(member);
        return null;
      },
      concurrency: 1,
      logger: silent,
    });
    loops.push(loop);
    await shard.trigger('job:a');
    await loop.start();
    await waitFor(() => seen.length === 1);
    await shard.trigger('job:b');
    for (const comeBack of comebacks) comeBack();
    await waitFor(() => seen.includes('job:b'), { timeoutMs: 2000 });
  });

  test('goes on when Redis comes back', async () => {
    const seen: string[] = [];
    await startLoop(async (member) => {
      seen.push(member);
      return null;
    });
    await redis.kill();
    await redis.restart();
    await shard.trigger('job:after');
    await waitFor(() => seen.includes('job:after'));
  });
});
