import { startProxy, waitFor } from '@drover/testkit';
import { expect, test } from 'vitest';

import { Engine } from './support/engine.ts';
import { handlerJob } from './support/manifests.ts';
import { runsByIndex } from './support/records.ts';

test('a worker that is cut off for longer than its lease: what it reports later counts for nothing', async () => {
  // The way to several servers would take a proxy for each, and those would have to name the proxies.
  await using engine = await Engine.forTest({ redis: { topology: 'server' } });
  const { drover, records } = engine;
  const proxy = await startProxy({ target: { port: engine.redis.port } });
  const [, cutOff] = await Promise.all([
    engine.controller(),
    engine.worker({ url: `redis://127.0.0.1:${proxy.port}` }),
  ]);
  await drover.jobs.create(handlerJob('wait', { name: 'long', graceSeconds: 1 }));
  await waitFor(() => records.read('long').length === 1);
  // With four lanes it leaves some of the eight slots to the one that will be cut off.
  const other = await engine.worker({ maxPods: 4 });
  const shape = { completions: 250, parallelism: 8, indexed: true };
  await drover.jobs.create(handlerJob('finish', { name: 'moved', ...shape }, { ms: 50 }));
  await engine.until('moved', ({ succeeded = 0 }) => succeeded > 20);
  proxy.blackhole();
  await waitFor(() => records.read('long').length === 2);
  expect(cutOff.process.isOver).toBe(false);
  records.go('long');
  const moved = await engine.finished('moved');
  const long = await engine.finished('long');
  proxy.heal();
  await cutOff.process.waitForLine(/the session was ended/);

  expect(moved.status).toMatchObject({ succeeded: 250, completedIndexes: '0-249' });
  expect(runsByIndex(records.read('moved')).size).toBe(250);
  const pods = await engine.pods('moved');
  const phases = Map.groupBy(pods, (pod) => pod.status?.phase);
  expect(phases.get('Succeeded')).toHaveLength(250);
  const lost = phases.get('Failed') ?? [];
  expect(lost).toHaveLength(moved.status?.failed ?? 0);
  expect(lost.map((pod) => pod.status?.reason)).toContain('NodeLost');
  // Both of its pods ended well, and one of them counts.
  expect(records.read('long').map((run) => run.node)).toEqual([cutOff.name, other.name]);
  expect(long.status).toMatchObject({ succeeded: 1, failed: 1 });
  expect((await engine.job('long')).status).toEqual(long.status);

  await drover.jobs.create(
    handlerJob('work', { name: 'after', completions: 40, parallelism: 20 }, { ms: 50 }),
  );
  await engine.finished('after');
  expect(new Set(records.read('after').map((run) => run.node)).size).toBe(2);
  await proxy.stop();
}, 60_000);
