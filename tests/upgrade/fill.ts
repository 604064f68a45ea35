/**
 * Fills a Redis with the state of an installation in the middle of its work, and kills its processes:
 * `node fill.ts REDIS_URL PREFIX FOLDER`. Run by makeFixture.ts with the packages of an older version, so it uses only
 * what was there then.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Drover, type Job, type JobManifest } from '@drover/sdk';
import { Store } from '@drover/store';
import { spawnNode, waitFor, type NodeProcess } from '@drover/testkit';
import { Redis } from 'ioredis';

import { handlerJob, type JobShape } from '../integration/support/manifests.ts';

const [url = '', prefix = '', folder = ''] = process.argv.slice(2);
const fixture = (name: string): string =>
  fileURLToPath(new URL(`../integration/fixtures/${name}`, import.meta.url));
/** Leases short enough for tests; those who use the fixture live with them. */
const settings = {
  leaseTtlMs: 2_000,
  heartbeatMs: 400,
  slotLockMs: 3_000,
  slotStalledMs: 1_000,
  resyncMs: 5_000,
};

const redis = new Redis(url);
await Store.open({ redis, prefix, settings });
const drover = new Drover({
  connection: url,
  prefix,
  secretKeyFile: join(folder, 'secret.key'),
});

const common = { url, prefix };
const controller = spawnNode(fixture('controllerProcess.ts'), [
  JSON.stringify({ ...common, backoffBaseMs: 50, backoffCapMs: 100 }),
]);
const worker = spawnNode(fixture('workerProcess.ts'), [
  JSON.stringify({
    ...common,
    name: 'older-worker',
    folder,
    runtimes: ['handler', 'process'],
    maxPods: 20,
    cpu: '8',
    memory: '8Gi',
  }),
]);
await controller.waitForLine(/controller runs/, 60_000);
await worker.waitForLine(/worker is ready/, 60_000);

/** A Job whose pods request something. */
function requesting(manifest: JobManifest): JobManifest {
  const { template } = manifest.spec as { template: { spec: { containers: object[] } } };
  const resources = { requests: { cpu: '100m', memory: '16Mi' } };
  Object.assign(template.spec.containers[0]!, { resources });
  return manifest;
}

/** Creates one, and waits until its status is so. */
async function job(
  handler: string,
  shape: JobShape,
  input: object,
  isSo: (status: NonNullable<Job['status']>) => boolean,
): Promise<void> {
  await drover.jobs.create(requesting(handlerJob(handler, shape, input)));
  await until(shape.name, isSo);
}

async function until(
  name: string,
  isSo: (status: NonNullable<Job['status']>) => boolean,
): Promise<void> {
  let last: Job['status'];
  await waitFor(
    async () => {
      last = (await drover.jobs.get(name)).status ?? {};
      return isSo(last);
    },
    { timeoutMs: 30_000, describe: () => ({ name, last }) },
  );
}

const indexed = { indexed: true, parallelism: 3 };
await drover.configMaps.create({ metadata: { name: 'settings' }, data: { colour: 'green' } });
await drover.secrets.create({ metadata: { name: 'door' }, stringData: { key: 'open sesame' } });

await job(
  'work',
  { name: 'done', completions: 3, ...indexed },
  {},
  ({ succeeded }) => succeeded === 3,
);
await job('fail', { name: 'failed', backoffLimit: 0 }, {}, ({ conditions = [] }) =>
  conditions.some(({ type }) => type === 'Failed'),
);
// Index 1 has failed twice, 2 and 4 run, the others are done.
await job(
  'some-fail',
  { name: 'indexed', completions: 6, backoffLimitPerIndex: 1, ...indexed },
  { failing: [1], waiting: [2, 4] },
  ({ succeeded, failed, active }) => succeeded === 3 && failed === 2 && active === 2,
);
await job(
  'wait',
  { name: 'plain', completions: 3, parallelism: 2 },
  {},
  ({ active }) => active === 2,
);
await job(
  'some-fail',
  { name: 'suspended', completions: 4, ...indexed },
  { waiting: [2, 3] },
  ({ succeeded, active }) => succeeded === 2 && active === 2,
);
await drover.jobs.suspend('suspended');
await until('suspended', ({ active = 0, terminating = 0 }) => active === 0 && terminating === 0);
// Of each index the first pod fails.
await job(
  'flaky',
  { name: 'retried', completions: 2, ...indexed },
  {},
  ({ succeeded }) => succeeded === 2,
);
await job(
  'wait',
  { name: 'elsewhere', pod: { nodeSelector: { 'drover.dev/pool': 'elsewhere' } } },
  {},
  ({ active }) => active === 1,
);
await job('talk', { name: 'talking' }, {}, ({ active }) => active === 1);
await drover.pods.create({
  metadata: { name: 'alone' },
  spec: {
    restartPolicy: 'Never',
    runtimeClassName: 'handler',
    containers: [{ name: 'main', image: 'wait' }],
  },
});
await drover.cronJobs.create({
  metadata: { name: 'leap' },
  spec: {
    schedule: '0 0 29 2 *',
    startingDeadlineSeconds: 60,
    jobTemplate: { spec: handlerJob('work', { name: 'any' }).spec },
  },
});

// Of eight items five are settled (one of them dead), two are with pods, and one comes later.
const letters = drover.workQueue('letters');
await letters.enqueue([1, 2, 3, 4].map(() => ({ ms: 1 })));
await letters.enqueue([{ failures: 9 }], { attempts: 1 });
await letters.enqueue([{ ms: 2_000 }, { ms: 2_000 }]);
await letters.enqueue([{ ms: 1 }], { delay: 3_600_000 });
await drover.jobs.create({
  ...requesting(handlerJob('take', { name: 'readers', completions: null, parallelism: 2 })),
  metadata: { name: 'readers', annotations: { 'drover.dev/work-queue': 'letters' } },
});
await waitFor(
  async () => {
    const { completed, dead } = await letters.stats();
    return completed === 4 && dead === 1;
  },
  { timeoutMs: 30_000 },
);
// Deleted, while a pod of it does not end.
await job('ignore-signal', { name: 'deleted' }, {}, ({ active }) => active === 1);
await waitFor(async () => {
  const pods = await drover.pods.list();
  const running = pods
    .filter(({ status }) => status?.phase === 'Running')
    .map((pod) => pod.metadata.name);
  return running.includes('alone') && running.some((name) => name.startsWith('talking-'));
});
await drover.jobs.delete('deleted');

const kill = async (of: NodeProcess): Promise<unknown> => await of.kill('SIGKILL');
await Promise.all([kill(controller), kill(worker)]);
// Traces in logs name paths of this machine.
const talking = (await drover.jobs.get('talking')).metadata.uid ?? '';
for (const key of await redis.keys(`{${prefix}:log:*`)) {
  if (!key.includes(talking)) await redis.del(key);
}
await drover.close();
redis.disconnect();
