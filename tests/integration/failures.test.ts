import { NotFoundError } from '@drover/sdk';
import { isAlive, waitFor } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob, recordedScript } from './support/manifests.ts';
import { mostAtOnce } from './support/records.ts';

const BACKOFF_BASE_MS = 100;

let engine: Engine;

beforeAll(async () => {
  engine = await Engine.open();
  await Promise.all([
    engine.controller({ backoffBaseMs: BACKOFF_BASE_MS }),
    engine.worker({ maxPods: 20, crashLoopMs: 50 }),
  ]);
});

afterAll(async () => {
  await engine.close();
});

function failedBecause(reason: string): object[] {
  return [
    { type: 'FailureTarget', status: 'True', reason },
    { type: 'Failed', status: 'True', reason },
  ];
}

describe('backoffLimit', () => {
  test.each([0, 1, 3])('of %i with Never: one pod more than that fails', async (backoffLimit) => {
    onTestFailed(() => engine.show());
    const name = `never-${backoffLimit}`;
    await engine.drover.jobs.create(handlerJob('fail', { name, backoffLimit }));
    const job = await engine.finished(name);
    expect(job.status).toMatchObject({
      failed: backoffLimit + 1,
      conditions: failedBecause('BackoffLimitExceeded'),
    });
    expect(job.status).not.toHaveProperty('completionTime');
    const runs = engine.records.read(name);
    expect(runs).toHaveLength(backoffLimit + 1);
    expect(await engine.pods(name)).toHaveLength(backoffLimit + 1);
    // 100 ms, 200 ms, 400 ms from the end of a pod to the start of the next.
    const waitsMs = runs.slice(1).map((run, i) => run.startMs - (runs[i]?.endMs ?? Infinity));
    waitsMs.forEach((waitMs, i) =>
      expect(waitMs).toBeGreaterThanOrEqual(BACKOFF_BASE_MS * 2 ** i - 2),
    );
  });

  test('of 2 with OnFailure: two restarts in the same pod, then the pod is stopped', async () => {
    onTestFailed(() => engine.show());
    const { drover, records } = engine;
    const shape = { name: 'on-failure', backoffLimit: 2, restartPolicy: 'OnFailure' } as const;
    await drover.jobs.create(recordedScript(records, 'echo so far; exit 3', shape));
    const job = await engine.finished('on-failure');
    expect(job.status).toMatchObject({
      failed: 1,
      conditions: failedBecause('BackoffLimitExceeded'),
    });
    const runs = records.read('on-failure');
    expect(new Set(runs.map((run) => run.pod)).size).toBe(1);
    // The first run and the first restart; the second is counted before it begins, and may not begin.
    expect([2, 3]).toContain(runs.length);
    // It was stopped: nothing is left of it, and what it wrote can not be read any more.
    expect(await engine.pods('on-failure')).toEqual([]);
    await expect(drover.pods.logs(runs[0]!.pod).next()).rejects.toThrow(NotFoundError);
  });

  test('with OnFailure a program that comes right restarts in its pod and succeeds', async () => {
    onTestFailed(() => engine.show());
    const { drover, records } = engine;
    const script = `[ -e "$GO.tried" ] || { touch "$GO.tried"; exit 1; }`;
    await drover.jobs.create(
      recordedScript(records, script, { name: 'comes-right', restartPolicy: 'OnFailure' }),
    );
    const job = await engine.finished('comes-right');
    expect(job.status).toMatchObject({ succeeded: 1 });
    expect(job.status?.failed ?? 0).toBe(0);
    const [pod, ...others] = await engine.pods('comes-right');
    expect(others).toEqual([]);
    expect(pod?.status?.containerStatuses?.[0]?.restartCount).toBe(1);
    expect(records.read('comes-right')).toHaveLength(2);
  });

  test('many pods that fail at once: none starts while one waits for its verdict', async () => {
    onTestFailed(() => engine.show());
    const { drover, records } = engine;
    const shape = { name: 'wide', completions: 50, parallelism: 8, backoffLimit: 3 };
    await drover.jobs.create(handlerJob('fail', shape, { ms: 50 }));
    const job = await engine.finished('wide');
    expect(job.status?.conditions).toMatchObject(failedBecause('BackoffLimitExceeded'));
    const runs = records.read('wide');
    // Eight began together; all of them count, and no ninth is started after the first has failed.
    expect(runs).toHaveLength(8);
    expect(job.status?.failed).toBe(8);
    expect(mostAtOnce(runs)).toBe(8);
  });
});

describe('activeDeadlineSeconds', () => {
  test('ends a Job with retries left: running pods are stopped and no new one starts', async () => {
    onTestFailed(() => engine.show());
    const { drover, records } = engine;
    const shape = { completions: 4, parallelism: 2, backoffLimit: 100, activeDeadlineSeconds: 2 };
    await drover.jobs.create(
      recordedScript(records, 'sleep 600', { name: 'late', ...shape, graceSeconds: 5 }),
    );
    await waitFor(() => records.read('late').length === 2);
    const job = await engine.finished('late');
    expect(job.status).toMatchObject({ failed: 2, conditions: failedBecause('DeadlineExceeded') });
    const runs = records.read('late');
    expect(runs).toHaveLength(2);
    expect(runs.every((run) => !isAlive(run.pid))).toBe(true);
    const endedMs = Date.parse(job.status?.conditions?.[0]?.lastTransitionTime ?? '');
    expect(endedMs - (runs[0]?.startMs ?? 0)).toBeGreaterThan(500);
  });

  test('ends a Job whose pods keep failing, though backoffLimit is far', async () => {
    onTestFailed(() => engine.show());
    const { drover, records } = engine;
    const shape = { name: 'late-retries', backoffLimit: 100, activeDeadlineSeconds: 1 };
    await drover.jobs.create(handlerJob('fail', shape));
    const job = await engine.finished('late-retries');
    expect(job.status?.conditions).toMatchObject(failedBecause('DeadlineExceeded'));
    expect(job.status?.failed).toBe(records.read('late-retries').length);
    expect(job.status?.failed).toBeLessThan(10);
  });

  test('runs though no worker ever takes a pod', async () => {
    onTestFailed(() => engine.show());
    const shape = { name: 'never-started', activeDeadlineSeconds: 1 };
    await engine.drover.jobs.create(handlerJob('nobody-has-this', shape));
    const job = await engine.finished('never-started');
    expect(job.status?.conditions).toMatchObject(failedBecause('DeadlineExceeded'));
  });
});
