import type { Backend } from '@drover/sdk/internals';
import { WatchExpiredError, type Shard } from '@drover/store';

import type { ApiObject } from '../api/object.ts';
import type { ShardLister } from '../resources/paging.ts';
import { FeedRun, type FeedEvent, type FeedSource } from './feedRun.ts';
import { Subscriber } from './subscriber.ts';

/** How long it runs on when nobody watches or lists: who does so often finds it running. */
const LINGER_MS = 30_000;
/** Lists of fewer objects than this in that time are read from the store. */
const FEW_OBJECTS = 1_000;
/** For lists alone no more objects than this are held. */
const MAX_FOR_LISTS = 100_000;
/** A list that has waited for so long for what was changed last is read from the store. */
const CATCH_UP_MS = 15_000;

/** What one follows a feed with. */
export interface Follow<T extends ApiObject> {
  /** What one who knew everything up to `since` has to be told; with null, everything there is. */
  readonly events: readonly FeedEvent<T>[];
  /** Everything up to this version is in the events. */
  readonly version: number;
  /** What happens from then on. */
  readonly subscriber: Subscriber<FeedEvent<T>>;
  /** A version up to which the subscriber was told everything by the time this resolves. */
  readonly catchUp: () => Promise<number>;
  /** Follows no more. */
  readonly close: () => void;
}

/**
 * What all watches of a kind share in one shard: the objects as they are, and what happened to them
 * of late. A change is read once, however many watch; while nobody does, nothing runs.
 */
export class ObjectFeed<T extends ApiObject> {
  readonly #backend: Backend;
  readonly #shard: Shard;
  readonly #source: FeedSource<T>;
  #run: FeedRun<T> | null = null;
  #linger: NodeJS.Timeout | null = null;
  #listedMs = Number.NEGATIVE_INFINITY;
  /** Objects that lists read from the store since the last pause. */
  #readCount = 0;

  constructor(backend: Backend, shard: Shard, source: FeedSource<T>) {
    this.#backend = backend;
    this.#shard = shard;
    this.#source = source;
  }

  /**
   * Follows the objects.
   *
   * @param since - A resourceVersion; null = from nothing on.
   * @throws WatchExpiredError when what happened since is not known any more.
   */
  async follow(since: number | null): Promise<Follow<T>> {
    if (this.#linger !== null) clearTimeout(this.#linger);
    const run = (this.#run ??= this.#begin());
    const subscriber = new Subscriber<FeedEvent<T>>();
    // From here on, so that it does not end while this one begins.
    run.subscribers.add(subscriber);
    const close = (): void => this.#leave(run, subscriber);
    try {
      await run.started;
      const missed = since === null ? null : await run.missedSince(since);
      const version = await run.catchUp();
      // What came while this one waited is in the state, and among what is kept.
      subscriber.drain();
      const events =
        since === null || missed === null ? run.everything() : run.eventsSince(since, missed);
      return { events, version, subscriber, catchUp: () => run.catchUp(), close };
    } catch (error) {
      close();
      throw error;
    }
  }

  /**
   * What a list is made from, when it runs.
   *
   * @param notOlderThan - As things were at this version, or later; null = as they are now.
   * @returns null when the list is to be read from the store: so it is always right.
   */
  async lister(notOlderThan: number | null): Promise<ShardLister<T> | null> {
    const nowMs = performance.now();
    if (nowMs > this.#listedMs + LINGER_MS) this.#readCount = 0;
    this.#listedMs = nowMs;
    const run = this.#run;
    if (run === null || !run.isStarted) return null;
    const late = Promise.withResolvers<null>();
    const timer = setTimeout(() => late.resolve(null), CATCH_UP_MS);
    try {
      return await Promise.race([run.lister(notOlderThan), late.promise]);
    } catch (error) {
      if (error instanceof WatchExpiredError) return null;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Told how many objects a list read from the store. When lists have read as many as there are, it
   * would have cost no more to have them all: then it begins to.
   */
  async noteRead(count: number): Promise<void> {
    this.#readCount += count;
    const countAll = this.#source.count?.bind(this.#source);
    if (this.#run !== null || countAll === undefined || this.#readCount < FEW_OBJECTS) return;
    const all = await this.#backend.run(() => countAll(this.#shard));
    if (this.#run !== null || all > Math.min(MAX_FOR_LISTS, this.#readCount)) return;
    this.#run = this.#begin();
    this.#rest(this.#run);
  }

  /** Ends it; who follows is told so. */
  close(): void {
    if (this.#linger !== null) clearTimeout(this.#linger);
    this.#run?.end();
    this.#run = null;
  }

  #begin(): FeedRun<T> {
    const run = new FeedRun(this.#backend, this.#shard, this.#source);
    void run.serve().then(() => {
      // Who comes later begins a new one.
      if (this.#run === run) this.#run = null;
    });
    return run;
  }

  #leave(run: FeedRun<T>, subscriber: Subscriber<FeedEvent<T>>): void {
    run.subscribers.delete(subscriber);
    this.#rest(run);
  }

  /** Ends a run that nobody follows, when there were no lists for a while. */
  #rest(run: FeedRun<T>): void {
    if (run.subscribers.size > 0 || this.#run !== run) return;
    const idleMs = performance.now() - this.#listedMs;
    this.#linger = setTimeout(
      () => {
        if (performance.now() < this.#listedMs + LINGER_MS) return this.#rest(run);
        run.end();
        if (this.#run === run) this.#run = null;
      },
      idleMs < LINGER_MS ? LINGER_MS - idleMs : LINGER_MS,
    );
    this.#linger.unref();
  }
}
