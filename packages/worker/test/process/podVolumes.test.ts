import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { readPodLog } from '@drover/store';
import { waitFor } from '@drover/testkit';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import type { WorkerOptions } from '../../src/index.ts';
import { MountProbe } from '../../src/process/mountProbe.ts';
import { Volumes } from '../../src/process/podVolumes.ts';
import { ProcessRunner } from '../../src/process/processRunner.ts';
import { removeTree, usedBytes, WorkerDirectory } from '../../src/process/workerDirectory.ts';
import type { TestEngine, TestJob } from '../support/engine.ts';
import { Workers } from '../support/workers.ts';

let workers: Workers;
let directory: string;

beforeAll(async () => {
  workers = await Workers.start();
});

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'drover-volumes-test-')));
});

afterEach(async () => {
  await workers.clear();
  await rm(directory, { recursive: true, force: true });
});

afterAll(async () => {
  await workers.stop();
});

function shell(name: string, script: string, more: object = {}): object {
  return { name, command: ['/bin/sh', '-c', script], ...more };
}

const mounts = (...list: object[]) => ({ volumeMounts: list });
const at = (mountPath: string, more: object = {}) => ({ name: 'shared-data', mountPath, ...more });

async function startOne(
  pod: object,
  job: Partial<TestJob> = {},
  options: Partial<WorkerOptions> = {},
): Promise<{ engine: TestEngine; uid: string }> {
  const engine = await workers.engine();
  await workers.worker(engine, {
    runtimes: ['process'],
    maxPods: 2,
    volumes: { directory },
    ...options,
  });
  const uid = await engine.createJob({ run: ['true'], pod, ...job });
  await engine.offer(uid, 1);
  return { engine, uid };
}

const ended = (engine: TestEngine, uid: string) => waitFor(() => engine.endedPod(uid));

async function logOf(engine: TestEngine, uid: string, podNumber = 1): Promise<string> {
  let text = '';
  for await (const line of readPodLog(engine.redis, engine.shard.podLogKey(uid, podNumber))) {
    text += line.text;
  }
  return text;
}

/** Directories of pods below the test's directory. */
async function podDirectories(): Promise<string[]> {
  const found: string[] = [];
  for (const shared of await readdir(directory)) {
    for (const worker of await readdir(join(directory, shared))) {
      found.push(...(await readdir(join(directory, shared, worker))));
    }
  }
  return found;
}

describe('an emptyDir', () => {
  test('two containers share an emptyDir, which is gone when the pod ended', async () => {
    const { engine, uid } = await startOne({
      volumes: [{ name: 'shared-data', emptyDir: {} }],
      initContainers: [
        shell('fill', 'echo first > $DROVER_VOLUME_SHARED_DATA/word', mounts(at('/drover-a'))),
      ],
      containers: [
        shell(
          'reader',
          'cd $DROVER_VOLUME_SHARED_DATA; while [ ! -e more ]; do sleep 0.02; done; cat word more',
          mounts(at('/drover-b')),
        ),
        shell(
          'writer',
          'cd $DROVER_VOLUME_SHARED_DATA; echo second > tmp; mv tmp more',
          mounts(at('/drover-c')),
        ),
      ],
    });
    expect(await ended(engine, uid)).toMatchObject({ outcome: 'Succeeded' });
    expect(await logOf(engine, uid)).toBe('first\nsecond\n');
    await waitFor(async () => (await podDirectories()).length === 0);
  });

  test('each pod has one of its own, and its variable can be used in arguments', async () => {
    const { engine, uid } = await startOne(
      {
        volumes: [{ name: 'shared-data' }],
        containers: [
          {
            name: 'main',
            command: ['/bin/sh', '-c', 'ls "$0" | wc -l; touch "$0/file"; stat -c %a "$0"'],
            args: ['$(DROVER_VOLUME_SHARED_DATA)'],
            ...mounts(at('/drover-a')),
          },
        ],
      },
      { completions: 2, indexed: true },
    );
    await waitFor(async () => (await engine.job(uid)).counters.succeeded === 2);
    expect(await logOf(engine, uid, 1)).toBe('0\n777\n');
    expect(await logOf(engine, uid, 2)).toBe('0\n777\n');
  });

  test('lives as long as the pod: a container that is restarted finds what it left', async () => {
    const { engine, uid } = await startOne(
      {
        volumes: [{ name: 'shared-data', emptyDir: {} }],
        containers: [
          shell(
            'main',
            'cd $DROVER_VOLUME_SHARED_DATA; echo x >> runs; [ $(wc -l < runs) = 2 ]',
            mounts(at('/drover-a')),
          ),
        ],
      },
      { restartPolicy: 'OnFailure' },
      { crashLoop: { baseMs: 20 } },
    );
    expect(await ended(engine, uid)).toMatchObject({
      outcome: 'Succeeded',
      overlay: { restarts: 1 },
    });
  });

  test('in memory lies in /dev/shm', async ({ skip }) => {
    if (!existsSync('/dev/shm')) skip('this machine has no /dev/shm');
    const { engine, uid } = await startOne({
      volumes: [{ name: 'shared-data', emptyDir: { medium: 'Memory' } }],
      containers: [shell('main', 'echo $DROVER_VOLUME_SHARED_DATA', mounts(at('/drover-a')))],
    });
    await ended(engine, uid);
    const path = (await logOf(engine, uid)).trim();
    expect(path).toMatch(/^\/dev\/shm\/drover-volumes-/);
    await waitFor(() => !existsSync(path));
    await workers.clear();
    expect(existsSync(join(path, '../..'))).toBe(false);
  });

  test('a subPath is a directory in the volume, made when it is missing', async () => {
    const { engine, uid } = await startOne(
      {
        volumes: [{ name: 'shared-data', emptyDir: {} }],
        initContainers: [
          shell('one', 'true', mounts(at('/drover-a', { subPath: 'a/b' }))),
          shell('two', 'true', {
            env: [{ name: 'PART', value: 'c' }],
            ...mounts(at('/drover-a', { subPathExpr: 'x-$(PART)' })),
          }),
        ],
        containers: [
          shell('main', 'cd $DROVER_VOLUME_SHARED_DATA; find . | sort', mounts(at('/drover-b'))),
        ],
      },
      {},
    );
    await ended(engine, uid);
    expect(await logOf(engine, uid)).toBe('.\n./a\n./a/b\n./x-c\n');
  });

  test('a subPath that leads out of the volume once it is expanded is refused', async () => {
    const { engine, uid } = await startOne({
      volumes: [{ name: 'shared-data', emptyDir: {} }],
      containers: [
        shell('main', 'true', {
          env: [{ name: 'PART', value: '../..' }],
          ...mounts(at('/drover-a', { subPathExpr: '$(PART)' })),
        }),
      ],
    });
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Failed', exitCode: 128, reason: 'StartError' });
    expect(pod.overlay?.message).toBe(
      `container main: volume "shared-data", path "../..": must not contain '..'`,
    );
  });

  test('a pod that fills its emptyDir beyond the limit is evicted', async () => {
    const { engine, uid } = await startOne(
      {
        volumes: [{ name: 'shared-data', emptyDir: { sizeLimit: '1Mi' } }],
        containers: [
          shell(
            'main',
            'cd $DROVER_VOLUME_SHARED_DATA; dd if=/dev/zero of=big bs=64k count=64; sleep 1000',
            mounts(at('/drover-a')),
          ),
          shell('other', 'sleep 1000'),
        ],
      },
      {},
      { volumes: { directory, checkMs: 50 } },
    );
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({
      outcome: 'Failed',
      reason: 'Evicted',
      exitCode: 143,
      overlay: { message: 'Usage of EmptyDir volume "shared-data" exceeds the limit "1Mi".' },
    });
    await waitFor(async () => (await podDirectories()).length === 0);
    // The worker goes on.
    await engine.offer(uid, 1);
    await waitFor(async () => (await engine.pods(uid)).length === 2);
  });

  test('a pod that stays below its limit is left alone', async () => {
    const { engine, uid } = await startOne(
      {
        volumes: [{ name: 'shared-data', emptyDir: { sizeLimit: '1Mi' } }],
        containers: [
          shell(
            'main',
            'cd $DROVER_VOLUME_SHARED_DATA; dd if=/dev/zero of=big bs=64k count=8; sleep 0.5',
            mounts(at('/drover-a')),
          ),
        ],
      },
      {},
      { volumes: { directory, checkMs: 20 } },
    );
    expect(await ended(engine, uid)).toMatchObject({ outcome: 'Succeeded' });
  });

  test('that can not be made fails the pod and says why', async () => {
    const file = join(directory, 'file');
    await writeFile(file, '');
    const { engine, uid } = await startOne(
      {
        volumes: [{ name: 'shared-data', emptyDir: {} }],
        containers: [shell('main', 'true', mounts(at('/drover-a')))],
      },
      {},
      { volumes: { directory: file } },
    );
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Failed', exitCode: 128, reason: 'StartError' });
    expect(pod.overlay?.message).toContain('its volumes could not be made: ENOTDIR');
  });
});

describe('a mount', () => {
  /** Says why there are none here, or null. */
  const problem = async (): Promise<string | null> => {
    const runner = new ProcessRunner({ logger: pino({ level: 'silent' }) });
    try {
      return await new MountProbe(runner).problem();
    } finally {
      await runner.close();
    }
  };

  test('is where the template wants it, for this container alone', async ({ skip }) => {
    const why = await problem();
    if (why !== null) skip(`no mounts here: ${why}`);
    const existing = join(directory, 'existing');
    await mkdir(existing);
    await writeFile(join(existing, 'hidden'), '');
    const { engine, uid } = await startOne({
      volumes: [{ name: 'shared-data', emptyDir: {} }],
      initContainers: [
        shell('fill', `mkdir ${existing}/part; echo word > ${existing}/part/file`, {
          ...mounts(at(existing)),
        }),
      ],
      containers: [
        shell(
          'main',
          `ls ${existing}; cat /drover-new/file; touch /drover-new/x 2>/dev/null || echo not to be written`,
          mounts(at(existing), at('/drover-new', { subPath: 'part', readOnly: true })),
        ),
        shell('other', `while [ ! -e ${existing}/hidden ]; do sleep 0.02; done`),
      ],
    });
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Succeeded' });
    expect(pod.overlay?.details?.unmounted).toBeUndefined();
    expect(await logOf(engine, uid)).toBe('part\nword\nnot to be written\n');
    expect(await readdir(existing)).toEqual(['hidden']);
    expect(existsSync('/drover-new')).toBe(false);
  });

  test('may be the working directory', async ({ skip }) => {
    const why = await problem();
    if (why !== null) skip(`no mounts here: ${why}`);
    const { engine, uid } = await startOne({
      volumes: [{ name: 'shared-data', emptyDir: {} }],
      containers: [
        shell('main', 'pwd; touch here; ls', {
          workingDir: '/drover-work',
          ...mounts(at('/drover-work')),
        }),
      ],
    });
    expect(await ended(engine, uid)).toMatchObject({ outcome: 'Succeeded' });
    expect(await logOf(engine, uid)).toBe('/drover-work\nhere\n');
  });

  test('that can not be made where the worker has something fails the pod, which is not run', async ({
    skip,
  }) => {
    const why = await problem();
    if (why !== null) skip(`no mounts here: ${why}`);
    const file = join(directory, 'file');
    await writeFile(file, 'of the worker');
    const { engine, uid } = await startOne({
      volumes: [{ name: 'shared-data', emptyDir: {} }],
      containers: [shell('main', `echo overwritten > ${file}`, mounts(at(file)))],
    });
    const pod = await ended(engine, uid);
    expect(await readFile(file, 'utf8')).toBe('of the worker');
    expect(pod).toMatchObject({ outcome: 'Failed', exitCode: 128, reason: 'StartError' });
    expect(pod.overlay?.message).toMatch(/its volumes can not be mounted \(ENOTDIR\)/);
  });

  describe('where the worker can not mount', () => {
    beforeEach(() => {
      vi.stubEnv('DROVER_PROCESS_HELPER', 'javascript');
    });

    afterEach(() => {
      vi.unstubAllEnvs();
    });

    test('is told of, and the variable says where the volume lies', async () => {
      const { engine, uid } = await startOne({
        volumes: [{ name: 'shared-data', emptyDir: {} }],
        containers: [
          shell(
            'main',
            'cd $DROVER_VOLUME_SHARED_DATA && ls /drover-new',
            mounts(at('/drover-new')),
          ),
        ],
      });
      const pod = await ended(engine, uid);
      expect(pod).toMatchObject({ outcome: 'Failed', reason: 'Error' });
      expect(pod.overlay?.details?.unmounted).toMatch(
        /^volumes are not mounted: .*; DROVER_VOLUME_/,
      );
      expect(await logOf(engine, uid)).toContain('/drover-new');
    });

    test('at a path that the worker has itself fails: it would be taken for the volume', async () => {
      const { engine, uid } = await startOne({
        volumes: [{ name: 'shared-data', emptyDir: {} }],
        containers: [shell('main', 'true', mounts(at(directory)))],
      });
      const pod = await ended(engine, uid);
      expect(pod).toMatchObject({ outcome: 'Failed', exitCode: 128, reason: 'StartError' });
      expect(pod.overlay?.message).toContain(
        `container main: no volume can be mounted at ${directory}, and the worker has something there`,
      );
    });
  });
});

describe('directories of workers', () => {
  const logger = pino({ level: 'silent' });
  const shared = () => join(directory, `drover-volumes-${process.getuid?.() ?? 0}`);

  test('what a worker left that was killed is removed, what may be in use is not', async () => {
    const own = await new WorkerDirectory(directory, 'volumes').path();
    const [host, boot, pidSpace] = own.slice(shared().length + 1).split('~');
    // A pid that can not be: the largest that Linux gives is 2 ** 22.
    const dead = String(2 ** 30);
    const names = {
      killed: [host, boot, pidSpace, dead, 'a'].join('~'),
      beforeReboot: [host, 'another-boot', pidSpace, process.pid, 'b'].join('~'),
      otherContainer: [host, boot, '1', dead, 'c'].join('~'),
      otherHost: ['another-host', boot, pidSpace, dead, 'd'].join('~'),
      foreign: 'something else',
    };
    for (const name of Object.values(names)) {
      await mkdir(join(shared(), name, 'pod', 'volume'), { recursive: true });
    }
    await new Volumes(logger, directory).warmUp();
    const left = new Set(await readdir(shared()));
    expect(left.has(names.killed)).toBe(false);
    expect(left.has(names.beforeReboot)).toBe(false);
    for (const name of [names.otherContainer, names.otherHost, names.foreign]) {
      expect(left.has(name), name).toBe(true);
    }
    expect(existsSync(own)).toBe(true);
  });

  test.skipIf(process.platform !== 'linux' || process.getuid?.() !== 0)(
    'one that can not be removed keeps no other one of workers that are no more',
    async () => {
      const own = await new WorkerDirectory(directory, 'volumes').path();
      const [host, , pidSpace] = own.slice(shared().length + 1).split('~');
      const left = ['1', '2', '3'].map((n) => [host, 'another-boot', pidSpace, n, 'a'].join('~'));
      for (const name of left) await mkdir(join(shared(), name));
      const order = (await readdir(shared())).filter((name) => left.includes(name));
      const busy = join(shared(), order[1]!);
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', busy]);
      try {
        await new Volumes(logger, directory).warmUp();
        const found = await readdir(shared());
        expect(found.filter((name) => left.includes(name))).toEqual([order[1]]);
      } finally {
        execFileSync('umount', [busy]);
      }
    },
  );

  test('one that others may enter is not used', async () => {
    await mkdir(shared(), { mode: 0o777 });
    const { mode } = await stat(shared());
    const own = await new WorkerDirectory(directory, 'volumes').path();
    expect(mode & 0o077).not.toBe(0);
    expect(own.startsWith(`${shared()}-`)).toBe(true);
    expect((await stat(join(own, '..'))).mode & 0o777).toBe(0o700);
  });

  test('are removed with all that is in them, whatever its modes', async () => {
    const tree = join(directory, 'tree');
    await mkdir(join(tree, 'closed', 'inner'), { recursive: true });
    await writeFile(join(tree, 'closed', 'inner', 'file'), 'x'.repeat(100_000));
    expect(await usedBytes(tree)).toBeGreaterThanOrEqual(100_000);
    await chmod(join(tree, 'closed', 'inner'), 0);
    await chmod(join(tree, 'closed'), 0o500);
    await removeTree(tree);
    expect(existsSync(tree)).toBe(false);
  });
});
