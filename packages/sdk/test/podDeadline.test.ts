/** activeDeadlineSeconds of a pod, which is another than that of a Job. */
import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { defineHandler } from '../src/index.ts';
import { Engine, handlerJob } from './engine.ts';

const MESSAGE = 'Pod was active on the node longer than the specified deadline';

let engine: Engine;

beforeAll(async () => {
  engine = await Engine.start([
    defineHandler('patient', async ({ signal }) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      signal.addEventListener('abort', () => resolve());
      await promise;
    }),
    defineHandler('quick', () => undefined),
  ]);
});
afterAll(() => engine.stop());

describe.concurrent('activeDeadlineSeconds of a pod', () => {
  test.each([
    [
      'a program',
      { restartPolicy: 'Never', containers: [{ name: 'main', command: ['sleep', '60'] }] },
    ],
    [
      'a program that ends well when it is told to stop',
      {
        restartPolicy: 'OnFailure',
        containers: [
          {
            name: 'main',
            command: ['sh', '-c', "trap 'exit 0' TERM; while :; do sleep 0.05; done"],
          },
        ],
      },
    ],
    [
      'a handler',
      {
        restartPolicy: 'Never',
        runtimeClassName: 'handler',
        containers: [{ name: 'main', image: 'patient' }],
      },
    ],
  ])('%s is stopped, and its pod is Failed', async (what, spec) => {
    const { jobs, pods, events } = engine.drover;
    const job = await jobs.create({
      metadata: { name: what.replaceAll(' ', '-') },
      spec: { backoffLimit: 0, template: { spec: { ...spec, activeDeadlineSeconds: 1 } } },
    });
    const { status } = await jobs.wait(job, { for: 'finished', timeoutMs: 20_000 });
    expect(status.conditions?.at(-1)).toMatchObject({
      type: 'Failed',
      // A pod that took too long is a failure like others.
      reason: 'BackoffLimitExceeded',
    });
    const [pod] = await pods.list({ job });
    expect(pod?.status).toMatchObject({
      phase: 'Failed',
      reason: 'DeadlineExceeded',
      message: MESSAGE,
    });
    const { name, uid } = pod!.metadata;
    const about = { kind: 'Pod', name, uid };
    await waitFor(async () => (await events.list({ about })).length === 4);
    expect((await events.list({ about })).map(({ reason }) => reason)).toEqual([
      'Scheduled',
      'Started',
      'DeadlineExceeded',
      'Killing',
    ]);
  });

  test('a pod that ends in time is not touched, nor is the next one of its slot', async () => {
    const { jobs } = engine.drover;
    const manifest = handlerJob('in-time', 'quick', { completions: 50, parallelism: 1 });
    const job = await jobs.create({
      ...manifest,
      spec: {
        ...manifest.spec,
        template: {
          spec: { ...manifest.spec.template.spec, activeDeadlineSeconds: 2_147_483_647 },
        },
      },
    });
    const { status } = await jobs.wait(job, { for: 'complete', timeoutMs: 20_000 });
    expect(status).toMatchObject({ succeeded: 50 });
    expect(status.failed ?? 0).toBe(0);
  });
});
