/** Many small Jobs at once: what they cost together, and a controller that dies with a batch in hand. */
import { NO_PRIORITY } from '@drover/shared';
import type { Taken } from '@drover/store';
import { describe, expect, test } from 'vitest';
import { JobReconciler, type ReconcileShard } from '../src/reconcile.ts';
import { silent, TestBed } from './bed.ts';

/** More than one script takes. */
const JOBS = 80;

let bed: TestBed;

TestBed.forEachTest((fresh) => {
  bed = fresh;
});

class Crash extends Error {}

/** Slots on offer, as `<uid>:<slot>`. */
type Queue = Set<string>;

/** A controller that works on all it took at once, as the due loop does. */
class Controller {
  readonly #jobs: JobReconciler;
  readonly #queue: Queue;

  /** @param dyingAt - The step at which it dies, once Redis has done it. */
  constructor(queue: Queue, dyingAt: string | null = null) {
    this.#queue = queue;
    this.#jobs = new JobReconciler({
      shard: dyingAfter(bed.shard, dyingAt),
      offers: {
        offer: async ({ uid }, _shard, slots) => {
          for (const slot of slots) this.#queue.add(`${uid}:${slot}`);
          if (dyingAt === 'offer') throw new Crash();
        },
      },
      priorities: { refresh: () => {}, of: async () => NO_PRIORITY, inQueue: async () => null },
      backoff: { baseMs: 10_000, capMs: 600_000 },
      resyncMs: 30_000,
      kept: { trim: async () => false, finished: async () => {} },
      events: { record: () => {} },
      logger: silent,
    });
  }

  /** Does all that is due; answers how many looks that took. */
  async settle(): Promise<number> {
    let looks = 0;
    for (;;) {
      const { taken } = await bed.shard.take(64, 5000);
      if (taken.length === 0) return looks;
      looks += taken.length;
      const ends = await Promise.allSettled(taken.map((one) => this.#look(one)));
      for (const end of ends) {
        if (end.status === 'rejected' && !(end.reason instanceof Crash)) throw end.reason;
      }
    }
  }

  async #look(one: Taken): Promise<void> {
    const nextAtMs = await this.#jobs.reconcile(one.member.slice('job:'.length));
    await bed.shard.done(one, nextAtMs);
  }
}

function dyingAfter(shard: ReconcileShard, step: string | null): ReconcileShard {
  return new Proxy(shard, {
    get: (target, name) => {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        const result = (await Reflect.apply(value, target, args)) as unknown;
        if (name === step) throw new Crash();
        return result;
      };
    },
  });
}

async function createJobs(): Promise<string[]> {
  return Promise.all(Array.from({ length: JOBS }, () => bed.createJob({ completions: 1 })));
}

async function finishedCount(uids: readonly string[]): Promise<number> {
  const jobs = await Promise.all(uids.map((uid) => bed.shard.getJobByUid(uid)));
  return jobs.filter((job) => job?.finished === true).length;
}

async function scriptCount(run: () => Promise<unknown>): Promise<number> {
  const redis = bed.redis.connect();
  await redis.config('RESETSTAT');
  await run();
  const stats = await redis.info('commandstats');
  redis.disconnect();
  const calls = stats.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+)/gm);
  return [...calls].reduce((sum, [, count]) => sum + Number(count), 0);
}

describe('many Jobs that come at once', () => {
  test('cost a few scripts together, not some each', async () => {
    const worker = await bed.worker(200);
    const queue: Queue = new Set();
    const controller = new Controller(queue);
    let uids: string[] = [];
    // 80 Jobs: create 3, take 3, look 3, open 3, done 3.
    const begin = async () => {
      uids = await createJobs();
      await controller.settle();
    };
    expect(await scriptCount(begin)).toBeLessThan(JOBS / 4);
    expect(queue.size).toBe(JOBS);

    for (const uid of uids) await worker.runAll(await worker.acquireAll(uid));
    // Take 3, look 3, status 3, done 3.
    expect(await scriptCount(() => controller.settle())).toBeLessThan(JOBS / 4);
    expect(await finishedCount(uids)).toBe(JOBS);
    expect(await bed.redis.connect().zcard(bed.shard.keys.due)).toBe(1);
  });

  test('are not all looked at once more to see whether they wait for each other', async () => {
    await bed.worker(10);
    const controller = new Controller(new Set());
    const uids = await createJobs();
    await controller.settle();
    bed.clock.advance(150);
    // One look tells that the queue is contended; the rest need not ask.
    expect(await controller.settle()).toBeLessThan(5);
    const contended = await bed.redis.connect().hgetall(bed.shard.keys.contended);
    expect(Object.keys(contended)).toEqual(['default.handler']);
    expect(await finishedCount(uids)).toBe(0);
  });
});

describe('a controller that dies with a batch of Jobs in hand', () => {
  test.each(['observeJob', 'openSlots', 'offer'])(
    'after %s: the next one offers each slot once the taking is over',
    async (step) => {
      const worker = await bed.worker(200);
      const uids = await createJobs();
      await new Controller(new Set(), step).settle();

      const queue: Queue = new Set();
      const next = new Controller(queue);
      expect(await next.settle()).toBe(0);
      bed.clock.advance(5000);
      await worker.heartbeat();
      await next.settle();
      expect([...queue].toSorted()).toEqual(uids.map((uid) => `${uid}:1`).toSorted());
      for (const uid of uids) await worker.runAll(await worker.acquireAll(uid));
      await next.settle();
      expect(await finishedCount(uids)).toBe(JOBS);
      const counted = await Promise.all(uids.map((uid) => bed.counters(uid)));
      expect(counted.every(({ podCount, succeeded }) => podCount === 1 && succeeded === 1)).toBe(
        true,
      );
    },
  );

  test.each(['observeJob', 'writeStatus'])(
    'after %s at the end of the Jobs: the next one finds each of them finished',
    async (step) => {
      const worker = await bed.worker(200);
      const uids = await createJobs();
      await new Controller(new Set()).settle();
      for (const uid of uids) await worker.runAll(await worker.acquireAll(uid));
      await new Controller(new Set(), step).settle();
      expect(await finishedCount(uids)).toBe(step === 'writeStatus' ? JOBS : 0);

      bed.clock.advance(5000);
      await worker.heartbeat();
      await new Controller(new Set()).settle();
      expect(await finishedCount(uids)).toBe(JOBS);
      // Only the session is left to be looked after.
      expect(await bed.redis.connect().zcard(bed.shard.keys.due)).toBe(1);
    },
  );
});
