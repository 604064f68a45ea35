import { setTimeout as delay } from 'node:timers/promises';

import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { defineHandler } from '../src/index.ts';
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

describe('a drain', () => {
  test('lets a pod end and starts no other', async () => {
    const engine = await workers.engine();
    const [started, gate] = [new Gate(), new Gate()];
    let calls = 0;
    const hold = defineHandler('hold', async () => {
      calls += 1;
      started.open();
      await gate.opened;
    });
    const worker = await workers.worker(engine, { handlers: [hold], maxPods: 1 });
    const uid = await engine.createJob({ run: 'hold', completions: 5 });
    await engine.offer(uid, 1);
    await started.opened;
    await engine.offer(uid, 3);

    const closed = worker.close();
    gate.open();
    await closed;

    expect(calls).toBe(1);
    expect((await engine.job(uid)).counters).toMatchObject({
      succeeded: 1,
      running: 0,
      unjudged: 0,
    });
    expect(await engine.sessions()).toEqual([]);
    // What it left in the queue is there for others.
    expect(await engine.queue('default.handler').getActiveCount()).toBe(0);
    await workers.worker(engine, { handlers: [hold] });
    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 5);
  });

  test('stops a pod that goes on longer than its grace period and hands it over at once', async () => {
    const engine = await workers.engine();
    const started = new Gate();
    const patient = defineHandler('patient', async ({ signal }) => {
      started.open();
      await aborted(signal);
      return 'half done';
    });
    const worker = await workers.worker(engine, { handlers: [patient] });
    const uid = await engine.createJob({ run: 'patient', graceSeconds: 1 });
    await engine.offer(uid, 1);
    await started.opened;

    await worker.close();

    const pod = await waitFor(() => engine.endedPod(uid));
    expect(pod).toMatchObject({ outcome: 'Failed', reason: 'Drained', exitCode: 143 });
    expect((await engine.job(uid)).counters).toMatchObject({
      active: 0,
      succeeded: 0,
      unjudged: 1,
    });
    const observed = await engine.shard.observeJob(uid, 0);
    expect(observed?.unjudged).toMatchObject([{ podNumber: 1, losses: 1 }]);
  });

  test('waits for its pods longer than their grace period when it is asked to, until it is asked not to', async () => {
    const engine = await workers.engine();
    const [gate, heard] = [new Gate(), new Gate()];
    let begun = 0;
    const hold = defineHandler('hold', async ({ index, signal }) => {
      begun += 1;
      void aborted(signal).then(() => heard.open());
      await Promise.race(index === 0 ? [gate.opened, aborted(signal)] : [aborted(signal)]);
      return signal.aborted ? 'stopped' : 'finished';
    });
    const worker = await workers.worker(engine, { handlers: [hold], drainTimeoutMs: 100 });
    const uid = await engine.createJob({
      run: 'hold',
      graceSeconds: 1,
      completions: 2,
      indexed: true,
    });
    await engine.offer(uid, 2);
    await waitFor(() => begun === 2);

    const closed = worker.close({ waitForPods: true });
    // Longer than drain and grace period, and nobody was told to stop.
    await expect(
      Promise.race([heard.opened.then(() => 'heard'), delay(1_500, 'quiet')]),
    ).resolves.toBe('quiet');
    gate.open();
    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 1);
    await worker.close();
    await closed;

    const ends = (await engine.pods(uid)).map((pod) => (pod.kind === 'record' ? pod.reason : ''));
    expect(ends.toSorted()).toEqual(['Completed', 'Drained']);
  });

  test('a second close does not wait, and what ran is lost at once', async () => {
    const engine = await workers.engine({ leaseTtlMs: 60_000, heartbeatMs: 10_000 });
    const started = new Gate();
    const worker = await workers.worker(engine, { runtimes: ['process'] });
    const uid = await engine.createJob({ run: ['sleep', '1000'], graceSeconds: 600 });
    await engine.offer(uid, 1);
    await waitFor(async () => (await engine.job(uid)).counters.running === 1);
    started.open();

    const beganMs = performance.now();
    const first = worker.close();
    await worker.close();
    await first;

    expect(performance.now() - beganMs).toBeLessThan(5_000);
    expect(await engine.sessions()).toEqual([]);
  });
});
