import type { ObjectMeta } from '@drover/shared';
import { WatchExpiredError, type Shard } from '@drover/store';

import type { Backend } from './backend.ts';
import type { ObjectEntry, WatchedKind } from './sharedWatch.ts';

/** What happened to an object. */
export interface ObjectEvent<T> {
  /** `ADDED` also for each object that was there when the watch began. */
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The object as it is now; with DELETED as it was last seen. */
  readonly object: T;
}

/** What a watch reads with. */
export interface WatchReader<T> {
  readonly kind: WatchedKind;
  /** All objects that the watch is about. */
  list(shard: Shard): Promise<T[]>;
  /** One object, or null when it is gone. */
  read(shard: Shard, entry: ObjectEntry): Promise<T | null>;
  /** Whether the watch is about this object. */
  accepts(object: T): boolean;
  /** Cheap test on an entry, before the object is read. */
  concerns(entry: ObjectEntry): boolean;
}

type WithMeta = { readonly metadata: ObjectMeta };

/**
 * Watches the objects of a kind in one shard: first what is there, then what changes, in order and
 * without gaps. Nothing is polled. When changes may have been missed it lists again and tells the
 * differences.
 */
export async function* watchObjects<T extends WithMeta>(
  backend: Backend,
  shard: Shard,
  reader: WatchReader<T>,
  signal: AbortSignal,
): AsyncGenerator<ObjectEvent<T>> {
  const known = new Map<string, T>();
  while (!signal.aborted) {
    // Followed before it is listed, so that nothing happens unseen in between.
    const wish = { kind: reader.kind, concerns: (entry: ObjectEntry) => reader.concerns(entry) };
    const follower = await backend.sharedWatch(shard).follow(wish, signal);
    try {
      yield* differences(known, await backend.run(() => reader.list(shard)));
      for (;;) {
        const entries = await follower.next();
        if (entries === null) return;
        yield* changes(backend, shard, reader, known, entries);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof WatchExpiredError)) throw await backend.translate(error);
    } finally {
      follower.close();
    }
  }
}

function* differences<T extends WithMeta>(
  known: Map<string, T>,
  objects: readonly T[],
): Generator<ObjectEvent<T>> {
  const seen = new Set<string>();
  for (const object of objects) {
    const { uid, resourceVersion } = object.metadata;
    seen.add(uid);
    const before = known.get(uid);
    known.set(uid, object);
    if (before === undefined) yield { type: 'ADDED', object };
    else if (before.metadata.resourceVersion !== resourceVersion) {
      yield { type: 'MODIFIED', object };
    }
  }
  for (const [uid, object] of known) {
    if (seen.has(uid)) continue;
    known.delete(uid);
    yield { type: 'DELETED', object };
  }
}

async function* changes<T extends WithMeta>(
  backend: Backend,
  shard: Shard,
  reader: WatchReader<T>,
  known: Map<string, T>,
  entries: readonly ObjectEntry[],
): AsyncGenerator<ObjectEvent<T>> {
  for (const entry of entries) {
    const { uid } = entry;
    const object = await backend.run(() => reader.read(shard, entry));
    const before = known.get(uid);
    if (object !== null && reader.accepts(object)) {
      known.set(uid, object);
      if (before === undefined) yield { type: 'ADDED', object };
      else if (before.metadata.resourceVersion !== object.metadata.resourceVersion) {
        yield { type: 'MODIFIED', object };
      }
    } else if (before !== undefined) {
      known.delete(uid);
      // One that does not match the selector any more is gone for this watch.
      yield { type: 'DELETED', object: object ?? before };
    }
  }
}
