import type { Backend } from '@drover/sdk/internals';
import {
  Gather,
  lastChange,
  readChanges,
  watchShard,
  WatchExpiredError,
  type Shard,
  type WatchEntry,
} from '@drover/store';

import type { ApiObject } from '../api/object.ts';
import type { ShardLister } from '../resources/paging.ts';
import { OrderedObjects } from './orderedObjects.ts';
import type { Subscriber } from './subscriber.ts';

/** An entry of the store about an object that has a name. */
export type ObjectEntry = Extract<WatchEntry, { readonly name: string }>;

/** Something that happened to an object. */
export interface FeedEvent<T extends ApiObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly version: number;
  /** As it is now; when it is gone as it was, with the version of its end. */
  readonly object: T;
  /** As it was before; null when it was not there; undefined when that is not known. */
  readonly previous: T | null | undefined;
  /** Nothing is known of the object but its name: it was gone before anybody looked. */
  readonly isRemains: boolean;
}

/** What a feed reads with. */
export interface FeedSource<T extends ApiObject> {
  readonly apiVersion: string;
  readonly kind: string;
  /** All objects of a shard. */
  list(shard: Shard): Promise<readonly T[]>;
  /** Objects by their entries; those that are gone are left out. */
  read(shard: Shard, entries: readonly ObjectEntry[]): Promise<readonly T[]>;
  /** The same objects with what changes without a version, as it is now; default: nothing does. */
  asNow?(shard: Shard, objects: readonly T[]): Promise<readonly T[]>;
  /** About how many objects a shard has; left out when lists are not to begin a feed. */
  count?(shard: Shard): Promise<number>;
}

/** What happened in a time from which no events are kept, as the store still knows it. */
export interface Missed {
  readonly entries: readonly ObjectEntry[];
  /** The time ends with this version. */
  readonly upTo: number;
}

/** What of a shard could be known at a moment. */
interface CaughtUp {
  /** The newest version. */
  readonly version: number;
  /** The newest change that has an entry. */
  readonly last: number;
}

/** What happened is there after a few ms; who waits for it does so no longer than this, unless something comes. */
const SILENCE_MS = 2_000;
/** Events that are kept for those who come back. */
const MAX_KEPT = 2_000;

/**
 * A feed from its begin to its end. What it tells is in order of resourceVersion: a client that was
 * told of one has been told of everything before it, so that it can go on from there.
 */
export class FeedRun<T extends ApiObject> {
  readonly subscribers = new Set<Subscriber<FeedEvent<T>>>();
  readonly #backend: Backend;
  readonly #shard: Shard;
  readonly #source: FeedSource<T>;
  readonly #ending = new AbortController();
  readonly #started = Promise.withResolvers<void>();
  #isStarted = false;
  readonly #objects = new OrderedObjects<T>();
  readonly #kept: FeedEvent<T>[] = [];
  /** All events after this version are kept. */
  #keptSince = 0;
  /** The last entry that was worked in. */
  #position = 0;
  /** Objects that were changed again before they were read: how far what is known of them goes. */
  readonly #late = new Map<string, number>();
  readonly #catchUps = new Gather<null, CaughtUp>({ calls: 1_000 }, async (calls) => {
    const caughtUp = await this.#readClock();
    return calls.map(() => caughtUp);
  });
  readonly #waiting = new Set<{
    readonly version: number;
    readonly wake: PromiseWithResolvers<void>;
  }>();
  /** Since when nothing came over the connection; null while what came is worked in. */
  #silentSinceMs: number | null = null;
  #expecting: NodeJS.Timeout | null = null;
  #failure: { readonly error: unknown } | null = null;

  constructor(backend: Backend, shard: Shard, source: FeedSource<T>) {
    this.#backend = backend;
    this.#shard = shard;
    this.#source = source;
    this.#started.promise.catch(() => undefined);
  }

  /** Resolves when the objects have been read. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Whether the objects have been read. */
  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** Reads the objects, and then what happens, until `end`. Never rejects. */
  async serve(): Promise<void> {
    const { signal } = this.#ending;
    try {
      const since = await this.#backend.run(() => this.#shard.resourceVersion());
      for (const object of await this.#backend.run(() => this.#source.list(this.#shard))) {
        this.#objects.set(object);
      }
      const versions = [...this.#objects].map(versionOf);
      this.#keptSince = versions.reduce((most, version) => Math.max(most, version), since);
      this.#position = since;
      const redis = await this.#backend.duplicate();
      this.#isStarted = true;
      this.#started.resolve();
      const options = { since, pods: false, signal };
      this.#silentSinceMs = performance.now();
      for await (const batch of watchShard(redis, this.#shard.keys, options)) {
        this.#silentSinceMs = null;
        await this.#apply(batch);
        this.#silentSinceMs = performance.now();
      }
      this.#fail(new WatchExpiredError('the server ends'));
    } catch (error) {
      this.#fail(error instanceof WatchExpiredError ? error : await this.#backend.translate(error));
    }
  }

  /** Ends it. */
  end(): void {
    this.#ending.abort();
  }

  /** A version up to which everything that happened has been worked in when this resolves. */
  async catchUp(): Promise<number> {
    const { version, last } = await this.#catchUps.call(null);
    if (this.#failure !== null) throw this.#failure.error;
    if (last > this.#upTo) {
      const waiter = { version: last, wake: Promise.withResolvers<void>() };
      this.#waiting.add(waiter);
      this.#expectNews();
      await waiter.wake.promise;
    }
    return Math.max(version, this.#upTo);
  }

  /**
   * Something happened, as is known over another connection, and somebody waits for it: when nothing
   * comes over that of the feed, half of it is gone.
   */
  #expectNews(): void {
    if (this.#expecting !== null) return;
    const silentSinceMs = this.#silentSinceMs;
    this.#expecting = setTimeout(() => {
      this.#expecting = null;
      if (this.#waiting.size === 0) return;
      if (silentSinceMs === null || silentSinceMs !== this.#silentSinceMs) this.#expectNews();
      else void this.#endIfSilent(silentSinceMs);
    }, SILENCE_MS);
    this.#expecting.unref();
  }

  async #endIfSilent(silentSinceMs: number): Promise<void> {
    // Whatever came while this process was held up is here after that.
    await this.#readClock().catch(() => undefined);
    if (this.#silentSinceMs !== silentSinceMs) {
      if (this.#waiting.size > 0) this.#expectNews();
      return;
    }
    this.#fail(new WatchExpiredError('nothing comes over the connection of the watch'));
    this.end();
  }

  /** Everything up to this version has been worked in. */
  get #upTo(): number {
    let upTo = this.#position;
    for (const version of this.#late.values()) upTo = Math.min(upTo, version);
    return upTo;
  }

  async #readClock(): Promise<CaughtUp> {
    return await this.#backend.run(async ({ redis }) => {
      // In this order: whatever got a version until then has its entry.
      const [version, last] = await Promise.all([
        this.#shard.resourceVersion(),
        lastChange(redis, this.#shard.keys),
      ]);
      return { version, last };
    });
  }

  /**
   * Objects as they were at a version or later, for a list, once it has started.
   *
   * @param notOlderThan - null = as they are now.
   * @throws WatchExpiredError when it ends meanwhile.
   */
  async lister(notOlderThan: number | null): Promise<ShardLister<T>> {
    const isEnough = notOlderThan !== null && notOlderThan <= this.#upTo;
    const version = isEnough ? this.#upTo : await this.catchUp();
    return {
      version,
      page: async ({ namespace, selection, after, limit }) => {
        const isWanted = (object: T): boolean => selection.mayMatch(object);
        const { objects, next } = this.#objects.some({ namespace, after, limit, isWanted });
        const asNow = this.#source.asNow?.bind(this.#source);
        if (asNow === undefined) return { items: objects, next };
        return { items: await this.#backend.run(() => asNow(this.#shard, objects)), next };
      },
    };
  }

  /** The objects as events, for one who knows nothing. */
  everything(): FeedEvent<T>[] {
    return [...this.#objects].map((object) => ({
      type: 'ADDED',
      version: versionOf(object),
      object,
      previous: null,
      isRemains: false,
    }));
  }

  /**
   * What happened after `since` and before the events that are kept.
   *
   * @throws WatchExpiredError when that is not known any more, or `since` is yet to come.
   */
  async missedSince(since: number): Promise<Missed> {
    if (since >= this.#keptSince && since <= this.#position) return { entries: [], upTo: since };
    return await this.#backend.run(async ({ redis }) => {
      const upTo = await this.#shard.resourceVersion();
      const entries = await readChanges(redis, this.#shard.keys, since);
      return { entries: entries.filter((entry) => this.#concerns(entry)), upTo };
    });
  }

  /**
   * What one has to be told who knew everything up to `since`.
   *
   * @param missed - As {@link missedSince} gave it.
   */
  eventsSince(since: number, missed: Missed): FeedEvent<T>[] {
    const entries = new Map(missed.entries.map((entry) => [entry.uid, entry]));
    const isNew = missed.entries.filter(({ type }) => type === 'ADDED');
    const added = new Set(isNew.map(({ uid }) => uid));
    if (missed.upTo < this.#keptSince) {
      throw new WatchExpiredError(`too much happened since resourceVersion ${since}`);
    }
    const kept = this.#kept.filter(({ version }) => version > since);
    const events = kept.filter(({ object }) => !entries.has(object.metadata.uid));
    for (const [uid, entry] of entries) {
      const object = this.#objects.get(uid);
      const end = kept.findLast((event) => event.object.metadata.uid === uid);
      if (object !== undefined) {
        const type = added.has(uid) ? 'ADDED' : 'MODIFIED';
        const version = versionOf(object);
        const previous = added.has(uid) ? null : undefined;
        events.push({ type, version, object, previous, isRemains: false });
      } else if (end !== undefined) events.push({ ...end, previous: undefined });
      else events.push(this.#remainsOf(entry));
    }
    return events.toSorted((a, b) => a.version - b.version);
  }

  #concerns(entry: WatchEntry): entry is ObjectEntry {
    const { kind } = this.#source;
    return entry.kind === 'Object' ? entry.of === kind : entry.kind === 'Job' && kind === 'Job';
  }

  /** What can be said of an object that was gone before anybody looked. */
  #remainsOf({ namespace, name, uid, resourceVersion }: ObjectEntry): FeedEvent<T> {
    const { apiVersion, kind } = this.#source;
    const metadata = { name, namespace, uid, resourceVersion: resourceVersion.toFixed(0) };
    // The rest of it is not known, which is what isRemains says.
    const object = { apiVersion, kind, metadata } as unknown as T;
    return {
      type: 'DELETED',
      version: resourceVersion,
      object,
      previous: undefined,
      isRemains: true,
    };
  }

  async #apply(batch: readonly WatchEntry[]): Promise<void> {
    const newest = batch.at(-1)?.resourceVersion;
    if (newest === undefined) return;
    const entries = new Map<string, ObjectEntry>();
    for (const entry of batch) if (this.#concerns(entry)) entries.set(entry.uid, entry);
    if (entries.size > 0) {
      const found = await this.#backend.run(() =>
        this.#source.read(this.#shard, [...entries.values()]),
      );
      const objects = new Map(found.map((object) => [object.metadata.uid, object]));
      const events = [...entries.values()].flatMap(
        (entry) => this.#eventOf(entry, objects.get(entry.uid), newest) ?? [],
      );
      for (const event of events.toSorted((a, b) => a.version - b.version)) this.#tell(event);
    }
    this.#position = newest;
    const upTo = this.#upTo;
    for (const waiter of this.#waiting) {
      if (waiter.version > upTo) continue;
      this.#waiting.delete(waiter);
      waiter.wake.resolve();
    }
  }

  /** @param newest - Entries up to this version have been read. */
  #eventOf(entry: ObjectEntry, object: T | undefined, newest: number): FeedEvent<T> | null {
    const before = this.#objects.get(entry.uid);
    const lateSince = this.#late.get(entry.uid) ?? this.#position;
    this.#late.delete(entry.uid);
    if (entry.type === 'DELETED') {
      if (before === undefined) return null;
      const version = entry.resourceVersion;
      const metadata = { ...before.metadata, resourceVersion: version.toFixed(0) };
      const gone = { ...before, metadata };
      return { type: 'DELETED', version, object: gone, previous: before, isRemains: false };
    }
    // It is told with the entry that says so: before it there may be some that were not read yet.
    if (object === undefined || versionOf(object) > newest) {
      this.#late.set(entry.uid, lateSince);
      return null;
    }
    const version = versionOf(object);
    if (before !== undefined && versionOf(before) >= version) return null;
    const type = before === undefined ? 'ADDED' : 'MODIFIED';
    return { type, version, object, previous: before ?? null, isRemains: false };
  }

  #tell(event: FeedEvent<T>): void {
    const { uid } = event.object.metadata;
    if (event.type === 'DELETED') this.#objects.delete(uid);
    else this.#objects.set(event.object);
    this.#kept.push(event);
    if (this.#kept.length > MAX_KEPT) {
      const [oldest] = this.#kept.splice(0, 1);
      this.#keptSince = Math.max(this.#keptSince, oldest?.version ?? 0);
    }
    for (const subscriber of this.subscribers) subscriber.push(event);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    if (this.#expecting !== null) clearTimeout(this.#expecting);
    this.#expecting = null;
    this.#started.reject(error);
    for (const { wake } of this.#waiting) wake.reject(error);
    this.#waiting.clear();
    for (const subscriber of this.subscribers) subscriber.fail(error);
  }
}

function versionOf({ metadata }: ApiObject): number {
  return Number(metadata.resourceVersion ?? 0);
}
