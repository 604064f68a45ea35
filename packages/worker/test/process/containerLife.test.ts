/** Restart rules, hooks and probes of containers. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { waitFor } from '@drover/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { TestEngine, TestJob } from '../support/engine.ts';
import { Workers } from '../support/workers.ts';

let workers: Workers;
let directory: string;

beforeAll(async () => {
  workers = await Workers.start();
});
beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'drover-life-')));
});
afterEach(async () => {
  await workers.clear();
  await rm(directory, { recursive: true, force: true });
});
afterAll(async () => {
  await workers.stop();
});

function container(name: string, script: string, more: object = {}): object {
  return { name, command: ['/bin/sh', '-c', script], workingDir: directory, ...more };
}

const sh = (script: string): object => ({ exec: { command: ['/bin/sh', '-c', script] } });
/** Says that it began, and runs until it is told to stop. */
const patient = (more: object = {}): object =>
  container(
    'main',
    "trap 'echo stopped >> notes; exit 0' TERM; echo began >> notes; while :; do sleep 0.02; done",
    more,
  );

async function notes(): Promise<string[]> {
  const path = join(directory, 'notes');
  return existsSync(path) ? (await readFile(path, 'utf8')).trim().split('\n') : [];
}

async function startOne(
  pod: object,
  job: Partial<TestJob> = {},
): Promise<{ engine: TestEngine; uid: string }> {
  const engine = await workers.engine();
  await workers.worker(engine, {
    runtimes: ['process'],
    maxPods: 2,
    crashLoop: { baseMs: 20, capMs: 20 },
  });
  const uid = await engine.createJob({ run: ['true'], pod, ...job });
  await engine.offer(uid, 1);
  return { engine, uid };
}

const ended = (engine: TestEngine, uid: string) => waitFor(() => engine.endedPod(uid));

/** Events are written a moment after what they tell. */
async function told(engine: TestEngine, text: string): Promise<void> {
  await waitFor(async () => {
    const events = await engine.shard.events.list({ namespace: null });
    return events.some(({ reason, message }) => `${reason} ${message}`.startsWith(text));
  });
}

describe("a container's own restarts", () => {
  const counting = 'echo run >> notes; n=$(wc -l < notes); ';

  test('its restartPolicy holds instead of that of the pod', async () => {
    const { engine, uid } = await startOne({
      containers: [container('main', `${counting} test $n -ge 3`, { restartPolicy: 'OnFailure' })],
    });
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Succeeded', overlay: { restarts: 2 } });
    expect(await notes()).toHaveLength(3);
    await told(engine, 'BackOff Back-off restarting failed container main in pod ');
  });

  test('Never keeps one from being started again in a pod of OnFailure', async () => {
    const { engine, uid } = await startOne(
      { containers: [container('main', `${counting} exit 4`, { restartPolicy: 'Never' })] },
      { restartPolicy: 'OnFailure' },
    );
    expect(await ended(engine, uid)).toMatchObject({ outcome: 'Failed', exitCode: 4 });
    expect(await notes()).toHaveLength(1);
  });

  test('a rule restarts it after its exit codes, and after no others', async () => {
    const rules = [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }];
    const { engine, uid } = await startOne({
      containers: [
        container('main', `${counting} test $n -ge 3 && exit 7; exit 42`, {
          restartPolicy: 'Never',
          restartPolicyRules: rules,
        }),
        container('other', 'true'),
      ],
    });
    const pod = await ended(engine, uid);
    expect(pod).toMatchObject({ outcome: 'Failed', exitCode: 7, overlay: { restarts: 2 } });
    expect(await notes()).toHaveLength(3);
  });
});

describe('hooks', () => {
  test('postStart runs beside the program, before the container counts as started', async () => {
    const { engine, uid } = await startOne({
      initContainers: [
        container('proxy', 'while :; do sleep 0.02; done', {
          restartPolicy: 'Always',
          lifecycle: { postStart: sh('sleep 0.1; echo "up $NAME" >> notes') },
          env: [{ name: 'NAME', value: 'proxy' }],
        }),
      ],
      containers: [container('main', 'echo main >> notes')],
    });
    expect(await ended(engine, uid)).toMatchObject({ outcome: 'Succeeded' });
    expect(await notes()).toEqual(['up proxy', 'main']);
  });

  test('a postStart that fails stops its container', async () => {
    const lifecycle = { postStart: sh('exit 3') };
    const { engine, uid } = await startOne(
      { containers: [container('main', 'sleep 60', { lifecycle })] },
      { graceSeconds: 1 },
    );
    expect(await ended(engine, uid)).toMatchObject({ outcome: 'Failed', exitCode: 143 });
    await told(engine, 'FailedPostStartHook PostStartHook of container main failed: exit code 3');
  });

  test('preStop comes before SIGTERM, and not when the program ends by itself', async () => {
    const lifecycle = { preStop: sh('echo hook >> notes') };
    const { engine, uid } = await startOne({ containers: [patient({ lifecycle })] });
    await waitFor(async () => (await notes()).length === 1);
    await engine.stop(uid);
    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
    expect(await notes()).toEqual(['began', 'hook', 'stopped']);

    const own = await engine.createJob({
      run: ['true'],
      pod: { containers: [container('main', 'echo alone >> notes', { lifecycle })] },
    });
    await engine.offer(own, 1);
    await ended(engine, own);
    expect((await notes()).at(-1)).toBe('alone');
  });

  test('a preStop that takes longer than the grace period ends with it', async () => {
    const lifecycle = { preStop: { sleep: { seconds: 1 } } };
    const deaf = container(
      'main',
      "trap '' TERM; echo began >> notes; while :; do sleep 0.02; done",
      { lifecycle },
    );
    const { engine, uid } = await startOne({ containers: [deaf] }, { graceSeconds: 1 });
    await waitFor(async () => (await notes()).length === 1);
    await engine.stop(uid);
    await waitFor(async () => (await engine.job(uid)).counters.terminating === 0);
    expect(await notes()).toEqual(['began']);
  });
});

describe('probes', () => {
  const quick = { periodSeconds: 1, failureThreshold: 1 };

  test('a container that fails its liveness probe is started again, whatever its exit code', async () => {
    const hangsOnce =
      "echo run >> notes; test -e hung && exit 0; touch hung; trap 'exit 0' TERM; while :; do sleep 0.02; done";
    // Late enough for a second run to be over by then, which is not asked as a rule.
    const livenessProbe = { ...sh('test ! -e hung'), ...quick, initialDelaySeconds: 1 };
    const { engine, uid } = await startOne(
      { containers: [container('main', hangsOnce, { livenessProbe })] },
      { restartPolicy: 'OnFailure' },
    );
    expect(await ended(engine, uid)).toMatchObject({ outcome: 'Succeeded' });
    expect((await notes()).length).toBeGreaterThanOrEqual(2);
    await told(engine, 'Unhealthy Liveness probe of container main failed: exit code 1');
  });

  test('with Never it is stopped, and its pod ends as it did', async () => {
    const livenessProbe = { tcpSocket: { port: 1 }, ...quick, terminationGracePeriodSeconds: 1 };
    const { engine, uid } = await startOne({
      containers: [container('main', 'sleep 60', { livenessProbe })],
    });
    expect(await ended(engine, uid)).toMatchObject({ outcome: 'Failed', exitCode: 143 });
    await told(engine, 'Unhealthy Liveness probe of container main failed: connect ECONNREFUSED');
  });

  test('a sidecar has started when its startup probe says so', async () => {
    const server = createServer((request, response) => {
      response.statusCode = request.url === '/up' && existsSync(join(directory, 'up')) ? 204 : 503;
      response.end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const { engine, uid } = await startOne({
        initContainers: [
          container(
            'proxy',
            'sleep 0.2; echo up >> notes; touch up; while :; do sleep 0.02; done',
            {
              restartPolicy: 'Always',
              ports: [{ name: 'web', containerPort: port }],
              startupProbe: {
                httpGet: { port: 'web', path: '/up' },
                periodSeconds: 1,
                failureThreshold: 30,
              },
            },
          ),
        ],
        containers: [container('main', 'echo main >> notes')],
      });
      expect(await ended(engine, uid)).toMatchObject({ outcome: 'Succeeded' });
      expect(await notes()).toEqual(['up', 'main']);
    } finally {
      server.close();
    }
  });

  test('a program that does not answer in time has failed its probe', async () => {
    const startupProbe = { ...sh('sleep 60'), ...quick };
    const { engine, uid } = await startOne({
      containers: [container('main', 'sleep 60', { startupProbe })],
    });
    expect(await ended(engine, uid)).toMatchObject({ outcome: 'Failed' });
    await told(engine, 'Unhealthy Startup probe of container main failed: no answer within 1s');
  });

  test('what can not even be asked has failed, and its worker lives', async () => {
    const httpHeaders = [{ name: 'not a token', value: 'x' }];
    const { engine, uid } = await startOne({
      containers: [
        container('main', 'sleep 60', {
          startupProbe: { httpGet: { port: 1, host: 'no host' }, ...quick },
        }),
        container('other', 'sleep 60', {
          livenessProbe: { httpGet: { port: 1, httpHeaders }, ...quick },
        }),
      ],
    });
    expect(await ended(engine, uid)).toMatchObject({ outcome: 'Failed', exitCode: 143 });
    await told(engine, 'Unhealthy Startup probe of container main failed: Invalid URL');
    await told(engine, 'Unhealthy Liveness probe of container other failed: Header name must be');
  });

  test('preStop comes before the end of a container that failed its probe', async () => {
    const lifecycle = { preStop: sh('echo hook >> notes') };
    const livenessProbe = { tcpSocket: { port: 1 }, ...quick, initialDelaySeconds: 1 };
    const { engine, uid } = await startOne({
      containers: [patient({ lifecycle, livenessProbe })],
    });
    expect(await ended(engine, uid)).toMatchObject({ outcome: 'Succeeded' });
    expect(await notes()).toEqual(['began', 'hook', 'stopped']);
  });
});
