import { openSubscriberClient, Subscriber } from '@drover/store';
import { startProxy, waitFor, type FaultProxy } from '@drover/testkit';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

import { WorkerFigures } from '../../src/figures.ts';
import { ItemHub, type ItemPod } from '../../src/items/itemHub.ts';
import type { TestEngine } from '../support/engine.ts';
import { TestWorkQueue } from '../support/workQueue.ts';
import { Workers } from '../support/workers.ts';

let workers: Workers;
let engine: TestEngine;
let proxy: FaultProxy;
let hub: ItemHub;
let subscriber: Subscriber;

beforeAll(async () => {
  workers = await Workers.start();
});

beforeEach(async () => {
  engine = await workers.engine();
  proxy = await startProxy({ target: { port: workers.server.port } });
  subscriber = new Subscriber(openSubscriberClient(engine.redis));
  hub = new ItemHub({
    connection: `redis://127.0.0.1:${proxy.port}`,
    prefix: engine.prefix,
    store: engine.store,
    subscriber,
    name: 'w',
    figures: new WorkerFigures(),
    logger: pino({ level: 'silent' }),
  });
});

afterEach(async () => {
  subscriber.close();
  await proxy.stop();
  await workers.clear();
});

afterAll(async () => {
  await workers.stop();
});

const POD: ItemPod = {
  job: {
    name: 'j',
    namespace: 'default',
    uid: 'u',
    labels: {},
    annotations: { 'drover.dev/work-queue': 'letters' },
  },
  slot: {
    uid: 'u',
    shard: 0,
    slot: 1,
    session: 's',
    place: { lend: () => false, mayTakeBack: true, takeBack: () => undefined },
    tell: () => undefined,
  },
  podNumber: 1,
  signal: new AbortController().signal,
  showProgress: () => undefined,
};

/** A network on which everything was lost is no reason to stay, nor to come back when it is well again. */
async function leavesNothing(): Promise<void> {
  proxy.heal();
  await waitFor(() => proxy.connectionCount === 0);
}

test('closes when Redis is silent, though items were fetched that nobody took', async () => {
  const queue = await TestWorkQueue.create(engine);
  await queue.enqueue([1, 2, 3, 4, 5, 6]);
  const pod = hub.open(POD);
  const walk = pod.iterate({ prefetch: 4 });
  await walk.next();
  proxy.blackhole();
  await hub.close(false);
  await leavesNothing();
});

test('closes while a work queue is being opened, and Redis is silent', async () => {
  await TestWorkQueue.create(engine);
  const pod = hub.open(POD);
  // The connection stands before it falls silent.
  await expect(
    hub
      .open({ ...POD, job: { ...POD.job, annotations: { 'drover.dev/work-queue': 'none' } } })
      .iterate()
      .next(),
  ).rejects.toThrow(/does not exist/);
  proxy.deafen();
  const next = pod.iterate().next();
  await Promise.all([expect(next).rejects.toThrow(/closed/), hub.close(false)]);
  await leavesNothing();
});

test('opens nothing for a pod that goes on for longer than its worker', async () => {
  await TestWorkQueue.create(engine);
  await hub.close(false);
  await expect(hub.open(POD).iterate().next()).rejects.toThrow(/the worker is closed/);
  expect(proxy.connectionCount).toBe(0);
});
