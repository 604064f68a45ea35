import { setImmediate as nextTurn } from 'node:timers/promises';

import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { defineHandler, type HandlerContext } from '../../src/index.ts';
import type { TestEngine } from '../support/engine.ts';
import { Gate, Workers } from '../support/workers.ts';
import { TestWorkQueue } from '../support/workQueue.ts';

let workers: Workers;
let engine: TestEngine;

beforeAll(async () => {
  workers = await Workers.start();
});
afterEach(async () => {
  await workers.clear();
});
afterAll(async () => {
  await workers.stop();
});

/** A worker with one lane. */
async function worker(handlers: Record<string, (pod: HandlerContext) => unknown>): Promise<void> {
  await workers.worker(engine, {
    maxPods: 1,
    handlers: Object.entries(handlers).map(([name, run]) => defineHandler(name, run)),
  });
}

async function job(run: string, workQueue?: TestWorkQueue): Promise<string> {
  const items = workQueue === undefined ? {} : { completions: null, workQueue: workQueue.name };
  const uid = await engine.createJob({ run, ...items });
  await engine.offer(uid, 1);
  return uid;
}

async function succeeded(uid: string): Promise<void> {
  const pod = await waitFor(() => engine.endedPod(uid), { timeoutMs: 20_000 });
  expect(pod).toMatchObject({ outcome: 'Succeeded' });
}

test('a pod that waits for items lets the pod run that brings them, on the only lane there is', async () => {
  engine = await workers.engine();
  const queue = await TestWorkQueue.create(engine);
  const waits = new Gate();
  const seen: unknown[] = [];
  await worker({
    take: async ({ items }) => {
      waits.open();
      for await (const { data } of items()) seen.push(data);
    },
    fill: async () => {
      await queue.enqueue(['a', 'b']);
      await queue.seal();
    },
  });
  const taker = await job('take', queue);
  await waits.opened;
  const filler = await job('fill');
  await succeeded(filler);
  await succeeded(taker);
  expect(new Set(seen)).toEqual(new Set(['a', 'b']));
});

test('a pod that asked for the next item before it ended the one in hand lends its lane, too', async () => {
  engine = await workers.engine();
  const queue = await TestWorkQueue.create(engine);
  await queue.enqueue(['a']);
  const waits = new Gate();
  await worker({
    take: async ({ items }) => {
      const walks = [items({ prefetch: 1 }), items({ prefetch: 1 })];
      const { value: item } = await walks[0]!.next();
      const next = walks[1]!.next();
      // It waits by then.
      for (let turn = 0; turn < 3; turn++) await nextTurn();
      waits.open();
      await item!.complete();
      expect(await next).toMatchObject({ done: true });
    },
    seal: () => queue.seal(),
  });
  const taker = await job('take', queue);
  await waits.opened;
  await succeeded(await job('seal'));
  await succeeded(taker);
});

test('a pod of a program that waits for its one item does so, too', async () => {
  engine = await workers.engine();
  const queue = await TestWorkQueue.create(engine);
  await workers.worker(engine, { maxPods: 1, runtimes: ['process'] });
  const waiting = await engine.createJob({
    run: ['cat'],
    workQueue: queue.name,
    itemPerPod: 'stdin',
  });
  await engine.offer(waiting, 1);
  await waitFor(async () => (await engine.job(waiting)).counters.running === 1);
  const other = await engine.createJob({ run: ['true'] });
  await engine.offer(other, 1);
  await succeeded(other);
  await queue.enqueue(['x']);
  await succeeded(waiting);
});

test('its item comes: it goes on beside the pod on its lane, a third one that waits does not, and no new one begins', async () => {
  engine = await workers.engine();
  const queues = [
    await TestWorkQueue.create(engine, 'one'),
    await TestWorkQueue.create(engine, 'two'),
  ];
  const gates = { busy: new Gate(), one: new Gate(), two: new Gate() };
  const began: string[] = [];
  const take =
    (name: 'one' | 'two') =>
    async ({ items }: HandlerContext) => {
      began.push(`${name} waits`);
      for await (const item of items({ prefetch: 1 })) {
        began.push(name);
        await gates[name].opened;
        await item.complete();
      }
    };
  await worker({
    one: take('one'),
    two: take('two'),
    busy: async () => {
      began.push('busy');
      await gates.busy.opened;
    },
    late: () => began.push('late'),
  });
  const takers = [];
  for (const queue of queues) {
    takers.push(await job(queue.name, queue));
    await waitFor(() => began.at(-1) === `${queue.name} waits`);
  }
  const busy = await job('busy');
  await waitFor(() => began.at(-1) === 'busy');

  await queues[0]!.enqueue(['x']);
  await waitFor(() => began.at(-1) === 'one');
  const late = await job('late');
  // Two at work on one lane are enough: whoever has a lane to spare gets this.
  await queues[1]!.enqueue(['y']);
  const other = await workers.worker(engine, {
    handlers: [
      defineHandler('two', async ({ items }) => {
        for await (const item of items({ prefetch: 1 })) {
          began.push('two elsewhere');
          await item.complete();
          break;
        }
      }),
    ],
  });
  await job('two', queues[1]);
  await waitFor(() => began.at(-1) === 'two elsewhere');
  await other.close();

  await queues[1]!.enqueue(['z']);
  gates.busy.open();
  await succeeded(busy);
  await waitFor(() => began.at(-1) === 'two');
  expect(began).not.toContain('late');
  for (const queue of queues) await queue.seal();
  gates.one.open();
  gates.two.open();
  for (const uid of [...takers, late]) await succeeded(uid);
  expect(began.at(-1)).toBe('late');
});
