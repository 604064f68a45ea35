/** ResourceQuotas with real processes. No resync comes to anybody's help: it is longer than the tests. */
import { ForbiddenError } from '@drover/sdk';
import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';

import { Engine, QUICK } from './support/engine.ts';
import { handlerJob } from './support/manifests.ts';
import { mostAtOnce } from './support/records.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.open({ settings: { ...QUICK, resyncMs: 600_000 } });
  await Promise.all([engine.controller(), engine.worker({ maxPods: 20 })]);
}, 60_000);
afterAll(() => engine.close());

async function setQuota(hard: Record<string, string>): Promise<void> {
  await engine.drover.resourceQuotas.apply({ metadata: { name: 'small' }, spec: { hard } });
}

async function denials(job: string): Promise<string[]> {
  return await waitFor(async () => {
    const events = await engine.drover.events.list({ about: { kind: 'Job', name: job } });
    const told = events.filter(({ reason }) => reason === 'FailedCreate');
    return told.length > 0 ? told.map(({ message }) => message) : null;
  });
}

async function used(): Promise<Readonly<Record<string, string>> | undefined> {
  return (await engine.drover.resourceQuotas.get('small')).status?.used;
}

test('two Jobs share a quota of pods: never more at once, and both come to their end', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  await setQuota({ pods: '3', 'count/jobs.batch': '2' });
  const shape = { completions: 9, parallelism: 5, indexed: true };
  for (const name of ['left', 'right']) {
    await drover.jobs.create(handlerJob('work', { ...shape, name }, { ms: 50 }));
  }
  const refused = drover.jobs.create(handlerJob('work', { name: 'third' }));
  await expect(refused).rejects.toThrow(ForbiddenError);
  await expect(refused).rejects.toThrow(
    'jobs.batch "third" is forbidden: exceeded quota: small, requested: count/jobs.batch=1, used: count/jobs.batch=2, limited: count/jobs.batch=2',
  );
  await Promise.all([engine.finished('left'), engine.finished('right')]);
  expect(mostAtOnce([...records.read('left'), ...records.read('right')])).toBe(3);
  const [denial] = await denials('left');
  expect(denial).toMatch(
    /^Error creating: pods "left-\w{5}" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3$/,
  );
  await waitFor(async () => (await used())?.['pods'] === '0');
}, 60_000);

test('a quota of cpu: a Job goes on when it is raised, and when it is gone', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  await setQuota({ 'requests.cpu': '1' });
  const resources = { requests: { cpu: '600m' } };
  const shape = { name: 'cpu', completions: 3, parallelism: 3, pod: { resources } };
  await drover.jobs.create(handlerJob('wait', shape));
  await engine.until('cpu', ({ ready }) => ready === 1);
  const [denial] = await denials('cpu');
  expect(denial).toMatch(
    /exceeded quota: small, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1$/,
  );
  // What it is told in words is what the scripts decided.
  const waits = async (job: string) =>
    (await drover.jobs.whyWaiting(job)).map((one) => one.message);
  expect(await waits('cpu')).toContain(
    `further pods wait for quota: ${denial?.replace(/^.* is forbidden: /, '')}`,
  );
  await drover.jobs.create(handlerJob('work', { name: 'modest' }));
  expect((await denials('modest'))[0]).toMatch(
    /failed quota: small: must specify requests.cpu for: main$/,
  );
  expect(await waits('modest')).toContain(
    'further pods wait for quota: failed quota: small: must specify requests.cpu for: main',
  );
  await setQuota({ 'requests.cpu': '1200m' });
  await engine.until('cpu', ({ ready }) => ready === 2);
  expect(await used()).toEqual({ 'requests.cpu': '1200m' });
  await drover.resourceQuotas.delete('small');
  await engine.until('cpu', ({ ready }) => ready === 3);
  expect(await waits('cpu')).toEqual([]);
  await engine.finished('modest');

  // What runs when a quota comes counts.
  await setQuota({ pods: '3' });
  await waitFor(async () => (await used())?.['pods'] === '3');
  const pod = {
    metadata: { name: 'alone' },
    spec: {
      restartPolicy: 'Never',
      runtimeClassName: 'handler',
      containers: [{ name: 'main', image: 'noop' }],
    },
  };
  await expect(drover.pods.create(pod)).rejects.toThrow(
    'pods "alone" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3',
  );
  records.go('cpu');
  await engine.finished('cpu');
  await waitFor(async () => (await used())?.['pods'] === '0');
  await drover.pods.create(pod);
  await waitFor(async () => (await drover.pods.get('alone')).status.phase === 'Succeeded');
  await waitFor(async () => (await used())?.['pods'] === '0');
}, 60_000);
