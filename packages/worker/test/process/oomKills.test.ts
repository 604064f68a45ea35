import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { OomKills } from '../../src/process/oomKills.ts';
import { Workers } from '../support/workers.ts';

describe('kills for lack of memory', () => {
  test('a count that has risen is a kill, once for each', () => {
    let count = 7;
    const kills = new OomKills(() => count);
    expect(kills.hasKilled()).toBe(false);
    count = 9;
    expect(kills.hasKilled()).toBe(true);
    expect(kills.hasKilled()).toBe(true);
    expect(kills.hasKilled()).toBe(false);
  });

  test('a kill between a start and its end is not forgotten by another start', () => {
    let count = 0;
    const kills = new OomKills(() => count);
    count = 1;
    kills.noteStart();
    expect(kills.hasKilled()).toBe(true);
  });

  test('where the kernel does not say, nothing was', () => {
    const kills = new OomKills(() => null);
    kills.noteStart();
    expect(kills.hasKilled()).toBe(false);
  });
});

function ownGroup(): string {
  try {
    return /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}

/** Makes a group whose processes may take 16 MiB; null where this user can not. */
function makeMemoryGroup(): string | null {
  const name = `drover-test-${process.pid}`;
  const limit = String(16 * 1024 * 1024);
  for (const [root, file] of [
    ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes'],
    // Below the worker's own: kills elsewhere are not its.
    [join('/sys/fs/cgroup', ownGroup()), 'memory.max'],
  ] as const) {
    const group = join(root, name);
    try {
      mkdirSync(group);
    } catch {
      continue;
    }
    if (existsSync(join(group, file))) {
      writeFileSync(join(group, file), limit);
      return group;
    }
    rmdirSync(group);
  }
  return null;
}

describe('a program that takes more memory than it may', () => {
  let workers: Workers;
  let group: string | null;

  beforeAll(async () => {
    workers = await Workers.start();
    group = makeMemoryGroup();
  });

  afterEach(() => workers.clear());

  afterAll(async () => {
    if (group !== null) rmdirSync(group);
    await workers.stop();
  });

  async function endOf(script: string) {
    const engine = await workers.engine();
    await workers.worker(engine, { runtimes: ['process'] });
    const uid = await engine.createJob({ run: ['/bin/sh', '-c', script] });
    await engine.offer(uid, 1);
    return await waitFor(() => engine.endedPod(uid));
  }

  test('is OOMKilled', async ({ skip }) => {
    if (group === null) skip('this user can make no group of processes with a limit of memory');
    // tail keeps what it reads until there is a newline, and there is none.
    const end = await endOf(`echo $$$$ > ${group}/cgroup.procs && exec tail /dev/zero`);
    expect(end).toMatchObject({
      outcome: 'Failed',
      exitCode: 137,
      reason: 'OOMKilled',
      overlay: { signal: 'SIGKILL' },
    });
  });

  test('and one that was killed by somebody is not', async () => {
    expect(await endOf('kill -KILL $$$$')).toMatchObject({ exitCode: 137, reason: 'Error' });
  });
});
