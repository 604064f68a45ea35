import { waitFor } from '@drover/testkit';
import { expect, test } from 'vitest';

import { Engine, QUICK } from './support/engine.ts';
import { handlerJob } from './support/manifests.ts';
import { countCalls, resetCalls } from './support/servers.ts';

/** DROVER_LONG=1 takes what is promised: 10,000 Jobs, real settings. */
const IS_LONG = process.env['DROVER_LONG'] === '1';
const FINISHED_JOBS = IS_LONG ? 10_000 : 300;
const WINDOW_MS = IS_LONG ? 30_000 : 4_000;

/** Calls per command that Redis got within a window from everybody but this test. */
async function countCommands(engine: Engine): Promise<Map<string, number>> {
  await resetCalls(engine);
  const beganMs = performance.now();
  await waitFor(() => performance.now() - beganMs >= WINDOW_MS, {
    timeoutMs: 2 * WINDOW_MS,
    intervalMs: 100,
  });
  const calls = await countCalls(engine);
  calls.delete('config|resetstat');
  calls.delete('info');
  return calls;
}

/** What is told of Jobs and pods is written some time after they ended: waits until no more comes. */
async function untilAllIsTold({ drover }: Engine): Promise<void> {
  let told = -1;
  await waitFor(
    async () => {
      const events = await drover.events.list();
      const count = events.reduce((total, event) => total + (event.count ?? 1), 0);
      const isSame = count === told;
      told = count;
      return isSame;
    },
    { timeoutMs: 60_000, intervalMs: 1_000 },
  );
}

function sum(calls: ReadonlyMap<string, number>): number {
  return [...calls.values()].reduce((total, count) => total + count, 0);
}

function perSecond(calls: ReadonlyMap<string, number>): string {
  return ((sum(calls) / WINDOW_MS) * 1_000).toFixed(1);
}

test(`an idle system sends Redis as much with ${FINISHED_JOBS} finished Jobs as with none`, async () => {
  await using engine = await Engine.forTest({
    redis: { config: { maxmemory: '0' } },
    settings: IS_LONG ? {} : QUICK,
  });
  const { drover } = engine;
  await Promise.all([engine.controller(), engine.worker()]);
  await drover.jobs.create(handlerJob('noop', { name: 'first', completions: 20 }));
  await engine.finished('first');
  await untilAllIsTold(engine);
  const before = await countCommands(engine);

  for (let from = 0; from < FINISHED_JOBS; from += 100) {
    await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        drover.jobs.create(handlerJob('noop', { name: `none-${from + i}`, completions: 0 })),
      ),
    );
  }
  await drover.jobs.create(handlerJob('noop', { name: 'last', completions: 20 }));
  await engine.finished('last');
  await waitFor(
    async () =>
      (await drover.jobs.list()).every(({ status }) =>
        status?.conditions?.some(({ type, status: is }) => type === 'Complete' && is === 'True'),
      ),
    { timeoutMs: 60_000, intervalMs: 500 },
  );
  await untilAllIsTold(engine);
  const after = await countCommands(engine);

  const details = JSON.stringify({ before: [...before], after: [...after] });
  console.log(
    `idle: ${perSecond(before)} commands/s with 1 finished Job, ` +
      `${perSecond(after)} with ${FINISHED_JOBS + 2}; those inside scripts included`,
  );
  expect(sum(after), details).toBeLessThanOrEqual(sum(before) * 1.3 + 10);
  expect(sum(before), details).toBeGreaterThan(0);
}, 180_000);

test('pods that wait for items of an unsealed work queue cost one blocking call per worker, however many they are', async () => {
  await using engine = await Engine.forTest({ redis: { config: { maxmemory: '0' } } });
  const { drover } = engine;
  await Promise.all([engine.controller(), engine.worker(), engine.worker()]);
  await drover.workQueues.create({ metadata: { name: 'letters' } });
  const take = handlerJob('take', { name: 'letters', completions: null, parallelism: 2 });
  const annotations = { 'drover.dev/work-queue': 'letters' };
  await drover.jobs.create({ ...take, metadata: { name: 'letters', annotations } });
  const queue = drover.workQueue('letters');
  /** Each pod was given an item and waits for the next. */
  const allWait = async (pods: number): Promise<void> => {
    await engine.until('letters', ({ active = 0 }) => active === pods);
    const { completed } = await queue.stats();
    await queue.enqueue(
      Array.from({ length: 4 * pods }, () => ({ ms: 50 })),
      { chunk: false },
    );
    await waitFor(async () => (await queue.stats()).completed === completed + 4 * pods);
  };
  await allWait(2);
  const few = await countCommands(engine);
  await drover.jobs.patch('letters', { spec: { parallelism: 16 } });
  await allWait(16);
  const many = await countCommands(engine);

  const details = JSON.stringify({ few: [...few], many: [...many] });
  // Inside the scripts there is more to do: the lock of each pod's slot is renewed.
  for (const name of ['evalsha', 'hgetall']) {
    const [before = 0, after = 0] = [few.get(name), many.get(name)];
    expect(after, `${name} ${details}`).toBeLessThanOrEqual(before * 1.3 + 10);
  }
  // A call that waits ten seconds, of each worker, for items and for slots of its two runtimes.
  const blocking = (calls: ReadonlyMap<string, number>): number => calls.get('bzpopmin') ?? 0;
  const rounds = Math.ceil(WINDOW_MS / 10_000) + 1;
  for (const calls of [few, many]) {
    expect(blocking(calls), details).toBeLessThanOrEqual(2 * 3 * rounds);
  }
}, 180_000);
