/** What an older layout of keys holds in the middle of its work is brought to this one, and goes on to its end. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { SECRET_KEY_VARIABLE } from '@drover/store';
import { waitFor } from '@drover/testkit';
import { expect, test, vi } from 'vitest';

import { Engine } from '../integration/support/engine.ts';
import { restoreInstallation } from './fixtureFile.ts';

const DROVER = fileURLToPath(new URL('../../packages/cli/bin/drover.js', import.meta.url));
const FIXTURE = new URL('fixtures/layout-2.jsonl', import.meta.url);
const SECRET_KEY = fileURLToPath(new URL('fixtures/secret.key', import.meta.url));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function drover(url: string, prefix: string, ...args: string[]): Promise<Ended> {
  const all = [DROVER, ...args, '--redis', url, '--prefix', prefix];
  const env = { ...process.env, NO_COLOR: '1' };
  const [result] = await Promise.allSettled([promisify(execFile)(process.execPath, all, { env })]);
  return result.status === 'fulfilled' ? { code: 0, ...result.value } : (result.reason as Ended);
}

test('Jobs, work queues and all else of layout 2 are there after `drover migrate`, and end with the right figures', async () => {
  vi.stubEnv(SECRET_KEY_VARIABLE, SECRET_KEY);
  await using engine = await Engine.forTest({
    redis: { topology: 'server' },
    settings: {},
    prepare: async (server, prefix) => {
      const { url } = server;
      const { layoutVersion } = await restoreInstallation(server.connect(), prefix, FIXTURE);
      expect(layoutVersion).toBe(2);
      const done = await drover(url, prefix, 'migrate');
      expect(done).toMatchObject({ code: 0, stderr: '' });
      expect(done.stdout).toMatch(/^layout version 2 to 3 .*; Jobs: 10$/m);
      expect(done.stdout).toMatch(/^the keys have layout version 3 now$/m);
    },
  });
  const { drover: client, records } = engine;
  // Older Jobs count for a quota of now from the beginning, with what their pods take.
  await client.resourceQuotas.create({
    metadata: { name: 'all' },
    spec: { hard: { 'requests.cpu': '100' } },
  });
  expect((await client.jobs.list()).length).toBe(9);
  await Promise.all([
    engine.controller({ backoffBaseMs: 20, backoffCapMs: 50 }),
    engine.worker({ pool: 'elsewhere', handlers: ['wait'] }),
    engine.worker({ maxPods: 20 }),
  ]);
  await waitFor(async () => {
    const { used } = (await client.resourceQuotas.get('all')).status ?? {};
    return used?.['requests.cpu'] !== undefined && used['requests.cpu'] !== '0';
  });

  for (const name of ['indexed', 'plain', 'suspended', 'elsewhere', 'talking']) records.go(name);
  await client.jobs.resume('suspended');
  await client.workQueue('letters').seal();
  await client.workQueue('letters').clear();
  const ended = async (name: string) => (await engine.finished(name)).status;
  // Two pods of the worker that was killed count as failed, beside the two failures of index 1.
  expect(await ended('indexed')).toMatchObject({
    succeeded: 5,
    failed: 4,
    completedIndexes: '0,2-5',
    failedIndexes: '1',
  });
  expect(await ended('plain')).toMatchObject({ succeeded: 3, failed: 2 });
  expect(await ended('suspended')).toMatchObject({ succeeded: 4, completedIndexes: '0-3' });
  expect(await ended('elsewhere')).toMatchObject({ succeeded: 1 });
  expect(await ended('talking')).toMatchObject({ succeeded: 1, failed: 1 });
  expect(await ended('readers')).toMatchObject({ failed: 2 });
  expect(await ended('done')).toMatchObject({ succeeded: 3, completedIndexes: '0-2' });
  expect(await ended('failed')).toMatchObject({ failed: 1 });
  expect(await ended('retried')).toMatchObject({ succeeded: 2, failed: 2 });
  expect(await client.workQueue('letters').stats()).toMatchObject({ completed: 6, dead: 1 });
  const secret = await client.secrets.get('door');
  expect(Buffer.from(secret.data?.['key'] ?? '', 'base64').toString()).toBe('open sesame');
  expect((await client.configMaps.get('settings')).data).toEqual({ colour: 'green' });
  expect((await client.cronJobs.get('leap')).spec.schedule).toBe('0 0 29 2 *');

  const looked = await drover(engine.redis.url, engine.prefix, 'doctor', '--json');
  const { findings } = JSON.parse(looked.stdout) as { findings: { level: string }[] };
  expect(findings.filter(({ level }) => level === 'problem')).toEqual([]);
}, 120_000);
