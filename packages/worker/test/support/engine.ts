import { randomUUID } from 'node:crypto';

import { ITEM_PER_POD_ANNOTATION, type ItemPerPod, WORK_QUEUE_ANNOTATION } from '@drover/shared';
import {
  slotQueueJob,
  slotQueueName,
  slotQueueOptions,
  Store,
  type InstallationSettings,
  type JobView,
  type Shard,
  type StoredPod,
} from '@drover/store';
import { uniquePrefix, type TestRedis } from '@drover/testkit';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';

/** What a test's Job runs. */
export interface TestJob {
  readonly name?: string;
  readonly completions?: number | null;
  readonly indexed?: boolean;
  readonly restartPolicy?: 'Never' | 'OnFailure';
  readonly graceSeconds?: number;
  readonly annotations?: Record<string, string>;
  /** Name of the work queue of its items. */
  readonly workQueue?: string;
  /** How each pod gets its one item of it. */
  readonly itemPerPod?: ItemPerPod;
  /** A handler's name, or a command. */
  readonly run: string | readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly object[];
  readonly workingDir?: string;
  /** More of the pod's spec, or something else: initContainers, containers, volumes. */
  readonly pod?: object;
}

/** Plays the controller: creates Jobs, opens their slots and offers them. */
export class TestEngine {
  readonly store: Store;
  readonly shard: Shard;
  readonly prefix: string;
  readonly redis: Redis;
  readonly #queues = new Map<string, Queue>();

  private constructor(store: Store, redis: Redis, prefix: string) {
    this.store = store;
    this.shard = store.shardOf('default');
    this.redis = redis;
    this.prefix = prefix;
  }

  static async open(
    server: TestRedis,
    settings: Partial<InstallationSettings> = {},
  ): Promise<TestEngine> {
    const prefix = uniquePrefix();
    const redis = server.connect();
    return new TestEngine(await Store.open({ redis, prefix, settings }), redis, prefix);
  }

  /** Creates a Job and answers its uid; no slot is open yet. */
  async createJob(job: TestJob): Promise<string> {
    const uid = randomUUID();
    const isHandler = typeof job.run === 'string';
    const runtime = isHandler ? 'handler' : 'process';
    const completions = job.completions === undefined ? 1 : job.completions;
    const name = job.name ?? `job-${uid.slice(0, 8)}`;
    const container = {
      name: 'main',
      ...(isHandler ? { image: job.run } : { command: job.run }),
      args: job.args,
      env: job.env,
      workingDir: job.workingDir,
    };
    const { workQueue, itemPerPod } = job;
    const annotations = {
      ...(workQueue !== undefined && { [WORK_QUEUE_ANNOTATION]: workQueue }),
      ...(itemPerPod !== undefined && { [ITEM_PER_POD_ANNOTATION]: itemPerPod }),
    };
    const object = {
      metadata: { name, namespace: 'default', uid, labels: { app: 'test' }, annotations },
      spec: {
        completions,
        parallelism: 1,
        completionMode: job.indexed === true ? 'Indexed' : 'NonIndexed',
        template: {
          metadata: { labels: { app: 'test' }, annotations: job.annotations },
          spec: {
            containers: [container],
            restartPolicy: job.restartPolicy ?? 'Never',
            terminationGracePeriodSeconds: job.graceSeconds ?? 30,
            ...job.pod,
          },
        },
      },
    };
    await this.shard.createJob({
      uid,
      namespace: 'default',
      name,
      object: JSON.stringify(object),
      status: '{}',
      completions,
      queue: slotQueueName('default', runtime),
      fittingKey: isHandler ? `default/handler/${job.run}` : 'default/process',
      indexed: job.indexed === true,
    });
    return uid;
  }

  /** Opens the gate for so many pods, opens their slots and offers them. */
  async offer(uid: string, parallelism: number): Promise<number[]> {
    const observed = await this.shard.observeJob(uid, 0);
    if (observed === null) throw new Error(`no Job ${uid}`);
    const guard = {
      uid,
      generation: observed.job.generation,
      decisionVersion: observed.decisionVersion,
    };
    const judged = await this.shard.judge({
      ...guard,
      judgements: observed.unjudged.map(({ podNumber }) => ({
        podNumber,
        verdict: 'failed',
        countsToLimit: true,
      })),
      gate: { limit: parallelism, notBeforeMs: 0, deadlineMs: 0, holdOnFailure: true },
      failuresInRow: 0,
      lastFailureMs: 0,
    });
    if (judged.type !== 'judged') throw new Error(`judge: ${judged.type}`);
    const opened = await this.shard.openSlots(
      { ...guard, decisionVersion: judged.decisionVersion },
      parallelism,
    );
    if (opened.type !== 'opened') throw new Error(`openSlots: ${opened.type}`);
    const job = await this.job(uid);
    const { index } = this.shard;
    await this.queue(job.queue).addBulk(opened.slots.map((slot) => slotQueueJob(job, index, slot)));
    return opened.slots;
  }

  /** Tells running pods to stop. */
  async stop(
    uid: string,
    countAs: 'uncounted' | 'failed' | 'unjudged' = 'uncounted',
  ): Promise<void> {
    const pods = await this.shard.allSlots(uid);
    const reply = await this.shard.stopPods({ uid, guard: null, pods, countAs });
    if (reply.type !== 'stopped') throw new Error(`stopPods: ${reply.type}`);
  }

  /** Ends a session as the controller does when its lease ran out. */
  async endSession(session: string): Promise<void> {
    const reply = await this.shard.expireSession(session, { force: true });
    if (reply.type !== 'ended') throw new Error('not ended');
    for (const uid of new Set(reply.claims.map((claim) => claim.uid))) {
      const slots = reply.claims.filter((claim) => claim.uid === uid).map((claim) => claim.slot);
      await this.shard.endLostPods(session, uid, slots);
    }
  }

  /** The sessions that are not ended. */
  async sessions(): Promise<string[]> {
    return await this.redis.zrange(this.shard.keys.sessions, '0', '-1');
  }

  async job(uid: string): Promise<JobView> {
    const job = await this.shard.getJobByUid(uid);
    if (job === null) throw new Error(`no Job ${uid}`);
    return job;
  }

  async pods(uid: string): Promise<StoredPod[]> {
    return (await this.shard.listPods(uid, { limit: 100_000 })).pods;
  }

  /** The one pod of a Job that ended, or null as long as there is none. */
  async endedPod(uid: string): Promise<Extract<StoredPod, { kind: 'record' }> | null> {
    const ended = (await this.pods(uid)).find((pod) => pod.kind === 'record');
    return ended === undefined ? null : ended;
  }

  queue(name: string): Queue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = new Queue(name, { connection: this.redis, ...slotQueueOptions(this.prefix, name) });
      queue.on('error', () => {});
      this.#queues.set(name, queue);
    }
    return queue;
  }

  async close(): Promise<void> {
    for (const queue of this.#queues.values()) await queue.close();
  }
}
