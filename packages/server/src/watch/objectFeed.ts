import type { Backend } from '@drover/sdk/internals';
import type { Shard } from '@drover/store';

import type { ApiObject } from '../api/object.ts';
import { FeedRun, type FeedEvent, type FeedSource } from './feedRun.ts';
import { Subscriber } from './subscriber.ts';

/** How long it runs on when nobody watches: who watches often finds it running. */
const LINGER_MS = 30_000;

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
    if (run.subscribers.size > 0 || this.#run !== run) return;
    this.#linger = setTimeout(() => {
      run.end();
      if (this.#run === run) this.#run = null;
    }, LINGER_MS);
    this.#linger.unref();
  }
}
