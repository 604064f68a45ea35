/** Jobs take pods for their own that are nobody's: what Orphan left, what was released, pods without a Job. */
import type { JobManifest, Pod } from '@drover/sdk';
import { NotFoundError } from '@drover/sdk';
import { type NodeProcess, waitFor } from '@drover/testkit';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob, type JobShape } from './support/manifests.ts';

let engine: Engine;
let controller: NodeProcess;
beforeAll(async () => {
  engine = await Engine.open();
  [controller] = await Promise.all([
    engine.controller({ backoffBaseMs: 50 }),
    engine.worker({ maxPods: 20 }),
  ]);
});
afterAll(() => engine.close());

type Labels = Readonly<Record<string, string>>;

/** A Job with a selector of its user's. */
function selecting(labels: Labels, handler: string, shape: JobShape, input = {}): JobManifest {
  const manifest = handlerJob(handler, shape, input) as {
    spec: { template: { metadata: object } };
  };
  const { spec } = manifest;
  const metadata = { ...spec.template.metadata, labels };
  const template = { ...spec.template, metadata };
  const selector = { matchLabels: labels };
  return { ...manifest, spec: { ...spec, manualSelector: true, selector, template } };
}

/** A pod without a Job. */
function lonePod(name: string, labels: Labels, handler = 'wait') {
  const containers = [{ name: 'main', image: handler }];
  const spec = { restartPolicy: 'Never', runtimeClassName: 'handler', containers };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec };
}

function ownersOf({ metadata }: Pod): (string | undefined)[] {
  return (metadata.ownerReferences ?? []).map(({ name }) => name);
}

async function phaseOf(name: string): Promise<string | undefined> {
  return await engine.drover.pods.get(name).then(
    ({ status }) => status?.phase,
    (error: unknown) => {
      if (error instanceof NotFoundError) return 'gone';
      throw error;
    },
  );
}

test('Orphan, then a Job with manualSelector takes the pods over, and is complete with the sum', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const shape = { completions: 6, parallelism: 3, indexed: true };
  const waiting = { waiting: [2, 3, 4] };
  const old = await drover.jobs.create(handlerJob('some-fail', { ...shape, name: 'old' }, waiting));
  await engine.until('old', ({ ready, succeeded }) => ready === 3 && succeeded === 2);
  await drover.jobs.delete('old', { propagationPolicy: 'Orphan' });
  const uid = old.metadata.uid ?? '';
  const labels = { 'controller-uid': uid };
  await waitFor(async () => {
    const left = await drover.pods.list({ labelSelector: `controller-uid=${uid}` });
    return left.length === 5 && left.every((pod) => ownersOf(pod).length === 0);
  });

  await drover.jobs.create(selecting(labels, 'work', { ...shape, name: 'new' }));
  const taken = await engine.until(
    'new',
    ({ active, succeeded }) => active === 3 && succeeded === 2,
  );
  expect(taken.status).toMatchObject({ ready: 3, completedIndexes: '0,1' });
  expect(records.read('new')).toEqual([]);
  const adopted = await drover.pods.list({ job: 'new' });
  expect(adopted.map(ownersOf)).toEqual(Array.from({ length: 5 }, () => ['new']));
  const running = adopted.filter(({ status }) => status.phase === 'Running');
  expect(running.map(({ metadata }) => metadata.finalizers?.length)).toEqual([1, 1, 1]);

  records.go('old');
  const { status } = await engine.finished('new');
  expect(status).toMatchObject({ succeeded: 6, completedIndexes: '0-5' });
  expect(status?.failed ?? 0).toBe(0);
  // Only for what the old Job had not begun was a pod started.
  expect(records.read('new').map(({ index }) => index)).toEqual([5]);

  await drover.jobs.delete('new');
  const keysOf = (one: string) => engine.store.redis.keys(`*${one}*`);
  await waitFor(
    async () => (await drover.pods.list({ labelSelector: `controller-uid=${uid}` })).length === 0,
  );
  // Nothing is left but the marks of purged Jobs.
  await waitFor(async () => (await keysOf(uid)).length === 1);
  await waitFor(async () => (await keysOf(taken.metadata.uid ?? '')).length === 1);
});

test('two Jobs with overlapping selectors and one pod that is nobody’s: one adopts it', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const labels = { app: 'shared' };
  await drover.pods.create(lonePod('between', labels));
  await waitFor(async () => (await phaseOf('between')) === 'Running');
  const shape = { completions: 2, parallelism: 2 };
  const names = ['twin-a', 'twin-b'];
  await Promise.all(
    names.map((name) => drover.jobs.create(selecting(labels, 'wait', { ...shape, name }))),
  );
  await Promise.all(names.map((name) => engine.until(name, ({ ready }) => ready === 2)));
  const [owner] = ownersOf(await drover.pods.get('between'));
  expect(names).toContain(owner);
  const runs = () => names.map((name) => records.read(name).length);
  await waitFor(() => runs().reduce((sum, count) => sum + count, 0) >= 3);
  expect(runs()).toEqual(names.map((name) => (name === owner ? 1 : 2)));
  for (const name of ['between', ...names]) records.go(name);
  const ended = await Promise.all(names.map((name) => engine.finished(name)));
  expect(ended.map(({ status }) => status?.succeeded)).toEqual([2, 2]);
  await drover.jobs.delete(owner!);
  await waitFor(async () => (await phaseOf('between')) === 'gone');
});

test('a pod that comes to be selected is adopted, one that is not any more is let go, and another takes its place', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const [labels, others] = [{ app: 'late' }, { app: 'none' }];
  await drover.pods.create(lonePod('older', others));
  await waitFor(async () => (await phaseOf('older')) === 'Running');
  const shape = { name: 'late', completions: 3, parallelism: 2 };
  await drover.jobs.create(selecting(labels, 'wait', shape));
  await engine.until('late', ({ ready }) => ready === 2);
  await waitFor(() => records.read('late').length === 2);
  const seen: string[] = [];
  const watch = new AbortController();
  const watching = (async () => {
    for await (const { type, pod } of drover.pods.watch({ job: 'late', signal: watch.signal })) {
      if (pod.metadata.name === 'older') seen.push(type);
    }
  })();

  // The youngest of three has to go: it is one of the Job's own.
  await drover.pods.patch('older', { metadata: { labels } });
  const names = async () =>
    (await drover.pods.list({ job: 'late' })).map((pod) => pod.metadata.name);
  await waitFor(async () => (await names()).length === 2 && (await names()).includes('older'));
  await engine.until('late', ({ ready, terminating }) => ready === 2 && terminating === 0);
  expect(records.read('late')).toHaveLength(2);
  await waitFor(() => seen.includes('ADDED'));

  await drover.pods.update('older', (pod) => ({
    ...pod,
    metadata: { ...pod.metadata, labels: others },
  }));
  await waitFor(async () => ownersOf(await drover.pods.get('older')).length === 0);
  await engine.until('late', ({ ready }) => ready === 2);
  await waitFor(() => records.read('late').length === 3);
  expect(await names()).not.toContain('older');
  await waitFor(() => seen.at(-1) === 'DELETED');
  watch.abort();
  await watching;

  // It has ended when it comes back, and counts.
  records.go('older');
  await waitFor(async () => (await phaseOf('older')) === 'Succeeded');
  await drover.pods.patch('older', { metadata: { labels } });
  await engine.until('late', ({ succeeded }) => succeeded === 1);
  records.go('late');
  const { status } = await engine.finished('late');
  expect(status?.succeeded).toBe(3);
  expect(status?.failed ?? 0).toBe(0);
  expect(records.read('late')).toHaveLength(3);
});

test('pods that end while no controller runs are counted once by the next one', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const shape = { completions: 4, parallelism: 4 };
  const old = await drover.jobs.create(handlerJob('wait', { ...shape, name: 'before' }));
  await engine.until('before', ({ ready }) => ready === 4);
  await drover.jobs.delete('before', { propagationPolicy: 'Orphan' });
  const labels = { 'controller-uid': old.metadata.uid ?? '' };
  await drover.jobs.create(selecting(labels, 'wait', { ...shape, name: 'after' }));
  await engine.until('after', ({ ready }) => ready === 4);
  // Not in the middle of a look, whose taking would have to end first: packages/controller tests those.
  const { dueTaken } = engine.store.shardOf('default').keys;
  await waitFor(async () => (await engine.store.redis.hlen(dueTaken)) === 0);
  await controller.kill('SIGKILL');
  records.go('before');
  await waitFor(async () =>
    (await drover.pods.list({ job: 'after' })).every(({ status }) => status.phase === 'Succeeded'),
  );
  expect((await engine.job('after')).status).toMatchObject({ active: 4 });
  controller = await engine.controller();
  const { status } = await engine.finished('after');
  expect(status).toMatchObject({ succeeded: 4 });
  expect(records.read('after')).toEqual([]);
});
