/** What programs can reach of their worker, without and with `runAs`. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { CLIENT_ANNOTATION } from '@drover/shared';
import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { fixedUserOf } from '../../src/process/identity.ts';
import { logOf, TestConfigs } from '../support/configs.ts';
import type { TestEngine } from '../support/engine.ts';
import { Workers } from '../support/workers.ts';

const isRoot = process.getuid?.() === 0;
const STRANGER = 54_321;
const PLANTED = 'DROVER_TEST_PLANTED';

let workers: Workers;
let configs: TestConfigs;
let engine: TestEngine;
let directory: string;

beforeAll(async () => {
  [workers, configs] = await Promise.all([Workers.start(), TestConfigs.make()]);
  process.env[PLANTED] = 'planted-secret';
});
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'drover-users-'));
  await chmod(directory, 0o755);
  engine = await workers.engine();
});
afterEach(async () => {
  await workers.clear();
  await rm(directory, { recursive: true, force: true });
});
afterAll(async () => {
  Reflect.deleteProperty(process.env, PLANTED);
  await workers.stop();
  await configs.remove();
});

async function worker(runAs?: string): Promise<void> {
  await workers.worker(engine, {
    runtimes: ['process'],
    maxPods: 2,
    volumes: { directory },
    secretKeyFile: configs.keyPath,
    runAs,
  });
}

async function logged(script: string, job: object = {}, more: object = {}): Promise<string> {
  const uid = await engine.createJob({
    run: [],
    ...job,
    pod: { containers: [{ name: 'main', command: ['/bin/sh', '-c', script] }], ...more },
  });
  await engine.offer(uid, 1);
  const { overlay } = await waitFor(() => engine.endedPod(uid), { timeoutMs: 20_000 });
  return `${await logOf(engine, uid)}${overlay?.message ?? ''}`;
}

test('a program has no variable and no descriptor of its worker', async () => {
  await worker();
  const text = await logged('env; ls /proc/self/fd | sort -n | tr "\\n" " "');
  expect(text).not.toContain('planted-secret');
  const names = [...text.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name);
  // PWD and the like are the shell's own.
  const known = /^(PATH|HOME|TMPDIR|LANG|TZ|HOSTNAME|DROVER_PROCESS|PWD|OLDPWD|SHLVL|_)$/;
  expect(names.filter((name = '') => !known.test(name))).toEqual([]);
  // 3 is the directory that `ls` reads.
  expect(text).toMatch(/\n0 1 2 3 $/);
});

describe.skipIf(!isRoot)('programs of a worker that runs them as another user', () => {
  test('can not read its environment, memory, descriptors, key file, or what others were given', async () => {
    await worker(String(STRANGER));
    const { pid } = process;
    const lines = [
      'echo $(id -u) $(id -g) $HOME $(pwd)',
      `cat /proc/${pid}/environ`,
      `head -c1 /proc/${pid}/mem`,
      `ls /proc/${pid}/fd /proc/${pid}/cwd/`,
      `cat ${configs.keyPath}`,
      `ls ${directory}/drover-volumes-0 ${directory}/drover-volumes-0/*`,
      'kill -0 $PPID',
    ];
    const text = await logged(lines.join('; '));
    expect(text).toContain(`${STRANGER} ${STRANGER} / /\n`);
    // The command line of kill is the shell's own.
    expect(text.match(/Permission denied|Operation not permitted/g)?.length).toBeGreaterThanOrEqual(
      6,
    );
    expect(text).not.toContain('planted-secret');
  });

  test('have their volumes, Secrets, last words and the files of clients', async () => {
    await configs.secret(engine, 's', { key: 'k3y' });
    await worker(`${STRANGER}:12`);
    const script = [
      'id -g; echo x > /drover-data/own && stat -c "%u %a" $DROVER_VOLUME_DATA/own',
      'cat /drover-secret/key && stat -c " %u %a" /drover-secret/key',
      'head -c 1 "$DROVER_CLIENT_FILE"; stat -c " %u %a" "$DROVER_CLIENT_FILE"',
      'echo bye > $DROVER_TERMINATION_LOG',
    ].join('\n');
    const volumeMounts = [
      { name: 'data', mountPath: '/drover-data' },
      { name: 's', mountPath: '/drover-secret' },
    ];
    const text = await logged(
      script,
      { annotations: { [CLIENT_ANNOTATION]: 'true' } },
      {
        volumes: [{ name: 'data' }, { name: 's', secret: { secretName: 's', defaultMode: 0o400 } }],
        containers: [{ name: 'main', command: ['/bin/sh', '-c', script], volumeMounts }],
      },
    );
    expect(text).toBe(
      `12\n${STRANGER} 644\nk3y ${STRANGER} 400\n{ ${STRANGER} 600\ncontainer main: bye\n`,
    );
  });

  test('take items over their socket', async () => {
    await worker(String(STRANGER));
    const text = await logged(
      'stat -c "%U %u" "$DROVER_ITEMS_SOCKET"; test -w "$DROVER_ITEMS_SOCKET" && echo may',
      {
        workQueue: 'some',
      },
    );
    expect(text).toContain(`${STRANGER}\nmay\n`);
  });

  test('can not be another user, root least of all', async () => {
    await worker(String(STRANGER));
    for (const securityContext of [{ runAsUser: 0 }, { runAsGroup: 0 }, { fsGroup: 42 }]) {
      const text = await logged('id', {}, { securityContext });
      expect(text).toContain(`all programs of its worker run as user ${STRANGER}`);
    }
    expect(await logged('id -u', {}, { securityContext: { runAsUser: STRANGER } })).toBe(
      `${STRANGER}\n`,
    );
  });
});

describe('the user that is named', () => {
  const root = { uid: 0, gid: 0, groups: [] };

  test('may be a name or numbers', () => {
    expect(fixedUserOf('54321', root)).toMatchObject({ uid: STRANGER, gid: STRANGER, home: '/' });
    expect(fixedUserOf('54321:7', root)).toMatchObject({ uid: STRANGER, gid: 7, groups: [] });
    expect(fixedUserOf('nobody', root)).toMatchObject({ isFixed: true });
  });

  test('is refused with the reason', () => {
    expect(() => fixedUserOf('no-such-user', root)).toThrow('there is no such user');
    expect(() => fixedUserOf('root', root)).toThrow('is root');
    expect(() => fixedUserOf('0', root)).toThrow('is root');
    expect(() => fixedUserOf('7', { ...root, uid: 8 })).toThrow('only a worker that runs as root');
  });
});
