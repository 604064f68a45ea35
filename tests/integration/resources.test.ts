import type { JobManifest } from '@drover/sdk';
import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob, type JobShape } from './support/manifests.ts';
import { mostAtOnce } from './support/records.ts';

const POD_MS = 100;

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.open();
  // Both have lanes to spare.
  await Promise.all([
    engine.controller(),
    engine.worker({ maxPods: 50, cpu: '1500m', memory: '1Gi' }),
    engine.worker({ maxPods: 50, cpu: '4', memory: '512Mi' }),
  ]);
}, 60_000);
afterAll(() => engine.close());

/** A Job of handlers that request something. */
function requesting(
  requests: Record<string, string>,
  handler: string,
  shape: JobShape,
  input: object = {},
): JobManifest {
  return handlerJob(handler, { ...shape, pod: { resources: { requests } } }, input);
}

test('90 pods of which five fit at a time: never more, and hardly ever fewer', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  // Three fit on one worker and two on the other.
  const shape = { name: 'wide', completions: 90, parallelism: 90, indexed: true };
  const requests = { cpu: '500m', memory: '200Mi' };
  await drover.jobs.create(requesting(requests, 'work', shape, { ms: POD_MS }));
  await engine.finished('wide');
  const runs = records.read('wide');
  expect(mostAtOnce(runs)).toBe(5);
  const busyMs = runs.reduce((sum, { startMs, endMs }) => sum + (endMs ?? startMs) - startMs, 0);
  const spanMs = Math.max(...runs.map(({ endMs }) => endMs ?? 0)) - (runs[0]?.startMs ?? 0);
  // With nothing else on the machine 4.5: a slot that nobody calls for would make it less than one.
  expect(busyMs / spanMs).toBeGreaterThan(1.5);
}, 60_000);

test('pods wait with the reason in words, and go on when there is room', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const whyPending = async (job: string, want: string): Promise<void> => {
    await waitFor(async () => {
      const [pod] = await drover.pods.list({ job, phase: 'Pending' });
      const [condition] = pod?.status.conditions ?? [];
      return condition?.message === want ? condition : null;
    });
  };
  // Larger than any worker: said at once, though nothing runs.
  await drover.jobs.create(requesting({ memory: '2Gi' }, 'work', { name: 'huge' }));
  await whyPending('huge', '0/2 nodes are available: 2 Insufficient memory.');
  const reasons = await drover.jobs.whyWaiting('huge');
  expect(reasons.map(({ reason }) => reason)).toEqual(['InsufficientResources']);

  await drover.jobs.create(requesting({ cpu: '3500m' }, 'wait', { name: 'first' }));
  await engine.until('first', ({ ready }) => ready === 1);
  await drover.jobs.create(requesting({ cpu: '2' }, 'work', { name: 'second' }));
  await whyPending('second', '0/2 nodes are available: 2 Insufficient cpu.');
  // One that asks for nothing is not kept waiting.
  await drover.jobs.create(handlerJob('work', { name: 'small' }));
  await engine.finished('small');

  records.go('first');
  await Promise.all([engine.finished('first'), engine.finished('second')]);
  const [node] = await drover.nodes.list();
  expect(node?.status.allocatable).toEqual({ cpu: '1500m', memory: '1Gi', pods: '100' });
  // A larger worker comes: that is told to Jobs that wait for one.
  await engine.worker({ memory: '4Gi' });
  await engine.finished('huge');
}, 60_000);
