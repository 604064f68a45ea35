import type { Backend } from '@drover/sdk/internals';
import type { Shard } from '@drover/store';

import type { ApiObject } from '../api/object.ts';
import type { Page, PageRequest, WatchEvent, WatchRequest } from '../api/resource.ts';
import {
  pageOfShards,
  type ShardLister,
  type ShardPage,
  type ShardPageRequest,
} from '../resources/paging.ts';
import type { FeedEvent, FeedSource } from './feedRun.ts';
import { ObjectFeed } from './objectFeed.ts';
import { watchShards, type Mark } from './shardWatches.ts';

/** The watches of a kind whose objects have a name in the store's log of changes. */
export class FeedWatch<T extends ApiObject> {
  readonly #backend: Backend;
  readonly #source: FeedSource<T>;
  readonly #feeds = new Map<Shard, ObjectFeed<T>>();

  constructor(backend: Backend, source: FeedSource<T>) {
    this.#backend = backend;
    this.#source = source;
  }

  /** Watches; throws WatchExpiredError when events may be missing. */
  watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    return watchShards(this.#backend, this.#source, request, (shard, since, signal) =>
      this.#follow(shard, since, { ...request, signal }),
    );
  }

  /**
   * A page of a list: from what watches have read already, else from the store.
   *
   * @param readOne - For a list that can have only one.
   */
  async list(
    request: PageRequest,
    read: (shard: Shard, request: ShardPageRequest) => Promise<ShardPage<T>>,
    readOne: (
      shard: Shard,
      path: { readonly namespace: string; readonly name: string },
    ) => Promise<T | null>,
  ): Promise<Page> {
    const backend = this.#backend;
    const listerOf = async (shard: Shard, notOlderThan: number | null): Promise<ShardLister<T>> => {
      const feed = this.#feedOf(shard);
      const lister = await feed.lister(notOlderThan);
      if (lister !== null) return lister;
      return {
        version: await backend.run(() => shard.resourceVersion()),
        page: async (wanted) => {
          const page = await backend.run(() => read(shard, wanted));
          await feed.noteRead(page.items.length);
          return page;
        },
      };
    };
    return await pageOfShards(backend, request, listerOf, readOne);
  }

  /** Ends all watches. */
  close(): void {
    for (const feed of this.#feeds.values()) feed.close();
  }

  #feedOf(shard: Shard): ObjectFeed<T> {
    const feed = this.#feeds.get(shard) ?? new ObjectFeed(this.#backend, shard, this.#source);
    this.#feeds.set(shard, feed);
    return feed;
  }

  async *#follow(
    shard: Shard,
    since: number | null,
    request: WatchRequest,
  ): AsyncGenerator<WatchEvent | Mark> {
    const { bookmarkMs, signal } = request;
    const { events, version, subscriber, catchUp, close } = await this.#feedOf(shard).follow(since);
    try {
      yield* selected(events, request);
      if (since === null) yield { type: 'MARK', shard, version };
      let markedMs = performance.now();
      while (!signal.aborted) {
        const dueMs = bookmarkMs === null ? null : markedMs + bookmarkMs;
        const leftMs = dueMs === null ? null : Math.max(0, dueMs - performance.now());
        yield* selected(await subscriber.take(leftMs, signal), request);
        if (dueMs === null || performance.now() < dueMs) continue;
        markedMs = performance.now();
        const upTo = await catchUp();
        yield* selected(subscriber.drain(), request);
        yield { type: 'MARK', shard, version: upTo };
      }
    } finally {
      close();
    }
  }
}

/** What events are for one who watches only some of the objects. */
function* selected<T extends ApiObject>(
  events: readonly FeedEvent<T>[],
  request: WatchRequest,
): Generator<WatchEvent> {
  for (const event of events) {
    const told = toldOf(event, request);
    if (told !== null) yield told;
  }
}

function toldOf<T extends ApiObject>(
  { type, object, previous, isRemains }: FeedEvent<T>,
  { namespace, selection }: WatchRequest,
): WatchEvent | null {
  if (namespace !== null && object.metadata.namespace !== namespace) return null;
  if (selection.name !== null && object.metadata.name !== selection.name) return null;
  // What is not known may have been selected: one too many does no harm, one too few would.
  const was = previous === undefined || (previous !== null && selection.matches(previous));
  if (isRemains) return was ? { type: 'DELETED', object, isRemains } : null;
  const is = type !== 'DELETED' && selection.matches(object);
  if (is) return { type: previous !== null && was ? 'MODIFIED' : 'ADDED', object, isRemains };
  return was ? { type: 'DELETED', object, isRemains } : null;
}
