import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { waitFor, type NodeProcess } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { Home, manifest, type RunOptions } from '../drover.ts';

/** Where the engine is. */
let home: Home;
/** Where nothing is known of it: what works there works over the API server. */
let away: Home;
let dev: NodeProcess;
let kubeconfig: string;

beforeAll(async () => {
  [home, away] = await Promise.all([Home.make(), Home.make()]);
  dev = await home.dev(['--max-pods', '4']);
  kubeconfig = join(home.dir, 'data', 'kubeconfig');
});

afterAll(async () => {
  await dev.kill('SIGTERM');
  await Promise.all([home.remove(), away.remove()]);
});

async function remote(args: readonly string[], options: RunOptions = {}) {
  return await away.drover([...args, '--kubeconfig', kubeconfig], options);
}

/** What a kubeconfig says, as the options take it. */
async function parts() {
  const config = parse(await readFile(kubeconfig, 'utf8')) as {
    clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }];
    users: [{ user: { token: string } }];
  };
  const { cluster } = config.clusters[0];
  const authority = Buffer.from(cluster['certificate-authority-data'], 'base64').toString();
  return { server: cluster.server, authority, token: config.users[0].user.token };
}

test('apply, wait, logs, scale, suspend, delete: the life of a Job over the API server', async () => {
  const input = manifest('pi', ['sh', '-c', 'echo 3.14; echo done']);
  expect(await remote(['apply', '-f', '-'], { input })).toEqual({
    code: 0,
    stdout: 'job.batch/pi created\n',
    stderr: '',
  });
  expect(await remote(['wait', 'job/pi', '--for', 'complete', '--timeout', '20s'])).toEqual({
    code: 0,
    stdout: 'job.batch/pi condition met\n',
    stderr: '',
  });
  expect(await remote(['logs', 'job/pi'])).toMatchObject({ stdout: '3.14\ndone\n', stderr: '' });
  expect((await remote(['apply', '-f', '-'], { input })).stdout).toBe('job.batch/pi unchanged\n');
  const held = manifest('held', ['true'], { suspend: true });
  await remote(['apply', '-f', '-'], { input: held });
  const wider = manifest('held', ['true'], { suspend: true, parallelism: 2 });
  const dry = await remote(['apply', '-f', '-', '--dry-run'], { input: wider });
  expect(dry.stdout).toBe('job.batch/held configured (dry run)\n');
  expect((await remote(['apply', '-f', '-'], { input: wider })).stdout).toBe(
    'job.batch/held configured\n',
  );
  expect((await remote(['scale', 'job/held', '--parallelism', '3'])).stdout).toBe(
    'job.batch/held scaled\n',
  );
  expect((await remote(['resume', 'job/held'])).stdout).toBe('job.batch/held resumed\n');
  expect((await remote(['wait', 'job/held', '--for', 'failed', '--timeout', '20s'])).code).toBe(1);
  expect((await remote(['wait', 'job/held', '--for', 'finished', '--timeout', '20s'])).code).toBe(
    0,
  );
  expect((await remote(['delete', 'job/held', 'job/pi'])).stdout).toBe(
    'job.batch "held" deleted\njob.batch "pi" deleted\n',
  );
  expect(await remote(['get', 'job/pi'])).toMatchObject({
    code: 1,
    stderr: 'error: jobs.batch "pi" in namespace "default" not found\n',
  });
}, 60_000);

test('what commands print is the same, whether they ask Redis or the API server', async () => {
  const job = manifest('read', ['sh', '-c', 'echo read'], { completions: 3, parallelism: 3 });
  const waiting = {
    ...(JSON.parse(manifest('waits', ['true'], { parallelism: 1, suspend: true })) as object),
    metadata: { name: 'waits', annotations: { 'drover.dev/work-queue': 'items' } },
  };
  const cronJob = {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'nightly' },
    spec: {
      schedule: '30 2 * * *',
      timeZone: 'Europe/Berlin',
      jobTemplate: { spec: (JSON.parse(job) as { spec: object }).spec },
    },
  };
  const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: { a: 'b' } };
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's' },
    stringData: { key: 'value' },
  };
  await home.drover(['enqueue', 'items', 'one', 'two', '--seal']);
  const documents = [waiting, cronJob, config, secret].map((one) => JSON.stringify(one));
  const input = [job, ...documents].join('\n---\n');
  expect((await remote(['apply', '-f', '-'], { input })).stderr).toBe('');
  expect((await remote(['apply', '-f', '-'], { input })).stdout).toBe(
    ['job.batch/read', 'job.batch/waits', 'cronjob.batch/nightly', 'configmap/c', 'secret/s']
      .map((name) => `${name} unchanged\n`)
      .join(''),
  );
  const made = await remote(['cron', 'trigger', 'nightly', '--job-name', 'by-hand']);
  expect(made.stdout).toBe('job.batch/by-hand created\n');
  for (const name of ['read', 'by-hand']) {
    await remote(['wait', `job/${name}`, '--for', 'finished', '--timeout', '30s']);
  }
  const reads = [
    ['get', 'jobs,cronjobs,configmaps,secrets'],
    ['get', 'pods', '-o', 'wide'],
    ['get', 'jobs', '-A', '-l', 'batch.kubernetes.io/job-name=read', '-o', 'name'],
    ['get', 'job/read', '-o', 'yaml'],
    ['get', 'secret/s', '-o', 'json'],
    ['describe', 'job', 'read'],
    ['describe', 'job', 'waits', '--json'],
    ['describe', 'pods', '-l', 'batch.kubernetes.io/job-name=read'],
    ['describe', 'cronjob/nightly'],
    ['describe', 'configmap/c'],
    ['describe', 'node', 'dev'],
    ['events', '--for', 'job/read'],
    ['cron', 'history', 'nightly'],
    ['cron', 'preview', 'nightly', '-n', '2', '--from', '2026-03-28'],
    ['logs', 'job/read', '--all-pods'],
    ['get', 'jobs', '-n', 'empty'],
    ['get', 'job/none'],
  ];
  for (const args of reads) {
    // Ages may tick over between the two.
    await waitFor(async () => {
      const [overRedis, overServer] = await Promise.all([home.drover(args), remote(args)]);
      expect(overServer, args.join(' ')).toEqual(overRedis);
      return true;
    });
  }
  const complete = (...words: string[]) => ['__complete', '--', 'describe', ...words];
  expect(await away.drover(complete('--kubeconfig', kubeconfig, 'cronjob/'))).toEqual(
    await home.drover(complete('cronjob/')),
  );
}, 120_000);

test('a watch tells what is there and what changes; logs of a pod that is still to start are waited for', async () => {
  const watch = away.start(['get', 'jobs', '-w', '--kubeconfig', kubeconfig]);
  await watch.waitForLine(/^NAME|No resources|./, 20_000).catch(() => undefined);
  const input = manifest('seen', ['sh', '-c', 'echo first; sleep 0.2; echo last'], {
    suspend: true,
  });
  await remote(['apply', '-f', '-'], { input });
  await watch.waitForLine(/^seen +Suspended/, 20_000);
  const logs = away.start(['logs', 'job/seen', '-f', '--kubeconfig', kubeconfig]);
  await remote(['resume', 'job/seen']);
  await watch.waitForLine(/^seen +Complete/, 20_000);
  expect(await logs.exited).toMatchObject({ code: 0 });
  expect(logs.output('stdout')).toBe('first\nlast\n');
  expect(await watch.kill('SIGINT')).toMatchObject({ code: 0 });
}, 60_000);

describe('what goes wrong is told as it is', () => {
  test('by the server: a namespace that there is not, a change that is not allowed, a wrong token', async () => {
    const input = manifest('lost', ['true']);
    expect(await remote(['apply', '-f', '-', '-n', 'nowhere'], { input })).toMatchObject({
      code: 1,
      stderr: 'error: namespaces "nowhere" not found\n',
    });
    await remote(['apply', '-f', '-'], { input: manifest('fixed', ['true'], { completions: 1 }) });
    const change = manifest('fixed', ['true'], { completions: 2 });
    const [refused, same] = [
      await remote(['apply', '-f', '-'], { input: change }),
      await home.drover(['apply', '-f', '-'], { input: change }),
    ];
    expect(refused).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/spec.completions: Invalid value.*immutable/),
    });
    expect(same.code).toBe(2);
    expect(
      await remote(['get', 'jobs', '--token-file', await away.write('token', 'wrong')]),
    ).toEqual({
      code: 3,
      stdout: '',
      stderr: 'error: the API server does not know the token\n',
    });
  }, 30_000);

  test('by the options, and by what can not be reached', async () => {
    const { server, authority, token } = await parts();
    const ca = await away.write('ca.crt', authority);
    const env = { DROVER_TOKEN: token };
    const byParts = ['get', 'jobs', '--server', server, '--certificate-authority', ca];
    expect((await away.drover([...byParts, '-n', 'empty'], { env })).code).toBe(0);
    const byVariables = { ...env, DROVER_SERVER: server, DROVER_CERTIFICATE_AUTHORITY: ca };
    expect((await away.drover(['get', 'jobs', '-n', 'empty'], { env: byVariables })).code).toBe(0);
    const cases = [
      { args: byParts, code: 2, stderr: 'wants a token' },
      {
        args: ['get', 'jobs', '--server', server],
        env,
        code: 3,
        stderr: 'give --certificate-authority',
      },
      {
        args: ['get', 'jobs', '--server', 'https://127.0.0.1:1'],
        env,
        code: 3,
        stderr: 'can not be reached',
      },
      { args: ['get', 'jobs', '--server', 'http://x'], env, code: 2, stderr: 'https is expected' },
      { args: [...byParts, '--redis', 'redis://x'], env, code: 2, stderr: 'exclude each other' },
      {
        args: ['get', 'jobs'],
        env: { ...byVariables, DROVER_REDIS_URL: 'redis://x' },
        code: 2,
        stderr: 'both set',
      },
      { args: ['get', 'jobs', '--token-file', ca], code: 2, stderr: 'add --server' },
      { args: ['get', 'jobs', '--kubeconfig', ca], code: 2, stderr: '--kubeconfig' },
      {
        args: ['get', 'jobs', '--kubeconfig', kubeconfig, '--context', 'x'],
        code: 2,
        stderr: 'it has drover',
      },
      {
        args: ['doctor', '--server', server],
        code: 2,
        stderr: '--server: `drover doctor` needs Redis itself',
      },
      { args: ['queue', 'ls', '--server', server], code: 2, stderr: 'needs Redis itself' },
      { args: ['worker', '--server', server], code: 2, stderr: 'needs Redis itself' },
    ];
    for (const { args, code, stderr, ...options } of cases) {
      const ended = await away.droverHosted(args, options);
      expect(ended, args.join(' ')).toMatchObject({
        code,
        stderr: expect.stringContaining(stderr),
      });
    }
  }, 60_000);
});
