/** A constant mixed load whose Jobs go by themselves: what a run of tests/chaos/steady.ts does. */
import { setTimeout as delay } from 'node:timers/promises';

import type { Drover, JobManifest } from '@drover/sdk';
import type { Store } from '@drover/store';

import { handlerJob, programJob, type JobShape } from '../integration/support/manifests.ts';

/** How long finished Jobs stay, seconds. */
const TTL_SECONDS = 20;
/** Items of each work queue. */
const ITEMS = 40;

const spec = { ttlSecondsAfterFinished: TTL_SECONDS };
const wide: Omit<JobShape, 'name'> = { completions: 60, parallelism: 6, spec };

/** A kind of Job: its manifest, and whether its pods take items from a work queue of its name. */
interface Kind {
  readonly of: (name: string) => JobManifest;
  readonly takesItems?: boolean;
}

const KINDS: readonly Kind[] = [
  { of: (name) => handlerJob('noop', { name, ...wide }) },
  { of: (name) => handlerJob('noop', { name, ...wide, indexed: true }) },
  {
    takesItems: true,
    of: (name) => {
      const job = handlerJob('take', { name, completions: null, parallelism: 2, spec });
      return { ...job, metadata: { name, annotations: { 'drover.dev/work-queue': name } } };
    },
  },
  { of: (name) => programJob(['/bin/sh', '-c', 'echo hello'], { name, ...wide, completions: 3 }) },
  { of: (name) => programJob(['/bin/false'], { name, backoffLimit: 1, spec }) },
];

/** Submits Jobs, one kind after the other. */
export class SteadyLoad {
  /** Jobs and items so far. */
  jobs = 0;
  items = 0;
  /** Jobs that failed and should not have. */
  readonly failures: string[] = [];
  readonly #drover: Drover;
  readonly #store: Store;
  /** Work queues, until they are removed; they have no TTL. */
  readonly #queues = new Set<Promise<void>>();
  /** Errors of those that ran beside the load. */
  readonly #errors: unknown[] = [];

  constructor(drover: Drover, store: Store) {
    this.#drover = drover;
    this.#store = store;
  }

  /** One Job of each kind; waits until nothing is left of them. */
  async round(): Promise<void> {
    for (const kind of KINDS) await this.#submit(kind);
    await this.untilGone();
  }

  /** Works until the time, with a pause between two Jobs. */
  async runUntil(endMs: number, pauseMs: number): Promise<void> {
    for (let turn = 0; performance.now() < endMs; turn++) {
      const nextMs = performance.now() + pauseMs;
      await this.#submit(KINDS[turn % KINDS.length]!);
      await delay(Math.max(0, nextMs - performance.now()));
    }
  }

  /** Waits until all Jobs are over and gone, and work queues too, a minute after they were deleted. @throws what went wrong beside the load. */
  async untilGone(): Promise<void> {
    await Promise.all(this.#queues);
    if (this.#errors.length > 0) throw this.#errors[0];
    while ((await this.#drover.jobs.list({ limit: 1 })).length > 0 || (await this.#isCleaning())) {
      await delay(1_000);
    }
  }

  /** Whether a controller still has to remove what BullMQ had of a work queue. */
  async #isCleaning(): Promise<boolean> {
    const { redis, shards } = this.#store;
    return (await redis.zrange(shards[0]!.keys.due, '0', '-1')).some((member) =>
      member.startsWith('items:'),
    );
  }

  async #submit({ of, takesItems = false }: Kind): Promise<void> {
    const name = `steady-${this.jobs}`;
    this.jobs += 1;
    if (takesItems) {
      const queue = this.#drover.workQueue(name);
      await queue.enqueue(Array.from({ length: ITEMS }, () => ({ ms: 1 })));
      await queue.seal();
      this.items += ITEMS;
    }
    await this.#drover.jobs.create(of(name));
    if (!takesItems) return;
    const removal = this.#removeQueue(name).catch((error: unknown) => {
      this.#errors.push(error);
    });
    this.#queues.add(removal);
    void removal.then(() => this.#queues.delete(removal));
  }

  async #removeQueue(name: string): Promise<void> {
    const job = await this.#drover.jobs.wait(name, { for: 'finished' });
    const [condition] = (job.status?.conditions ?? []).filter(({ type }) => type === 'Failed');
    if (condition !== undefined) {
      const pods = await this.#drover.pods.list({ job: name });
      const whys = pods.map(({ status }) => JSON.stringify(status));
      this.failures.push(`Job ${name} failed: ${condition.reason}; its pods: ${whys.join(', ')}`);
    }
    await this.#drover.workQueue(name).delete();
  }
}
