import { Shard } from '@drover/store';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import {
  defineHandler,
  JobOutcomeError,
  NotFoundError,
  type Pod,
  type PodEvent,
} from '../src/index.ts';
import { Engine, handlerJob } from './engine.ts';

let engine: Engine;
/** Pods of the handler `held` end when this resolves. */
const released = Promise.withResolvers<void>();

const momentCame = Promise.withResolvers<void>();

const handlers = [
  defineHandler('brief', () => momentCame.promise),
  defineHandler('work', ({ index }) => ({ index })),
  defineHandler('fail', () => {
    throw new Error('no luck');
  }),
  defineHandler('held', async ({ signal }) => {
    const stopped = new Promise((resolve) =>
      signal.addEventListener('abort', resolve, { once: true }),
    );
    await Promise.race([released.promise, stopped]);
  }),
];

beforeAll(async () => {
  engine = await Engine.start(handlers);
});

afterAll(async () => {
  released.resolve();
  await engine.stop();
});

/** A Job of one program. */
function processJob(name: string, command: readonly string[]) {
  return {
    metadata: { name },
    spec: {
      backoffLimit: 0,
      template: {
        spec: { restartPolicy: 'Never', containers: [{ name: 'main', command }] },
      },
    },
  };
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

async function untilPhase(job: string, phase: string): Promise<Pod> {
  for await (const { pod } of engine.drover.pods.watch({ job })) {
    if (pod.status.phase === phase) return pod;
  }
  return expect.unreachable('the watch ended');
}

test('an Indexed Job runs to completion and its pods are listed with what they returned', async () => {
  const spec = { completions: 5, parallelism: 2, completionMode: 'Indexed' };
  const job = await engine.drover.jobs.create(handlerJob('indexed', 'work', spec));
  const done = await engine.drover.jobs.wait(job, { for: 'complete', timeoutMs: 10_000 });
  expect(done.status).toMatchObject({ succeeded: 5, completedIndexes: '0-4' });

  const pods = await engine.drover.pods.list({ job });
  expect(pods.map(({ metadata }) => metadata.annotations?.['drover.dev/result'])).toEqual(
    [0, 1, 2, 3, 4].map((index) => JSON.stringify({ index })),
  );
  const [pod] = pods;
  expect(pod).toMatchObject({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      namespace: 'default',
      generateName: 'indexed-0-',
      labels: { app: 'indexed', 'batch.kubernetes.io/job-completion-index': '0' },
      ownerReferences: [{ kind: 'Job', name: 'indexed', uid: job.metadata.uid, controller: true }],
    },
    spec: { hostname: 'indexed-0', nodeName: 'test-worker' },
    status: {
      phase: 'Succeeded',
      containerStatuses: [
        { name: 'main', state: { terminated: { exitCode: 0, reason: 'Completed' } } },
      ],
    },
  });
  expect(await engine.drover.pods.get(pod?.metadata.name ?? '')).toEqual(pod);
});

test('lists by selector, phase and limit', async () => {
  await engine.drover.jobs.create(handlerJob('listed', 'work', { completions: 3 }));
  await engine.drover.jobs.wait('listed', { timeoutMs: 10_000 });
  const count = async (options: object) => (await engine.drover.pods.list(options)).length;
  expect(await count({ labelSelector: 'job-name=listed' })).toBe(3);
  expect(await count({ labelSelector: 'app=listed' })).toBe(3);
  expect(await count({ job: 'listed', phase: 'Failed' })).toBe(0);
  expect(await count({ job: 'listed', limit: 2 })).toBe(2);
  expect(await count({ allNamespaces: true, labelSelector: 'app=listed' })).toBe(3);
  expect(await count({ namespace: 'other' })).toBe(0);
});

test('a failed Job says why, and so does its pod', async () => {
  const job = await engine.drover.jobs.create(handlerJob('failing', 'fail', { backoffLimit: 0 }));
  const wait = engine.drover.jobs.wait(job, { for: 'complete', timeoutMs: 10_000 });
  await expect(wait).rejects.toThrow(JobOutcomeError);
  await expect(wait).rejects.toThrow('Job "failing" is Failed (BackoffLimitExceeded: ');
  const failed = await engine.drover.jobs.wait(job, { for: 'failed' });
  expect(failed.status).toMatchObject({ failed: 1 });
  const [pod] = await engine.drover.pods.list({ job });
  expect(pod?.status.containerStatuses?.[0]?.state?.terminated).toMatchObject({
    exitCode: 1,
    reason: 'Error',
    message: expect.stringContaining('no luck') as string,
  });
});

test('a pod that no worker can run says what is missing', async () => {
  await engine.drover.jobs.create(handlerJob('nobody', 'unknown'));
  const pod = await untilPhase('nobody', 'Pending');
  expect(pod.status.conditions).toMatchObject([
    {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: "no worker offers runtime 'handler' with handler 'unknown' in pool 'default'",
    },
  ]);
});

describe('logs', () => {
  test('of a program, whole, by its last lines and with times', async () => {
    const script = 'echo one; echo two >&2; sleep 0.2; echo three';
    const job = await engine.drover.jobs.create(processJob('writer', ['sh', '-c', script]));
    await engine.drover.jobs.wait(job, { timeoutMs: 10_000 });
    const [pod] = await engine.drover.pods.list({ job });
    const read = async (options: object) =>
      (await collect(engine.drover.pods.logs(pod ?? '', options))).join('');
    expect((await read({})).split('\n').toSorted()).toEqual(['', 'one', 'three', 'two']);
    expect(await read({ tailLines: 1 })).toBe('three\n');
    expect(await read({ tailLines: 1, timestamps: true })).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z three\n$/,
    );
    expect(await read({ follow: true, limitBytes: 4 })).toHaveLength(4);
  });

  test('are followed to the end of the pod', async () => {
    const script = 'for i in 1 2 3; do echo $i; sleep 0.1; done';
    const job = await engine.drover.jobs.create(processJob('followed', ['sh', '-c', script]));
    const pod = await untilPhase('followed', 'Running');
    const lines = await collect(engine.drover.pods.logs(pod, { follow: true }));
    expect(lines).toEqual(['1\n', '2\n', '3\n']);
    await engine.drover.jobs.wait(job, { for: 'complete', timeoutMs: 10_000 });
  });

  test('of a pod that does not exist are not found', async () => {
    const logs = collect(engine.drover.pods.logs('nobody-bcdfg'));
    await expect(logs).rejects.toThrow(NotFoundError);
  });
});

describe('delete', () => {
  test('a pod that runs is stopped, counted and replaced', async () => {
    const job = await engine.drover.jobs.create(handlerJob('replaced', 'held'));
    const first = await untilPhase('replaced', 'Running');
    await engine.drover.pods.delete(first);
    for await (const { pod } of engine.drover.pods.watch({ job })) {
      if (pod.metadata.uid !== first.metadata.uid && pod.status.phase === 'Running') break;
    }
    expect((await engine.drover.jobs.get(job)).status).toMatchObject({ active: 1, failed: 1 });
    await engine.drover.jobs.delete(job);
  });

  test('of a pod that ends at the same moment removes what is left of it', async () => {
    await engine.drover.jobs.create(handlerJob('moment', 'brief'));
    const pod = await untilPhase('moment', 'Running');
    const stopPods = Shard.prototype.stopPods;
    vi.spyOn(Shard.prototype, 'stopPods').mockImplementationOnce(async function (
      this: Shard,
      input,
    ) {
      momentCame.resolve();
      await engine.drover.jobs.wait('moment', { for: 'complete' });
      return await stopPods.call(this, input);
    });
    await engine.drover.pods.delete(pod);
    await expect(engine.drover.pods.get(pod)).rejects.toThrow(NotFoundError);
  });

  test('of a pod that ended the record and the log go, the counts stay', async () => {
    const job = await engine.drover.jobs.create(processJob('removed', ['echo', 'x']));
    await engine.drover.jobs.wait(job, { timeoutMs: 10_000 });
    const [pod] = await engine.drover.pods.list({ job });
    await engine.drover.pods.delete(pod ?? '');
    expect(await engine.drover.pods.list({ job })).toEqual([]);
    expect((await engine.drover.jobs.get(job)).status.succeeded).toBe(1);
    await expect(engine.drover.pods.get(pod ?? '')).rejects.toThrow(NotFoundError);
  });
});

test('a watch of pods tells their whole life, and their end with the Job', async () => {
  const events: PodEvent[] = [];
  const job = await engine.drover.jobs.create(handlerJob('lived', 'work', { completions: 2 }));
  let deleted = false;
  for await (const event of engine.drover.pods.watch({ labelSelector: 'job-name=lived' })) {
    events.push(event);
    const succeeded = new Set(
      events
        .filter(({ pod }) => pod.status.phase === 'Succeeded')
        .map(({ pod }) => pod.metadata.uid),
    );
    if (succeeded.size === 2 && !deleted) {
      deleted = true;
      await engine.drover.jobs.delete(job);
    }
    if (events.filter(({ type }) => type === 'DELETED').length === 2) break;
  }
  const first = events.filter(({ pod }) => pod.metadata.uid === events[0]?.pod.metadata.uid);
  expect(first[0]?.type).toBe('ADDED');
  expect(first.at(-1)?.type).toBe('DELETED');
});

test('nodes are the workers', async () => {
  const nodes = await engine.drover.nodes.list();
  expect(nodes).toMatchObject([
    {
      kind: 'Node',
      metadata: { name: 'test-worker', labels: { 'drover.dev/pool': 'default' } },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    },
  ]);
  await expect(engine.drover.nodes.get('nobody')).rejects.toThrow(NotFoundError);
});
