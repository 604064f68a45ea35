import { NodeStore } from '@drover/store';
import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { createWorker, defineHandler } from '../src/index.ts';
import { aborted, Gate, Workers } from './support/workers.ts';

let workers: Workers;

beforeAll(async () => {
  workers = await Workers.start();
});

afterEach(async () => {
  await workers.clear();
});

afterAll(async () => {
  await workers.stop();
});

describe('a worker', () => {
  test('runs a Job of one pod to the end and keeps its value', async () => {
    const engine = await workers.engine();
    const add = defineHandler('add', ({ args }) => Number(args[0]) + Number(args[1]));
    await workers.worker(engine, { handlers: [add] });
    const uid = await engine.createJob({ run: 'add', args: ['2', '3'] });

    await engine.offer(uid, 1);

    const pod = await waitFor(() => engine.endedPod(uid));
    expect(pod).toMatchObject({
      podNumber: 1,
      outcome: 'Succeeded',
      reason: 'Completed',
      exitCode: 0,
    });
    expect(pod.overlay).toEqual({ result: '5' });
    expect((await engine.job(uid)).counters).toMatchObject({ active: 0, succeeded: 1 });
    await waitFor(async () => (await engine.queue('default.handler').getJobCountByTypes()) === 0);
  });

  test('passes slots from pod to pod until all completions are done, each index once', async () => {
    const engine = await workers.engine();
    const seen: (number | null)[] = [];
    let running = 0;
    let most = 0;
    const count = defineHandler('count', async ({ index }) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      seen.push(index);
      running -= 1;
    });
    await workers.worker(engine, { handlers: [count] });
    const uid = await engine.createJob({ run: 'count', completions: 2_000, indexed: true });

    await engine.offer(uid, 20);

    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 2_000);
    expect(seen.toSorted((a, b) => a! - b!)).toEqual(
      Array.from({ length: 2_000 }, (_, index) => index),
    );
    expect(most).toBeLessThanOrEqual(20);
    expect(most).toBeGreaterThan(1);
    expect(await engine.pods(uid)).toHaveLength(2_000);
  });

  test('never runs more pods than it has lanes', async () => {
    const engine = await workers.engine();
    const gate = new Gate();
    let running = 0;
    const hold = defineHandler('hold', async () => {
      running += 1;
      await gate.opened;
    });
    await workers.worker(engine, { handlers: [hold], maxPods: 3 });
    const uid = await engine.createJob({ run: 'hold', completions: 10 });
    await engine.offer(uid, 10);
    await waitFor(() => running === 3);
    expect((await engine.job(uid)).counters).toMatchObject({ active: 10, running: 3 });
    gate.open();
    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 10);
  });

  test('leaves a slot alone whose handler it does not have, and another worker runs it', async () => {
    const engine = await workers.engine();
    await workers.worker(engine, { name: 'without', handlers: [defineHandler('other', () => {})] });
    const uid = await engine.createJob({ run: 'wanted' });
    await engine.offer(uid, 1);
    const queue = engine.queue('default.handler');
    await waitFor(async () => (await queue.getDelayedCount()) === 1);
    expect((await engine.job(uid)).counters).toMatchObject({ active: 1, running: 0, unjudged: 0 });

    await workers.worker(engine, { name: 'with', handlers: [defineHandler('wanted', () => {})] });

    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 1);
  });

  test('that can run a slot gets it, though three that came before it can not', async () => {
    const engine = await workers.engine();
    for (const name of ['a', 'b', 'c']) {
      await workers.worker(engine, { name, handlers: [defineHandler('other', () => {})] });
    }
    await workers.worker(engine, { name: 'd', handlers: [defineHandler('wanted', () => {})] });
    for (let job = 1; job <= 20; job += 1) {
      const uid = await engine.createJob({ run: 'wanted' });
      await engine.offer(uid, 1);
      // Far below what three rests would take.
      await waitFor(async () => (await engine.job(uid)).counters.succeeded === 1, {
        timeoutMs: 2_000,
      });
    }
  });

  test('gives a slot to a waiting Job after its quantum, between pods', async () => {
    const engine = await workers.engine();
    const order: string[] = [];
    const note = defineHandler('note', async ({ job }) => {
      order.push(job.name);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    });
    await workers.worker(engine, { handlers: [note], maxPods: 1, quantumMs: 0 });
    const first = await engine.createJob({ name: 'first', run: 'note', completions: 200 });
    const second = await engine.createJob({ name: 'second', run: 'note', completions: 1 });
    await engine.shard.markContended('default.handler', Date.now() + 60_000);
    await engine.offer(first, 1);
    await waitFor(() => order.length > 0);
    await engine.offer(second, 1);
    await waitFor(async () => (await engine.job(first)).counters.succeeded === 200);
    expect((await engine.job(second)).counters.succeeded).toBe(1);
    expect(order.indexOf('second')).toBeLessThan(200);
  });

  test('stops a pod by order and reports its end; what it was counted as is not touched', async () => {
    const engine = await workers.engine();
    const started = new Gate();
    const reasons: unknown[] = [];
    const wait = defineHandler('wait', async ({ signal }) => {
      started.open();
      await aborted(signal);
      reasons.push(signal.reason);
    });
    await workers.worker(engine, { handlers: [wait] });
    const uid = await engine.createJob({ run: 'wait' });
    await engine.offer(uid, 1);
    await started.opened;

    await engine.stop(uid, 'uncounted');

    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
    expect((await engine.job(uid)).counters).toMatchObject({
      active: 0,
      succeeded: 0,
      failed: 0,
      unjudged: 0,
    });
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).toMatchObject({ name: 'AbortError' });
  });

  test("gives up a handler that ignores its signal when the grace period is over; its late end is nobody's", async () => {
    const engine = await workers.engine();
    const started = new Gate();
    const late = new Gate();
    let calls = 0;
    const stubborn = defineHandler('stubborn', async () => {
      calls += 1;
      if (calls > 1) return;
      started.open();
      await late.opened;
    });
    await workers.worker(engine, { handlers: [stubborn], maxPods: 1 });
    const uid = await engine.createJob({ run: 'stubborn', graceSeconds: 1, completions: 3 });
    await engine.offer(uid, 1);
    await started.opened;
    await engine.stop(uid, 'uncounted');
    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);

    await engine.offer(uid, 1);
    late.open();

    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 3);
    expect(calls).toBe(4);
    expect((await engine.job(uid)).counters).toMatchObject({ active: 0, failed: 0, unjudged: 0 });
  });

  test('is a node to those who look, and no more when it was closed', async () => {
    const engine = await workers.engine();
    const nodes = new NodeStore(engine.redis, engine.prefix);
    const worker = await workers.worker(engine, {
      name: 'node-1',
      pool: 'gpu',
      maxPods: 2,
      runtimes: ['handler', 'process'],
      handlers: [defineHandler('x', () => {})],
    });
    const [node] = await nodes.list();
    expect(node?.isSilent).toBe(false);
    expect(JSON.parse(node!.object)).toMatchObject({
      name: 'node-1',
      pool: 'gpu',
      runtimes: ['handler', 'process'],
      handlers: ['x'],
      lanes: { handler: 2, process: 2 },
      pid: process.pid,
      conditions: [{ type: 'Ready', status: 'True' }],
    });
    await worker.close();
    expect(await nodes.list()).toEqual([]);
    expect(await engine.sessions()).toEqual([]);
  });

  test('run() ends with close()', async () => {
    const engine = await workers.engine();
    const worker = createWorker({
      connection: workers.server.url,
      prefix: engine.prefix,
      handlers: [defineHandler('x', () => {})],
    });
    const run = worker.run();
    await worker.ready();
    await worker.close();
    await run;
    await expect(worker.run()).rejects.toThrow('started before');
  });

  test('that is closed before it was started does not start', async () => {
    const worker = createWorker({ connection: workers.server.url, runtimes: ['process'] });
    await worker.close();
    await worker.run();
    await expect(worker.ready()).rejects.toThrow('closed before it was started');
  });

  test('refuses wrong options, all of them at once', () => {
    const connection = workers.server.url;
    expect(() =>
      createWorker({ connection, pool: 'a b', maxPods: 0, runtimes: ['handler'] }),
    ).toThrow(/pool "a b".*handlers: .*at least one.*maxPods 0/s);
    const twice = [defineHandler('x', () => {}), defineHandler('x', () => {})];
    expect(() => createWorker({ connection, handlers: twice })).toThrow('two are named "x"');
  });
});

describe('a worker that can not begin', () => {
  test('says that Redis keeps too little, and leaves nothing open', async () => {
    const own = await Workers.start({ config: { 'maxmemory-policy': 'allkeys-lru' } });
    try {
      const worker = createWorker({ connection: own.server.url, runtimes: ['process'] });
      const run = worker.run();
      await expect(worker.ready()).rejects.toThrow('maxmemory-policy is allkeys-lru');
      await expect(run).rejects.toThrow('maxmemory-policy');
      await worker.close();
      const client = own.server.connect();
      await waitFor(
        async () =>
          String(await client.client('LIST'))
            .trim()
            .split('\n').length === 1,
      );
    } finally {
      await own.stop();
    }
  });
});
