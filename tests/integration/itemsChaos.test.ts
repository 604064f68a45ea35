/**
 * Items while workers are killed with kill -9, and Redis once: each is settled once, none is lost. CHAOS_SEED repeats
 * a run. CHAOS_ITEMS=100000 makes a long one, in which about every second a worker is killed, to the end.
 */
import { setTimeout as delay } from 'node:timers/promises';

import type { ItemResult } from '@drover/sdk';
import { expect, test } from 'vitest';

import type { ItemOfTest } from './fixtures/handlers.ts';
import { Engine, type TestWorker } from './support/engine.ts';
import { handlerJob } from './support/manifests.ts';
import { createRandom } from './support/random.ts';

const SEED = Number(process.env['CHAOS_SEED'] ?? Date.now() % 1_000_000);
const SHORT_ITEMS = 2_000;
const ITEMS = Number(process.env['CHAOS_ITEMS'] ?? SHORT_ITEMS);
const IS_LONG = ITEMS > SHORT_ITEMS;
const WORKERS = 3;
/** Kills of a short run; a long one has as many as there is time for. */
const KILLS = IS_LONG ? Number.POSITIVE_INFINITY : 5;
/** Items that are settled between two kills, at most. */
const MAX_STEP = IS_LONG ? 1_000 : ITEMS / 10;
const TIMEOUT_MS = 240_000 + ITEMS * 15;
/** Items that ran and are not settled when a worker is killed: what its pods and scripts have in hand, and more. */
const MOST_AT_HAND = 300;

/** Waits until so many items are settled; whoever asks while Redis is away asks again. */
async function settled(engine: Engine, count: number): Promise<number> {
  for (;;) {
    const status = await engine.drover
      .workQueue('letters')
      .get()
      .then(
        (queue) => queue.status,
        () => undefined,
      );
    if (status !== undefined && status.enqueued - status.unsettled >= count) {
      return status.enqueued - status.unsettled;
    }
    await delay(20);
  }
}

/** Kills workers, one after the other, until enough was done. */
async function kill(engine: Engine, workers: TestWorker[]): Promise<number> {
  const random = createRandom(SEED);
  let kills = 0;
  let done = 0;
  let isRedisKilled = false;
  const starting = new Set<Promise<void>>();
  const start = (): void => {
    const started = engine.worker().then((worker) => {
      workers.push(worker);
      starting.delete(started);
    });
    starting.add(started);
  };
  while (kills < KILLS) {
    done = await settled(engine, Math.min(ITEMS, done + random.integer(1, MAX_STEP)));
    if (done === ITEMS) break;
    if (!isRedisKilled && (!IS_LONG || done > ITEMS / 2)) {
      isRedisKilled = true;
      await engine.redis.kill();
      await engine.redis.restart();
    }
    if (workers.length === 0) await Promise.race(starting);
    // What is done goes on while the next one starts, so that a slow start does not end the run.
    const [worker] = workers.splice(random.integer(0, workers.length - 1), 1);
    await worker!.process.kill('SIGKILL');
    kills += 1;
    start();
  }
  await Promise.all(starting);
  expect(isRedisKilled).toBe(true);
  return kills;
}

test(
  `${ITEMS} items while workers are killed, and Redis: each is settled once (CHAOS_SEED=${SEED})`,
  async () => {
    const config = { appendfsync: 'always' };
    await using engine = await Engine.forTest({ redis: { appendOnly: true, config } });
    const { drover } = engine;
    // Workers that are killed this often cost a Job more losses in a row than are excused: its pods wait for the back-off.
    await engine.controller({ backoffBaseMs: 20, backoffCapMs: 20 });
    const workers = await Promise.all(Array.from({ length: WORKERS }, () => engine.worker()));
    const queue = drover.workQueue<ItemOfTest>('letters');
    const chunked = Math.floor(ITEMS / 2);
    const items = (count: number, ms: number): ItemOfTest[] =>
      Array.from({ length: count }, () => ({ ms, isNoted: true }));
    await queue.enqueue(items(chunked, 2), { chunk: 100 });
    await queue.enqueue(items(ITEMS - chunked, 8), { chunk: false });
    await queue.seal();
    const job = handlerJob('take', {
      name: 'letters',
      completions: null,
      parallelism: 6,
      backoffLimit: 100_000,
      graceSeconds: 2,
    });
    const annotations = { 'drover.dev/work-queue': 'letters' };
    await drover.jobs.create({ ...job, metadata: { name: 'letters', annotations } });
    const kills = await kill(engine, workers);
    const { status } = await engine.finished('letters', 120_000);
    expect(status?.conditions?.at(-1)?.type).toBe('Complete');

    const results: ItemResult[] = [];
    for await (const result of queue.results()) results.push(result);
    const dead: number[] = [];
    for await (const { id } of queue.deadLetters()) dead.push(id);
    const ids = [...results.map(({ id }) => id), ...dead].toSorted((a, b) => a - b);
    expect(ids).toEqual(Array.from({ length: ITEMS }, (_, i) => i + 1));
    expect(results.every(({ id, result }) => (result as { id: number }).id === id)).toBe(true);
    expect(await queue.stats()).toMatchObject({ allDone: true, waiting: 0, inFlight: 0 });

    const runs = engine.records.readNoted();
    const again = ITEMS - [...runs.values()].filter((count) => count === 1).length;
    const extra = [...runs.values()].reduce((sum, count) => sum + count, 0) - ITEMS;
    console.log(
      `${ITEMS} items, ${kills} kills: ${again} ran more than once, ${extra} runs too many, ${dead.length} dead letters`,
    );
    expect(runs.size).toBe(ITEMS);
    expect(extra).toBeLessThanOrEqual((kills + WORKERS) * MOST_AT_HAND);
    // One that was in hand when three workers in a row were killed is taken for the cause.
    expect(dead.length).toBeLessThanOrEqual(Math.floor(kills / 20));
  },
  TIMEOUT_MS,
);
