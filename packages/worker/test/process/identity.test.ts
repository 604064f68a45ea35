/** Who programs run as. What only root can show is skipped for other users. */
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { CLIENT_ANNOTATION } from '@drover/shared';
import { waitFor } from '@drover/testkit';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { ProcessUser } from '../../src/process/frames.ts';
import { identityOf, type Identity } from '../../src/process/identity.ts';
import { ProcessRunner } from '../../src/process/processRunner.ts';
import { logOf, TestConfigs } from '../support/configs.ts';
import type { TestEngine } from '../support/engine.ts';
import { testHelpers } from '../support/helpers.ts';
import { Workers } from '../support/workers.ts';

const isRoot = process.getuid?.() === 0;
/** A user that no machine knows. */
const STRANGER = 54_321;

describe('of a container', () => {
  const root: ProcessUser = { uid: 0, gid: 0, groups: [0] };
  const plain: ProcessUser = { uid: 1000, gid: 1000, groups: [1000, 50] };
  const accounts = (uid: number) => (uid === 8 ? { gid: 12, home: '/var/mail' } : null);
  const user = (uid: number, gid: number, groups: number[] = [], home = '/'): Identity => ({
    type: 'user',
    user: { uid, gid, groups },
    home,
  });
  const refused = (message: string) => ({
    type: 'refused',
    message: expect.stringContaining(message),
  });
  const worker: Identity = { type: 'worker' };

  const cases: {
    name: string;
    own?: object;
    pod?: object;
    of?: ProcessUser;
    want: unknown;
  }[] = [
    { name: 'nothing is said', want: worker },
    {
      name: 'a user that is known has its group and home',
      pod: { runAsUser: 8 },
      want: user(8, 12, [], '/var/mail'),
    },
    {
      name: 'a user that is not known has a group of its own number',
      pod: { runAsUser: 9 },
      want: user(9, 9),
    },
    {
      name: 'the container comes before its pod',
      own: { runAsUser: 9 },
      pod: { runAsUser: 8, runAsGroup: 7 },
      want: user(9, 7),
    },
    { name: 'a group alone', pod: { runAsGroup: 7 }, want: user(0, 7) },
    {
      name: 'further groups, each once',
      pod: { fsGroup: 5, supplementalGroups: [6, 5] },
      want: user(0, 0, [5, 6]),
    },
    {
      name: 'root may not be root',
      pod: { runAsNonRoot: true },
      want: refused('the worker runs as root'),
    },
    {
      name: 'nor by its number',
      own: { runAsUser: 0 },
      pod: { runAsNonRoot: true },
      want: refused('runAsUser is 0'),
    },
    {
      name: 'unless the container says so',
      own: { runAsNonRoot: false },
      pod: { runAsNonRoot: true },
      want: worker,
    },
    {
      name: 'another user is not root',
      own: { runAsUser: 9 },
      pod: { runAsNonRoot: true },
      want: user(9, 9),
    },
    {
      name: 'a worker that is not root is not root',
      pod: { runAsNonRoot: true },
      of: plain,
      want: worker,
    },
    {
      name: 'of such a worker, its own user and groups',
      pod: { runAsUser: 1000, runAsGroup: 1000, fsGroup: 50 },
      of: plain,
      want: worker,
    },
    {
      name: 'and no others',
      pod: { runAsUser: 8, runAsGroup: 12, supplementalGroups: [50, 51] },
      of: plain,
      want: refused(
        'as user 8 and with group 12 and with the groups 51, but its worker runs as user 1000',
      ),
    },
  ];
  test.each(cases)('$name', ({ own = {}, pod = {}, of = root, want }) => {
    expect(identityOf(own, pod, of, accounts)).toEqual(want);
  });
});

describe.skipIf(!isRoot).each(testHelpers)('the $name helper', ({ name, helper }) => {
  let runner: ProcessRunner;

  beforeAll(async () => {
    runner = new ProcessRunner({ logger: pino({ level: 'silent' }), helper });
    await runner.warmUp();
  });
  afterAll(() => runner.close());

  async function run(user: ProcessUser): Promise<{ output: string; message: string }> {
    let output = '';
    const command = [
      'sh',
      '-c',
      'id -u; id -g; id -G; echo out > /dev/stdout; grep CapEff /proc/self/status',
    ];
    const running = runner.start(
      { command, args: [], env: { PATH: '/usr/bin:/bin' }, user, workingDir: '/' },
      { onOutput: (_, chunk) => (output += chunk.toString()) },
    );
    const { message } = await running.exited;
    return { output, message };
  }

  test('runs a program as another user, without anything of root', async () => {
    const { output } = await run({ uid: STRANGER, gid: 12, groups: [] });
    expect(output).toMatch(new RegExp(`^${STRANGER}\\n12\\n12\\nout\\nCapEff:\\s+0+\\n$`));
  });

  test('gives it further groups, or says that it can not', async () => {
    const { output, message } = await run({ uid: STRANGER, gid: 12, groups: [7, 9] });
    const [said, want] =
      name === 'javascript'
        ? [message, 'has the native process helper']
        : [output, `${STRANGER}\n12\n12 7 9\nout\n`];
    expect(said).toContain(want);
  });

  test('kills it with its group, though it is another user', async () => {
    const running = runner.start(
      {
        command: ['sleep', '60'],
        args: [],
        env: {},
        user: { uid: STRANGER, gid: 12, groups: [] },
        workingDir: '/',
      },
      { onOutput: () => undefined },
    );
    expect(await running.started).not.toBeNull();
    running.stop(0);
    expect(await running.exited).toMatchObject({
      signal: expect.stringMatching(/^SIG(TERM|KILL)$/),
    });
  });
});

describe.skipIf(!isRoot)('a pod', () => {
  let workers: Workers;
  let configs: TestConfigs;
  let engine: TestEngine;
  let directory: string;

  beforeAll(async () => {
    [workers, configs] = await Promise.all([Workers.start(), TestConfigs.make()]);
  });
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'drover-users-'));
    await chmod(directory, 0o755);
    engine = await workers.engine();
    await workers.worker(engine, {
      runtimes: ['process'],
      maxPods: 2,
      volumes: { directory },
      secretKeyFile: configs.keyPath,
    });
  });
  afterEach(async () => {
    await workers.clear();
    await rm(directory, { recursive: true, force: true });
  });
  afterAll(async () => {
    await workers.stop();
    await configs.remove();
  });

  async function ended(pod: object) {
    const uid = await engine.createJob({ run: [], pod });
    await engine.offer(uid, 1);
    const end = await waitFor(() => engine.endedPod(uid), { timeoutMs: 20_000 });
    return { ...end, log: await logOf(engine, uid) };
  }

  function shell(script: string, more: object = {}): object {
    return { name: 'main', command: ['/bin/sh', '-c', script], ...more };
  }

  test('of another user uses its volumes, by mount and by variable, and leaves its last words', async () => {
    await configs.secret(engine, 's', { key: 'k3y' });
    const volumeMounts = [
      { name: 'data', mountPath: '/drover-data' },
      { name: 'data', mountPath: '/drover-part', subPath: 'a/b' },
      { name: 's', mountPath: '/drover-secret' },
    ];
    const script = [
      'echo $HOME $(id -u) $(id -G)',
      'echo x > /drover-data/own && stat -c "%g %a" /drover-data /drover-data/own',
      'echo x > /drover-part/own && echo x > $DROVER_VOLUME_DATA/by-variable && ls /drover-data',
      'cat /drover-secret/key && stat -c " %g %a" /drover-secret/key && cat $DROVER_VOLUME_S/key && echo',
      'touch /drover-secret/more 2> /dev/null || echo read-only',
      'ls $DROVER_VOLUME_DATA/.. 2> /dev/null || echo closed',
      'echo bye > $DROVER_TERMINATION_LOG',
    ].join('\n');
    const { log, outcome, overlay } = await ended({
      securityContext: { runAsUser: STRANGER, fsGroup: 777, supplementalGroups: [778] },
      volumes: [{ name: 'data' }, { name: 's', secret: { secretName: 's', defaultMode: 0o400 } }],
      containers: [shell(script, { volumeMounts })],
    });
    expect(log).toBe(
      `/ ${STRANGER} ${STRANGER} 777 778\n777 2777\n777 644\na\nby-variable\nown\nk3y 777 440\nk3y\nread-only\nclosed\n`,
    );
    expect(outcome).toBe('Succeeded');
    expect(overlay?.details?.containers[0]?.state?.terminated?.message).toBe('bye\n');
  });

  test('of the worker has files that others can not reach', async () => {
    const script = 'echo $DROVER_VOLUME_DATA; stat -c %a $(dirname $DROVER_VOLUME_DATA)';
    const volumeMounts = [{ name: 'data', mountPath: '/drover-data' }];
    const { log } = await ended({
      volumes: [{ name: 'data' }],
      containers: [shell(script, { volumeMounts })],
    });
    expect(log).toMatch(/\n700\n$/);
  });

  test('is told what root is needed for, and why root may not run it', async () => {
    const { reason, exitCode, overlay } = await ended({
      securityContext: { runAsNonRoot: true },
      containers: [shell('true')],
    });
    expect({ reason, exitCode }).toEqual({ reason: 'StartError', exitCode: 128 });
    expect(overlay?.message).toContain('runAsNonRoot is set, and the worker runs as root');
  });

  test('of another user than the worker’s can not have what only that may read', async () => {
    for (const job of [{ workQueue: 'some' }, { annotations: { [CLIENT_ANNOTATION]: 'true' } }]) {
      const uid = await engine.createJob({
        run: ['true'],
        ...job,
        pod: { securityContext: { runAsUser: STRANGER } },
      });
      await engine.offer(uid, 1);
      const { exitCode, overlay } = await waitFor(() => engine.endedPod(uid), {
        timeoutMs: 20_000,
      });
      expect(exitCode).toBe(128);
      expect(overlay?.message).toContain(`user ${STRANGER}, and only the worker's own can have`);
    }
  });

  test('its containers may be of several users, each with a home', async () => {
    await writeFile(join(directory, 'closed'), '', { mode: 0o600 });
    const open = `cat ${join(directory, 'closed')} 2> /dev/null || echo closed; echo $HOME`;
    const { log } = await ended({
      securityContext: { runAsUser: STRANGER },
      initContainers: [{ ...shell(open), name: 'first' }],
      containers: [
        shell(open, { securityContext: { runAsUser: 0 }, env: [{ name: 'HOME', value: '/own' }] }),
      ],
    });
    expect(log).toBe('closed\n/\n/own\n');
    expect(existsSync('/drover-data')).toBe(false);
  });
});
