import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { kubernetesPrograms, startRedis, type TestRedis } from '@drover/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Home } from './drover.ts';

let home: Home;
let redis: TestRedis;
beforeAll(async () => {
  [home, redis] = await Promise.all([Home.make(), startRedis()]);
});
afterAll(async () => {
  await Promise.all([home.remove(), redis.stop()]);
});

test('drover server writes a kubeconfig that works, and ends at a signal', async () => {
  const token = await home.write('token', 'a-token-of-the-test\n');
  const args = [
    'server',
    '--redis',
    redis.url,
    '--port',
    '0',
    '--data-dir',
    join(home.dir, 'data'),
  ];
  const server = home.start([...args, '--server-name', 'localhost', '--token-file', token]);
  await server.waitForLine(/the API server is ready: https:\/\/localhost:\d+/, 30_000);
  const { kubectl } = await kubernetesPrograms();
  const kubeconfig = join(home.dir, 'data', 'kubeconfig');
  const run = (...more: string[]) =>
    promisify(execFile)(kubectl, ['--kubeconfig', kubeconfig, 'auth', 'whoami', ...more]);
  expect((await run()).stdout).toContain('drover-admin');
  await expect(run('--token', 'another')).rejects.toThrow('Unauthorized');
  const engine = ['--redis', redis.url];
  const made = await home.drover(['token', 'create', 'ci', '--role', 'view:team-a', ...engine]);
  expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^drover_ci_[\w-]{43}\n$/) });
  const [whoami, list] = await Promise.all([
    run('--token', made.stdout.trim()),
    home.drover(['token', 'list', ...engine]),
  ]);
  expect(whoami.stdout).toMatch(/ci\n/);
  expect(list.stdout).toMatch(/^NAME +ROLES +AGE +EXPIRES\nci +view:team-a +\d+s +<never>\n$/);
  expect(await home.drover(['token', 'revoke', 'ci', 'co', ...engine])).toMatchObject({
    code: 1,
    stdout: 'token/ci revoked\n',
    stderr: 'error: tokens "co" not found\n',
  });
  expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
}, 60_000);

test('what it can not use is told before it starts', async () => {
  const short = await home.write('short', 'x');
  const args = ['server', '--redis', redis.url, '--port', '0'];
  const tokens = await home.write('tokens.yaml', 'tokens: [{ name: A, hash: x, roles: [all] }]');
  const [badToken, half, badTokens, missing, taken] = await Promise.all([
    home.drover([...args, '--token-file', short]),
    home.drover([...args, '--tls-cert', short]),
    home.drover([...args, '--tokens', tokens]),
    home.drover([...args, '--tokens', `${tokens}.not`]),
    home.drover(['server', '--redis', redis.url, '--port', String(redis.port)]),
  ]);
  expect(badToken).toMatchObject({ code: 2, stderr: expect.stringContaining('at least 16') });
  expect(half).toMatchObject({ code: 2, stderr: expect.stringContaining('go together') });
  expect(badTokens.code).toBe(2);
  for (const path of ['tokens[0].name', 'tokens[0].hash', 'tokens[0].roles[0]']) {
    expect(badTokens.stderr).toContain(path);
  }
  expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('--tokens') });
  expect(taken).toMatchObject({ code: 2, stderr: expect.stringContaining('something else does') });
}, 60_000);
