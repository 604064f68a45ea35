import type { CoreV1Event } from '@drover/shared';
import type { Shard } from '@drover/store';

import type { Backend } from './backend.ts';
import type { NamespaceOptions } from './jobs.ts';

/** How long a watch waits at most for a word that there is something new: words may be lost. */
const LOOK_AGAIN_MS = 10_000;

/** Which events are wanted. */
export interface ListEventsOptions extends NamespaceOptions {
  /** Of all namespaces. */
  readonly allNamespaces?: boolean;
  /** Only those about this object: a Job, a pod. With a uid not those of another one that had its name. */
  readonly about?: {
    /** As in manifests: `Job`. */
    readonly kind: string;
    readonly name: string;
    readonly uid?: string;
  };
  /** Only those of this type. */
  readonly type?: 'Normal' | 'Warning';
}

/** Options of `events.watch`. */
export interface WatchEventsOptions extends ListEventsOptions {
  /** Ends the watch. */
  readonly signal?: AbortSignal;
}

/** Events: what happened to objects. They are for people: nothing depends on them, and after an hour they are gone. */
export class EventsClient {
  readonly #backend: Backend;
  readonly #namespace: string;

  constructor(backend: Backend, namespace: string) {
    this.#backend = backend;
    this.#namespace = namespace;
  }

  /**
   * Lists events; what happened last is last.
   *
   * @example
   * const warnings = await drover.events.list({ about: { kind: 'Job', name: 'pi' }, type: 'Warning' });
   */
  async list(options: ListEventsOptions = {}): Promise<CoreV1Event[]> {
    const namespace = this.#namespaceOf(options);
    const { about } = options;
    const query = { namespace, ...(about !== undefined && { objectName: about.name }) };
    const shards = await this.#shards(namespace);
    const found = await Promise.all(
      shards.map((shard) => this.#backend.run(() => shard.events.list(query))),
    );
    return found
      .flat()
      .filter((event) => isWanted(event, namespace, options))
      .toSorted(byVersion);
  }

  /**
   * Tells of the events that are there, then of each as it is written: new ones, and those that happened
   * again. Without end.
   */
  async *watch(options: WatchEventsOptions = {}): AsyncGenerator<CoreV1Event> {
    const { signal } = options;
    const namespace = this.#namespaceOf(options);
    const shards = await this.#shards(namespace);
    const subscriber = await this.#backend.openSubscriber();
    let wakeUp = (): void => {};
    const isOver = (): boolean => signal?.aborted === true;
    try {
      const positions = new Map<Shard, number>();
      for (const shard of shards) {
        await subscriber.subscribe(shard.events.channel, () => wakeUp());
        positions.set(shard, 0);
      }
      while (!isOver()) {
        const woken = new Promise<void>((resolve) => {
          wakeUp = resolve;
        });
        for (const [shard, since] of positions) {
          const changed = await this.#backend.run(() => shard.events.changedSince(since));
          for (const event of changed) {
            positions.set(shard, Number(event.metadata.resourceVersion));
            if (isWanted(event, namespace, options)) yield event;
          }
        }
        await untilWoken(woken, signal);
      }
    } finally {
      subscriber.close();
    }
  }

  #namespaceOf({ namespace, allNamespaces }: ListEventsOptions): string | null {
    return allNamespaces === true ? null : (namespace ?? this.#namespace);
  }

  async #shards(namespace: string | null): Promise<readonly Shard[]> {
    const store = await this.#backend.store();
    return namespace === null ? store.shards : [store.shardOf(namespace)];
  }
}

function isWanted(
  { metadata, involvedObject, type }: CoreV1Event,
  namespace: string | null,
  options: ListEventsOptions,
): boolean {
  const { about } = options;
  if (namespace !== null && metadata.namespace !== namespace) return false;
  if (options.type !== undefined && options.type !== type) return false;
  if (about === undefined) return true;
  const { kind, name, uid } = involvedObject;
  return kind === about.kind && name === about.name && (about.uid ?? uid) === uid;
}

function byVersion(a: CoreV1Event, b: CoreV1Event): number {
  return Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion);
}

async function untilWoken(woken: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  const over = Promise.withResolvers<void>();
  const end = (): void => over.resolve();
  const timer = setTimeout(end, LOOK_AGAIN_MS);
  signal?.addEventListener('abort', end, { once: true });
  try {
    await Promise.race([woken, over.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  }
}
