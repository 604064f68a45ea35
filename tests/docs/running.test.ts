/** Rows of docs/semantics.md about Jobs that run, which no other test shows. */
import {
  createController,
  createWorker,
  defineHandler,
  Drover,
  type Controller,
  type DroverWorker,
  type HandlerDefinition,
} from '@drover/sdk';
import { startRedis, uniquePrefix, waitFor, type TestRedis } from '@drover/testkit';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

const logger = pino({ level: 'silent' });

let server: TestRedis;
let prefix: string;
let drover: Drover;
let controller: Controller;
let workers: DroverWorker[];

beforeAll(async () => {
  server = await startRedis();
});

beforeEach(() => {
  prefix = uniquePrefix();
  workers = [];
  drover = new Drover({ connection: server.url, prefix });
  controller = createController({ connection: server.url, prefix, backoffBaseMs: 1, logger });
  controller.run().catch(() => {});
});

afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.close({ force: true })));
  await controller.close();
  await drover.close();
});

afterAll(async () => {
  await server.stop();
});

/** A worker that takes pods of a pool. */
async function startWorker(name: string, pool: string, handler: HandlerDefinition): Promise<void> {
  const worker = createWorker({
    connection: server.url,
    prefix,
    name,
    pool,
    handlers: [handler],
    logger,
  });
  workers.push(worker);
  worker.run().catch(() => {});
  await worker.ready();
}

/** A Job of the handler `work`. */
function manifest(name: string, spec: object, podSpec: object = {}): Record<string, unknown> {
  const containers = [{ name: 'main', image: 'work' }];
  const pod = { runtimeClassName: 'handler', restartPolicy: 'Never', containers, ...podSpec };
  return { metadata: { name }, spec: { ...spec, template: { spec: pod } } };
}

test('an index that is to be tried again goes before those that were not tried yet', async () => {
  const tried: (number | null)[] = [];
  const handler = defineHandler('work', ({ index }) => {
    tried.push(index);
    if (index === 0 && tried.length === 1) throw new Error('once');
  });
  await startWorker('node-1', 'default', handler);
  await drover.jobs.create(manifest('indexed', { completions: 3, completionMode: 'Indexed' }));
  const job = await drover.jobs.wait('indexed', { for: 'complete' });
  expect(tried).toEqual([0, 0, 1, 2]);
  expect(job.status).toMatchObject({ succeeded: 3, failed: 1, completedIndexes: '0-2' });
});

test('a pod that has not ended shows the finalizer of its Job', async () => {
  const finalizers = ['batch.kubernetes.io/job-tracking'];
  await drover.jobs.create(manifest('tracked', {}));
  const [pending] = await waitFor(async () => {
    const pods = await drover.pods.list({ job: 'tracked' });
    return pods.length === 1 && pods;
  });
  expect(pending?.metadata.finalizers).toEqual(finalizers);
  await startWorker(
    'node-1',
    'default',
    defineHandler('work', () => {}),
  );
  await drover.jobs.wait('tracked', { for: 'complete' });
  const [ended] = await drover.pods.list({ job: 'tracked' });
  expect(ended?.metadata).not.toHaveProperty('finalizers');
});

test('a Job runs in the pool that it names, and nowhere else', async () => {
  const handler = defineHandler('work', () => {});
  await startWorker('plain', 'default', handler);
  const nodeSelector = { 'drover.dev/pool': 'gpu' };
  await drover.jobs.create(manifest('picky', {}, { nodeSelector }));
  await drover.jobs.create(manifest('any', {}));
  await drover.jobs.wait('any', { for: 'complete' });
  const [waiting] = await waitFor(async () => {
    const pods = await drover.pods.list({ job: 'picky' });
    return pods.length === 1 && pods;
  });
  expect(waiting?.status).toMatchObject({ phase: 'Pending' });

  await startWorker('gpu-1', 'gpu', handler);
  await drover.jobs.wait('picky', { for: 'complete' });
  const [ended] = await drover.pods.list({ job: 'picky' });
  expect(ended?.spec.nodeName).toBe('gpu-1');
});

test('a suspended Job may choose another pool in the update that resumes it', async () => {
  await startWorker(
    'gpu-1',
    'gpu',
    defineHandler('work', () => {}),
  );
  await drover.jobs.create(manifest('movable', { suspend: true }));
  await drover.jobs.patch('movable', {
    spec: {
      suspend: false,
      template: { spec: { nodeSelector: { 'drover.dev/pool': 'gpu' } } },
    },
  });
  await drover.jobs.wait('movable', { for: 'complete' });
  const [pod] = await drover.pods.list({ job: 'movable' });
  expect(pod?.spec.nodeName).toBe('gpu-1');
});
