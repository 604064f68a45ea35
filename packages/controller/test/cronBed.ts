/** CronJobs on a real Redis with a clock of the test's; their Jobs end when the test says so. */
import { randomUUID } from 'node:crypto';
import { CRON_JOB_KIND, type CronJob, formatTime, parseObject } from '@drover/shared';
import { composeObject, type NewEvent, objectText, type Shard } from '@drover/store';
import { CronJobReconciler, type CronShard } from '../src/cronJobs.ts';
import { reconcileOwner } from '../src/garbage.ts';
import { silent, type TestBed } from './bed.ts';

/** What a controller that died throws. */
export class Crash extends Error {}

/** Fields of a CronJob's spec as users write them. */
export type CronSpecInput = Partial<Omit<CronJob['spec'], 'jobTemplate'>> & {
  readonly schedule: string;
};

const TEMPLATE = {
  metadata: { labels: { app: 'report' }, annotations: { note: 'x' } },
  spec: {
    template: {
      spec: {
        restartPolicy: 'Never',
        runtimeClassName: 'handler',
        containers: [{ name: 'main', image: 'work' }],
      },
    },
  },
};

/** One CronJob named `report`, and its controllers. */
export class CronBed {
  readonly bed: TestBed;
  /** Names of all Jobs that were made, in order. */
  readonly made: string[] = [];
  readonly events: NewEvent[] = [];
  /** Called before and after each step that writes; may throw. */
  onStep: (when: 'before' | 'after') => void = () => undefined;
  /** How long a Job runs, ms; null = until the test ends it. */
  runsForMs: number | null = 0;
  readonly #controllers: CronJobReconciler[];

  constructor(bed: TestBed, controllers = 1) {
    this.bed = bed;
    this.#controllers = Array.from(
      { length: controllers },
      () =>
        new CronJobReconciler({
          shard: this.#watched(bed.shard),
          events: { record: (event) => this.events.push(event) },
          resyncMs: 30_000,
          logger: silent,
        }),
    );
  }

  get reasons(): string[] {
    return this.events.map(({ reason }) => reason);
  }

  async create(spec: CronSpecInput, annotations: Record<string, string> = {}): Promise<void> {
    const manifest = {
      metadata: { name: 'report', annotations },
      spec: { jobTemplate: TEMPLATE, ...spec },
    };
    const parsed = parseObject(CRON_JOB_KIND, manifest);
    const uid = randomUUID();
    const object = objectText({ ...parsed, metadata: { ...parsed.metadata, uid } });
    const path = { kind: 'CronJob', namespace: 'default', name: 'report' };
    await this.bed.shard.objects.create({ ...path, uid, object, finalizerCount: 0 });
    await this.settle();
  }

  async get(): Promise<CronJob> {
    const path = { kind: 'CronJob', namespace: 'default', name: 'report' };
    const stored = await this.bed.shard.objects.get(path);
    if (stored === null) throw new Error('there is no CronJob');
    return composeObject(CRON_JOB_KIND, stored);
  }

  /** Changes the spec, as a user does; `finalizers` with `isDeletion` as a deletion does. */
  async change(
    spec: Partial<CronSpecInput>,
    { finalizers = [], isDeletion = false }: { finalizers?: string[]; isDeletion?: boolean } = {},
  ): Promise<void> {
    const path = { kind: 'CronJob', namespace: 'default', name: 'report' };
    const stored = (await this.bed.shard.objects.get(path))!;
    const before = composeObject(CRON_JOB_KIND, stored);
    const object = objectText({
      ...before,
      metadata: { ...before.metadata, finalizers },
      spec: { ...before.spec, ...spec },
    } as CronJob);
    await this.bed.shard.objects.update({
      ...stored,
      expectedResourceVersion: stored.resourceVersion,
      object,
      finalizerCount: finalizers.length,
      isDeletion,
    });
    await this.settle();
  }

  /** Names of its Jobs that are there, in order. */
  async jobs(): Promise<string[]> {
    const { jobs } = await this.bed.shard.listJobs({ namespace: 'default', limit: 500 });
    return jobs.map(({ name }) => name);
  }

  /** Ends a Job. */
  async end(name: string, how: 'Complete' | 'Failed' = 'Complete'): Promise<void> {
    const uid = await this.bed.shard.findJob('default', name);
    if (uid === null) throw new Error(`there is no Job ${name}`);
    await this.#finish(uid, how);
    await this.settle();
  }

  async #finish(uid: string, how: 'Complete' | 'Failed'): Promise<void> {
    const look = await this.bed.shard.observeJob(uid, 0);
    if (look === null || look.job.deleted) return;
    const time = formatTime(look.nowMs);
    const status = {
      startTime: formatTime(look.job.createdMs),
      ...(how === 'Complete' && { completionTime: time }),
      conditions: [{ type: how, status: 'True', lastTransitionTime: time }],
    };
    await this.bed.shard.writeStatus({
      uid,
      generation: look.job.generation,
      decisionVersion: look.decisionVersion,
      status: JSON.stringify(status),
      finish: how === 'Complete' ? 'CompleteEarly' : 'Failed',
      critical: true,
    });
  }

  /** Lets the time pass until `atMs`, and the controllers do what is due on the way. */
  async runUntil(atMs: number): Promise<void> {
    for (;;) {
      await this.settle();
      const { nextAtMs } = await this.bed.shard.take(1, 5_000);
      if (nextAtMs === null || nextAtMs > atMs) break;
      this.bed.clock.set(Math.max(nextAtMs, this.bed.clock.now()));
    }
    this.bed.clock.set(atMs);
    await this.settle();
  }

  /** Does what is due now, until nothing is. */
  async settle(): Promise<void> {
    for (;;) {
      const { taken } = await this.bed.shard.take(50, 5_000);
      if (taken.length === 0) return;
      for (const member of taken) {
        const nextAtMs = await this.#handle(member.member);
        // Who died gives nothing back.
        if (nextAtMs !== 'died') await this.bed.shard.done(member, nextAtMs);
      }
    }
  }

  async #handle(member: string): Promise<number | null | 'died'> {
    const colon = member.indexOf(':');
    const [kind, id] = [member.slice(0, colon), member.slice(colon + 1)];
    if (kind === 'gc') return await reconcileOwner(this.bed.shard, id, silent);
    if (kind === 'job') return await this.#lookAtJob(id);
    const looks = await Promise.all(
      this.#controllers.map(async (controller) => {
        try {
          return await controller.reconcile(id);
        } catch (error) {
          if (error instanceof Crash) return 'died' as const;
          throw error;
        }
      }),
    );
    return looks.includes('died') ? 'died' : (looks[0] ?? null);
  }

  async #lookAtJob(uid: string): Promise<number | null> {
    const look = await this.bed.shard.observeJob(uid, 0);
    if (look === null) return null;
    if (look.job.deleted) {
      await this.bed.shard.purgeJob(uid);
      return null;
    }
    if (look.job.deletionMs !== null) {
      await this.bed.shard.finalizeJob(uid, 'foregroundDeletion');
      await this.bed.shard.finalizeJob(uid, 'orphan');
      return null;
    }
    if (this.runsForMs === null || look.job.finished) return null;
    const endMs = look.job.createdMs + this.runsForMs;
    if (endMs > look.nowMs) return endMs;
    await this.#finish(uid, 'Complete');
    return null;
  }

  #watched(shard: Shard): CronShard {
    const step = async <T>(work: () => Promise<T>, onDone: (result: T) => void): Promise<T> => {
      this.onStep('before');
      const result = await work();
      onDone(result);
      this.onStep('after');
      return result;
    };
    const { cronJobs } = shard;
    const watched = {
      observe: cronJobs.observe.bind(cronJobs),
      ownedJobs: cronJobs.ownedJobs.bind(cronJobs),
      run: (run: Parameters<typeof cronJobs.run>[0]) =>
        step(
          () => cronJobs.run(run),
          ({ type }) => {
            if (type === 'done') this.made.push(...run.jobs.map(({ name }) => name));
          },
        ),
    };
    return new Proxy(shard, {
      get: (target, name) => {
        if (name === 'cronJobs') return watched;
        const value = Reflect.get(target, name, target) as unknown;
        if (typeof value !== 'function') return value;
        const call = (...args: unknown[]) => Reflect.apply(value, target, args) as Promise<unknown>;
        if (name !== 'deleteJob') return call;
        return (...args: unknown[]) =>
          step(
            () => call(...args),
            () => undefined,
          );
      },
    });
  }
}
