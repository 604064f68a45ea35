/** Redis and a controller on one host, workers on others, and a network between them that breaks. */
import type { Job } from '@drover/sdk';
import { waitFor } from '@drover/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { Engine, type TestWorker } from './support/engine.ts';
import { type Host, hostAbilities, Hosts } from './support/hosts.ts';
import { handlerJob } from './support/manifests.ts';
import { mostAtOnce, runsByIndex } from './support/records.ts';

/** Of each of the two workers that are cut off. */
const LANES = 6;
/** Of the worker that is left then: enough for all. */
const SPARE_LANES = 20;

const why = hostAbilities();
const skipped = [...new Set(Object.values(why).filter((reason) => reason !== null))];
if (skipped.length > 0) console.log(`tests with hosts are skipped: ${skipped.join('; ')}`);

describe.skipIf(why.hosts !== null)(`hosts${note(why.hosts)}`, () => {
  let hosts: Hosts;
  let engine: Engine;
  let left: Host;
  let right: Host;
  let onLeft: TestWorker;
  let onRight: TestWorker;
  /** Starts a worker on the third host, with lanes for all. */
  let spare: () => Promise<TestWorker>;

  beforeAll(async () => {
    hosts = await Hosts.make(4);
    const [main, third, ...others] = hosts.all as [Host, Host, Host, Host];
    [left, right] = others;
    const url = `redis://${main.address}:6379`;
    const config = { port: '6379', bind: main.address, 'protected-mode': 'no' };
    // The test is on none of the hosts: it has the socket of Redis. The settings are the default ones.
    const redis = { unixSocket: true, within: main.within, config };
    engine = await Engine.open({ redis, settings: {}, hasAcl: false });
    const worker = (host: Host, maxPods: number) => engine.worker({ url, maxPods }, host.within);
    spare = () => worker(third, SPARE_LANES);
    [onLeft, onRight] = await Promise.all([
      worker(left, LANES),
      worker(right, LANES),
      engine.controller({ url }, main.within),
    ]);
  });

  afterAll(async () => {
    await engine?.close();
    await hosts?.remove();
  });

  beforeEach(({ onTestFailed }) => onTestFailed(() => engine.show()));

  /** Ids of the sessions that workers have. */
  async function sessions(): Promise<string[]> {
    const key = engine.store.shards[0]?.keys.sessions ?? '';
    return (await engine.store.redis.zrange(key, '0', '-1')).toSorted();
  }

  async function submit(name: string, completions: number): Promise<void> {
    const shape = { name, completions, parallelism: 8, indexed: true };
    await engine.drover.jobs.create(handlerJob('finish', shape, { ms: 20 }));
  }

  /** Waits for the end of a Job, with each index and each pod counted once. */
  async function ended(name: string, completions: number): Promise<Job> {
    const job = await engine.finished(name, 60_000);
    expect(job.status).toMatchObject({
      succeeded: completions,
      completedIndexes: `0-${completions - 1}`,
    });
    expect(runsByIndex(engine.records.read(name)).size).toBe(completions);
    const pods = Map.groupBy(await engine.pods(name), (pod) => pod.status?.phase);
    expect(pods.get('Succeeded')).toHaveLength(completions);
    expect(pods.get('Failed') ?? []).toHaveLength(job.status?.failed ?? 0);
    return job;
  }

  const weather = [
    {
      what: 'packets that take 100 ms each way',
      reason: why.delay,
      apply: (host: Host) => host.delay(100),
    },
    {
      what: 'one packet of twenty lost',
      reason: null,
      apply: (host: Host) => host.lose(0.05),
    },
  ];
  for (const [number, { what, reason, apply }] of weather.entries()) {
    test.skipIf(reason !== null)(`${what}: nobody is taken for lost${note(reason)}`, async () => {
      const name = `weather-${number}`;
      const before = await sessions();
      await Promise.all([apply(left), apply(right)]);
      await submit(name, 200);
      const { status } = await ended(name, 200);
      await Promise.all([left.heal(), right.heal()]);

      expect(status?.failed ?? 0).toBe(0);
      const runs = engine.records.read(name);
      expect(runs).toHaveLength(200);
      expect(mostAtOnce(runs)).toBeLessThanOrEqual(8);
      expect(await sessions()).toEqual(before);
    });
  }

  test('two hosts are cut off for longer than the lease, one by its cable, one hears nothing and is heard: their pods run elsewhere, within 10 s of the cut, and what they report later counts for nothing', async () => {
    const { drover, records } = engine;
    await drover.jobs.create(
      handlerJob('wait', { name: 'long', completions: 8, parallelism: 8, indexed: true }),
    );
    await waitFor(() => records.read('long').length === 8);
    const before = records.read('long');
    // Neither has lanes for all.
    expect(new Set(before.map((run) => run.node))).toEqual(new Set([onLeft.name, onRight.name]));
    const third = await spare();
    await submit('moved', 300);
    await engine.until('moved', ({ succeeded = 0 }) => succeeded > 20);

    await Promise.all([left.cut(), right.lose(1)]);
    const cutAtMs = Date.now();
    await waitFor(() => records.read('long').length === 16);
    const again = records.read('long').slice(8);
    expect(new Set(again.map((run) => run.node))).toEqual(new Set([third.name]));
    // Of the other one Redis hears for a while.
    const lost = before.filter((run) => run.node === onLeft.name).map((run) => run.index);
    const ofLeft = again.filter((run) => lost.includes(run.index)).map((run) => run.startMs);
    expect(Math.max(...ofLeft) - cutAtMs).toBeLessThan(10_000);
    // Both runs of an index end well, one of them on a host that can not say so.
    records.go('long');
    const { status } = await ended('long', 8);
    await ended('moved', 300);
    await waitFor(() => records.read('long').every((run) => run.endMs !== null));
    expect([onLeft, onRight].map((worker) => worker.process.isOver)).toEqual([false, false]);
    await Promise.all([left.heal(), right.heal()]);
    await Promise.all(
      [onLeft, onRight].map((worker) => worker.process.waitForLine(/the session was ended/)),
    );

    expect(status?.failed).toBe(8);
    const failed = (await engine.pods('long')).filter((pod) => pod.status?.phase === 'Failed');
    expect(failed.map((pod) => pod.status?.reason)).toEqual(Array(8).fill('NodeLost'));
    expect(failed.map((pod) => pod.metadata?.name).toSorted()).toEqual(
      before.map((run) => run.pod).toSorted(),
    );
    // All three take pods again: no two of them have the lanes for these.
    const all = SPARE_LANES + LANES + 1;
    await drover.jobs.create(
      handlerJob('wait', { name: 'after', completions: all, parallelism: all }),
    );
    await waitFor(() => records.read('after').length === all);
    records.go('after');
    expect((await engine.finished('after')).status).toMatchObject({ succeeded: all });
    expect((await engine.job('long')).status).toEqual(status);
  });
});

/** What is told of tests that are skipped. */
function note(reason: string | null): string {
  return reason === null ? '' : ` (skipped: ${reason})`;
}
