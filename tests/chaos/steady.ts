/**
 * A steady load without faults, and whether memory stays as it is: of each process what its heap needs and what it has of the
 * machine, of Redis what it uses; and whether all keys are gone when the TTLs are over.
 *
 *   pnpm steady [--minutes N] [--pause MS]
 *
 * Exit code 0: all is flat and gone; 1: it is not, or the run broke off; 2: bad arguments.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { Drover } from '@drover/sdk';
import { findOrphanKeys, inspectInstallation, Store } from '@drover/store';
import { spawnNode, startRedis, type NodeProcess } from '@drover/testkit';
import type { Redis } from 'ioredis';

import { SteadyLoad } from './steadyLoad.ts';
import { levelOf, type Level, type Series } from './steadyVerdict.ts';

const PREFIX = 'steady';
/** Of each kind of process so many. */
const COUNT = 2;
const SAMPLE_EVERY_MS = 10_000;
/** For how long events are kept; an hour, as by default, would take an hour of warm-up. */
const EVENT_TTL_MS = 60_000;
/** Levels differ by so much by themselves. */
const HEAP_NOISE_BYTES = 2 * 2 ** 20;
const RSS_NOISE_BYTES = 16 * 2 ** 20;
/** Pages of Linux on all machines that this runs on. */
const PAGE_BYTES = 4_096;

const pathOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

function readArguments(): { minutes: number; pauseMs: number } {
  const { values } = parseArgs({
    options: { minutes: { type: 'string' }, pause: { type: 'string' } },
  });
  const minutes = Number(values.minutes ?? 20);
  const pauseMs = Number(values.pause ?? 1_000);
  if (!(minutes >= 0.5 && minutes <= 1_440 && pauseMs >= 10 && pauseMs <= 60_000)) {
    process.stderr.write('usage: pnpm steady [--minutes 0.5..1440] [--pause 10..60000 ms]\n');
    process.exit(2);
  }
  return { minutes, pauseMs };
}

interface Member {
  readonly name: string;
  readonly process: NodeProcess;
}

/** Measures everything again and again. */
class Sampler {
  readonly series = new Map<string, Series & { samples: { atMs: number; bytes: number }[] }>();
  readonly keys: number[] = [];
  readonly #redis: Redis;
  readonly #members: readonly Member[];
  readonly #startMs = performance.now();

  constructor(redis: Redis, members: readonly Member[]) {
    this.#redis = redis;
    this.#members = members;
  }

  async runUntil(endMs: number): Promise<void> {
    while (performance.now() < endMs) {
      await this.#sample();
      await delay(SAMPLE_EVERY_MS);
    }
  }

  async #sample(): Promise<void> {
    for (const { name, process } of this.#members) {
      const heap = await heapOf(process);
      this.#note(`${name} heap`, heap, HEAP_NOISE_BYTES);
      this.#note(`${name} RSS`, rssOf(process.pid), RSS_NOISE_BYTES);
    }
    this.#note('Redis used_memory', await usedMemory(this.#redis), HEAP_NOISE_BYTES);
    this.keys.push(await this.#redis.dbsize());
  }

  #note(name: string, bytes: number, noiseBytes: number): void {
    const series = this.series.get(name) ?? { name, noiseBytes, samples: [] };
    this.series.set(name, series);
    series.samples.push({ atMs: performance.now() - this.#startMs, bytes });
  }
}

async function heapOf(process: NodeProcess): Promise<number> {
  const known = process.lines.length;
  process.signal('SIGUSR2');
  for (;;) {
    const line = process.lines.slice(known).find(({ text }) => text.startsWith('heap '));
    if (line !== undefined) return Number(line.text.slice('heap '.length));
    if (process.isOver) throw new Error(`a process ended:\n${process.output()}`);
    await delay(20);
  }
}

function rssOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;
}

async function usedMemory(redis: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
}

/** Keys that do not end by themselves, without those of the sessions that live: a worker that was starved has another one. */
async function lastingKeys(redis: Redis, sessions: string): Promise<ReadonlySet<string>> {
  const live = await redis.zrange(sessions, '0', '-1');
  const all = await redis.keys('*');
  const keys = all.filter((key) => !live.some((id) => key.includes(`:session:${id}`)));
  const ttls = await Promise.all(keys.map((key) => redis.pttl(key)));
  return new Set(keys.filter((_, i) => ttls[i] === -1));
}

async function startMembers(url: string, folder: string): Promise<Member[]> {
  const address = { url, prefix: PREFIX };
  const options = {
    execArgv: [
      '--disable-warning=ExperimentalWarning',
      '--expose-gc',
      '--import',
      pathOf('processes/heap.ts'),
    ],
  };
  const members = Array.from({ length: COUNT }, (_, i) => [
    {
      name: `controller ${i + 1}`,
      process: spawnNode(
        pathOf('../integration/fixtures/controllerProcess.ts'),
        [JSON.stringify({ ...address, backoffBaseMs: 100, backoffCapMs: 100 })],
        options,
      ),
    },
    {
      name: `worker ${i + 1}`,
      process: spawnNode(
        pathOf('../integration/fixtures/workerProcess.ts'),
        [
          JSON.stringify({
            ...address,
            name: `worker-${i + 1}`,
            folder,
            runtimes: ['handler', 'process'],
            maxPods: 8,
          }),
        ],
        options,
      ),
    },
  ]).flat();
  await Promise.all(
    members.map(({ process }) => process.waitForLine(/controller runs|worker is ready/, 300_000)),
  );
  return members;
}

function report(levels: readonly Level[]): string {
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  return levels
    .map(
      ({ name, before, after, isFlat }) =>
        `| ${name} | ${mib(before)} | ${mib(after)} | ${isFlat ? 'flat' : 'GREW'} |\n`,
    )
    .join('');
}

/** Keeps what the processes said. */
function keepOutput(members: readonly Member[]): void {
  const folder = mkdtempSync(join(tmpdir(), 'drover-steady-output-'));
  for (const { name, process } of members) {
    writeFileSync(join(folder, `${name}.log`), process.output());
  }
  process.stdout.write(`what the processes said is in ${folder}\n`);
}

async function main(): Promise<boolean> {
  const { minutes, pauseMs } = readArguments();
  const folder = mkdtempSync(join(tmpdir(), 'drover-steady-'));
  const server = await startRedis({ topology: 'server', appendOnly: true });
  const redis = server.connect();
  const store = await Store.open({ redis, prefix: PREFIX });
  const drover = new Drover({ connection: server.url, prefix: PREFIX });
  const members = await startMembers(server.url, folder);
  try {
    await redis.hset(store.shards[0]!.keys.meta, 'eventTtlMs', EVENT_TTL_MS);
    const load = new SteadyLoad(drover, store);
    await load.round();
    const base = await lastingKeys(redis, store.shards[0]!.keys.sessions);
    const before = { jobs: load.jobs, items: load.items };
    const loadMs = minutes * 60_000;
    const endMs = performance.now() + loadMs;
    const sampler = new Sampler(redis, members);
    await Promise.all([load.runUntil(endMs, pauseMs), sampler.runUntil(endMs)]);
    await load.untilGone();
    const left = [...(await lastingKeys(redis, store.shards[0]!.keys.sessions))].filter(
      (key) => !base.has(key),
    );
    const { shards } = await inspectInstallation(redis, PREFIX);
    const { orphans, unpurgedJobs } = await findOrphanKeys(redis, { prefix: PREFIX });
    const wrong = [
      ...load.failures,
      ...left.map((key) => `left: ${key}`),
      ...orphans.map((key) => `belongs to nothing: ${key}`),
      ...unpurgedJobs.map((uid) => `not removed: Job ${uid}`),
      ...shards.flatMap(({ stuckJobs }) => stuckJobs.names.map((name) => `stuck: ${name}`)),
    ];
    const levels = [...sampler.series.values()].map((series) => levelOf(series, loadMs));
    process.stdout.write(
      `| MiB | third quarter | last quarter | |\n|---|---|---|---|\n${report(levels)}`,
    );
    process.stdout.write(
      `${wrong.map((text) => `${text}\n`).join('')}${minutes} minutes, ${load.jobs - before.jobs} Jobs, ${load.items - before.items} items; ` +
        `keys: ${base.size} that stay before, ${left.length} more after the last TTL, at most ${Math.max(...sampler.keys)} with all others\n`,
    );
    const isRight = wrong.length === 0 && levels.every(({ isFlat }) => isFlat);
    if (!isRight) keepOutput(members);
    return isRight;
  } finally {
    await Promise.all(members.map(({ process }) => process.kill('SIGKILL')));
    await drover.close();
    await server.stop();
    rmSync(folder, { recursive: true });
  }
}

process.exitCode = (await main()) ? 0 : 1;
