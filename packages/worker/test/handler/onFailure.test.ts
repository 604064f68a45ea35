import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { defineHandler, type HandlerDefinition, type WorkerOptions } from '../../src/index.ts';
import type { TestEngine } from '../support/engine.ts';
import { aborted, Gate, Workers } from '../support/workers.ts';

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

/** One pod of an OnFailure Job of the handler. */
async function runOne(
  handler: HandlerDefinition,
  options: Partial<WorkerOptions> = { crashLoop: { baseMs: 5, capMs: 5 } },
): Promise<{ engine: TestEngine; uid: string }> {
  const engine = await workers.engine();
  await workers.worker(engine, { handlers: [handler], ...options });
  const uid = await engine.createJob({
    run: handler.name,
    restartPolicy: 'OnFailure',
    graceSeconds: 30,
  });
  await engine.offer(uid, 1);
  return { engine, uid };
}

describe('a handler with OnFailure', () => {
  test('that fails is called again for the same pod until it succeeds', async () => {
    const pods: string[] = [];
    const recorded: number[] = [];
    const { engine, uid } = await runOne(
      defineHandler('third-time', async ({ pod }) => {
        pods.push(pod.name);
        recorded.push((await engine.job(uid)).counters.restarts);
        if (pods.length === 1) throw new Error('first');
        if (pods.length === 2) return 'x'.repeat(100_000);
        return 'done';
      }),
    );
    const pod = await waitFor(() => engine.endedPod(uid));
    expect(pod).toMatchObject({ podNumber: 1, outcome: 'Succeeded', exitCode: 0 });
    expect(pod.overlay).toEqual({ result: '"done"', restarts: 2 });
    expect(new Set(pods).size).toBe(1);
    // Recorded before it happens.
    expect(recorded).toEqual([0, 1, 2]);
    expect((await engine.job(uid)).counters).toMatchObject({
      succeeded: 1,
      failed: 0,
      restarts: 0,
    });
  });

  test('that is told to stop while it waits for its restart ends at once', async () => {
    const { engine, uid } = await runOne(
      defineHandler('hopeless', () => {
        throw new Error('no');
      }),
      { crashLoop: { baseMs: 600_000, capMs: 600_000 } },
    );
    await waitFor(async () => (await engine.job(uid)).counters.running === 1);
    await engine.stop(uid);
    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
  });

  test('that fails because it was told to stop is not called again', async () => {
    const started = new Gate();
    let calls = 0;
    const { engine, uid } = await runOne(
      defineHandler('obedient', async ({ signal }) => {
        calls += 1;
        started.open();
        await aborted(signal);
        throw new Error('aborted');
      }),
    );
    await started.opened;
    await engine.stop(uid);
    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
    expect(calls).toBe(1);
  });
});
