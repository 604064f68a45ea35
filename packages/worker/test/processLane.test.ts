import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { readPodLog } from '@drover/store';
import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { WorkerOptions } from '../src/index.ts';
import type { TestEngine, TestJob } from './support/engine.ts';
import { Workers } from './support/workers.ts';

let workers: Workers;
let directory: string;

beforeAll(async () => {
  workers = await Workers.start();
});

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'drover-lane-')));
});

afterEach(async () => {
  await workers.clear();
  await rm(directory, { recursive: true, force: true });
});

afterAll(async () => {
  await workers.stop();
});

async function startOne(
  job: TestJob,
  options: Partial<WorkerOptions> = {},
): Promise<{ engine: TestEngine; uid: string }> {
  const engine = await workers.engine();
  await workers.worker(engine, { name: 'node-1', runtimes: ['process'], maxPods: 2, ...options });
  const uid = await engine.createJob(job);
  await engine.offer(uid, 1);
  return { engine, uid };
}

async function logOf(engine: TestEngine, uid: string, podNumber: number): Promise<string> {
  let log = '';
  for await (const { text } of readPodLog(engine.redis, engine.shard.podLogKey(uid, podNumber)))
    log += text;
  return log;
}

function shell(script: string): string[] {
  return ['/bin/sh', '-c', script];
}

describe('a process pod', () => {
  test('runs its command with arguments, environment, hostname and directory of its own', async () => {
    const { engine, uid } = await startOne({
      name: 'sum',
      indexed: true,
      completions: 1,
      run: shell('echo "$0 $JOB_COMPLETION_INDEX $WHO $HOSTNAME"; pwd; env | grep -c REDIS'),
      args: ['$(WHO)-arg'],
      env: [{ name: 'WHO', value: 'me' }],
      workingDir: directory,
    });
    const pod = await waitFor(() => engine.endedPod(uid));
    // grep found nothing, hence 1.
    expect(pod).toMatchObject({
      outcome: 'Failed',
      exitCode: 1,
      reason: 'Error',
      hasLog: true,
      overlay: null,
    });
    expect(await logOf(engine, uid, 1)).toBe(`me-arg 0 me sum-0\n${directory}\n0\n`);
  });

  test('succeeds with exit code 0, and its whole log can be read as soon as it ended', async () => {
    const { engine, uid } = await startOne({ run: shell('seq 1 2000') });
    const pod = await waitFor(() => engine.endedPod(uid));
    expect(pod).toMatchObject({
      outcome: 'Succeeded',
      exitCode: 0,
      reason: 'Completed',
      hasLog: true,
    });
    expect(await logOf(engine, uid, 1)).toBe(
      Array.from({ length: 2_000 }, (_, index) => `${index + 1}\n`).join(''),
    );
  });

  test('whose command does not exist fails with the reason', async () => {
    const { engine, uid } = await startOne({ run: ['/no/such/program'] });
    const pod = await waitFor(() => engine.endedPod(uid));
    expect(pod).toMatchObject({
      outcome: 'Failed',
      exitCode: 127,
      reason: 'StartError',
      hasLog: false,
    });
    expect(pod.overlay?.message).toContain('/no/such/program');
  });

  test('ended by a signal says which', async () => {
    const { engine, uid } = await startOne({ run: shell('kill -KILL $$$$') });
    const pod = await waitFor(() => engine.endedPod(uid));
    expect(pod).toMatchObject({ outcome: 'Failed', exitCode: 137, overlay: { signal: 'SIGKILL' } });
  });

  test('told to stop gets SIGTERM, and SIGKILL after its grace period', async () => {
    const { engine, uid } = await startOne({
      run: shell(`trap 'echo term' TERM; echo ready; while :; do sleep 0.05; done`),
      graceSeconds: 1,
    });
    await waitFor(async () => (await logOf(engine, uid, 1)).includes('ready'));
    const beganMs = performance.now();
    await engine.stop(uid, 'uncounted');
    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
    expect(performance.now() - beganMs).toBeGreaterThan(900);
    expect(await logOf(engine, uid, 1)).toContain('term');
  });

  test('with OnFailure is restarted in the same pod until it succeeds', async () => {
    const { engine, uid } = await startOne(
      {
        run: shell('echo run >> runs; test $(wc -l < runs) -ge 3'),
        workingDir: directory,
        restartPolicy: 'OnFailure',
      },
      { crashLoop: { baseMs: 20 } },
    );
    const pod = await waitFor(() => engine.endedPod(uid));
    expect(pod).toMatchObject({
      podNumber: 1,
      outcome: 'Succeeded',
      exitCode: 0,
      overlay: { restarts: 2 },
    });
    expect(await readFile(join(directory, 'runs'), 'utf8')).toBe('run\nrun\nrun\n');
    expect((await engine.job(uid)).counters).toMatchObject({
      succeeded: 1,
      failed: 0,
      unjudged: 0,
      restarts: 0,
    });
  });

  test('with OnFailure counts its restarts while it runs, and stops waiting when it is told to', async () => {
    const { engine, uid } = await startOne(
      { run: shell('exit 3'), restartPolicy: 'OnFailure' },
      { crashLoop: { baseMs: 400, capMs: 60_000 } },
    );
    await waitFor(async () => (await engine.job(uid)).counters.restarts === 2);
    const beganMs = performance.now();
    await engine.stop(uid, 'failed');
    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
    // The wait for its third restart would have been 1600 ms.
    expect(performance.now() - beganMs).toBeLessThan(1_000);
    expect((await engine.job(uid)).counters).toMatchObject({ active: 0, failed: 1, restarts: 0 });
  });
});
