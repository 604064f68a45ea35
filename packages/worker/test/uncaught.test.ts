import { spawnNode, waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { Workers } from './support/workers.ts';

const WORKER = new URL('./fixtures/crashingWorker.ts', import.meta.url).pathname;

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

test('an error that nobody catches ends the worker as Node does, and the log says which pods went with it', async () => {
  const engine = await workers.engine();
  const worker = spawnNode(WORKER, [workers.server.url, engine.prefix]);
  const waiting = await engine.createJob({ name: 'patient', run: 'wait' });
  await engine.offer(waiting, 1);
  await waitFor(async () => (await engine.job(waiting)).counters.running === 1);
  const crashing = await engine.createJob({ name: 'careless', run: 'crash' });
  await engine.offer(crashing, 1);

  expect(await worker.exited).toEqual({ code: 1, signal: null });
  const logged = worker
    .output('stdout')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { level: number; msg: string });
  const [last] = logged.slice(-1);
  expect(last?.level).toBe(60);
  expect(last?.msg).toMatch(
    /^an error outside of any promise that nobody caught ends this worker; /,
  );
  expect(last?.msg).toMatch(/default\/patient-[a-z2-9]{5} \(wait\)/);
  expect(last?.msg).toMatch(/default\/careless-[a-z2-9]{5} \(crash\)/);
  expect(last?.msg).toContain("isolation: 'thread'");
  // Node's own words stay.
  expect(worker.output('stderr')).toMatch(/TypeError: not caught\n\s+at .*crashingWorker\.ts/);
});
