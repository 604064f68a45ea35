import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { type CoreV1Event, defineHandler } from '../src/index.ts';
import { Engine, handlerJob } from './engine.ts';

let engine: Engine;

beforeAll(async () => {
  engine = await Engine.start([
    defineHandler('quick', () => undefined),
    defineHandler('bad', () => {
      throw new Error('no luck');
    }),
  ]);
});
afterAll(() => engine.stop());

const reasons = (events: readonly CoreV1Event[]) => events.map(({ reason }) => reason);

test('of a Job and its pod, in order; of others there are none among them', async () => {
  const { jobs, events, pods } = engine.drover;
  const job = await jobs.create(handlerJob('told', 'bad', { backoffLimit: 0 }));
  await jobs.create(handlerJob('other', 'quick'), { namespace: 'elsewhere' });
  await jobs.wait(job, { for: 'finished', timeoutMs: 20_000 });
  const about = { kind: 'Job', name: 'told', uid: job.metadata.uid };
  await waitFor(async () => (await events.list({ about })).length === 3);
  expect(reasons(await events.list({ about }))).toEqual([
    'SuccessfulCreate',
    'PodFailed',
    'BackoffLimitExceeded',
  ]);
  expect(reasons(await events.list({ about, type: 'Normal' }))).toEqual(['SuccessfulCreate']);
  expect(await events.list({ about: { ...about, uid: 'another' } })).toEqual([]);

  const [pod] = await pods.list({ job });
  const { name, uid } = pod!.metadata;
  const ofPod = { about: { kind: 'Pod', name, uid } };
  await waitFor(async () => (await events.list(ofPod)).length === 3);
  expect(await events.list(ofPod)).toMatchObject([
    {
      reason: 'Scheduled',
      type: 'Normal',
      message: `Successfully assigned default/${name} to test-worker`,
      source: { component: 'default-scheduler' },
    },
    { reason: 'Started', message: 'Started container main', source: { host: 'test-worker' } },
    { reason: 'Failed', type: 'Warning', message: 'Error: no luck' },
  ]);
  const namespaces = new Set((await events.list()).map(({ metadata }) => metadata.namespace));
  expect([...namespaces]).toEqual(['default']);
  await waitFor(async () =>
    (await events.list({ allNamespaces: true })).some(
      ({ metadata }) => metadata.namespace === 'elsewhere',
    ),
  );
});

test('a watch tells what is there, and then what happens', async () => {
  const { jobs, events } = engine.drover;
  const first = await jobs.create(handlerJob('watched-first', 'quick'));
  await jobs.wait(first, { for: 'complete', timeoutMs: 20_000 });
  await waitFor(
    async () => (await events.list({ about: { kind: 'Job', name: 'watched-first' } })).length === 2,
  );
  const ending = new AbortController();
  const told: string[] = [];
  const watching = (async () => {
    for await (const { reason, involvedObject } of events.watch({ signal: ending.signal })) {
      if (involvedObject.kind === 'Job') told.push(`${involvedObject.name} ${reason}`);
    }
  })();
  await waitFor(() => told.includes('watched-first Completed'));
  await jobs.create(handlerJob('watched-second', 'quick'));
  await waitFor(() => told.includes('watched-second Completed'));
  ending.abort();
  await watching;
  expect(told.filter((text) => text.startsWith('watched'))).toEqual([
    'watched-first SuccessfulCreate',
    'watched-first Completed',
    'watched-second SuccessfulCreate',
    'watched-second Completed',
  ]);
});
