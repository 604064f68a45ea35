import { randomUUID } from 'node:crypto';

import {
  ITEM_QUEUE_NAME,
  type ItemOutcome,
  itemQueueOptions,
  type ItemQueueJobData,
  type StoredDeadItem,
  type StoredWorkQueue,
} from '@drover/store';
import { waitFor } from '@drover/testkit';
import { type JobsOptions, Queue } from 'bullmq';

import type { TestEngine } from './engine.ts';

/** A work queue, filled as the SDK does. */
export class TestWorkQueue {
  readonly uid: string;
  readonly name: string;
  readonly #engine: TestEngine;
  readonly #queue: Queue<ItemQueueJobData>;

  private constructor(engine: TestEngine, uid: string, name: string) {
    this.#engine = engine;
    this.uid = uid;
    this.name = name;
    this.#queue = new Queue<ItemQueueJobData>(ITEM_QUEUE_NAME, {
      connection: engine.redis,
      ...itemQueueOptions(engine.prefix, uid),
    });
    this.#queue.on('error', () => {});
  }

  static async create(engine: TestEngine, name = 'letters'): Promise<TestWorkQueue> {
    const uid = randomUUID();
    const created = await engine.shard.workQueues.create({
      uid,
      namespace: 'default',
      name,
      object: '{"metadata":{}}',
      resultTtlMs: 60_000,
      maxResultBytes: 2 ** 28,
    });
    if (created.type !== 'created') throw new Error(created.type);
    return new TestWorkQueue(engine, uid, name);
  }

  /** Items that travel one by one. */
  async enqueue(data: readonly unknown[], opts: JobsOptions = {}): Promise<readonly number[]> {
    return await this.#add(data, (ids) =>
      data.map((d, at) => ({
        name: 'item',
        data: { i: ids[at]!, d },
        opts: {
          backoff: { type: 'fixed', delay: 20 },
          ...opts,
        },
      })),
    );
  }

  /** Items in chunks of so many. */
  async enqueueChunks(data: readonly unknown[], size: number): Promise<readonly number[]> {
    return await this.#add(data, (ids) => {
      const chunks = [];
      for (let from = 0; from < data.length; from += size) {
        const chunk = { i: ids[from]!, c: data.slice(from, from + size) };
        chunks.push({ name: 'chunk', data: chunk });
      }
      return chunks;
    });
  }

  async #add(
    data: readonly unknown[],
    jobsOf: (ids: readonly number[]) => Parameters<Queue<ItemQueueJobData>['addBulk']>[0],
  ): Promise<readonly number[]> {
    const { workQueues } = this.#engine.shard;
    const batchId = randomUUID();
    const reserved = await workQueues.reserve({
      uid: this.uid,
      batchId,
      count: data.length,
      of: null,
      leaseMs: 30_000,
    });
    if (reserved.type !== 'reserved') throw new Error(reserved.type);
    await this.#queue.addBulk(jobsOf(reserved.ids));
    await workQueues.commit({ uid: this.uid, batchId, retriedIds: [] });
    return reserved.ids;
  }

  async seal(): Promise<void> {
    await this.#engine.shard.workQueues.seal(this.uid);
  }

  /** Deletes it as the SDK does. */
  async delete(): Promise<void> {
    await this.#engine.shard.workQueues.delete(this.uid);
    await this.#queue.obliterate({ force: true });
  }

  async read(): Promise<StoredWorkQueue> {
    const stored = await this.#engine.shard.workQueues.read(this.uid);
    if (stored === null) throw new Error('no such work queue');
    return stored;
  }

  /** Waits until so many items are settled. */
  async settled(count: number, timeoutMs = 20_000): Promise<StoredWorkQueue> {
    let last: StoredWorkQueue | null = null;
    return await waitFor(
      async () => {
        last = await this.read();
        return last.counts.settled >= count ? last : null;
      },
      { timeoutMs, describe: () => last },
    );
  }

  /** Outcomes in the order of completion. */
  async outcomes(): Promise<ItemOutcome[]> {
    const page = await this.#engine.shard.workQueues.outcomes(this.uid, {
      after: '',
      limit: 100_000,
    });
    return page.outcomes;
  }

  /** Dead-lettered items by id. */
  async dead(): Promise<ReadonlyMap<number, StoredDeadItem>> {
    const { items } = await this.#engine.shard.workQueues.listDead(this.uid, '0');
    return new Map([...items].map(([id, text]) => [id, JSON.parse(text) as StoredDeadItem]));
  }

  /** QueueJobs that BullMQ still has, by state. */
  async queueJobs(): Promise<Record<string, number>> {
    return await this.#queue.getJobCounts('waiting', 'active', 'delayed', 'failed', 'completed');
  }

  /** Waits until BullMQ has no more of them. */
  async emptied(): Promise<void> {
    let last: Record<string, number> = {};
    await waitFor(
      async () => {
        last = await this.queueJobs();
        return Object.values(last).every((count) => count === 0);
      },
      { describe: () => last },
    );
  }
}
