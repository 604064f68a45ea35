import { ResourceExhaustedError } from '@drover/sdk';
import { expect, test } from 'vitest';

import { Engine, QUICK } from './support/engine.ts';
import { handlerJob } from './support/manifests.ts';
import { runsByIndex } from './support/records.ts';
import { setMaxmemory } from './support/servers.ts';

test('a full Redis refuses new Jobs and lets those that run finish', async () => {
  await using engine = await Engine.forTest({ redis: { config: { maxmemory: '0' } } });
  const { drover, records, store } = engine;
  await Promise.all([engine.controller({ backoffBaseMs: 50 }), engine.worker()]);
  const shape = { completions: 400, parallelism: 8, indexed: true, backoffLimit: 400 };
  await drover.jobs.create(handlerJob('work', { name: 'steady', ...shape }, { ms: 20 }));
  await drover.jobs.create(handlerJob('work', { name: 'deleted', ...shape }, { ms: 20 }));
  await engine.until('steady', ({ succeeded = 0 }) => succeeded > 20);

  // Less than is in use.
  await setMaxmemory(engine, '500kb');
  const refused = drover.jobs.create(handlerJob('work', { name: 'refused' }));
  await expect(refused).rejects.toBeInstanceOf(ResourceExhaustedError);
  await expect(refused).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  await drover.jobs.delete('deleted');
  const job = await engine.finished('steady', 15_000);
  expect(job.status).toMatchObject({
    succeeded: 400,
    completedIndexes: '0-399',
    conditions: [{ type: 'SuccessCriteriaMet' }, { type: 'Complete', status: 'True' }],
  });
  expect(records.read('steady')).toHaveLength(400);
  // It was full to the end.
  await expect(store.redis.set('more', 'x')).rejects.toThrow(/OOM/);

  await setMaxmemory(engine, '0');
  await drover.jobs.create(handlerJob('work', { name: 'again', completions: 20, parallelism: 8 }));
  expect((await engine.finished('again')).status).toMatchObject({ succeeded: 20 });
}, 60_000);

test('a worker dies while Redis is full: its Jobs go on once there is memory again', async () => {
  await using engine = await Engine.forTest({ redis: { config: { maxmemory: '0' } } });
  const { drover, records } = engine;
  const [killed] = await Promise.all([
    engine.worker(),
    engine.controller({ backoffBaseMs: 50, backoffCapMs: 50 }),
  ]);
  const shape = { completions: 200, parallelism: 8, indexed: true, backoffLimit: 200 };
  // Each failure needs a new slot, and that needs memory.
  await drover.jobs.create(handlerJob('flaky', { name: 'flaky', ...shape }, { ms: 50 }));
  await drover.jobs.create(handlerJob('work', { name: 'steady', ...shape }, { ms: 50 }));
  await engine.until('flaky', ({ failed = 0 }) => failed > 4);
  await engine.until('steady', ({ ready = 0 }) => ready > 0);

  await setMaxmemory(engine, '500kb');
  await killed.process.kill('SIGKILL');
  // Lost pods are ended without memory.
  for (const name of ['flaky', 'steady']) {
    await engine.until(name, ({ ready = 0 }) => ready === 0);
  }
  await setMaxmemory(engine, '0');
  await engine.worker({ maxPods: 20 });
  for (const name of ['flaky', 'steady']) {
    const job = await engine.finished(name);
    expect(job.status).toMatchObject({ succeeded: 200, completedIndexes: '0-199' });
    expect(runsByIndex(records.read(name)).size).toBe(200);
  }
}, 60_000);

test('pods that could not be handed to a worker while Redis was full run soon after', async () => {
  await using engine = await Engine.forTest({ redis: { config: { maxmemory: '0' } } });
  const { drover } = engine;
  await Promise.all([engine.controller(), engine.worker({ maxPods: 4, quantumMs: 50 })]);
  // More slots than lanes, and two Jobs that take turns: slots wait, and go back to the queue. They do not end here.
  const names = ['one', 'other'];
  const shape = { completions: 100_000, parallelism: 8, indexed: true };
  for (const name of names) {
    await drover.jobs.create(handlerJob('work', { name, ...shape }, { ms: 20 }));
  }
  await engine.until('other', ({ succeeded = 0 }) => succeeded > 5);
  await setMaxmemory(engine, '500kb');
  for (const name of names) {
    await engine.until(name, ({ ready, active = 0 }) => ready === 0 && active > 0);
  }
  const before = await Promise.all(names.map((name) => drover.jobs.get(name)));
  await setMaxmemory(engine, '0');
  // One resync, and some more for a busy machine.
  const soonMs = (QUICK.resyncMs ?? 0) + 5_000;
  for (const { metadata, status } of before) {
    const wanted = (status?.succeeded ?? 0) + 100;
    await engine.until(metadata.name, ({ succeeded = 0 }) => succeeded >= wanted, soonMs);
    expect((await drover.jobs.get(metadata.name)).status?.failed ?? 0).toBe(0);
  }
}, 60_000);
