/**
 * How long work stands still when something is lost, with the settings of a real installation:
 *
 *   node scripts/launch.js tests/chaos/figures.ts [ROUNDS]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { waitFor } from '@drover/testkit';

import type { ChaosInput } from './processes/handlers.ts';
import { readRuns, trueNowMs, type PodRun } from './records.ts';
import { World, type Host } from './world.ts';

/** Longer than a loss takes to be noticed. */
const LONG_MS = 120_000;
const WAIT = { timeoutMs: 120_000, intervalMs: 20 };
const PARALLELISM = 6;

/** One installation, and what is measured on it. */
class Figures {
  readonly #world: World;
  #number = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** From kill -9 of a worker until all its pods run elsewhere, ms. */
  async workerLost(): Promise<number> {
    const name = await this.#submit(PARALLELISM, LONG_MS);
    await waitFor(() => this.#runs(name).length === PARALLELISM, WAIT);
    const [node] = this.#runs(name).map((run) => run.node);
    const lost = this.#runs(name).filter((run) => run.node === node).length;
    const host = this.#host(node!);
    const ms = await this.#until(
      () => host.process.kill('SIGKILL'),
      () => this.#runs(name).length === PARALLELISM + lost,
    );
    await this.#world.drover.jobs.delete(name);
    await this.#world.start(host, 0);
    return ms;
  }

  /** From kill -9 of one of two controllers until a Job that is submitted then has its pod, ms. */
  async controllerLost(): Promise<number> {
    const host = this.#host('controller-1');
    let name = '';
    const ms = await this.#until(
      async () => {
        await host.process.kill('SIGKILL');
        name = await this.#submit(1, 0);
      },
      () => this.#runs(name).length === 1,
    );
    await this.#world.start(host, 0);
    return ms;
  }

  /** From kill -9 of all controllers, of which one is started at once, until such a Job has its pod, ms. */
  async controllerRestarted(): Promise<number> {
    const hosts = this.#world.hosts.filter(({ kind }) => kind === 'controller');
    let name = '';
    const ms = await this.#until(
      async () => {
        await Promise.all(hosts.map(({ process }) => process.kill('SIGKILL')));
        name = await this.#submit(1, 0);
        await this.#world.start(hosts[0]!, 0);
      },
      () => this.#runs(name).length === 1,
    );
    await this.#world.start(hosts[1]!, 0);
    return ms;
  }

  /** From the return of a Redis that was killed until a pod starts, of a Job that ran, ms. */
  async redisRestarted(): Promise<number> {
    const name = await this.#submit(100_000, 20);
    await waitFor(() => this.#runs(name).length > PARALLELISM, WAIT);
    const { redis } = this.#world;
    await redis.kill();
    await waitFor(() => this.#runs(name).every(({ endMs }) => endMs !== null), WAIT);
    const before = this.#runs(name).length;
    let backMs = 0;
    await redis.restart();
    backMs = trueNowMs();
    await waitFor(() => this.#runs(name).length > before, WAIT);
    const next = this.#runs(name)[before]!;
    await this.#world.drover.jobs.delete(name);
    return next.startMs - backMs;
  }

  async #until(begin: () => Promise<unknown>, isSo: () => boolean): Promise<number> {
    const startMs = performance.now();
    await begin();
    await waitFor(isSo, WAIT);
    return performance.now() - startMs;
  }

  async #submit(completions: number, ms: number): Promise<string> {
    this.#number += 1;
    const name = `figure-${this.#number}`;
    const input: ChaosInput = { ms, failPercent: 0 };
    await this.#world.drover.jobs.create({
      metadata: { name },
      spec: {
        completions,
        parallelism: Math.min(completions, PARALLELISM),
        template: {
          metadata: { annotations: { 'drover.dev/input': JSON.stringify(input) } },
          spec: {
            runtimeClassName: 'handler',
            restartPolicy: 'Never',
            terminationGracePeriodSeconds: 1,
            containers: [{ name: 'main', image: 'work' }],
          },
        },
      },
    });
    return name;
  }

  #runs(job: string): PodRun[] {
    return readRuns(this.#world.recordFolder).pods.filter(({ owner }) => owner === job);
  }

  #host(name: string): Host {
    return this.#world.hosts.find((host) => host.name === name)!;
  }
}

const rounds = Number(process.argv[2] ?? 3);
const folder = mkdtempSync(join(tmpdir(), 'drover-figures-'));
const world = await World.open(folder, { controllers: 2, workers: 3 }, {});
try {
  const figures = new Figures(world);
  const all = {
    'worker lost': () => figures.workerLost(),
    'one controller of two lost': () => figures.controllerLost(),
    'the only controller restarted': () => figures.controllerRestarted(),
    'Redis restarted': () => figures.redisRestarted(),
  };
  for (const [name, measure] of Object.entries(all)) {
    const values: number[] = [];
    for (let round = 0; round < rounds; round++) values.push(await measure());
    const texts = values.toSorted((a, b) => a - b).map((ms) => `${(ms / 1_000).toFixed(2)} s`);
    process.stdout.write(`${name}: ${texts.join(', ')}\n`);
  }
} finally {
  await world.close();
  rmSync(folder, { recursive: true });
}
