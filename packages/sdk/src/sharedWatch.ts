import { watchShard, type Shard, type WatchEntry } from '@drover/store';

import type { Backend } from './backend.ts';

/** An entry about an object: a Job, or one that is kept as it is. */
export type ObjectEntry = Exclude<WatchEntry, { kind: 'Pods' }>;

/** A kind of objects: `Job`, `ConfigMap`, ... */
export type WatchedKind = string;

/** What a follower wants to be told. */
export interface Wish {
  readonly kind: WatchedKind;
  /** Only of this object: of thousands of followers only its own are asked about an entry. */
  readonly uid?: string;
  /** Which entries. */
  readonly concerns: (entry: ObjectEntry) => boolean;
}

/**
 * One watch of a shard's objects for all who follow them in this client: a service that waits for a
 * thousand Jobs has one connection for that, and reads each change once.
 */
export class SharedWatch {
  readonly #backend: Backend;
  readonly #shard: Shard;
  #watch: Watch | null = null;

  constructor(backend: Backend, shard: Shard) {
    this.#backend = backend;
    this.#shard = shard;
  }

  /**
   * Follows objects from now on: what is read after this resolved has all changes that are not told.
   *
   * @param signal - Ends the wait in {@link Follower.next}.
   */
  async follow(wish: Wish, signal: AbortSignal): Promise<Follower> {
    const watch = (this.#watch ??= this.#begin());
    const follower = new Follower(wish, signal, () => this.#leave(watch, follower));
    watch.followers.add(follower);
    const of = watch.byKey.get(keyOf(wish)) ?? new Set();
    watch.byKey.set(keyOf(wish), of.add(follower));
    try {
      await watch.started.promise;
    } catch (error) {
      follower.close();
      throw error;
    }
    return follower;
  }

  #begin(): Watch {
    const watch: Watch = {
      followers: new Set(),
      byKey: new Map(),
      ending: new AbortController(),
      started: Promise.withResolvers<void>(),
    };
    void this.#serve(watch);
    return watch;
  }

  async #serve(watch: Watch): Promise<void> {
    const { followers, byKey, ending, started } = watch;
    try {
      const since = await this.#backend.run(() => this.#shard.resourceVersion());
      const redis = await this.#backend.duplicate();
      started.resolve();
      const options = { since, pods: false, signal: ending.signal };
      for await (const batch of watchShard(redis, this.#shard.keys, options)) {
        for (const entry of batch) {
          if (entry.kind === 'Pods') continue;
          const kind = entry.kind === 'Job' ? 'Job' : entry.of;
          for (const follower of byKey.get(kind) ?? []) follower.tell(entry);
          for (const follower of byKey.get(entry.uid) ?? []) follower.tell(entry);
        }
      }
    } catch (error) {
      // Who comes later begins a new one.
      if (this.#watch === watch) this.#watch = null;
      started.reject(error);
      for (const follower of followers) follower.fail(error);
    }
  }

  #leave(watch: Watch, follower: Follower): void {
    watch.followers.delete(follower);
    const key = keyOf(follower.wish);
    const of = watch.byKey.get(key);
    if (of?.delete(follower) === true && of.size === 0) watch.byKey.delete(key);
    if (watch.followers.size > 0) return;
    watch.ending.abort();
    if (this.#watch === watch) this.#watch = null;
  }
}

interface Watch {
  readonly followers: Set<Follower>;
  /** The followers of an object by its uid; those of all objects of a kind by the kind. */
  readonly byKey: Map<string, Set<Follower>>;
  /** Aborted when nobody follows any more. */
  readonly ending: AbortController;
  /** Resolved when every later change will be told. */
  readonly started: PromiseWithResolvers<void>;
}

function keyOf({ uid, kind }: Wish): string {
  return uid ?? kind;
}

/** One who follows objects. What changed is kept until it is asked for, once per object. */
export class Follower {
  readonly wish: Wish;
  readonly #signal: AbortSignal;
  readonly #leave: () => void;
  readonly #wake = (): void => this.#waiting?.();
  #entries = new Map<string, ObjectEntry>();
  #failure: { readonly error: unknown } | null = null;
  #waiting: (() => void) | null = null;

  constructor(wish: Wish, signal: AbortSignal, leave: () => void) {
    this.wish = wish;
    this.#signal = signal;
    this.#leave = leave;
    signal.addEventListener('abort', this.#wake, { once: true });
  }

  /** The newest entry of each object that changed since the last call, as soon as there are some; null = the signal. */
  async next(): Promise<readonly ObjectEntry[] | null> {
    while (!this.#signal.aborted) {
      if (this.#entries.size > 0) {
        const entries = [...this.#entries.values()];
        this.#entries = new Map();
        return entries;
      }
      if (this.#failure !== null) throw this.#failure.error;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting = resolve;
      await promise;
    }
    return null;
  }

  /** Keeps an entry that concerns this one. */
  tell(entry: ObjectEntry): void {
    if (!this.wish.concerns(entry)) return;
    this.#entries.set(entry.uid, entry);
    this.#wake();
  }

  /** Ends with an error, after what was told before it. */
  fail(error: unknown): void {
    this.#failure = { error };
    this.#wake();
  }

  /** Follows no more. */
  close(): void {
    this.#signal.removeEventListener('abort', this.#wake);
    this.#leave();
  }
}
