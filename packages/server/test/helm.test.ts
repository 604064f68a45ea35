import { mkdir } from 'node:fs/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { ServerBed } from './bed.ts';

let bed: ServerBed;
beforeAll(async () => {
  bed = await ServerBed.start();
}, 60_000);
afterAll(async () => await bed.stop());

function job(name: string, annotations: object = {}) {
  const container = { name: 'main', command: ['true'] };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, annotations },
    spec: { template: { spec: { restartPolicy: 'Never', containers: [container] } } },
  };
}

async function helm(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await bed.helm(args);
  expect(code, stderr).toBe(0);
  return stdout;
}

test('a chart with a Job, a hook Job and a ConfigMap is installed, upgraded and uninstalled', async () => {
  await mkdir(bed.path('chart/templates'), { recursive: true });
  await bed.write('chart/Chart.yaml', { apiVersion: 'v2', name: 'demo', version: '0.1.0' });
  const map = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'settings' },
    data: { a: '1' },
  };
  await bed.write('chart/templates/map.yaml', map);
  await bed.write('chart/templates/job.yaml', job('work'));
  const hook = { 'helm.sh/hook': 'post-install', 'helm.sh/hook-delete-policy': 'hook-succeeded' };
  await bed.write('chart/templates/hook.yaml', job('hook', hook));
  // It waits for the Jobs, and keeps what it did in Secrets, which it sends as protobuf.
  const options = ['--timeout', '30s'];
  await helm('install', 'demo', bed.path('chart'), ...options, '--wait-for-jobs');
  expect(await helm('list', '--short')).toBe('demo\n');
  const jobs = await bed.drover.jobs.list();
  expect(jobs.map(({ metadata }) => metadata.name)).toEqual(['work']);
  await bed.write('chart/templates/map.yaml', { ...map, data: { a: '2' } });
  await helm('upgrade', 'demo', bed.path('chart'), ...options);
  expect((await bed.drover.configMaps.get('settings')).data).toEqual({ a: '2' });
  await helm('uninstall', 'demo', '--timeout', '30s');
  expect(await bed.drover.jobs.list()).toEqual([]);
  expect(await bed.drover.configMaps.list()).toEqual([]);
});
