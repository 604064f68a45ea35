/** What all watches of pods share in one shard: the log of changes, which is read once. */

import type { Backend } from '@drover/sdk/internals';
import {
  announcePodWatcher,
  lastChange,
  readChanges,
  watchShard,
  WatchExpiredError,
  type Shard,
  type WatchEntry,
} from '@drover/store';

import { PodFollower } from './podFollower.ts';
import { Rest } from './rest.ts';

/** How long it runs on when nobody watches: who comes back finds that nothing was missed. */
const LINGER_MS = 30_000;

/** A watch of the log from its begin to its end. */
interface Run {
  readonly followers: Set<PodFollower>;
  readonly ending: AbortController;
  /** Resolves when every later change will be told. */
  readonly started: PromiseWithResolvers<void>;
  readonly waiting: Set<{ readonly version: number; readonly wake: PromiseWithResolvers<void> }>;
  position: number;
}

/** See the top of this file. */
export class PodFeed {
  readonly #backend: Backend;
  readonly #shard: Shard;
  #run: Run | null = null;
  #linger: NodeJS.Timeout | null = null;
  readonly #rest = new Rest();

  constructor(backend: Backend, shard: Shard) {
    this.#backend = backend;
    this.#shard = shard;
  }

  /** Between what its watches read while pods change: they have this together. */
  get rest(): Rest {
    return this.#rest;
  }

  /** Follows pods from now on: what is read after this resolved has all changes that are not told. */
  async follow(): Promise<{
    readonly follower: PodFollower;
    /** A version up to which the follower was told everything by the time this resolves. */
    readonly catchUp: () => Promise<number>;
    readonly close: () => void;
  }> {
    if (this.#linger !== null) clearTimeout(this.#linger);
    const run = (this.#run ??= this.#begin());
    const follower = new PodFollower();
    run.followers.add(follower);
    const close = (): void => this.#leave(run, follower);
    try {
      await run.started.promise;
      return { follower, catchUp: () => this.#catchUp(run), close };
    } catch (error) {
      close();
      throw error;
    }
  }

  /**
   * What happened since a version, up to now.
   *
   * @throws WatchExpiredError when not all of it is known: nobody watched, or it is long ago.
   */
  async changesSince(version: number): Promise<readonly WatchEntry[]> {
    return await this.#backend.run(async ({ redis }) => {
      const complete = await announcePodWatcher(redis, this.#shard.keys);
      if (version < complete) {
        throw new WatchExpiredError(
          `changes of pods are known since resourceVersion ${complete}, not since ${version}`,
        );
      }
      return await readChanges(redis, this.#shard.keys, version);
    });
  }

  /** Ends it; who follows is told so. */
  close(): void {
    if (this.#linger !== null) clearTimeout(this.#linger);
    this.#run?.ending.abort();
    this.#run = null;
  }

  #begin(): Run {
    const run: Run = {
      followers: new Set(),
      ending: new AbortController(),
      started: Promise.withResolvers<void>(),
      waiting: new Set(),
      position: 0,
    };
    run.started.promise.catch(() => undefined);
    void this.#serve(run);
    return run;
  }

  async #serve(run: Run): Promise<void> {
    const { signal } = run.ending;
    try {
      await this.#backend.run(({ redis }) => announcePodWatcher(redis, this.#shard.keys));
      const since = await this.#backend.run(() => this.#shard.resourceVersion());
      run.position = since;
      const redis = await this.#backend.duplicate();
      run.started.resolve();
      for await (const batch of watchShard(redis, this.#shard.keys, {
        since,
        pods: true,
        signal,
      })) {
        for (const follower of run.followers) follower.tell(batch);
        run.position = batch.at(-1)?.resourceVersion ?? run.position;
        for (const waiter of run.waiting) {
          if (waiter.version > run.position) continue;
          run.waiting.delete(waiter);
          waiter.wake.resolve();
        }
      }
      this.#fail(run, new WatchExpiredError('the server ends'));
    } catch (error) {
      const told =
        error instanceof WatchExpiredError ? error : await this.#backend.translate(error);
      this.#fail(run, told);
    }
  }

  #fail(run: Run, error: unknown): void {
    // Who comes later begins a new one.
    if (this.#run === run) this.#run = null;
    run.started.reject(error);
    for (const { wake } of run.waiting) wake.reject(error);
    for (const follower of run.followers) follower.fail(error);
  }

  async #catchUp(run: Run): Promise<number> {
    const version = await this.#backend.run(() => this.#shard.resourceVersion());
    const last = await this.#backend.run(({ redis }) => lastChange(redis, this.#shard.keys));
    if (last > run.position) {
      const waiter = { version: last, wake: Promise.withResolvers<void>() };
      run.waiting.add(waiter);
      await waiter.wake.promise;
    }
    return Math.max(version, last);
  }

  #leave(run: Run, follower: PodFollower): void {
    run.followers.delete(follower);
    if (run.followers.size > 0 || this.#run !== run) return;
    this.#linger = setTimeout(() => {
      run.ending.abort();
      if (this.#run === run) this.#run = null;
    }, LINGER_MS);
    this.#linger.unref();
  }
}
