import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { startRedis, type TestRedis, waitFor } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { HealthFile, readHealth } from '../src/health.ts';
import { type Ended, Home } from './drover.ts';

let home: Home;

beforeAll(async () => {
  home = await Home.make();
});

afterAll(async () => {
  await home.remove();
});

/** Asks as a container's health check does. */
function health(file: string): Promise<Ended> {
  return home.drover(['health'], { env: { DROVER_HEALTH_FILE: file } });
}

async function until(file: string, want: RegExp): Promise<void> {
  await waitFor(async () => want.test((await readHealth(file, Date.now())).message), {
    timeoutMs: 15_000,
    describe: String(want),
  });
}

describe('a service with --health-file', () => {
  let redis: TestRedis;

  beforeAll(async () => {
    redis = await startRedis({ appendOnly: true });
  });

  afterAll(async () => {
    await redis.stop();
  });

  const cases = [
    { name: 'worker', well: /^healthy: worker w-1 takes pods\n$/, args: ['--name', 'w-1'] },
    { name: 'controller', well: /^healthy: Redis answers\n$/, args: [] },
  ];

  test.each(cases)('$name: well while it runs', async ({ name, well, args }) => {
    const file = join(home.dir, name);
    const flags = ['--health-file', file, '--redis', redis.url, '--log-level', 'silent'];
    const service = home.start([name, ...args, ...flags]);
    await until(file, /takes pods|answers/);
    expect(await health(file)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(well) as string,
    });

    expect(await service.kill('SIGTERM')).toMatchObject({ code: 0 });
    expect(await health(file)).toMatchObject({
      code: 1,
      stdout: `unhealthy: ${file}: no service writes it\n`,
    });
  });

  test('one that was killed, or hangs, is known by its silence', async () => {
    const file = join(home.dir, 'killed');
    const flags = ['--health-file', file, '--redis', redis.url, '--log-level', 'silent'];
    const service = home.start(['controller', ...flags]);
    await until(file, /answers/);
    await service.kill('SIGKILL');
    expect(await readHealth(file, Date.now() + 30_000)).toEqual({
      healthy: false,
      message: expect.stringMatching(/^nothing heard for \d+ s; last: Redis answers/) as string,
    });
  });

  test('one without Redis is not well until Redis is back', async () => {
    const path = join(home.dir, 'outage');
    const client = redis.connect();
    const check = async (): Promise<string> => await client.ping();
    const file = await HealthFile.start({ path, check, intervalMs: 100 });
    await until(path, /PONG/);
    await redis.kill();
    await until(path, /Redis does not answer/);
    await redis.restart();
    await until(path, /PONG/);
    await file.close();
  });
});

describe('bad input', () => {
  test('no file is named', async () => {
    const ended = await home.drover(['health']);
    expect(ended).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--health-file PATH/) as string,
    });
  });

  test('a file that can not be written', async () => {
    const redis = await startRedis();
    await mkdir(join(home.dir, 'folder'));
    const flags = ['--health-file', 'folder', '--redis', redis.url, '--log-level', 'silent'];
    const ended = await home.drover(['controller', ...flags]);
    await redis.stop();
    expect(ended).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^error: --health-file folder: EISDIR/) as string,
    });
  });

  test('a file that is something else', async () => {
    const file = await home.write('other', 'hello\n');
    expect(await health(file)).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^unhealthy: \S+other: Unexpected token/) as string,
    });
  });
});
