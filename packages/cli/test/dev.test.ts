import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { isAlive, kubernetesPrograms, waitFor, type NodeProcess } from '@drover/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { Home, manifest } from './drover.ts';

let home: Home;
let dev: NodeProcess | null = null;

beforeEach(async () => {
  home = await Home.make();
});

afterEach(async () => {
  if (dev !== null && !dev.isOver) await dev.kill('SIGTERM');
  dev = null;
  await home.remove();
});

/** Process id of the first worker. */
async function workerPid(): Promise<number> {
  const { stdout } = await home.drover(['get', 'nodes', '-o', 'json']);
  const list = JSON.parse(stdout) as {
    items: { metadata: { annotations: Record<string, string> } }[];
  };
  return Number(list.items[0]?.metadata.annotations['drover.dev/pid']);
}

/** Process id of the private redis-server, as it says itself. */
async function redisPid(): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  const { Redis } = await import('ioredis');
  const context = await readFile(join(home.dir, 'drover', 'dev.json'), 'utf8');
  const redis = new Redis((JSON.parse(context) as { redisUrl: string }).redisUrl);
  const info = await redis.info('server');
  redis.disconnect();
  return Number(/process_id:(\d+)/.exec(info)?.[1]);
}

test('kill -9 leaves nothing behind, and the next start goes on with its Jobs', async () => {
  dev = await home.dev();
  const pids = [await workerPid(), await redisPid()];
  await home.drover(['apply', '-f', '-'], { input: manifest('kept', ['true'], { suspend: true }) });
  await dev.kill('SIGKILL');
  await waitFor(() => pids.every((pid) => !isAlive(pid)), {
    timeoutMs: 15_000,
    describe: 'worker and redis-server have ended',
  });

  // The context of a process that is gone is no engine.
  expect((await home.drover(['get', 'jobs'])).code).toBe(3);
  dev = await home.dev();
  expect((await home.drover(['get', 'jobs', '-o', 'name'])).stdout).toBe('job.batch/kept\n');
  await home.drover(['resume', 'kept']);
  const wait = await home.drover(['wait', 'kept', '--for', 'complete', '--timeout', '20s']);
  expect(wait.code).toBe(0);
}, 90_000);

test('a worker that was killed is started again', async () => {
  dev = await home.dev();
  const first = await workerPid();
  process.kill(first, 'SIGKILL');
  await waitFor(async () => (await workerPid()) !== first, { timeoutMs: 20_000 });
}, 60_000);

test('SIGINT stops all of it and removes the context; until then kubectl works', async () => {
  const kubeconfig = join(home.dir, 'made', 'kubeconfig');
  // Any ports that are free.
  dev = await home.dev(['--port', '0', '--redis-port', '0', '--kubeconfig', kubeconfig]);
  const { kubectl } = await kubernetesPrograms();
  const nodes = await promisify(execFile)(kubectl, [
    '--kubeconfig',
    kubeconfig,
    'get',
    'nodes',
    '-o',
    'name',
  ]);
  expect(nodes.stdout).toBe('node/dev-1\n');
  const pids = [await workerPid(), await redisPid()];
  expect(await dev.kill('SIGINT')).toEqual({ code: 0, signal: null });
  expect(pids.filter(isAlive)).toEqual([]);
  expect((await home.drover(['get', 'jobs'])).code).toBe(3);
  // An end that was asked for is nothing to warn of.
  expect(dev.output('stderr')).toBe('');
}, 60_000);

test('handlers that can not be loaded end it with 2 and the reason', async () => {
  const file = await home.write('broken.mjs', 'export const a = ;');
  const data = await mkdtemp(join(home.dir, 'data-'));
  const ended = await home.drover(['dev', '--data-dir', data, '--handlers', file]);
  expect(ended.code).toBe(2);
  expect(ended.stderr).toMatch(/^error: --handlers .*broken\.mjs: Unexpected token/m);
  const empty = await home.write('empty.mjs', 'export const a = 1;');
  expect((await home.drover(['worker', '--handlers', empty])).stderr).toBe(
    `error: --handlers ${empty}: exports nothing that defineHandler made\n`,
  );
}, 60_000);

test('the password of its Redis is in no argument and no environment of a worker', async () => {
  dev = await home.dev();
  const { readFile } = await import('node:fs/promises');
  const pid = await workerPid();
  const password = (await readFile(join(home.dir, 'data', 'password'), 'utf8')).trim();
  expect(password).toHaveLength(32);
  for (const file of ['cmdline', 'environ']) {
    // Only Linux has /proc.
    const text = await readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
    expect(text).not.toContain(password);
  }
}, 60_000);
