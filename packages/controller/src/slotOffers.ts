import {
  type RedisClient,
  Gather,
  slotQueueJob,
  slotQueueOptions,
  type StoredJob,
} from '@drover/store';
import { Job as QueueJob, Queue } from 'bullmq';
import type { Logger } from 'pino';

/** Slots offered in one call at most; one pipeline of BullMQ's. */
export const MAX_OFFERS_PER_CALL = 500;

type SlotQueueJob = ReturnType<typeof slotQueueJob>;

interface OfferedQueue {
  readonly queue: Queue;
  /** Answers what it added. */
  readonly adds: Gather<readonly SlotQueueJob[], readonly SlotQueueJob[]>;
}

/** Puts slots into the queues that workers take them from. */
export class SlotOffers {
  readonly #redis: RedisClient;
  readonly #prefix: string;
  readonly #logger: Logger;
  readonly #queues = new Map<string, OfferedQueue>();

  /** @param redis - A connection for BullMQ; stays the caller's. */
  constructor(redis: RedisClient, prefix: string, logger: Logger) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#logger = logger;
  }

  /** Gets a queue ready, so that the first Job does not wait for that. */
  async warmUp(queue: string): Promise<void> {
    await this.#queue(queue).queue.waitUntilReady();
  }

  /**
   * Offers slots of a Job. One that is in the queue already, in whatever state, stays as it is.
   * What is offered in one tick goes together: a pipeline for each Job would cost more than its slots.
   *
   * @param isAgain - They may be in the queue for long. Those that a worker laid aside are called back: BullMQ says
   *   until when by the clock of that worker, and looks whether it is over by the clock of another.
   */
  async offer(
    job: Pick<StoredJob, 'uid' | 'queue' | 'fittingKey'>,
    shard: number,
    slots: readonly number[],
    priority: number | null = null,
    isAgain = false,
  ): Promise<void> {
    const { adds, queue } = this.#queue(job.queue);
    for (let from = 0; from < slots.length; from += MAX_OFFERS_PER_CALL) {
      const some = slots.slice(from, from + MAX_OFFERS_PER_CALL);
      const offered = some.map((slot) => slotQueueJob(job, shard, slot, priority));
      await adds.call(offered);
      if (isAgain) {
        await this.#callBack(
          queue,
          offered.map(({ opts }) => opts.jobId),
        );
      }
    }
  }

  async #callBack(queue: Queue, ids: readonly string[]): Promise<void> {
    const untilWhen = await this.#redis.zmscore(queue.toKey('delayed'), ...ids);
    const laidAside = ids.filter((_, i) => untilWhen[i] !== null);
    await Promise.all(
      laidAside.map(async (id) => {
        const queueJob = await QueueJob.fromId(queue, id);
        // It may be on its way by itself meanwhile.
        await queueJob?.promote().catch((error: unknown) => {
          this.#logger.debug({ err: error, queueJob: id }, 'a slot is not called back');
        });
      }),
    );
  }

  /** Lets go of the queues; the connection stays open. */
  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map(({ queue }) => queue.close()));
    this.#queues.clear();
  }

  #queue(name: string): OfferedQueue {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const queue = new Queue(name, {
      connection: this.#redis,
      ...slotQueueOptions(this.#prefix, name),
      // Nobody reads BullMQ's events, and they can not be switched off: keep few.
      streams: { events: { maxLen: 100 } },
    });
    queue.on('error', (error: Error) => this.#logger.warn({ queue: name, err: error }, 'queue'));
    const adds = new Gather(
      {
        calls: MAX_OFFERS_PER_CALL,
        weight: MAX_OFFERS_PER_CALL,
        weightOf: (jobs: readonly SlotQueueJob[]) => jobs.length,
      },
      async (offers) => {
        const all = offers.flat();
        const [first] = all;
        // One alone needs no pipeline, which takes BullMQ half as long again.
        if (first !== undefined && all.length === 1) {
          await queue.add(first.name, first.data, first.opts);
        } else await queue.addBulk(all);
        return offers;
      },
    );
    const offered = { queue, adds };
    this.#queues.set(name, offered);
    return offered;
  }
}
