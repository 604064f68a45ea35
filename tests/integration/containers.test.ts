/** Pods with several containers, volumes and restarts, from the manifest to what a client sees. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { podStatusWord, type ContainerStatus, type Pod } from '@drover/shared';
import type { JobManifest, LogOptions } from '@drover/sdk';
import { isAlive, waitFor } from '@drover/testkit';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';

import { Engine } from './support/engine.ts';

let engine: Engine;

beforeAll(async () => {
  engine = await Engine.open();
  await Promise.all([engine.controller(), engine.worker({ maxPods: 5, crashLoopMs: 300 })]);
});

afterAll(async () => {
  await engine.close();
});

const shell = (name: string, script: string, more: object = {}) => ({
  name,
  command: ['/bin/sh', '-c', script],
  ...more,
});

function job(name: string, pod: object, spec: object = {}): JobManifest {
  return {
    metadata: { name },
    spec: {
      backoffLimit: 0,
      ...spec,
      template: {
        spec: { restartPolicy: 'Never', terminationGracePeriodSeconds: 5, containers: [], ...pod },
      },
    },
  };
}

/** Creates a Job of one pod and waits for its end. */
async function run(manifest: JobManifest): Promise<Pod> {
  onTestFailed(() => engine.show());
  const { name } = (await engine.drover.jobs.create(manifest)).metadata;
  await engine.finished(name);
  return (await engine.pods(name))[0]!;
}

async function onlyPod(name: string): Promise<Pod | null> {
  return (await engine.pods(name))[0] ?? null;
}

async function logOf(pod: Pod, options: LogOptions = {}): Promise<string> {
  let text = '';
  for await (const line of engine.drover.pods.logs(pod, options)) text += line;
  return text;
}

function statusOf({ status }: Pod, name: string): ContainerStatus | undefined {
  const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  return all.find((one) => one.name === name);
}

const mount = (mountPath: string): object => ({
  volumeMounts: [{ name: 'data', mountPath }],
});

test('a pod that builds, serves and checks: initContainer, sidecar, two containers, one volume', async () => {
  const pod = await run(
    job('build', {
      volumes: [{ name: 'data', emptyDir: {} }],
      initContainers: [
        shell('fetch', 'echo source > $DROVER_VOLUME_DATA/source', mount('/drover-data')),
        shell(
          'server',
          'cd $DROVER_VOLUME_DATA; while :; do [ -e ask ] && cat source > answer; sleep 0.02; done',
          { restartPolicy: 'Always', ...mount('/drover-data') },
        ),
      ],
      containers: [
        shell(
          'ask',
          'cd $DROVER_VOLUME_DATA; touch ask; while [ ! -s answer ]; do sleep 0.02; done; cat answer',
          mount('/drover-data'),
        ),
        shell('other', 'echo other'),
      ],
    }),
  );
  expect(pod.status.phase).toBe('Succeeded');
  expect(podStatusWord(pod)).toBe('Completed');
  expect(await logOf(pod, { container: 'ask' })).toBe('source\n');
  expect(await logOf(pod, { container: 'other' })).toBe('other\n');
  // Stopped by SIGTERM after the containers; that is no failure.
  expect(statusOf(pod, 'server')?.state?.terminated).toMatchObject({ exitCode: 143, signal: 15 });
  expect((await engine.job('build')).status).toMatchObject({ succeeded: 1 });
});

test('while its initContainers run a pod is Pending, and says how far they are', async () => {
  onTestFailed(() => engine.show());
  await engine.drover.jobs.create(
    job('slow-init', {
      initContainers: [shell('one', 'true'), shell('two', 'sleep 1000')],
      containers: [shell('main', 'true')],
    }),
  );
  const pod = await waitFor(async () => {
    const now = await onlyPod('slow-init');
    return now !== null && podStatusWord(now) === 'Init:1/2' ? now : null;
  });
  expect(pod.status).toMatchObject({
    phase: 'Pending',
    containerStatuses: [{ name: 'main', state: { waiting: { reason: 'PodInitializing' } } }],
  });
  expect(pod.status.conditions?.find(({ type }) => type === 'Initialized')).toMatchObject({
    status: 'False',
    message: 'containers with incomplete status: [two]',
  });
  await engine.drover.jobs.delete('slow-init');
});

test('an initContainer that fails fails the Job at its limit', async () => {
  const pod = await run(
    job('bad-init', {
      initContainers: [shell('setup', 'echo no >&2; exit 4')],
      containers: [shell('main', 'true')],
    }),
  );
  expect(podStatusWord(pod)).toBe('Init:Error');
  expect(pod.status.phase).toBe('Failed');
  expect(await logOf(pod)).toBe('no\n');
  expect((await engine.job('bad-init')).status).toMatchObject({ failed: 1 });
});

test('a container that fails once and then works: its log is that of the last run, the one before can be read', async () => {
  const manifest = job(
    'second-try',
    {
      restartPolicy: 'OnFailure',
      volumes: [{ name: 'data', emptyDir: {} }],
      containers: [
        shell(
          'main',
          'cd $DROVER_VOLUME_DATA; echo x >> runs; echo run $(wc -l < runs); [ $(wc -l < runs) = 2 ]',
          mount('/drover-data'),
        ),
      ],
    },
    { backoffLimit: 5 },
  );
  onTestFailed(() => engine.show());
  await engine.drover.jobs.create(manifest);
  await waitFor(async () => {
    const now = await onlyPod('second-try');
    return now !== null && podStatusWord(now) === 'CrashLoopBackOff';
  });
  await engine.finished('second-try');
  const pod = (await onlyPod('second-try'))!;
  expect(statusOf(pod, 'main')).toMatchObject({
    restartCount: 1,
    state: { terminated: { exitCode: 0 } },
    lastState: { terminated: { exitCode: 1, reason: 'Error' } },
  });
  expect(await logOf(pod)).toBe('run 2\n');
  expect(await logOf(pod, { previous: true })).toBe('run 1\n');
  expect(await logOf(pod, { previous: true, follow: true })).toBe('run 1\n');
});

test('following one container ends with it, not with its pod', async () => {
  onTestFailed(() => engine.show());
  await engine.drover.jobs.create(
    job('follow-one', {
      containers: [shell('short', 'sleep 0.3; echo done'), shell('long', 'sleep 1000')],
    }),
  );
  const pod = await waitFor(() => onlyPod('follow-one'));
  expect(await logOf(pod, { container: 'short', follow: true })).toBe('done\n');
  expect((await onlyPod('follow-one'))?.status.phase).toBe('Running');
  await engine.drover.jobs.delete('follow-one');
});

test('a log that there is not: another container, or a run before the first', async () => {
  const pod = await run(job('plain', { containers: [shell('main', 'echo hello')] }));
  expect(await logOf(pod, { container: 'main' })).toBe('hello\n');
  await expect(logOf(pod, { container: 'nope' })).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: `container nope is not valid for pod ${pod.metadata.name}: it has main`,
  });
  await expect(logOf(pod, { previous: true })).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: `previous terminated container "main" in pod "${pod.metadata.name}" not found`,
  });
});

test('a watch sees a pod go through its initContainers', async () => {
  onTestFailed(() => engine.show());
  const ended = new AbortController();
  const words: string[] = [];
  const watching = (async () => {
    const options = { labelSelector: 'job-name=watched', signal: ended.signal };
    for await (const { pod } of engine.drover.pods.watch(options)) {
      words.push(podStatusWord(pod));
      if (pod.status.phase === 'Succeeded') ended.abort();
    }
  })();
  await engine.drover.jobs.create(
    job('watched', {
      initContainers: [shell('one', 'sleep 0.4')],
      containers: [shell('main', 'sleep 0.4')],
    }),
  );
  await watching;
  expect(words.filter((word, i) => word !== words[i - 1])).toEqual(
    expect.arrayContaining(['Init:0/1', 'Running', 'Completed']),
  );
});

test('kill -9 of the worker: nothing of the pod is left, and another worker runs it anew', async () => {
  const own = await Engine.forTest();
  const directory = await mkdtemp(join(tmpdir(), 'drover-volumes-test-'));
  try {
    await own.controller();
    const first = await own.worker({ volumeDirectory: directory });
    const hold = (name: string) =>
      shell(name, `echo $$$$ > ${directory}/${name}.pid; exec sleep 1000`, mount('/drover-data'));
    await own.drover.jobs.create(
      job(
        'lost',
        {
          volumes: [{ name: 'data', emptyDir: {} }],
          initContainers: [{ ...hold('proxy'), restartPolicy: 'Always' }],
          containers: [
            hold('main'),
            shell(
              'second',
              `echo x > $DROVER_VOLUME_DATA/x; touch ${directory}/second.pid; exec sleep 1000`,
              mount('/drover-data'),
            ),
          ],
        },
        { backoffLimit: 3 },
      ),
    );
    const files = ['proxy.pid', 'main.pid'].map((name) => join(directory, name));
    await waitFor(() =>
      [...files, join(directory, 'second.pid')].every((file) => existsSync(file)),
    );
    const pids = await Promise.all(files.map(async (file) => Number(await readFile(file, 'utf8'))));
    await first.process.kill('SIGKILL');
    await waitFor(() => pids.every((pid) => !isAlive(pid)));
    await own.worker({ volumeDirectory: directory });
    await waitFor(async () => {
      const pods = await own.pods('lost');
      return pods.length === 2 && podStatusWord(pods[1]!) === 'Running';
    });
    const [lost] = await own.pods('lost');
    expect(lost?.status).toMatchObject({ phase: 'Failed', reason: 'NodeLost' });
    // Volumes of the one worker that lives, and no others.
    const shared = (await readdir(directory)).find((name) => name.startsWith('drover-volumes-'))!;
    expect(await readdir(join(directory, shared))).toHaveLength(1);
  } finally {
    await own.close();
    await rm(directory, { recursive: true, force: true });
  }
}, 60_000);
