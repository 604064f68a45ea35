import { ConnectionError } from '@drover/shared';
import { Store, UnsuitableRedisError, type Shard } from '@drover/store';
import type { Redis } from 'ioredis';

import { Connection, type ConnectionOption } from './connection.ts';
import { SharedWatch } from './sharedWatch.ts';
import { openItemQueue, type ItemQueue } from './workQueues/itemQueue.ts';
import { WorkQueueUids } from './workQueues/uids.ts';

/** Where Redis is when nothing is said. */
const DEFAULT_CONNECTION = 'redis://127.0.0.1:6379';

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
  readonly #itemQueues = new Map<string, Promise<ItemQueue>>();
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
  async duplicate(): Promise<Redis> {
    return (await this.#open()).connection.duplicate();
  }

  /** The watch of a shard's Jobs that all calls of this client share. */
  sharedWatch(shard: Shard): SharedWatch {
    const watch = this.#watches.get(shard) ?? new SharedWatch(this, shard);
    this.#watches.set(shard, watch);
    return watch;
  }

  /** BullMQ's queue of a work queue's items; kept open. */
  itemQueue(uid: string): Promise<ItemQueue> {
    const known = this.#itemQueues.get(uid);
    if (known !== undefined) return known;
    const opening = this.store().then(({ redis, prefix }) => openItemQueue(redis, prefix, uid));
    this.#itemQueues.set(uid, opening);
    opening.catch(() => this.#itemQueues.delete(uid));
    return opening;
  }

  /** Lets go of the queue of a work queue that is no more. */
  async closeItemQueue(uid: string): Promise<void> {
    const known = this.#itemQueues.get(uid);
    this.#itemQueues.delete(uid);
    await (await known)?.close();
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
      [...this.#itemQueues.values()].map(async (queue) => (await queue).close()),
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
