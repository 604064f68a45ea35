import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { Workers } from '../support/workers.ts';

/** Takes so many MiB in a child, says so, and waits. */
const TAKE =
  "const kept = Buffer.alloc(Number(process.argv[1]) << 20, 1); console.log('took', kept.length); setInterval(() => {}, 1e6)";

let workers: Workers;

beforeAll(async () => {
  workers = await Workers.start();
});
afterEach(() => workers.clear());
afterAll(() => workers.stop());

/** Runs a program whose child takes memory, and answers how its pod ended. */
async function run(mebibytes: number, script: string, pod: object) {
  const engine = await workers.engine();
  await workers.worker(engine, { runtimes: ['process'], maxPods: 2 });
  const child = `"${process.execPath}" -e "${TAKE}" ${mebibytes}`;
  const command = ['/bin/sh', '-c', script.replace('CHILD', child)];
  const container = {
    name: 'main',
    command,
    ...('container' in pod ? (pod.container as object) : {}),
  };
  const uid = await engine.createJob({ run: command, pod: { containers: [container], ...pod } });
  await engine.offer(uid, 1);
  return await waitFor(() => engine.endedPod(uid), { timeoutMs: 20_000 });
}

const limits = (memory: string) => ({ resources: { limits: { memory } } });

describe('memory limits', () => {
  test('a program that takes more than its limit, its children included, is ended and says so', async () => {
    const pod = await run(200, 'CHILD & wait', { container: limits('150Mi') });
    expect(pod).toMatchObject({ outcome: 'Failed', exitCode: 137, reason: 'OOMKilled' });
    expect(pod.overlay?.message).toMatch(
      /took \d{3}\.\d MiB of memory; its limit is 150\.0 MiB|more memory than its limit of 150\.0 MiB/,
    );
  });

  test('one that stays below is left alone', async () => {
    // Long enough to be looked at more than once.
    const pod = await run(1, 'CHILD & sleep 1.2; kill $!', { container: limits('1Gi') });
    expect(pod).toMatchObject({ outcome: 'Succeeded', exitCode: 0 });
  });

  test("a pod's own limit holds for each of its containers", async () => {
    const sidecar = { name: 'other', command: ['true'], restartPolicy: 'Always' };
    const pod = await run(200, 'CHILD & wait', { ...limits('150Mi'), initContainers: [sidecar] });
    expect(pod).toMatchObject({ outcome: 'Failed', exitCode: 137, reason: 'OOMKilled' });
  });
});
