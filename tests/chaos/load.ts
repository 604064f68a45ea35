/** What users do in a run: they submit Jobs, items, pods and CronJobs, and change their minds. */
import { setTimeout as delay } from 'node:timers/promises';

import {
  AlreadyExistsError,
  ConflictError,
  ConnectionError,
  InvalidSpecError,
  NotFoundError,
  type Job,
} from '@drover/sdk';

import type { Random } from '../integration/support/random.ts';
import type { JobPlan, Limit } from './evidence.ts';
import type { History } from './history.ts';
import { cronJobOf, drawBarePod, drawJob, type KindOptions } from './kinds.ts';
import type { ChaosItem } from './processes/handlers.ts';
import { trueNowMs } from './records.ts';
import type { Installation } from './world.ts';

/** Pause between two things that a user does, at most, ms. */
const MAX_PAUSE_MS = 300;
/** Unfinished Jobs at once, about: more only wait. */
const MOST_UNFINISHED = 25;

/** A Job that was submitted. */
export interface Subject {
  readonly plan: JobPlan;
  readonly mayBeDisturbed: boolean;
  readonly parallelism: number;
  readonly limits: Limit[];
  isDisturbed: boolean;
  isDeleted: boolean;
  deletedPods: number;
  isFinished: boolean;
}

/** A work queue that was filled. */
export interface SubmittedQueue {
  readonly name: string;
  readonly uid: string;
  accepted: number;
  isAbandoned: boolean;
}

/** Users. */
export class Load {
  readonly subjects: Subject[] = [];
  readonly queues: SubmittedQueue[] = [];
  readonly barePods: { readonly name: string; isDeleted: boolean }[] = [];
  readonly cronJobs: { readonly name: string; readonly fromMs: number }[] = [];
  readonly #world: Installation;
  readonly #random: Random;
  readonly #history: History;
  readonly #options: KindOptions;

  constructor(world: Installation, random: Random, history: History, options: KindOptions) {
    this.#world = world;
    this.#random = random;
    this.#history = history;
    this.#options = options;
  }

  /** Works until that is so, and leaves nothing suspended. */
  async runUntil(isEnd: () => boolean): Promise<void> {
    await this.#createCronJob('tick');
    for (let number = 0; !isEnd(); number++) {
      const unfinished = this.subjects.filter((one) => !one.isFinished && !one.isDeleted);
      if (unfinished.length < MOST_UNFINISHED) await this.#submit(number);
      await delay(this.#random.integer(0, MAX_PAUSE_MS));
      await this.#interfere(unfinished);
      await delay(this.#random.integer(0, MAX_PAUSE_MS));
    }
  }

  async #submit(number: number): Promise<void> {
    const uid = this.#uid();
    if (this.#random.integer(1, 12) === 1) {
      const name = `bare-${number}`;
      const manifest = drawBarePod(this.#random, name, this.#options);
      this.#history.note(`pod ${name} is created`);
      this.barePods.push({ name, isDeleted: false });
      await persist(() => this.#world.drover.pods.create(manifest, { uid }));
      return;
    }
    const { plan, manifest, parallelism, mayBeDisturbed } = drawJob(
      this.#random,
      { uid, number },
      this.#options,
    );
    const subject: Subject = {
      plan,
      mayBeDisturbed,
      parallelism,
      limits: [],
      isDisturbed: false,
      isDeleted: false,
      deletedPods: 0,
      isFinished: false,
    };
    this.subjects.push(subject);
    if (plan.completions === null) await this.#fill(plan.name);
    await this.#limit(subject, parallelism, () =>
      this.#world.drover.jobs.create(manifest, { uid }),
    );
    if (plan.completions === null) await this.#fillOn(plan.name);
  }

  /** Items before the Job is there ... */
  async #fill(name: string): Promise<void> {
    const queue = { name, uid: this.#uid(), accepted: 0, isAbandoned: false };
    this.queues.push(queue);
    await this.#enqueue(queue, this.#random.integer(1, 150), false);
  }

  /** ... and while it runs. */
  async #fillOn(name: string): Promise<void> {
    const queue = this.queues.find((one) => one.name === name)!;
    await this.#enqueue(queue, this.#random.integer(1, 50), true);
    await persist(() => this.#world.drover.workQueue(name).seal());
    this.#history.note(`work queue ${name} is sealed with ${queue.accepted} items`);
  }

  async #enqueue(queue: SubmittedQueue, count: number, isFlaky: boolean): Promise<void> {
    const random = this.#random;
    const items = Array.from({ length: count }, (_, i) => ({
      key: `${queue.accepted + i}`,
      ms: random.pick([0, 0, 5, 20]),
      failures: isFlaky && random.integer(1, 10) === 1 ? 1 : 0,
    }));
    const handle = this.#world.drover.workQueue<ChaosItem & { readonly key: string }>(queue.name);
    const isChunked = random.integer(0, 1) === 1;
    // With a key an enqueue that nobody heard of may be sent again.
    const options = {
      key: ({ key }: { readonly key: string }) => key,
      attempts: 50,
      backoff: { type: 'fixed', delay: 20 },
      chunk: isChunked ? ('auto' as const) : (false as const),
    } as const;
    await persist(() => handle.enqueue(items, options));
    queue.accepted += count;
  }

  async #createCronJob(name: string): Promise<void> {
    await persist(() => this.#world.drover.cronJobs.create(cronJobOf(name)));
    this.cronJobs.push({ name, fromMs: trueNowMs() });
    this.#history.note(`CronJob ${name} is created`);
  }

  /** What users do to Jobs that run. */
  async #interfere(unfinished: readonly Subject[]): Promise<void> {
    const random = this.#random;
    if (unfinished.length === 0) return;
    const subject = random.pick(unfinished);
    const action = random.pick(['scale', 'suspend', 'deletePod', 'delete'] as const);
    const isRare = random.integer(1, 3) === 1;
    const ms = random.integer(0, 600);
    const parallelism = random.integer(0, 12);
    const policy = random.pick(['Background', 'Foreground'] as const);
    const { name } = subject.plan;
    const { jobs } = this.#world.drover;
    if (action === 'delete') {
      if (!isRare) return;
      subject.isDeleted = true;
      const queue = this.queues.find((one) => one.name === name);
      if (queue !== undefined) queue.isAbandoned = true;
      this.#history.note(`Job ${name} is deleted (${policy})`);
      await persist(() => jobs.delete(name, { propagationPolicy: policy }));
      return;
    }
    if (!subject.mayBeDisturbed) return;
    if (action === 'deletePod') {
      await this.#deletePod(subject);
      return;
    }
    subject.isDisturbed = true;
    const patch = action === 'scale' ? { parallelism } : { suspend: true };
    const back = action === 'scale' ? { parallelism: subject.parallelism } : { suspend: false };
    await this.#limit(subject, patch.parallelism ?? 0, () => jobs.patch(name, { spec: patch }));
    await delay(ms);
    await this.#limit(subject, subject.parallelism, () => jobs.patch(name, { spec: back }));
  }

  async #deletePod(subject: Subject): Promise<void> {
    const { pods } = this.#world.drover;
    const { name } = subject.plan;
    const [pod] = (await persist(() => pods.list({ job: name, phase: 'Running', limit: 1 }))) ?? [];
    if (pod === undefined) return;
    subject.deletedPods += 1;
    this.#history.note(`pod ${pod.metadata.name} is deleted`);
    // It may have ended meanwhile, and then its record goes instead.
    await persist(() => pods.delete(pod));
  }

  /** A change of how many pods may run, and when it was made. */
  async #limit(subject: Subject, parallelism: number, change: () => Promise<Job>): Promise<void> {
    const sentMs = trueNowMs();
    const at = subject.limits.push({ parallelism, sentMs, heardMs: Number.POSITIVE_INFINITY }) - 1;
    await persist(change);
    subject.limits[at] = { parallelism, sentMs, heardMs: trueNowMs() };
    this.#history.note(`Job ${subject.plan.name} may have ${parallelism} pods at once`);
  }

  #uid(): string {
    return 'xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx'.replaceAll('x', () =>
      this.#random.integer(0, 15).toString(16),
    );
  }
}

/**
 * Does it again until it is heard that it was done: Redis may be away, and so may be the answer. What can not be any
 * more, since the Job is finished or gone, is done.
 */
async function persist<T>(call: () => Promise<T>): Promise<T | undefined> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (isOver(error)) return undefined;
      if (!(error instanceof ConnectionError || error instanceof ConflictError)) throw error;
      await delay(20);
    }
  }
}

function isOver(error: unknown): boolean {
  return (
    error instanceof NotFoundError ||
    error instanceof AlreadyExistsError ||
    error instanceof InvalidSpecError
  );
}
