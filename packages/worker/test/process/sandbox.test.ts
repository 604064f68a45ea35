/** Programs in bubblewrap. Where it is missing or may not make namespaces, only what is said of that is shown. */
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { CLIENT_ANNOTATION } from '@drover/shared';
import { waitFor } from '@drover/testkit';
import { pino } from 'pino';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
} from 'vitest';

import { ProcessRunner } from '../../src/process/processRunner.ts';
import { Sandbox } from '../../src/process/sandbox.ts';
import { resolveOptions } from '../../src/resolveOptions.ts';
import { logOf, TestConfigs } from '../support/configs.ts';
import type { TestEngine } from '../support/engine.ts';
import { Workers } from '../support/workers.ts';

const PROBE = ['--ro-bind', '/', '/', '--unshare-pid', '--', '/bin/true'];
const hasBwrap = spawnSync('bwrap', PROBE).status === 0;
const isRoot = process.getuid?.() === 0;

describe('is refused at the start', () => {
  const common = { connection: 'redis://127.0.0.1:1', runtimes: ['process'] as const };

  test('without bubblewrap', () => {
    const { PATH } = process.env;
    onTestFinished(() => {
      process.env['PATH'] = PATH;
    });
    process.env['PATH'] = '/nowhere';
    expect(() => resolveOptions({ ...common, sandbox: { type: 'bwrap' } })).toThrow(
      'sandbox: there is no bwrap in PATH: install bubblewrap',
    );
  });

  test.skipIf(!hasBwrap)('with paths that make no sense', () => {
    const paths: readonly [string, string][] = [
      ['srv', 'must be absolute'],
      ['/', 'then there would be no sandbox'],
      ['/usr/../', 'then there would be no sandbox'],
      ['/nowhere/at/all', 'there is no such path'],
    ];
    for (const [path, want] of paths) {
      const sandbox = { type: 'bwrap', paths: [path] } as const;
      expect(() => resolveOptions({ ...common, sandbox })).toThrow(want);
    }
  });
});

test('a bubblewrap that does not work here is told at the start, with what it says', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'drover-fake-'));
  const { PATH } = process.env;
  const workers = await Workers.start();
  onTestFinished(async () => {
    process.env['PATH'] = PATH;
    await workers.clear();
    await workers.stop();
    await rm(folder, { recursive: true });
  });
  const script = '#!/bin/sh\necho "bwrap: No permissions to create new namespace" >&2; exit 1\n';
  await writeFile(join(folder, 'bwrap'), script, { mode: 0o755 });
  process.env['PATH'] = `${folder}:${PATH}`;
  const sandbox = { type: 'bwrap' } as const;
  const worker = workers.worker(await workers.engine(), { runtimes: ['process'], sandbox });
  await expect(worker).rejects.toThrow(
    /^--sandbox bwrap does not work here: bwrap: No permissions to create new namespace; it takes/,
  );
});

describe.skipIf(!hasBwrap)('a program in a sandbox', () => {
  let workers: Workers;
  let configs: TestConfigs;
  let engine: TestEngine;
  /** Shown to programs, and one that is not. */
  let open: string;
  let closed: string;

  beforeAll(async () => {
    [workers, configs] = await Promise.all([Workers.start(), TestConfigs.make()]);
  });
  beforeEach(async () => {
    [open, closed] = [
      await mkdtemp(join(tmpdir(), 'drover-open-')),
      await mkdtemp(join(tmpdir(), 'drover-closed-')),
    ];
    await Promise.all([open, closed].map((path) => chmod(path, 0o777)));
    await writeFile(join(open, 'given'), 'given\n');
    engine = await workers.engine();
  });
  afterEach(async () => {
    await workers.clear();
    await Promise.all([open, closed].map((path) => rm(path, { recursive: true, force: true })));
  });
  afterAll(async () => {
    await workers.stop();
    await configs.remove();
  });

  async function worker(paths: readonly string[] = [], runAs?: string): Promise<void> {
    await workers.worker(engine, {
      runtimes: ['process'],
      maxPods: 2,
      secretKeyFile: configs.keyPath,
      sandbox: { type: 'bwrap', paths },
      runAs,
    });
  }

  async function ended(script: string, job: object = {}, more: object = {}, own: object = {}) {
    const containers = [{ name: 'main', command: ['/bin/sh', '-c', script], ...own }];
    const uid = await engine.createJob({ run: [], ...job, pod: { containers, ...more } });
    await engine.offer(uid, 1);
    const end = await waitFor(() => engine.endedPod(uid), { timeoutMs: 20_000 });
    return { ...end, text: `${await logOf(engine, uid)}${end.overlay?.message ?? ''}` };
  }

  test('sees no other process, no file of the machine, and has nothing of root', async () => {
    await worker();
    const { text } = await ended(
      [
        'ls -d /proc/[0-9]* | wc -l',
        `ls -d /root /home /var /srv /run ${closed} ${configs.keyPath} /etc/shadow 2> /dev/null`,
        'touch /usr/x /etc/x 2> /dev/null || echo read-only',
        'grep CapEff /proc/self/status',
        'echo $HOME $TMPDIR $(pwd) && touch /tmp/mine && echo wrote',
      ].join('\n'),
    );
    const [count, ...rest] = text.trimEnd().split('\n');
    // The sandbox' own first process, the shell, and what the line itself starts.
    expect(Number(count)).toBeLessThanOrEqual(5);
    expect(rest).toEqual(['read-only', 'CapEff:\t0000000000000000', '/tmp /tmp /', 'wrote']);
  });

  test('has its volumes, Secrets, last words and what a client is given', async () => {
    await configs.secret(engine, 's', { key: 'k3y' });
    await worker();
    const volumeMounts = [
      { name: 'data', mountPath: '/data' },
      { name: 'data', mountPath: '/part', subPath: 'a/b', readOnly: true },
      { name: 's', mountPath: '/etc/secret' },
    ];
    const { text } = await ended(
      [
        'echo x > /data/own && cat $DROVER_VOLUME_DATA/own && ls /data',
        'touch /part/x 2> /dev/null || echo read-only',
        'cat /etc/secret/key && echo',
        'head -c 1 "$DROVER_CLIENT_FILE" && echo',
        'echo bye > $DROVER_TERMINATION_LOG',
      ].join('\n'),
      { annotations: { [CLIENT_ANNOTATION]: 'true' } },
      { volumes: [{ name: 'data' }, { name: 's', secret: { secretName: 's' } }] },
      { volumeMounts },
    );
    expect(text).toBe('x\na\nown\nread-only\nk3y\n{\ncontainer main: bye\n');
  });

  test('takes items over its socket', async () => {
    await worker();
    const { text } = await ended('test -S "$DROVER_ITEMS_SOCKET" && echo there', {
      workQueue: 'some',
    });
    expect(text).toBe('there\n');
  });

  test('sees the paths that the worker shows, and hostPath volumes among them only', async () => {
    await worker([open]);
    const script = `cat ${open}/given; touch ${open}/x 2> /dev/null || echo read-only`;
    expect((await ended(script)).text).toBe('given\nread-only\n');
    const volume = (path: string) => [
      {},
      { volumes: [{ name: 'host', hostPath: { path } }] },
      { volumeMounts: [{ name: 'host', mountPath: '/host' }] },
    ];
    const [job, more, own] = volume(open);
    expect((await ended('ls /host; touch /host/x || true', job, more, own)).text).toMatch(
      /^given\n.*Read-only file system\n$/,
    );
    const refused = await ended('ls /host', ...volume(closed));
    expect(refused).toMatchObject({ outcome: 'Failed', exitCode: 128 });
    expect(refused.text).toContain(`${closed} of a hostPath volume is not among the paths`);
  });

  test('may change what is shown as writable', async () => {
    await worker([`${open}:rw`]);
    expect((await ended(`cd ${open} && echo y > own && cat own`)).text).toBe('y\n');
  });

  test('is told to stop, and ends as it wants; its exit code is that of its program', async () => {
    const sandbox = new Sandbox({ type: 'bwrap' });
    const runner = new ProcessRunner({ logger: pino({ level: 'silent' }), sandbox });
    onTestFinished(() => runner.close());
    const ready = Promise.withResolvers<void>();
    let output = '';
    // Without a program of its own: that would be ended too, and some shells say so.
    const script = 'trap "echo bye; exit 7" TERM; echo ready; while :; do :; done';
    const running = runner.start(
      { command: ['/bin/sh', '-c', script], args: [], env: { PATH: '/usr/bin:/bin' } },
      {
        onOutput: (_stream, chunk) => {
          output += chunk.toString();
          ready.resolve();
        },
      },
    );
    await ready.promise;
    running.stop(20_000);
    expect(await running.exited).toMatchObject({ exitCode: 7 });
    expect(output).toBe('ready\nbye\n');
  });

  test('that is not found ends with 127, whatever is in its name', async () => {
    await worker();
    for (const command of [['no-such-program'], ['a=b', 'x']]) {
      expect((await ended('', {}, {}, { command })).exitCode).toBe(127);
    }
  });

  test.skipIf(!isRoot)('runs as another user, too', async () => {
    await worker([], '54321');
    const { text } = await ended('id -u; touch /tmp/x && echo wrote');
    expect(text).toBe('54321\nwrote\n');
  });

  test('can not name what others were given', async () => {
    await mkdir(join(closed, 'drover-items-0'), { recursive: true });
    const server = createServer();
    onTestFinished(() => void server.close());
    const path = join(closed, 'drover-items-0', 'x.sock');
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const wrapped = new Sandbox({ type: 'bwrap' }).wrap(
      {
        command: ['true'],
        args: [],
        env: {
          DROVER_ITEMS_SOCKET: path,
          DROVER_VOLUME_A: '/etc',
          DROVER_CLIENT_FILE: `${tmpdir()}/drover-client-0/../../etc/shadow`,
        },
      },
      '/',
    );
    expect(wrapped.command).not.toContain(path);
    expect(wrapped.command).not.toContain('/etc');
    expect(wrapped.command.join(' ')).not.toContain('shadow');
  });
});
