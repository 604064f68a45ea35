import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { defineHandler } from '../src/index.ts';
import { Engine, handlerJob } from './engine.ts';

let engine: Engine;
/** Pods of the handler `held` end when this resolves. */
const released = Promise.withResolvers<void>();

beforeAll(async () => {
  engine = await Engine.start([
    defineHandler('held', () => released.promise),
    defineHandler('quick', () => undefined),
  ]);
});

afterAll(async () => {
  released.resolve();
  await engine.stop();
});

test('what a worker runs: counted, and listed as pods', async () => {
  const { nodes, pods, jobs } = engine.drover;
  expect((await nodes.podCounts()).get('test-worker')).toBe(0);
  const held = await jobs.create(handlerJob('held', 'held', { completions: 3, parallelism: 2 }));
  const elsewhere = await jobs.create(handlerJob('elsewhere', 'held'), { namespace: 'other' });
  const over = await jobs.create(handlerJob('over', 'quick'));
  await jobs.wait(over, { for: 'complete', timeoutMs: 20_000 });
  await waitFor(async () => (await nodes.podCounts()).get('test-worker') === 3);

  const names = async (options: object) =>
    (await pods.list({ node: 'test-worker', ...options })).map(
      ({ metadata }) => metadata.ownerReferences?.[0]?.name,
    );
  const { name } = held.metadata;
  expect(await names({})).toEqual([name, name]);
  const everywhere = await names({ allNamespaces: true });
  expect(everywhere).toHaveLength(3);
  expect(new Set(everywhere)).toEqual(new Set([name, elsewhere.metadata.name]));
  expect(await names({ job: held, limit: 1 })).toEqual([name]);
  expect(await names({ job: over })).toEqual([]);
  expect(await names({ labelSelector: 'no=thing' })).toEqual([]);
  expect(await pods.list({ node: 'nobody' })).toEqual([]);

  released.resolve();
  await jobs.wait(held, { for: 'complete', timeoutMs: 20_000 });
  await waitFor(async () => (await nodes.podCounts()).get('test-worker') === 0);
});

test('the newest pods of a Job alone', async () => {
  const job = await engine.drover.jobs.create(handlerJob('five', 'quick', { completions: 5 }));
  await engine.drover.jobs.wait(job, { for: 'complete', timeoutMs: 20_000 });
  const all = await engine.drover.pods.list({ job });
  const newest = await engine.drover.pods.list({ job, newest: 2 });
  expect(newest.map(({ metadata }) => metadata.name)).toEqual(
    all.slice(-2).map(({ metadata }) => metadata.name),
  );
});
