/**
 * Random histories of Jobs: what Drover does beside a model of Kubernetes' Job controller that was written from its
 * rules. Whenever both have come to rest they must show the same.
 *
 * Most go through `decide` alone, some through the real scripts on a real Redis. `REFERENCE_SEED=n` repeats the history
 * of a seed, `REFERENCE_HISTORIES=n` makes a long run; a failure prints the seed and the shortest history found.
 */
import { Store } from '@drover/store';
import { startRedis, TestClock, type TestRedis, uniquePrefix } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compare, differenceOf, minimize, moments } from './compare.ts';
import { type History, historyOf, withAdopted } from './history.ts';
import { type Deviations, DROVER } from './model.ts';
import { RedisWorld } from './redisWorld.ts';

const ONLY = process.env['REFERENCE_SEED'];
const FIRST = ONLY === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(ONLY);
const COUNT = ONLY === undefined ? Number(process.env['REFERENCE_HISTORIES'] ?? 20_000) : 1;
/** One in so many histories goes through Redis, too. */
const ON_REDIS_EVERY = 133;
/** And so many fewer in which the Job adopts pods. */
const ADOPTING_EVERY = 1_000;

test(
  `${COUNT} histories from seed ${FIRST} on: decide does what Kubernetes does`,
  () => {
    for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
      if (compare(historyOf(seed)) === null) continue;
      const shortest = minimize(historyOf(seed), (one) => compare(one) !== null);
      const { step, text } = compare(shortest)!;
      throw new Error(describeHistory(seed, shortest, `after step ${step}: ${text}`));
    }
  },
  60_000 + COUNT * 10,
);

describe('on Redis', () => {
  let server: TestRedis;
  let store: Store;
  const clock = new TestClock(Date.UTC(2026, 0, 15, 12, 0, 0));
  beforeAll(async () => {
    server = await startRedis({ unixSocket: true });
    const prefix = uniquePrefix();
    store = await Store.open({ redis: server.connect(), prefix, testClock: clock.now });
  });
  afterAll(() => server.stop());

  /** Throws when the two differ. */
  async function playOnRedis(seed: number, history: History): Promise<void> {
    const { spec, adopted } = history;
    const pass = () => clock.advance(1000);
    const world = await RedisWorld.create(store.shards[0]!, spec, adopted, pass);
    const play = moments(history, clock.now(), DROVER);
    for (let one = play.next(); !one.done; one = play.next(Number.POSITIVE_INFINITY)) {
      const { nowMs, step, acts, should } = one.value;
      clock.set(nowMs);
      for (const act of acts) await act(world);
      await world.settle(nowMs);
      const text = differenceOf(should, await world.view());
      if (text === null) continue;
      throw new Error(describeHistory(seed, history, `after step ${step}: ${text}`));
    }
    clock.advance(1000);
  }

  // A report of the test's has but one exit code.
  const ofOne = { maxContainers: 1 };

  test(
    `histories from seed ${FIRST} on: scripts and reconciler do what Kubernetes does`,
    async () => {
      for (let seed = FIRST; seed < FIRST + COUNT; seed += ON_REDIS_EVERY) {
        await playOnRedis(seed, historyOf(seed, ofOne));
      }
    },
    60_000 + COUNT * 10,
  );

  test(
    `histories from seed ${FIRST} on: pods that a Job adopts count as they do in Kubernetes`,
    async () => {
      let left = Math.ceil(COUNT / ADOPTING_EVERY);
      for (let seed = FIRST; left > 0; seed++) {
        const history = withAdopted(historyOf(seed, ofOne), seed);
        if ((history.adopted ?? []).length === 0) continue;
        await playOnRedis(seed, history);
        left -= 1;
      }
    },
    60_000 + COUNT * 10,
  );
});

test.each(Object.keys(DROVER) as (keyof Deviations)[])(
  'without the deviation %s histories differ',
  (name) => {
    const others = { ...DROVER, [name]: false };
    let seed = 1;
    while (compare(historyOf(seed), others) === null) expect(++seed).toBeLessThan(5_000);
  },
  60_000,
);

function describeHistory(
  seed: number,
  { spec, steps, adopted = [] }: History,
  text: string,
): string {
  const lines = steps.map(
    ({ seconds, actions }, i) => `${i}: ${seconds} s, ${JSON.stringify(actions)}`,
  );
  const first = `seed ${seed}, adopts ${adopted.join(' ') || 'nothing'}`;
  return [first, JSON.stringify(spec), ...lines, text].join('\n  ');
}
