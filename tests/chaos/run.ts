/** One run of chaos: load and faults for a time, then calm, and then everything must be right. */
import { setTimeout as delay } from 'node:timers/promises';

import type { Job } from '@drover/sdk';

import { createRandom } from '../integration/support/random.ts';
import { check } from './checker.ts';
import type { Evidence, SeenStatus, Violation } from './evidence.ts';
import { Faults } from './faults.ts';
import { gather } from './gather.ts';
import type { History } from './history.ts';
import { CRON_EVERY_MS } from './kinds.ts';
import { Load } from './load.ts';
import { trueNowMs } from './records.ts';
import { World, type Installation, type WorldSize } from './world.ts';

/** What a run is like. */
export interface RunOptions extends WorldSize {
  /** Where Redis' data, logs and records lie; exists and is empty. */
  readonly folder: string;
  readonly seed: number;
  readonly seconds: number;
  /** Of a hundred pods so many fail by themselves. */
  readonly failPercent: number;
  /** At the end users delete everything, and nothing may be left. */
  readonly deletesAll: boolean;
  /** Where what happens is written down; it is there also when the run breaks off. */
  readonly history: History;
  /** Told about once a second. */
  readonly onProgress?: (text: string) => void;
}

/** What came of it. */
export interface RunResult {
  readonly evidence: Evidence;
  readonly history: History;
  readonly violations: readonly Violation[];
  readonly faults: number;
}

/** How long nothing need change until what is not done is stuck, ms: several resyncs. */
const STUCK_MS = 60_000;
/** How long it may take at all while something changes, ms: on a machine that does much else, long. */
const MOST_SETTLE_MS = 900_000;
const LOOK_MS = 200;

/** Plays a run. The seed decides what is done, not when it meets what. */
export async function playRun(options: RunOptions): Promise<RunResult> {
  const { history } = options;
  const world = await World.open(options.folder, options);
  try {
    const load = new Load(world, createRandom(options.seed), history, {
      recordFolder: world.recordFolder,
      failPercent: options.failPercent,
    });
    const faults = new Faults(world, createRandom(options.seed + 1), history);
    const watch = new Watch(world, load);
    const tell = setInterval(() => {
      const { length } = load.subjects;
      options.onProgress?.(
        `${length} Jobs, ${faults.count} faults; ${history.moments.at(-1)?.text}`,
      );
    }, 1_000);
    try {
      const endMs = performance.now() + options.seconds * 1_000;
      await Promise.all([load.runUntil(() => performance.now() >= endMs), faults.runUntil(endMs)]);
      const loadEndMs = trueNowMs();
      history.note('the load ends, and all is well again');
      await settle(world, load, loadEndMs);
      const { deletesAll } = options;
      const evidence = await gather({ world, load, seen: watch.seen, loadEndMs, deletesAll });
      return { evidence, history, violations: check(evidence), faults: faults.count };
    } finally {
      clearInterval(tell);
      await watch.stop();
    }
  } finally {
    await world.close();
  }
}

/** Waits until nothing more is to come, or nothing more comes. */
export async function settle(world: Installation, load: Load, loadEndMs: number): Promise<void> {
  let last = '';
  const giveUpMs = performance.now() + MOST_SETTLE_MS;
  let changedMs = performance.now();
  let isCronOver = false;
  while (performance.now() < Math.min(giveUpMs, changedMs + STUCK_MS)) {
    const jobs = await world.drover.jobs.list();
    const pods = await Promise.all(
      load.barePods.map(({ name }) => world.drover.pods.get(name).catch(() => null)),
    );
    if (!isCronOver && hasRunFor(jobs, loadEndMs)) {
      for (const { name } of load.cronJobs) await world.drover.cronJobs.suspend(name);
      isCronOver = true;
      continue;
    }
    const left = jobs.filter((job) => !isFinished(job) || mustGo(job, load));
    const leftPods = pods.filter((pod) => pod !== null && !isOver(pod.status.phase));
    if (isCronOver && left.length + leftPods.length === 0) return;
    const state = JSON.stringify([jobs.length, left.map(({ status }) => status), leftPods]);
    if (state !== last) changedMs = performance.now();
    last = state;
    await delay(LOOK_MS);
  }
}

function hasRunFor(jobs: readonly Job[], timeMs: number): boolean {
  return jobs.some(({ metadata }) => {
    const text = metadata.annotations?.['batch.kubernetes.io/cronjob-scheduled-timestamp'];
    return text !== undefined && Date.parse(text) > timeMs - CRON_EVERY_MS;
  });
}

function mustGo({ metadata }: Job, load: Load): boolean {
  return load.subjects.some(({ plan, isDeleted }) => isDeleted && plan.uid === metadata.uid);
}

function isFinished({ status }: Job): boolean {
  const type = status?.conditions?.at(-1)?.type;
  return type === 'Complete' || type === 'Failed';
}

function isOver(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/** Sees each status of each Job, as a client does. */
export class Watch {
  /** By uid, in the order in which they were seen. */
  readonly seen = new Map<string, SeenStatus[]>();
  readonly #ending = new AbortController();
  readonly #done: Promise<void>;

  constructor(world: Installation, load: Load) {
    this.#done = this.#follow(world, load);
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#done;
  }

  async #follow({ drover }: Installation, load: Load): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        for await (const { type, job } of drover.jobs.watch({ signal })) {
          if (type !== 'DELETED') this.#see(job);
          const subject = load.subjects.find(({ plan }) => plan.uid === job.metadata.uid);
          if (subject !== undefined && isFinished(job)) subject.isFinished = true;
        }
      } catch {
        // Redis is away: a client begins anew.
        await delay(20);
      }
    }
  }

  #see({ metadata, status }: Job): void {
    const seen = this.seen.get(metadata.uid) ?? [];
    const resourceVersion = Number(metadata.resourceVersion);
    this.seen.set(metadata.uid, seen);
    seen.push({
      atMs: trueNowMs(),
      resourceVersion,
      active: status.active ?? 0,
      terminating: status.terminating ?? 0,
      succeeded: status.succeeded ?? 0,
      failed: status.failed ?? 0,
      conditions: (status.conditions ?? [])
        .filter((condition) => condition.status === 'True')
        .map(({ type }) => type),
    });
  }
}
