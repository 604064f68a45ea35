import { randomUUID } from 'node:crypto';

import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  AlreadyExistsError,
  defineHandler,
  Drover,
  InvalidSpecError,
  NotFoundError,
  type Pod,
  type PodManifest,
} from '../src/index.ts';
import { Engine, handlerJob } from './engine.ts';

let engine: Engine;
/** What lets the pods of `wait` go on. */
const going = Promise.withResolvers<void>();

beforeAll(async () => {
  engine = await Engine.start([
    defineHandler('tell', ({ pod, job, log }) => {
      log(`${pod.name} ${pod.uid} ${job.name}`);
      return 42;
    }),
    defineHandler('drive', async ({ client }) => {
      if (client === null) return 'nobody';
      const drover = new Drover(client);
      const { metadata } = await drover.jobs.create(
        handlerJob('driven', 'tell', { suspend: true }),
      );
      await drover.pods.create(barePod('driven', 'wait'));
      await drover.close();
      return metadata.ownerReferences;
    }),
    defineHandler('fail', () => {
      throw new Error('no');
    }),
    defineHandler('wait', ({ signal }) =>
      Promise.race([
        going.promise,
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
      ]),
    ),
  ]);
});

afterAll(async () => {
  await engine.stop();
});

function barePod(name: string, handler: string, metadata: object = {}): PodManifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, ...metadata },
    spec: {
      restartPolicy: 'Never',
      runtimeClassName: 'handler',
      containers: [{ name: 'main', image: handler }],
    },
  };
}

async function until(name: string, phase: string): Promise<Pod> {
  return await waitFor(async () => {
    const pod = await engine.drover.pods.get(name);
    return pod.status.phase === phase ? pod : null;
  });
}

async function isGone(name: string): Promise<boolean> {
  return await engine.drover.pods.get(name).then(
    () => false,
    (error: unknown) => error instanceof NotFoundError,
  );
}

describe('a pod without a Job', () => {
  test('is there at once, runs once under its own name, and stays', async () => {
    const { pods, jobs } = engine.drover;
    const labels = { app: 'own' };
    const uid = randomUUID();
    const created = await pods.create(barePod('once', 'tell', { labels }), { uid });
    expect(created).toMatchObject({
      kind: 'Pod',
      metadata: { name: 'once', namespace: 'default', uid, labels },
    });
    const pod = await until('once', 'Succeeded');
    expect(pod.metadata).toMatchObject({ uid, labels, annotations: { 'drover.dev/result': '42' } });
    expect(pod.metadata).not.toHaveProperty('ownerReferences');
    expect(pod.metadata).not.toHaveProperty('finalizers');
    expect(pod.spec.nodeName).toBe('test-worker');
    const lines: string[] = [];
    for await (const line of pods.logs('once')) lines.push(line);
    expect(lines).toEqual([`once ${uid} once\n`]);
    expect((await pods.list({ labelSelector: 'app=own' })).map((one) => one.metadata.uid)).toEqual([
      uid,
    ]);
    // Nobody sees the Job that it is stored as.
    const all = await jobs.list({ allNamespaces: true });
    expect(all.map(({ metadata }) => metadata.uid)).not.toContain(uid);
    await expect(jobs.get('once')).rejects.toThrow(NotFoundError);
    // The same create again is the same pod.
    expect((await pods.create(barePod('once', 'tell'), { uid })).status.phase).toBe('Succeeded');
    await pods.delete('once');
    expect(await isGone('once')).toBe(true);
  });

  test('that fails is not replaced', async () => {
    const { pods } = engine.drover;
    const { metadata } = await pods.create(barePod('failing', 'fail'));
    const pod = await until('failing', 'Failed');
    expect(pod.metadata.uid).toBe(metadata.uid);
    const all = await pods.list();
    expect(all.filter((one) => one.metadata.name.startsWith('failing'))).toMatchObject([
      { metadata: { uid: metadata.uid, resourceVersion: pod.metadata.resourceVersion } },
    ]);
    await pods.delete('failing');
  });

  test('its name is taken, as that of a pod of a Job is', async () => {
    const { pods, jobs } = engine.drover;
    await pods.create(barePod('unique', 'tell'));
    await expect(pods.create(barePod('unique', 'tell'))).rejects.toThrow(AlreadyExistsError);
    await pods.create(barePod('unique', 'tell'), { namespace: 'other' });
    const job = await jobs.create(handlerJob('named', 'tell'));
    await jobs.wait(job);
    const [ofJob] = await pods.list({ job });
    const taken = barePod(ofJob?.metadata.name ?? '', 'tell');
    await expect(pods.create(taken)).rejects.toThrow(AlreadyExistsError);
    const made = await pods.create(barePod('', 'tell', { generateName: 'unique-' }));
    expect(made.metadata.name).toMatch(/^unique-\w{5}$/);
  });

  test('that runs is there, terminating, until it ended', async () => {
    const { pods } = engine.drover;
    await pods.create(barePod('stopped', 'wait'));
    await until('stopped', 'Running');
    const seen: string[] = [];
    const watch = pods.watch();
    const watching = (async () => {
      for await (const { type, pod } of watch) {
        if (pod.metadata.name !== 'stopped') continue;
        seen.push(type);
        if (type === 'DELETED') return pod;
      }
      return null;
    })();
    await waitFor(() => seen.includes('ADDED'));
    await pods.delete('stopped');
    expect((await watching)?.metadata.name).toBe('stopped');
    expect(await isGone('stopped')).toBe(true);
    await expect(pods.delete('stopped')).rejects.toThrow(NotFoundError);
  });

  test('is applied: labels may change, what it runs may not', async () => {
    const { pods } = engine.drover;
    const manifest = barePod('applied', 'tell', { labels: { a: '1', b: '1' } });
    expect((await pods.apply(manifest)).action).toBe('created');
    await until('applied', 'Succeeded');
    expect((await pods.apply(manifest)).action).toBe('unchanged');
    const changed = await pods.apply(barePod('applied', 'tell', { labels: { a: '2' } }));
    expect(changed.action).toBe('configured');
    expect(changed.pod.metadata.labels).toEqual({ a: '2' });
    expect(changed.pod.status.phase).toBe('Succeeded');
    await expect(pods.apply(barePod('applied', 'other'))).rejects.toThrow(InvalidSpecError);
    const patched = await pods.patch('applied', { metadata: { annotations: { note: 'x' } } });
    expect(patched.metadata.annotations).toMatchObject({ note: 'x', 'drover.dev/result': '42' });
  });

  test('a dry run stores nothing', async () => {
    const pod = await engine.drover.pods.create(barePod('dry', 'tell'), { dryRun: true });
    expect(pod.status.phase).toBe('Pending');
    expect(await isGone('dry')).toBe(true);
  });

  test('may create others, which belong to it, when it asks to be a client', async () => {
    const { pods, jobs } = engine.drover;
    await pods.create(barePod('alone', 'drive'));
    const alone = await until('alone', 'Succeeded');
    expect(alone.metadata.annotations).toEqual({ 'drover.dev/result': '"nobody"' });

    const annotations = { 'drover.dev/client': 'true' };
    const driver = await pods.create(barePod('driver', 'drive', { annotations }));
    const { metadata } = await until('driver', 'Succeeded');
    const owners = JSON.parse(metadata.annotations?.['drover.dev/result'] ?? '') as object[];
    const { uid } = driver.metadata;
    expect(owners).toMatchObject([{ kind: 'Pod', name: 'driver', uid, controller: true }]);
    expect((await pods.get('driven')).metadata.ownerReferences).toEqual(owners);
    await pods.delete('driver');
    await waitFor(() => isGone('driven'));
    await waitFor(async () => (await jobs.list({ labelSelector: 'app=driven' })).length === 0);
  });

  test('goes with its owner, and what it owns goes with it', async () => {
    const { pods, jobs } = engine.drover;
    const owner = await jobs.create(handlerJob('owner', 'wait', { suspend: true }));
    const { name, uid } = owner.metadata;
    const ofJob = [{ apiVersion: 'batch/v1', kind: 'Job', name, uid }];
    const pod = await pods.create(barePod('owned', 'wait', { ownerReferences: ofJob }));
    await until('owned', 'Running');
    const ofPod = [{ apiVersion: 'v1', kind: 'Pod', name: 'owned', uid: pod.metadata.uid }];
    const child = handlerJob('grandchild', 'wait', { suspend: true });
    await jobs.create({ ...child, metadata: { name: 'grandchild', ownerReferences: ofPod } });
    await jobs.delete(owner);
    await waitFor(() => isGone('owned'));
    await waitFor(async () =>
      jobs.get('grandchild').then(
        () => false,
        (error: unknown) => error instanceof NotFoundError,
      ),
    );
  });
});

test('a function makes the new labels of a pod; a dry run stores nothing', async () => {
  const pod = await engine.drover.pods.create(barePod('changing', 'wait', { labels: { a: '1' } }));
  const withLabel = (b: string) => (shown: Pod) => ({
    ...shown,
    metadata: { ...shown.metadata, labels: { ...shown.metadata.labels, b } },
  });
  const dry = await engine.drover.pods.update(pod, withLabel('dry'), { dryRun: true });
  expect(dry.metadata.labels).toEqual({ a: '1', b: 'dry' });
  await Promise.all([
    engine.drover.pods.update(pod, withLabel('2')),
    engine.drover.pods.update(pod, (shown) => ({
      ...shown,
      metadata: { ...shown.metadata, annotations: { note: 'x' } },
    })),
  ]);
  const { metadata } = await engine.drover.pods.get('changing');
  expect(metadata).toMatchObject({ labels: { a: '1', b: '2' }, annotations: { note: 'x' } });
  // What was read before is of another version now.
  const stale = engine.drover.pods.update(pod, () => withLabel('3')(pod));
  await expect(stale).rejects.toThrow('has been modified');
});
