import { ConnectionError } from '@drover/shared';
import {
  type RedisClient,
  Store,
  Subscriber,
  UnsuitableRedisError,
  type Shard,
} from '@drover/store';

import { Connection, type ConnectionOption } from './connection.ts';
import { SharedWatch } from './sharedWatch.ts';
import { openItemQueue, type ItemQueue } from './workQueues/itemQueue.ts';
import { WorkQueueUids } from './workQueues/uids.ts';

/** Where Redis is when nothing is said. */
const DEFAULT_CONNECTION = 'redis://127.0.0.1:6379';

/** Queues of items that are kept open though nobody uses them. */
const MAX_IDLE_QUEUES = 50;

/** BullMQ's queue of a work queue. */
interface OpenQueue {
  readonly opening: Promise<ItemQueue>;
  /** Calls that use it. */
  users: number;
}

interface Opened {
  readonly connection: Connection;
  readonly store: Store;
}

/** The connection and the store behind a client, opened with the first call. */
export class Backend {
  readonly #option: ConnectionOption;
  readonly #prefix: string | undefined;
  #opened: Promise<Opened> | null = null;
  /** What `#opened` resolved to; null again once this is closed. */
  #ready: Opened | null = null;
  #closed = false;
  readonly #watches = new Map<Shard, SharedWatch>();
  /** By uid, those that were used last at the end. */
  readonly #itemQueues = new Map<string, OpenQueue>();
  /** Uids of the work queues that this client had to do with. */
  readonly workQueueUids = new WorkQueueUids(this);

  constructor(options: { connection?: ConnectionOption; prefix?: string }) {
    this.#option = options.connection ?? DEFAULT_CONNECTION;
    this.#prefix = options.prefix;
  }

  /**
   * Runs a call on the store.
   *
   * @throws ConnectionError, with what to do, when Redis is not there.
   */
  async run<T>(call: (store: Store) => Promise<T>): Promise<T> {
    // Without a pause once it is open: the first of many calls are on their way while the rest are made.
    const { connection, store } = this.#ready ?? (await this.#open());
    return await connection.guard(() => call(store));
  }

  /** As {@link run}, on the shard of a namespace. */
  async onShard<T>(namespace: string, call: (shard: Shard) => Promise<T>): Promise<T> {
    return await this.run((store) => call(store.shardOf(namespace)));
  }

  /** Opens the store; throws as {@link run}. */
  async store(): Promise<Store> {
    return (await this.#open()).store;
  }

  /** A connection of its own for commands that block; the caller disconnects it. */
  async duplicate(): Promise<RedisClient> {
    return (await this.#open()).connection.duplicate();
  }

  /** A connection of its own for pub/sub; the caller closes it. */
  async openSubscriber(): Promise<Subscriber> {
    return new Subscriber((await this.#open()).connection.openSubscription());
  }

  /** The watch of a shard's Jobs that all calls of this client share. */
  sharedWatch(shard: Shard): SharedWatch {
    const watch = this.#watches.get(shard) ?? new SharedWatch(this, shard);
    this.#watches.set(shard, watch);
    return watch;
  }

  /** Calls with BullMQ's queue of a work queue's items; kept open for the next call, unless there are many. */
  async useItemQueue<T>(uid: string, use: (queue: ItemQueue) => Promise<T>): Promise<T> {
    const open = this.#itemQueues.get(uid) ?? this.#openItemQueue(uid);
    this.#itemQueues.delete(uid);
    this.#itemQueues.set(uid, open);
    open.users += 1;
    try {
      return await use(await open.opening);
    } finally {
      open.users -= 1;
      this.#closeIdleQueues();
    }
  }

  #openItemQueue(uid: string): OpenQueue {
    const opening = this.store().then(({ redis, prefix }) => openItemQueue(redis, prefix, uid));
    const open = { opening, users: 0 };
    opening.catch(() => {
      if (this.#itemQueues.get(uid) === open) this.#itemQueues.delete(uid);
    });
    return open;
  }

  #closeIdleQueues(): void {
    for (const [uid, { users, opening }] of this.#itemQueues) {
      if (this.#itemQueues.size <= MAX_IDLE_QUEUES) return;
      if (users > 0) continue;
      this.#itemQueues.delete(uid);
      opening.then((queue) => queue.close()).catch(() => undefined);
    }
  }

  /** Lets go of the queue of a work queue that is no more. */
  async closeItemQueue(uid: string): Promise<void> {
    const known = this.#itemQueues.get(uid);
    this.#itemQueues.delete(uid);
    await (await known?.opening)?.close();
  }

  /** An error of the connection as one of ours. */
  async translate(error: unknown): Promise<unknown> {
    return (await this.#open()).connection.translate(error);
  }

  /** Closes what is ours. Calls after that are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#ready = null;
    const opened = this.#opened;
    if (opened === null) return;
    await Promise.allSettled(
      [...this.#itemQueues.values()].map(async ({ opening }) => (await opening).close()),
    );
    // A connection that could not be opened is closed already.
    await opened.then(({ connection }) => connection.close()).catch(() => undefined);
  }

  async #open(): Promise<Opened> {
    if (this.#closed) throw new ConnectionError('this client was closed');
    if (this.#opened === null) {
      const opening = this.#connect();
      this.#opened = opening;
      // The next call tries again: Redis may have come up.
      opening.catch(() => {
        if (this.#opened === opening) this.#opened = null;
      });
    }
    const opened = await this.#opened;
    if (!this.#closed) this.#ready = opened;
    return opened;
  }

  async #connect(): Promise<Opened> {
    const connection = new Connection(this.#option);
    try {
      await connection.connect();
      const redis = connection.redis;
      const options = this.#prefix === undefined ? { redis } : { redis, prefix: this.#prefix };
      return { connection, store: await connection.guard(() => Store.open(options)) };
    } catch (error) {
      connection.close();
      if (error instanceof UnsuitableRedisError) throw atAddress(error, connection.address);
      throw error;
    }
  }
}

function atAddress(error: UnsuitableRedisError, address: string): UnsuitableRedisError {
  return new UnsuitableRedisError(error.problem, `Redis at ${address}: ${error.message}`);
}
