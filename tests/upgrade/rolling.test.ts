/**
 * This version beside an older one of the same layout, each replaced in turn while they work: nothing is lost, and each
 * pod and item counts once. `DROVER_TEST_UPGRADE=REVISION`, or `=1` for the first commit with this layout; skipped
 * without it, since the older version has to be installed, and where git does not have its history.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { findOrphanKeys, inspectInstallation } from '@drover/store';
import { expect, test } from 'vitest';

import { Engine } from '../integration/support/engine.ts';
import { handlerJob, recordedScript } from '../integration/support/manifests.ts';
import { runsByIndex } from '../integration/support/records.ts';
import { findCommit, olderVersion } from './olderVersion.ts';

/** The first commit whose keys have layout version 3. */
const FIRST_OF_LAYOUT = 'aeb91bd1517909b21894f383fab3383ec5a97370';
const WANTED = process.env['DROVER_TEST_UPGRADE'] ?? '';
const commit = WANTED === '' ? null : await findCommit(WANTED === '1' ? FIRST_OF_LAYOUT : WANTED);
if (WANTED !== '' && commit === null) {
  // oxlint-disable-next-line no-console
  console.log(
    `git does not have the commit of DROVER_TEST_UPGRADE=${WANTED}: the test of upgrades is skipped`,
  );
}

/** Pause between two Jobs, ms. */
const PAUSE_MS = 300;
/** Jobs at once, about. */
const MOST_UNFINISHED = 8;
const COMPLETIONS = 20;
const ITEMS = 30;

/** Submits Jobs and items until it is told to stop. */
class Load {
  readonly jobs: string[] = [];
  items = 0;
  readonly #engine: Engine;
  #isOver = false;
  readonly #running: Promise<void>;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const { drover, records } = this.#engine;
    const shape = { completions: COMPLETIONS, parallelism: 4, indexed: true };
    const letters = drover.workQueue('letters');
    while (!this.#isOver) {
      const name = `job-${this.jobs.length}`;
      const isProgram = this.jobs.length % 3 === 2;
      await drover.jobs.create(
        isProgram
          ? recordedScript(records, 'sleep 0.1', { name, ...shape })
          : handlerJob('finish', { name, ...shape }, { ms: 60 }),
      );
      this.jobs.push(name);
      await letters.enqueue(Array.from({ length: ITEMS }, () => ({ ms: 20 })));
      this.items += ITEMS;
      await delay(PAUSE_MS);
      const earlier = this.jobs.at(-MOST_UNFINISHED);
      if (earlier !== undefined) await this.#engine.finished(earlier, 120_000);
    }
    await letters.seal();
  }
}

test.runIf(commit !== null)(
  'controllers and workers of both versions work side by side, and all are replaced under load',
  async () => {
    const older = await olderVersion(commit!);
    // Nobody is killed here, and on a busy machine nobody is to be taken for dead.
    const settings = {
      leaseTtlMs: 60_000,
      heartbeatMs: 1_000,
      slotLockMs: 60_000,
      resyncMs: 5_000,
    };
    await using engine = await Engine.forTest({ settings });
    const { drover } = engine;
    // Slots have grants, by whichever version they are opened and closed.
    await drover.resourceQuotas.create({
      metadata: { name: 'most' },
      spec: { hard: { pods: '24' } },
    });
    const controllers = await Promise.all([1, 2].map(() => engine.controller({}, [], older)));
    const workers = await Promise.all([1, 2, 3].map(() => engine.worker({}, [], older)));
    await drover.jobs.create({
      ...handlerJob('take', { name: 'readers', completions: null, parallelism: 3 }),
      metadata: { name: 'readers', annotations: { 'drover.dev/work-queue': 'letters' } },
    });
    const load = new Load(engine);
    const replace = async (position: number, root?: string): Promise<void> => {
      const worker = workers[position]!;
      expect(await worker.process.kill('SIGTERM')).toEqual({ code: 0, signal: null });
      workers[position] = await engine.worker({}, [], root);
    };
    await replace(0);
    for (const position of [0, 1]) {
      expect(await controllers[position]!.kill('SIGTERM')).toMatchObject({ code: 0 });
      controllers[position] = await engine.controller();
      await replace(position + 1);
    }
    // And back: whoever finds something wrong with the newer one may return to the older one.
    await replace(0, older);
    expect(await controllers[0]!.kill('SIGTERM')).toMatchObject({ code: 0 });
    controllers[0] = await engine.controller({}, [], older);
    await load.stop();

    for (const name of load.jobs) {
      const { status } = await engine.finished(name, 120_000);
      expect(status).toMatchObject({ succeeded: COMPLETIONS });
      expect(status?.failed ?? 0).toBe(0);
      const runs = engine.records.read(name);
      // Nothing was cut off, and nothing ran twice.
      expect(runs).toHaveLength(COMPLETIONS);
      expect(runsByIndex(runs).size).toBe(COMPLETIONS);
    }
    expect((await engine.finished('readers', 120_000)).status?.conditions?.at(-1)?.type).toBe(
      'Complete',
    );
    const letters = drover.workQueue('letters');
    expect(await letters.stats()).toMatchObject({ completed: load.items, dead: 0 });
    const ids = new Set<number>();
    for await (const { id } of letters.results()) ids.add(id);
    expect(ids.size).toBe(load.items);

    const { redis } = engine.store;
    const { shards } = await inspectInstallation(redis, engine.prefix);
    for (const { wrongQuotas, stuckJobs } of shards) {
      expect([wrongQuotas.names, stuckJobs.names]).toEqual([[], []]);
    }
    const { orphans } = await findOrphanKeys(redis, { prefix: engine.prefix });
    expect(orphans).toEqual([]);
  },
  600_000,
);
