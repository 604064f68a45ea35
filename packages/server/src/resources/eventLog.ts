import type { CoreV1Event } from '@drover/shared';
import type { Backend } from '@drover/sdk/internals';
import type { Shard } from '@drover/store';

import type { WatchEvent, WatchRequest } from '../api/resource.ts';
import { PolledWatch } from '../watch/polledWatch.ts';
import { pathOf } from '../watch/orderedObjects.ts';

/** The events of a shard as they were read last. */
interface Known {
  newest: number;
  /** The last deletion that was worked in. */
  deleted: number;
  readonly events: Map<string, CoreV1Event>;
}

/** All events, as core/v1 has them: read from the store, and followed by one look for all watches. */
export class EventLog {
  readonly #backend: Backend;
  readonly #watch: PolledWatch<CoreV1Event>;
  readonly #known = new Map<Shard, Known>();

  constructor(backend: Backend) {
    this.#backend = backend;
    this.#watch = new PolledWatch({ apiVersion: 'v1', kind: 'Event' }, () => this.#readChanged(), {
      news: (onNews) => this.#listen(onNews),
    });
  }

  /** Watches, as core/v1 has them. */
  watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    return this.#watch.watch(request);
  }

  /** Those that are there, in order of namespace and name. */
  async list(namespace: string | null, objectName: string | null): Promise<CoreV1Event[]> {
    const store = await this.#backend.store();
    const shards = namespace === null ? store.shards : [store.shardOf(namespace)];
    const query = { namespace, ...(objectName !== null && { objectName }) };
    const found = await Promise.all(
      shards.map((shard) => this.#backend.run(() => shard.events.list(query))),
    );
    return found.flat().toSorted((a, b) => (pathOf(a) < pathOf(b) ? -1 : 1));
  }

  /** Ends all watches. */
  close(): void {
    this.#watch.close();
  }

  /** Calls back when events were written. */
  async #listen(onNews: () => void): Promise<() => void> {
    const subscriber = await this.#backend.openSubscriber();
    // What was said while the connection was away is lost.
    subscriber.onReady(onNews);
    const { shards } = await this.#backend.store();
    try {
      await Promise.all(shards.map(({ events }) => subscriber.subscribe(events.channel, onNews)));
    } catch (error) {
      subscriber.close();
      throw await this.#backend.translate(error);
    }
    return () => {
      subscriber.close();
      this.#known.clear();
    };
  }

  async #readChanged(): Promise<readonly CoreV1Event[]> {
    const { shards } = await this.#backend.store();
    const found = await Promise.all(
      shards.map((shard) => this.#backend.run(() => this.#readShard(shard))),
    );
    return found.flat();
  }

  /** Reads what was written since the last time, and leaves out what is too old by now. */
  async #readShard(shard: Shard): Promise<CoreV1Event[]> {
    const { newest, oldest, deleted } = await shard.events.span();
    const known = this.#known.get(shard) ?? { newest: 0, deleted, events: new Map() };
    this.#known.set(shard, known);
    if (newest > known.newest) {
      for (const event of await shard.events.changedSince(known.newest)) {
        known.events.set(pathOf(event), event);
        known.newest = Math.max(known.newest, versionOf(event));
      }
      known.newest = Math.max(known.newest, newest);
    }
    // Those that were deleted are not told of one by one.
    const kept = deleted === known.deleted ? null : await shard.events.paths();
    known.deleted = deleted;
    for (const [path, event] of known.events) {
      const isGone = kept !== null && !kept.has(path);
      if (isGone || versionOf(event) < oldest) known.events.delete(path);
    }
    return [...known.events.values()];
  }
}

function versionOf({ metadata }: CoreV1Event): number {
  return Number(metadata.resourceVersion);
}
