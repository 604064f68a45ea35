/** How Jobs go: by time, by their users, with what belongs to them, and held by finalizers. */
import type { JobManifest } from '@drover/sdk';
import { NotFoundError } from '@drover/sdk';
import { COMPLETION_INDEX_LABEL } from '@drover/shared';
import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob, type JobShape } from './support/manifests.ts';
import { findKeys } from './support/servers.ts';

/** One engine for all: the Jobs have nothing to do with each other. */
let engine: Engine;

beforeAll(async () => {
  engine = await Engine.open();
  await Promise.all([engine.controller({ backoffBaseMs: 50 }), engine.worker({ maxPods: 20 })]);
});

afterAll(async () => {
  await engine.close();
});

/** A Job of a handler with more metadata and spec. */
function job(handler: string, shape: JobShape, metadata: object, spec: object = {}): JobManifest {
  const manifest = handlerJob(handler, shape) as { metadata: object; spec: object };
  return {
    ...manifest,
    metadata: { ...manifest.metadata, ...metadata },
    spec: { ...manifest.spec, ...spec },
  };
}

async function isGone(name: string): Promise<boolean> {
  return await engine.drover.jobs.get(name).then(
    () => false,
    (error: unknown) => {
      if (error instanceof NotFoundError) return true;
      throw error;
    },
  );
}

test('a finished Job is deleted when its time is over; a finalizer holds it', async () => {
  onTestFailed(() => engine.show());
  const { jobs, pods } = engine.drover;
  const ttl = { ttlSecondsAfterFinished: 0 };
  await jobs.create(job('noop', { name: 'free' }, {}, ttl));
  await jobs.create(job('noop', { name: 'held' }, { finalizers: ['example.com/hold'] }, ttl));
  const held = await waitFor(async () => {
    const found = await jobs.get('held');
    return found.metadata.deletionTimestamp === undefined ? null : found;
  });
  expect(held.metadata.finalizers).toContain('example.com/hold');
  expect(held.status?.succeeded).toBe(1);
  await waitFor(
    async () => (await isGone('free')) && (await pods.list({ job: 'held' })).length === 0,
  );
  await jobs.patch('held', { metadata: { finalizers: null } });
  expect(await isGone('held')).toBe(true);
});

test('Foreground: the Job is there, and its name taken, until its last pod has ended', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  await drover.jobs.create(handlerJob('ignore-signal', { name: 'front', graceSeconds: 60 }));
  await waitFor(() => records.read('front').length === 1);
  expect(await drover.jobs.delete('front', { propagationPolicy: 'Foreground' })).toBe(false);
  const stopping = await engine.until('front', ({ terminating }) => terminating === 1);
  expect(stopping.metadata).toMatchObject({
    deletionGracePeriodSeconds: 0,
    finalizers: ['foregroundDeletion'],
  });
  records.go('front');
  await waitFor(() => isGone('front'));
  expect(records.read('front')[0]?.endMs).not.toBeNull();
});

test('Orphan: pods run to their end, stay, can be read and deleted; a Job of the name has its own', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const shape = { name: 'left', completions: 4, parallelism: 2 };
  await drover.jobs.create(handlerJob('talk', shape));
  await engine.until('left', ({ ready }) => ready === 2);
  await drover.jobs.delete('left', { propagationPolicy: 'Orphan' });
  await waitFor(() => isGone('left'));
  const orphans = await drover.pods.list({ labelSelector: 'job-name=left' });
  expect(orphans.map(({ status }) => status?.phase)).toEqual(['Running', 'Running']);
  for (const { metadata } of orphans) {
    expect(metadata).not.toHaveProperty('ownerReferences');
    expect(metadata).not.toHaveProperty('finalizers');
  }
  await drover.jobs.create(handlerJob('noop', { name: 'left', completions: 1 }));
  await engine.finished('left');
  expect(await drover.pods.list({ labelSelector: 'job-name=left' })).toHaveLength(3);

  records.go('left');
  const [first, second] = orphans;
  await waitFor(async () => (await drover.pods.get(first!)).status?.phase === 'Succeeded');
  const lines: string[] = [];
  for await (const line of drover.pods.logs(first!)) lines.push(line);
  expect(lines).toEqual(['hello\n', 'good bye\n']);
  await waitFor(async () => (await drover.pods.get(second!)).status?.phase === 'Succeeded');
  for (const pod of orphans) await drover.pods.delete(pod);
  await drover.jobs.delete('left');
  await waitFor(
    async () => (await drover.pods.list({ labelSelector: 'job-name=left' })).length === 0,
  );
  // Nothing is left of it but the mark of a purged Job.
  const uid = orphans[0]?.metadata.labels?.['controller-uid'] ?? '';
  await waitFor(async () => (await findKeys(engine, `*${uid}*`)).length === 1);
});

test('a pod whose labels its Job does not select any more is released: replaced, not counted, and left behind', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const shape = { name: 'lets-go', completions: 2, parallelism: 2, indexed: true };
  await drover.jobs.create(handlerJob('talk', shape));
  await engine.until('lets-go', ({ ready }) => ready === 2);
  const [first, second] = await drover.pods.list({ job: 'lets-go' });
  const uid = first?.metadata.labels?.['controller-uid'] ?? '';
  const labels = { 'batch.kubernetes.io/controller-uid': null, debug: 'me' };
  const released = await drover.pods.patch(first!, { metadata: { labels } });
  expect(released.metadata).not.toHaveProperty('ownerReferences');
  expect(released.metadata).not.toHaveProperty('finalizers');
  expect(released.metadata.labels).toMatchObject({ debug: 'me', 'job-name': 'lets-go' });

  // One of the same index runs in its place, while it goes on.
  const pods = await waitFor(async () => {
    const found = await drover.pods.list({ job: 'lets-go' });
    return found.length === 2 && found.every(({ status }) => status.phase === 'Running') && found;
  });
  const indexes = pods.map(({ metadata }) => metadata.annotations?.[COMPLETION_INDEX_LABEL]);
  expect(new Set(indexes)).toEqual(new Set(['0', '1']));
  expect(pods.map(({ metadata }) => metadata.name)).toContain(second!.metadata.name);
  expect((await drover.pods.list({ labelSelector: 'debug=me' }))[0]?.status.phase).toBe('Running');
  expect(await drover.pods.list({ labelSelector: 'job-name=lets-go' })).toHaveLength(3);

  records.go('lets-go');
  const { status } = await engine.finished('lets-go');
  expect(status).toMatchObject({ succeeded: 2, completedIndexes: '0,1' });
  await waitFor(async () => (await drover.pods.get(first!)).status.phase === 'Succeeded');
  await drover.jobs.delete('lets-go');
  await waitFor(async () => {
    const left = await drover.pods.list({ labelSelector: 'job-name=lets-go' });
    return left.length === 1 && left[0]?.metadata.name === first!.metadata.name;
  });
  expect((await drover.pods.get(first!)).metadata.labels).toMatchObject({ debug: 'me' });
  await drover.pods.delete(first!);
  await waitFor(async () => (await findKeys(engine, `*${uid}*`)).length === 1);
});

test('Jobs that belong to a Job go with it, and what was running in them ends', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const parent = await drover.jobs.create(job('noop', { name: 'parent', suspend: true }, {}));
  const { name, uid } = parent.metadata;
  const ownerReferences = [{ apiVersion: 'batch/v1', kind: 'Job', name, uid }];
  await drover.jobs.create(job('wait', { name: 'child' }, { ownerReferences }));
  await waitFor(() => records.read('child').length === 1);
  expect(await drover.jobs.delete(parent)).toBe(true);
  await waitFor(() => isGone('child'));
  await waitFor(() => records.read('child')[0]?.endMs !== null);
});
