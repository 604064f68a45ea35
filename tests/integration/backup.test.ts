import { copyFile, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { guardFolder, wantedTopology } from '@drover/testkit';
import { expect, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob } from './support/manifests.ts';
import { runsByIndex } from './support/records.ts';
import { saveSnapshots } from './support/servers.ts';

/** Indexes of the Job, and items of the work queue. */
const COUNT = 120;

const isCluster = wantedTopology() === 'cluster';

test.skipIf(isCluster)(
  'a backup in the middle of work, restored on another Redis, goes on from there: what ended after it runs once more',
  async () => {
    // Behind a Sentinel it is the replica that has everything, not a file.
    const redis = { topology: 'server' } as const;
    await using engine = await Engine.forTest({ redis });
    const letters = engine.drover.workQueue('letters');
    await letters.enqueue(Array.from({ length: COUNT }, () => ({ ms: 25 })));
    await letters.seal();
    const shape = { completions: COUNT, parallelism: 6, indexed: true };
    await engine.drover.jobs.create(handlerJob('work', { name: 'work', ...shape }, { ms: 25 }));
    await engine.drover.jobs.create({
      ...handlerJob('take', { name: 'readers', completions: null, parallelism: 1 }),
      metadata: { name: 'readers', annotations: { 'drover.dev/work-queue': 'letters' } },
    });
    const [controller, worker] = await Promise.all([engine.controller(), engine.worker()]);

    await engine.until('work', ({ succeeded = 0 }) => succeeded >= 30);
    const folder = await backUp(engine);
    const atBackup = engine.records.read('work').filter(({ endMs }) => endMs !== null).length;
    const settledAtBackup = (await letters.stats()).completed;
    await engine.until('work', ({ succeeded = 0 }) => succeeded >= atBackup + 30);
    await Promise.all([controller.kill('SIGKILL'), worker.process.kill('SIGKILL')]);
    await engine.redis.kill();

    await using restored = await Engine.forTest({
      redis: { ...redis, folder },
      prefix: engine.prefix,
    });
    const { succeeded = 0 } = (await restored.job('work')).status ?? {};
    expect(succeeded).toBeLessThanOrEqual(atBackup);
    const items = restored.drover.workQueue('letters');
    expect((await items.stats()).completed).toBeLessThanOrEqual(settledAtBackup);

    await Promise.all([restored.controller(), restored.worker()]);
    const job = await restored.finished('work');
    expect(job.status).toMatchObject({ succeeded: COUNT, completedIndexes: `0-${COUNT - 1}` });
    expect(job.status?.conditions?.at(-1)).toMatchObject({ type: 'Complete', status: 'True' });
    const runs = [...engine.records.read('work'), ...restored.records.read('work')];
    expect(runsByIndex(runs).size).toBe(COUNT);
    // What had run after the backup ran once more: at least once, as ever.
    expect(runs.length).toBeGreaterThan(COUNT);

    expect((await restored.finished('readers')).status?.conditions?.at(-1)?.type).toBe('Complete');
    expect(await items.stats()).toMatchObject({ completed: COUNT, dead: 0, allDone: true });
    const ids: number[] = [];
    for await (const { id } of items.results()) ids.push(id);
    expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: COUNT }, (_, i) => i + 1));
  },
  60_000,
);

test.runIf(isCluster)(
  'a snapshot of each master of a cluster, restored after everything is gone, goes on from there',
  async () => {
    await using engine = await Engine.forTest({ redis: { topology: 'cluster' } });
    const shape = { name: 'work', completions: 120, parallelism: 6, indexed: true };
    await engine.drover.jobs.create(handlerJob('work', shape, { ms: 25 }));
    const [controller, worker] = await Promise.all([engine.controller(), engine.worker()]);

    await engine.until('work', ({ succeeded = 0 }) => succeeded >= 30);
    await saveSnapshots(engine);
    const atSnapshot = engine.records.read('work').filter(({ endMs }) => endMs !== null).length;
    await engine.until('work', ({ succeeded = 0 }) => succeeded >= atSnapshot + 30);
    await Promise.all([controller.kill('SIGKILL'), worker.process.kill('SIGKILL')]);
    await engine.redis.kill();
    // Redis begins with what it finds in its directory: the snapshot.
    await engine.redis.restart();
    const { succeeded = 0 } = (await engine.job('work')).status ?? {};
    expect(succeeded).toBeLessThanOrEqual(atSnapshot);

    await Promise.all([engine.controller(), engine.worker()]);
    const job = await engine.finished('work');
    expect(job.status).toMatchObject({ succeeded: 120, completedIndexes: '0-119' });
    expect(job.status?.conditions?.at(-1)).toMatchObject({ type: 'Complete', status: 'True' });
    const runs = engine.records.read('work');
    expect(runsByIndex(runs).size).toBe(120);
    // What had run after the snapshot ran once more: at least once, as ever.
    expect(runs.length).toBeGreaterThan(120);
  },
  60_000,
);

/** A snapshot while all runs. @returns A folder for another Redis to begin with. */
async function backUp(engine: Engine): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'drover-backup-'));
  guardFolder(folder);
  const redis = engine.redis.connect();
  await redis.save();
  const [, dir = ''] = await redis.config('GET', 'dir');
  await copyFile(join(dir, 'dump.rdb'), join(folder, 'dump.rdb'));
  return folder;
}
