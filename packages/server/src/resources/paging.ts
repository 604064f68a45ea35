import type { Backend } from '@drover/sdk/internals';
import type { Shard } from '@drover/store';

import type { ApiObject } from '../api/object.ts';
import type { Page, PageRequest, Scope } from '../api/resource.ts';
import { pathOf } from '../watch/orderedObjects.ts';

/** Objects of a shard in a fixed order. */
export interface ShardPage<T> {
  readonly items: readonly T[];
  /** Where the next page begins; null = that was all. */
  readonly next: string | null;
}

/** What of a shard is wanted. */
export interface ShardPageRequest extends Scope {
  readonly after: string | null;
  /** At most so many. */
  readonly limit: number;
}

/** What the objects of a shard are listed from. */
export interface ShardLister<T> {
  /** A watch from here misses nothing that happened since. */
  readonly version: number;
  /** A page; objects that are not selected may be left out. */
  page(request: ShardPageRequest): Promise<ShardPage<T>>;
}

/** Reads one; null = there is none. */
type ReadOne<T> = (
  shard: Shard,
  path: { readonly namespace: string; readonly name: string },
) => Promise<T | null>;

/** Objects read at once. */
export const READ_SIZE = 500;

/**
 * A page of a list that may go over several shards: reads on until so many objects were found that
 * are selected.
 *
 * @param readOne - For a list that can have only one.
 */
export async function pageOfShards<T extends ApiObject>(
  backend: Backend,
  { namespace, selection, limit, after, notOlderThan }: PageRequest,
  listerOf: (shard: Shard, notOlderThan: number | null) => Promise<ShardLister<T>>,
  readOne: ReadOne<T>,
): Promise<Page> {
  const store = await backend.store();
  const shards = namespace === null ? store.shards : [store.shardOf(namespace)];
  const { name } = selection;
  const [only] = shards;
  if (name !== null && namespace !== null && only !== undefined) {
    // Before it is read: a watch from here tells what was missed.
    const version = await backend.run(() => only.resourceVersion());
    const found = await backend.run(() => readOne(only, { namespace, name }));
    const items = found !== null && selection.matches(found) ? [found] : [];
    return { items, next: null, resourceVersion: version.toFixed(0) };
  }
  // Before anything is read, for the same reason.
  const listers = await Promise.all(shards.map((shard) => listerOf(shard, notOlderThan)));
  const resourceVersion = Math.max(...listers.map(({ version }) => version)).toFixed(0);
  let { shardIndex, key } = parsePlace(after);
  const items: T[] = [];
  for (; shardIndex < shards.length; shardIndex++, key = null) {
    const lister = listers[shardIndex];
    if (lister === undefined) break;
    let from: string | null = key;
    do {
      // What will be left out may have to be read, too.
      const isExact = selection.isEmpty && limit !== null;
      const size = isExact ? Math.min(limit - items.length, READ_SIZE) : READ_SIZE;
      const options = { namespace, selection, after: from, limit: size };
      const page: ShardPage<T> = await lister.page(options);
      for (const [at, object] of page.items.entries()) {
        if (!selection.matches(object)) continue;
        items.push(object);
        if (limit === null || items.length < limit) continue;
        const isLast = at === page.items.length - 1 && page.next === null;
        if (!isLast) return { items, next: `${shardIndex} ${pathOf(object)}`, resourceVersion };
        const next = shardIndex + 1 < shards.length ? `${shardIndex + 1} ` : null;
        return { items, next, resourceVersion };
      }
      from = page.next;
    } while (from !== null);
  }
  return { items, next: null, resourceVersion };
}

function parsePlace(after: string | null): { shardIndex: number; key: string | null } {
  if (after === null) return { shardIndex: 0, key: null };
  const [, index = '0', key = ''] = /^(\d+) (.*)$/s.exec(after) ?? [];
  return { shardIndex: Number(index), key: key === '' ? null : key };
}

/** A page of objects that were all read, in the order in which they came. */
export function pageOf(
  { namespace, selection, limit, after }: PageRequest,
  objects: readonly ApiObject[],
  resourceVersion: string,
): Page {
  const found = objects.filter(
    (object) =>
      (namespace === null || object.metadata.namespace === namespace) &&
      (after === null || pathOf(object) > after) &&
      selection.matches(object),
  );
  const items = found.slice(0, limit ?? found.length);
  const last = items.at(-1);
  const next = last !== undefined && items.length < found.length ? pathOf(last) : null;
  return { items, next, resourceVersion };
}
