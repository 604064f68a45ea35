import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob } from './support/manifests.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.open();
  await Promise.all([engine.controller(), engine.worker({ maxPods: 1 })]);
}, 60_000);
afterAll(() => engine.close());

/** A Job whose pods have a class; '' = none. */
async function submit(name: string, handler: string, priorityClassName: string): Promise<void> {
  const pod = priorityClassName === '' ? {} : { priorityClassName };
  const shape = { name, completions: 2, parallelism: 2, indexed: true, pod };
  await engine.drover.jobs.create(handlerJob(handler, shape));
}

test('pods of a higher priority are taken first, whoever came first; those of equal priority in turn', async () => {
  onTestFailed(() => engine.show());
  const { drover, records } = engine;
  const classes = { least: -5, urgent: 1_000, most: 1_001 };
  for (const [name, value] of Object.entries(classes)) {
    await drover.priorityClasses.create({ metadata: { name }, value, preemptionPolicy: 'Never' });
  }
  // It has the only lane, and goes on with it when more important ones come.
  await submit('first', 'wait', 'least');
  await engine.until('first', ({ ready }) => ready === 1);
  for (const [name, className] of [
    ['last', 'least'],
    ['plain', ''],
    ['other', ''],
    ['important', 'urgent'],
    ['urging', 'most'],
  ] as const) {
    await submit(name, 'work', className);
    await engine.until(name, ({ active }) => active === 2);
  }
  const [pod] = await drover.pods.list({ job: 'important' });
  expect(pod?.spec).toMatchObject({ priorityClassName: 'urgent', priority: 1_000 });
  records.go('first');
  await Promise.all(['last', 'plain', 'other'].map((name) => engine.finished(name)));
  const jobs = ['last', 'plain', 'other', 'important', 'urging'];
  const runs = jobs.flatMap((job) => records.read(job));
  const order = runs.toSorted((a, b) => a.startMs - b.startMs).map(({ job }) => job);
  expect(order.slice(0, 4)).toEqual(['urging', 'urging', 'important', 'important']);
  expect(order.slice(4, 8).toSorted()).toEqual(['other', 'other', 'plain', 'plain']);
  expect(order.slice(8)).toEqual(['last', 'last']);
}, 60_000);

test('without its class no pod starts; once the class is there they do', async () => {
  onTestFailed(() => engine.show());
  const { drover } = engine;
  await submit('classy', 'work', 'gold');
  const message = await waitFor(async () => {
    const events = await drover.events.list({ about: { kind: 'Job', name: 'classy' } });
    return events.find(({ reason }) => reason === 'FailedCreate')?.message;
  });
  expect(message).toMatch(
    /^Error creating: pods "classy-\w{5}" is forbidden: no PriorityClass with name gold was found$/,
  );
  const pod = {
    metadata: { name: 'alone' },
    spec: {
      restartPolicy: 'Never',
      runtimeClassName: 'handler',
      priorityClassName: 'gold',
      containers: [{ name: 'main', image: 'noop' }],
    },
  };
  await expect(drover.pods.create(pod)).rejects.toThrow(
    'pods "alone" is forbidden: no PriorityClass with name gold was found',
  );
  await drover.priorityClasses.create({
    metadata: { name: 'gold' },
    value: 10,
    globalDefault: true,
  });
  await engine.finished('classy');
  await drover.pods.create(pod);
  // From now on pods that name none have it.
  await submit('usual', 'work', '');
  await engine.finished('usual');
  const [usual] = await drover.pods.list({ job: 'usual' });
  expect(usual?.spec).toMatchObject({ priorityClassName: 'gold', priority: 10 });
}, 60_000);
