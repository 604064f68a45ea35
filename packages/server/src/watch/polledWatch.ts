import { WatchExpiredError } from '@drover/store';

import type { ApiObject } from '../api/object.ts';
import type { WatchEvent, WatchRequest } from '../api/resource.ts';
import { Subscriber } from './subscriber.ts';

/** How often is looked, while somebody watches. */
const POLL_MS = 2_000;
/** The same where a word comes when there is something new: words may be lost. */
const TOLD_POLL_MS = 10_000;
/** After a word more is gathered for so long. */
const GATHER_MS = 100;
/** How long it goes on looking when nobody watches: who comes back finds that nothing was missed. */
const LINGER_MS = 60_000;
/** Between a list and the watch that goes on from it passes no more than this. */
const LIST_TO_WATCH_MS = 10_000;
const VERSIONS_PER_MS = 4_096;
const MAX_KEPT = 1_000;

/** Calls back whenever there may be something new, until the function that it answers is called. */
export type News = (onNews: () => void) => Promise<() => void>;

interface PolledEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** When it was seen, as a version. */
  readonly version: number;
  readonly object: ApiObject;
}

/** The version of a list of such objects that is made now. */
export function versionNow(): number {
  return Date.now() * VERSIONS_PER_MS;
}

/**
 * Watches of a kind that the store has no log of changes for: few objects that seldom change. One
 * loop looks for all watches together, and none while nobody watches.
 */
export class PolledWatch<T extends ApiObject> {
  readonly #kind: { readonly apiVersion: string; readonly kind: string };
  readonly #read: () => Promise<readonly T[]>;
  readonly #stateOf: (object: T) => unknown;
  readonly #subscribers = new Set<Subscriber<PolledEvent>>();
  #objects: Map<string, T> | null = null;
  #kept: PolledEvent[] = [];
  /** Everything that was seen after this version is kept. */
  #keptSince = 0;
  #timer: NodeJS.Timeout | null = null;
  readonly #news: News | null;
  #stopNews: Promise<() => void> | null = null;
  #gathering: NodeJS.Timeout | null = null;
  #idleSince = 0;
  #looking: Promise<void> | null = null;
  #nextLook: Promise<void> | null = null;

  /**
   * @param options.stateOf - What of an object makes another state of it; default: its resourceVersion.
   * @param options.news - Who says when there is something new; default: nobody does.
   */
  constructor(
    kind: { readonly apiVersion: string; readonly kind: string },
    read: () => Promise<readonly T[]>,
    options: { readonly stateOf?: (object: T) => unknown; readonly news?: News } = {},
  ) {
    this.#kind = kind;
    this.#read = read;
    this.#stateOf = options.stateOf ?? versionOf;
    this.#news = options.news ?? null;
  }

  /** Watches; throws WatchExpiredError when events may be missing. */
  async *watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    const { namespace, from, selection, bookmarkMs, signal } = request;
    const subscriber = new Subscriber<PolledEvent>();
    this.#subscribers.add(subscriber);
    try {
      if (this.#news !== null) await (this.#stopNews ??= this.#news(() => this.#gather()));
      // What is told is no older than the request.
      await this.poll();
      subscriber.drain();
      const told = new Set<string>();
      const isMeant = ({ metadata }: ApiObject): boolean =>
        namespace === null || metadata.namespace === namespace;
      const tell = (events: readonly PolledEvent[]) =>
        events
          .filter(({ object }) => isMeant(object))
          .flatMap((event) => this.#told(event, selection.matches(event.object), told) ?? []);
      yield* tell(this.#beginning(from));
      if (from.type === 'initial') yield this.#bookmark(true);
      let markedMs = performance.now();
      while (!signal.aborted) {
        const dueMs = bookmarkMs === null ? null : markedMs + bookmarkMs;
        const leftMs = dueMs === null ? null : Math.max(0, dueMs - performance.now());
        yield* tell(await subscriber.take(leftMs, signal));
        if (dueMs === null || performance.now() < dueMs) continue;
        markedMs = performance.now();
        yield this.#bookmark(false);
      }
    } finally {
      this.#subscribers.delete(subscriber);
      if (this.#subscribers.size === 0) this.#idleSince = performance.now();
    }
  }

  /** Looks now: a look that has begun already may not see what was there when this is called. */
  async poll(): Promise<void> {
    this.#nextLook ??= (this.#looking ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        this.#nextLook = null;
        this.#looking = this.#look();
        return this.#looking;
      });
    await this.#nextLook;
  }

  /** Ends all watches. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#listenNoMore();
    for (const subscriber of this.#subscribers) {
      subscriber.fail(new WatchExpiredError('the server ends'));
    }
  }

  async #look(): Promise<void> {
    const version = versionNow();
    const objects = new Map((await this.#read()).map((object) => [pathOf(object), object]));
    const before = this.#objects;
    this.#objects = objects;
    if (before === null) this.#keptSince = version;
    else
      for (const event of differences(before, objects, this.#stateOf, versionNow()))
        this.#keep(event);
    this.#plan();
  }

  /** Looks soon. */
  #gather(): void {
    this.#gathering ??= setTimeout(() => {
      this.#gathering = null;
      if (this.#subscribers.size > 0) this.#lookAgain();
    }, GATHER_MS);
    this.#gathering.unref();
  }

  #lookAgain(): void {
    this.poll().catch((error: unknown) => {
      for (const subscriber of this.#subscribers) subscriber.fail(error);
      this.#objects = null;
      this.#listenNoMore();
    });
  }

  #listenNoMore(): void {
    if (this.#gathering !== null) clearTimeout(this.#gathering);
    this.#gathering = null;
    this.#stopNews?.then((stop) => stop()).catch(() => undefined);
    this.#stopNews = null;
  }

  #plan(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const isIdle = this.#subscribers.size === 0;
      if (isIdle && performance.now() > this.#idleSince + LINGER_MS) {
        this.#objects = null;
        this.#kept = [];
        this.#listenNoMore();
        return;
      }
      this.#lookAgain();
    }, this.#pollMs);
    this.#timer.unref();
  }

  get #pollMs(): number {
    return this.#news === null ? POLL_MS : TOLD_POLL_MS;
  }

  #keep(event: PolledEvent): void {
    this.#kept.push(event);
    if (this.#kept.length > MAX_KEPT) {
      const [oldest] = this.#kept.splice(0, 1);
      this.#keptSince = oldest?.version ?? this.#keptSince;
    }
    for (const subscriber of this.#subscribers) subscriber.push(event);
  }

  #beginning(from: WatchRequest['from']): PolledEvent[] {
    const objects = [...(this.#objects?.values() ?? [])];
    const asEvents = (type: 'ADDED' | 'MODIFIED', some: readonly T[]): PolledEvent[] =>
      some.map((object) => ({ type, version: versionOf(object), object }));
    if (from.type === 'initial') return asEvents('ADDED', objects);
    if (!('version' in from)) return [];
    const since = from.version;
    if (since > versionNow())
      throw new WatchExpiredError(`resourceVersion ${since} is not known here`);
    if (since >= this.#keptSince) return this.#kept.filter(({ version }) => version > since);
    if (since < this.#keptSince - LIST_TO_WATCH_MS * VERSIONS_PER_MS) {
      throw new WatchExpiredError(`resourceVersion ${since} is too old`);
    }
    const changed = objects.filter((object) => versionOf(object) > since);
    return asEvents('MODIFIED', changed);
  }

  /** What an event is for one who watches only some; `told` are the names that were told of. */
  #told({ type, object }: PolledEvent, matches: boolean, told: Set<string>): WatchEvent | null {
    const name = pathOf(object);
    const was = told.has(name) || type === 'MODIFIED';
    if (type === 'DELETED' || !matches) {
      told.delete(name);
      return was || type === 'DELETED' ? { type: 'DELETED', object, isRemains: false } : null;
    }
    told.add(name);
    return { type: was ? 'MODIFIED' : 'ADDED', object, isRemains: false };
  }

  #bookmark(isInitial: boolean): WatchEvent {
    const annotations = isInitial ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {};
    const metadata = { resourceVersion: String(versionNow()), ...annotations };
    return { type: 'BOOKMARK', object: { ...this.#kind, metadata }, isRemains: true };
  }
}

function* differences<T extends ApiObject>(
  before: ReadonlyMap<string, T>,
  now: ReadonlyMap<string, T>,
  stateOf: (object: T) => unknown,
  version: number,
): Generator<PolledEvent> {
  for (const [name, object] of now) {
    const old = before.get(name);
    if (old === undefined) yield { type: 'ADDED', version, object };
    else if (stateOf(old) !== stateOf(object)) yield { type: 'MODIFIED', version, object };
  }
  for (const [name, object] of before) {
    if (now.has(name)) continue;
    const metadata = { ...object.metadata, resourceVersion: String(version) };
    yield { type: 'DELETED', version, object: { ...object, metadata } };
  }
}

function pathOf({ metadata }: ApiObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function versionOf({ metadata }: ApiObject): number {
  return Number(metadata.resourceVersion ?? 0);
}
