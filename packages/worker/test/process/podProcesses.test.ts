import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { readPodLog, type ContainerRecord, type PodDetails } from '@drover/store';
import { isAlive, waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { WorkerOptions } from '../../src/index.ts';
import type { TestEngine, TestJob } from '../support/engine.ts';
import { Workers } from '../support/workers.ts';

let workers: Workers;
let directory: string;

beforeAll(async () => {
  workers = await Workers.start();
});

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'drover-pod-')));
});

afterEach(async () => {
  await workers.clear();
  await rm(directory, { recursive: true, force: true });
});

afterAll(async () => {
  await workers.stop();
});

/** A container that runs a script in the test's directory. */
function container(name: string, script: string, more: object = {}): object {
  return { name, command: ['/bin/sh', '-c', script], workingDir: directory, ...more };
}

/** Writes its name down and is done. */
function note(name: string, more: object = {}): object {
  return container(name, `echo ${name} >> notes`, more);
}

async function notes(): Promise<string[]> {
  const path = join(directory, 'notes');
  return existsSync(path) ? (await readFile(path, 'utf8')).trim().split('\n') : [];
}

/** Lets programs that wait for a file of this name go on. */
async function open(name: string): Promise<void> {
  await writeFile(join(directory, name), '');
}

const until = (name: string): string => `while [ ! -e ${name} ]; do sleep 0.02; done`;
/** A sidecar that writes down its start and that it was told to stop. */
const sidecar = (name: string): object =>
  container(
    name,
    `trap 'echo ${name} stopped >> notes; exit 0' TERM; echo ${name} >> notes; while :; do sleep 0.02; done`,
    { restartPolicy: 'Always' },
  );

async function startOne(
  pod: object,
  job: Partial<TestJob> = {},
  options: Partial<WorkerOptions> = {},
): Promise<{ engine: TestEngine; uid: string }> {
  const engine = await workers.engine();
  await workers.worker(engine, { runtimes: ['process'], maxPods: 2, ...options });
  const uid = await engine.createJob({ run: ['true'], pod, ...job });
  await engine.offer(uid, 1);
  return { engine, uid };
}

const ended = (engine: TestEngine, uid: string) => waitFor(() => engine.endedPod(uid));

function of(details: PodDetails | undefined, name: string): ContainerRecord | undefined {
  return details?.containers.find((one) => one.name === name);
}

async function shown(engine: TestEngine, uid: string): Promise<PodDetails | undefined> {
  return (await engine.shard.podNotes(uid, [1])).get(1)?.details;
}

async function logOf(
  engine: TestEngine,
  uid: string,
  name: string,
  runs?: (run: number) => boolean,
): Promise<string> {
  let text = '';
  const options = {
    container: name,
    ...(runs === undefined ? {} : { runs: (_: string, run: number) => runs(run) }),
  };
  for await (const line of readPodLog(engine.redis, engine.shard.podLogKey(uid, 1), options)) {
    text += line.text;
  }
  return text;
}

describe('initContainers', () => {
  test('initContainers run in order before the containers', async () => {
    const { engine, uid } = await startOne({
      // The first one takes longest: only waiting for it keeps the order.
      initContainers: [container('a', `${until('go')}; echo a >> notes`), note('b'), note('c')],
      containers: [note('main')],
    });
    await waitFor(async () => of(await shown(engine, uid), 'a')?.state?.running !== undefined);
    expect(await notes()).toEqual([]);
    await open('go');
    const pod = await ended(engine, uid);
    expect(of(pod.overlay?.details, 'a')?.ready).toBe(true);
    expect(of(pod.overlay?.details, 'main')?.ready).toBe(false);
    expect(pod).toMatchObject({ outcome: 'Succeeded', exitCode: 0, reason: 'Completed' });
    expect(await notes()).toEqual(['a', 'b', 'c', 'main']);
    const states = pod.overlay?.details?.containers.map(({ name, state }) => [
      name,
      state?.terminated?.reason,
    ]);
    expect(states).toEqual(['a', 'b', 'c', 'main'].map((name) => [name, 'Completed']));
  });

  test('an initContainer that fails fails the pod, and nothing after it runs', async () => {
    const { engine, uid } = await startOne({
      initContainers: [note('a'), container('b', 'echo no luck >&2; exit 7'), note('c')],
      containers: [note('main')],
    });
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Failed', exitCode: 7, reason: 'Error', hasLog: true });
    expect(await notes()).toEqual(['a']);
    expect(of(pod.overlay?.details, 'b')?.state?.terminated).toMatchObject({ exitCode: 7 });
    expect(of(pod.overlay?.details, 'main')).toBeUndefined();
    expect(await logOf(engine, uid, 'b')).toBe('no luck\n');
  });

  test('one that can not be started says which and why', async () => {
    const { engine, uid } = await startOne({
      initContainers: [{ name: 'setup', command: ['/no/such/program'] }],
      containers: [note('main')],
    });
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Failed', exitCode: 127, reason: 'StartError' });
    expect(pod.overlay?.message).toContain('container setup: command "/no/such/program"');
  });

  test('with OnFailure one that failed is started again until it succeeds', async () => {
    const { engine, uid } = await startOne(
      {
        initContainers: [container('a', 'echo a >> notes; test $(wc -l < notes) -ge 3')],
        containers: [note('main')],
      },
      { restartPolicy: 'OnFailure' },
      { crashLoop: { baseMs: 20 } },
    );
    const pod = await ended(engine, uid);
    expect(await notes()).toEqual(['a', 'a', 'a', 'main']);
    expect(pod).toMatchObject({ outcome: 'Succeeded', overlay: { restarts: 2 } });
    expect(of(pod.overlay?.details, 'a')).toMatchObject({
      restartCount: 2,
      lastState: { terminated: { exitCode: 1, reason: 'Error' } },
    });
  });

  test('a pod that is told to stop while they run starts nothing more', async () => {
    const { engine, uid } = await startOne({
      initContainers: [
        container('a', `trap 'echo stopped >> notes; exit 0' TERM; echo a >> notes; ${until('x')}`),
        note('b'),
      ],
      containers: [note('main')],
    });
    await waitFor(async () => (await notes()).length === 1);
    await engine.stop(uid);
    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
    expect(await notes()).toEqual(['a', 'stopped']);
  });
});

describe('several containers', () => {
  test('two containers run at the same time, and the pod fails when one of them did', async () => {
    const { engine, uid } = await startOne({
      containers: [
        // Each waits for the other.
        container('a', `touch a; ${until('b')}; echo from a; exit 3`),
        container('b', `touch b; ${until('a')}; ${until('go')}; echo from b`),
      ],
    });
    await waitFor(async () => of(await shown(engine, uid), 'a')?.state?.terminated !== undefined);
    // With Never the other one goes on, as in Kubernetes.
    expect(of(await shown(engine, uid), 'b')?.ready).toBe(true);
    await open('go');
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Failed', exitCode: 3, reason: 'Error' });
    expect(of(pod.overlay?.details, 'b')?.state?.terminated).toMatchObject({ exitCode: 0 });
    expect(await logOf(engine, uid, 'a')).toBe('from a\n');
    expect(await logOf(engine, uid, 'b')).toBe('from b\n');
  });

  test('with OnFailure only the one that failed is started again', async () => {
    const { engine, uid } = await startOne(
      {
        containers: [
          container('a', 'echo run; echo a >> notes; test $(grep -c a notes) -ge 2'),
          note('b'),
        ],
      },
      { restartPolicy: 'OnFailure' },
      { crashLoop: { baseMs: 100 } },
    );
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Succeeded', overlay: { restarts: 1 } });
    expect((await notes()).toSorted((a, b) => (a < b ? -1 : 1))).toEqual(['a', 'a', 'b']);
    expect(of(pod.overlay?.details, 'b')?.restartCount).toBe(0);
    expect((await engine.job(uid)).counters).toMatchObject({ succeeded: 1, restarts: 0 });
  });

  test('a pod that ignores SIGTERM is killed after its grace period, all of it', async () => {
    const deaf = (name: string): object =>
      container(name, `trap '' TERM; echo $$$$ > ${name}.pid; while :; do sleep 0.05; done`);
    const { engine, uid } = await startOne(
      { containers: [deaf('a'), deaf('b')] },
      { graceSeconds: 1 },
    );
    await waitFor(() => ['a.pid', 'b.pid'].every((name) => existsSync(join(directory, name))));
    const beganMs = performance.now();
    await engine.stop(uid);
    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
    expect(performance.now() - beganMs).toBeGreaterThan(900);
    for (const name of ['a.pid', 'b.pid']) {
      expect(isAlive(Number(await readFile(join(directory, name), 'utf8')))).toBe(false);
    }
  });

  test('grandchildren end with their container, and only with theirs', async () => {
    const { engine, uid } = await startOne({
      containers: [
        container('a', 'setsid sleep 1000 & echo $! > child.pid; sleep 1000 & echo $! > other.pid'),
        container('b', until('go')),
      ],
    });
    const pidOf = async (name: string) => Number(await readFile(join(directory, name), 'utf8'));
    await waitFor(async () => of(await shown(engine, uid), 'a')?.state?.terminated !== undefined);
    const children = [await pidOf('child.pid'), await pidOf('other.pid')];
    await waitFor(() => children.every((pid) => !isAlive(pid)));
    expect(of(await shown(engine, uid), 'b')?.ready).toBe(true);
    await open('go');
    expect(await ended(engine, uid)).toMatchObject({ outcome: 'Succeeded' });
  });

  test('each has its own environment, directory and log; their streams are empty at once', async () => {
    const { engine, uid } = await startOne(
      {
        containers: [
          container('a', 'echo $NAME $JOB_COMPLETION_INDEX $(cat | wc -c)', {
            env: [{ name: 'NAME', value: 'one' }],
          }),
          {
            name: 'b',
            command: ['/bin/sh', '-c', 'echo $NAME $PWD'],
            workingDir: '/',
            env: [{ name: 'NAME', value: 'two' }],
          },
        ],
      },
      { indexed: true },
    );
    await ended(engine, uid);
    expect(await logOf(engine, uid, 'a')).toBe('one 0 0\n');
    expect(await logOf(engine, uid, 'b')).toBe('two /\n');
  });
});

describe('restarts', () => {
  test('a container that fails once and then works shows why it waits, and how it ended before', async () => {
    const { engine, uid } = await startOne(
      {
        containers: [container('main', `echo run >> notes; [ -e go ] || exit 5; ${until('end')}`)],
      },
      { restartPolicy: 'OnFailure' },
      { crashLoop: { baseMs: 600 } },
    );
    await waitFor(async () => of(await shown(engine, uid), 'main')?.state?.waiting !== undefined);
    const waiting = of(await shown(engine, uid), 'main');
    expect(waiting).toMatchObject({
      ready: false,
      restartCount: 0,
      state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated: { exitCode: 5, reason: 'Error' } },
    });
    await open('go');
    await waitFor(async () => of(await shown(engine, uid), 'main')?.ready === true);
    expect(of(await shown(engine, uid), 'main')).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 5 } },
    });
    await open('end');
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Succeeded', overlay: { restarts: 1 } });
    expect(of(pod.overlay?.details, 'main')).toMatchObject({
      restartCount: 1,
      state: { terminated: { exitCode: 0 } },
      lastState: { terminated: { exitCode: 5 } },
    });
  });

  test('what each run wrote can be told apart', async () => {
    const { engine, uid } = await startOne(
      {
        containers: [
          container('main', 'echo x >> notes; n=$(wc -l < notes); echo run $n; [ $n -ge 3 ]'),
        ],
      },
      { restartPolicy: 'OnFailure' },
      { crashLoop: { baseMs: 20 } },
    );
    await ended(engine, uid);
    for (const run of [0, 1, 2]) {
      expect(await logOf(engine, uid, 'main', (one) => one === run)).toBe(`run ${run + 1}\n`);
    }
  });

  test('one container that runs once costs no more: no details are written', async () => {
    const { engine, uid } = await startOne({ containers: [note('main')] });
    const pod = await ended(engine, uid);
    expect(pod.overlay).toBeNull();
    expect(await engine.redis.keys(`*${uid}*containers*`)).toEqual([]);
  });
});

describe('sidecars', () => {
  test('a sidecar runs beside the containers and is stopped after them', async () => {
    const { engine, uid } = await startOne({
      initContainers: [sidecar('proxy'), note('init')],
      containers: [container('main', `${until('go')}; echo main done >> notes`)],
    });
    await waitFor(async () => of(await shown(engine, uid), 'main')?.ready === true);
    expect(of(await shown(engine, uid), 'proxy')).toMatchObject({ ready: true, started: true });
    await waitFor(async () => (await notes()).length === 2);
    await open('go');
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Succeeded', exitCode: 0, reason: 'Completed' });
    const said = await notes();
    expect(said.toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      'init',
      'main done',
      'proxy',
      'proxy stopped',
    ]);
    expect(said.at(-1)).toBe('proxy stopped');
  });

  test('several are stopped in reverse order, each after the one before it ended', async () => {
    const { engine, uid } = await startOne({
      initContainers: [sidecar('one'), sidecar('two'), sidecar('three')],
      containers: [container('main', until('go'))],
    });
    await waitFor(async () => (await notes()).length === 3);
    await waitFor(async () => of(await shown(engine, uid), 'main')?.ready === true);
    await open('go');
    await ended(engine, uid);
    expect((await notes()).slice(3)).toEqual(['three stopped', 'two stopped', 'one stopped']);
  });

  test('one that ends is started again, whatever its exit code, and counts for nothing', async () => {
    const { engine, uid } = await startOne(
      {
        initContainers: [
          container('helper', 'echo helper >> notes; exit 0', { restartPolicy: 'Always' }),
        ],
        containers: [container('main', until('go'))],
      },
      {},
      { crashLoop: { baseMs: 20, capMs: 40 } },
    );
    await waitFor(async () => (await notes()).length >= 4);
    await open('go');
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Succeeded', exitCode: 0 });
    expect(of(pod.overlay?.details, 'helper')?.restartCount).toBeGreaterThanOrEqual(3);
  });

  test('one that ignores SIGTERM is killed after the grace period, and the pod still succeeds', async () => {
    const { engine, uid } = await startOne(
      {
        initContainers: [
          container('deaf', `trap '' TERM; touch up; while :; do sleep 0.05; done`, {
            restartPolicy: 'Always',
          }),
        ],
        containers: [container('main', until('up'))],
      },
      { graceSeconds: 1 },
    );
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Succeeded', exitCode: 0, reason: 'Completed' });
    expect(of(pod.overlay?.details, 'deaf')?.state?.terminated).toMatchObject({
      exitCode: 137,
      signal: 9,
    });
  });

  test('one that is being stopped is killed sooner when the pod has to go', async () => {
    const { engine, uid } = await startOne(
      {
        initContainers: [
          container(
            'deaf',
            `trap 'echo asked >> notes' TERM; echo $$$$ > deaf.pid; touch up; while :; do sleep 0.05; done`,
            { restartPolicy: 'Always' },
          ),
        ],
        containers: [container('main', until('up'))],
      },
      { graceSeconds: 60 },
    );
    await waitFor(async () => (await notes()).includes('asked'));
    const pid = Number(await readFile(join(directory, 'deaf.pid'), 'utf8'));
    expect(isAlive(pid)).toBe(true);
    const [session = ''] = await engine.sessions();
    await engine.endSession(session);
    // At most 2 s are left to a pod whose claim is void.
    await waitFor(() => !isAlive(pid), { timeoutMs: 6_000 });
    expect((await engine.job(uid)).counters.succeeded).toBe(0);
  });

  test('one that does not come up is waited for, until the pod is told to stop', async () => {
    const { engine, uid } = await startOne(
      {
        initContainers: [{ name: 'proxy', command: ['/no/such'], restartPolicy: 'Always' }],
        containers: [note('main')],
      },
      {},
      { crashLoop: { baseMs: 20, capMs: 20 } },
    );
    await waitFor(async () => (of(await shown(engine, uid), 'proxy')?.restartCount ?? 0) >= 2);
    await engine.stop(uid);
    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
    expect(await notes()).toEqual([]);
  });

  test('a container that can not be asked for: no sidecar outlives the pod', async () => {
    // Validation lets no such field through, but a Job may be stored by another version.
    const env = [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'spec.unknown' } } }];
    const { engine, uid } = await startOne({
      initContainers: [
        // $$$$ is $$, the pid.
        container('proxy', 'echo $$$$ > x; mv x pid; exec sleep 100', { restartPolicy: 'Always' }),
        container('init', until('pid')),
      ],
      containers: [{ ...container('bad', 'true'), env }],
    });
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Failed', exitCode: 128, reason: 'StartError' });
    const pid = Number(await readFile(join(directory, 'pid'), 'utf8'));
    await waitFor(() => !isAlive(pid));
  });

  test('told to stop, the containers go first and the sidecars after them', async () => {
    const stopping = `trap 'sleep 0.2; echo main stopped >> notes; exit 0' TERM; echo main >> notes`;
    const { engine, uid } = await startOne({
      initContainers: [sidecar('proxy')],
      containers: [container('main', `${until('notes')}; ${stopping}; ${until('x')}`)],
    });
    await waitFor(async () => (await notes()).length === 2);
    await engine.stop(uid);
    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
    expect(await notes()).toEqual(['proxy', 'main', 'main stopped', 'proxy stopped']);
  });

  test('when an initContainer fails, those that run are stopped', async () => {
    const { engine, uid } = await startOne({
      initContainers: [sidecar('proxy'), container('bad', `${until('notes')}; exit 1`)],
      containers: [note('main')],
    });
    expect(await ended(engine, uid)).toMatchObject({ outcome: 'Failed', exitCode: 1 });
    expect(await notes()).toEqual(['proxy', 'proxy stopped']);
  });
});

test('the next pod of a slot begins afresh', async () => {
  const sidecarsUp =
    'while [ $(grep -cx proxy notes) -le $JOB_COMPLETION_INDEX ]; do sleep 0.02; done';
  const { engine, uid } = await startOne(
    {
      initContainers: [sidecar('proxy')],
      containers: [
        container(
          'main',
          `${until('notes')}; ${sidecarsUp}; echo $JOB_COMPLETION_INDEX >> indexes`,
        ),
      ],
    },
    { completions: 3, indexed: true },
  );
  await waitFor(async () => (await engine.job(uid)).counters.succeeded === 3);
  expect(await readFile(join(directory, 'indexes'), 'utf8')).toBe('0\n1\n2\n');
  expect((await notes()).filter((word) => word === 'proxy stopped')).toHaveLength(3);
});

/** State and parent of every process. */
function processes(): { readonly pid: number; readonly state: string; readonly parent: number }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        // The name of the program, in brackets, may hold anything.
        const [state = '', parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        return [{ pid: Number(name), state, parent: Number(parent) }];
      } catch {
        return [];
      }
    });
}

test('many pods leave nothing behind: no descriptor, no zombie, no directory', async ({ skip }) => {
  if (!existsSync('/proc/self/fd')) skip('only Linux shows them');
  const pods = {
    volumes: [{ name: 'data', emptyDir: {} }],
    initContainers: [container('proxy', 'exec sleep 1000', { restartPolicy: 'Always' })],
    containers: [
      container('main', 'sleep 1000 & echo hello', {
        volumeMounts: [{ name: 'data', mountPath: '/drover-data' }],
      }),
      container('other', 'true'),
    ],
  };
  const { engine, uid } = await startOne(
    pods,
    { completions: 33, indexed: true },
    { volumes: { directory } },
  );
  const succeeded = async () => (await engine.job(uid)).counters.succeeded;
  await waitFor(async () => (await succeeded()) >= 3);
  const before = readdirSync('/proc/self/fd').length;
  await waitFor(async () => (await succeeded()) === 33, { timeoutMs: 30_000 });
  await waitFor(() => readdirSync('/proc/self/fd').length <= before);
  const children = new Set(
    processes().flatMap(({ pid, parent }) => (parent === process.pid ? [pid] : [])),
  );
  await waitFor(() => {
    const left = processes().filter(({ parent }) => children.has(parent));
    return left.length === 0;
  });
  await waitFor(() => {
    const [shared = ''] = readdirSync(directory);
    return (
      readdirSync(join(directory, shared, readdirSync(join(directory, shared))[0]!)).length === 0
    );
  });
}, 60_000);
