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
  expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
}, 60_000);

test('what it can not use is told before it starts', async () => {
  const short = await home.write('short', 'x');
  const args = ['server', '--redis', redis.url, '--port', '0'];
  const badToken = await home.drover([...args, '--token-file', short]);
  expect(badToken).toMatchObject({ code: 2, stderr: expect.stringContaining('at least 16') });
  const half = await home.drover([...args, '--tls-cert', short]);
  expect(half).toMatchObject({ code: 2, stderr: expect.stringContaining('go together') });
  const taken = await home.drover(['server', '--redis', redis.url, '--port', String(redis.port)]);
  expect(taken).toMatchObject({ code: 2, stderr: expect.stringContaining('something else does') });
}, 60_000);
