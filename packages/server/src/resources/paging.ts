import type { Backend } from '@drover/sdk/internals';
import type { Shard } from '@drover/store';

import type { ApiObject } from '../api/object.ts';
import type { Page, PageRequest } from '../api/resource.ts';

/** Objects of a shard in a fixed order. */
export interface ShardPage<T> {
  readonly items: readonly T[];
  /** Where the next page begins; null = that was all. */
  readonly next: string | null;
}

/** Reads a page of a shard, of one namespace or of all. */
type ReadShard<T> = (
  shard: Shard,
  options: {
    readonly namespace: string | null;
    readonly after: string | null;
    readonly limit: number;
  },
) => Promise<ShardPage<T>>;

/** Reads one; null = there is none. */
type ReadOne<T> = (
  shard: Shard,
  path: { readonly namespace: string; readonly name: string },
) => Promise<T | null>;

/** Objects read at once. */
const READ_SIZE = 500;

/**
 * A page of a list that may go over several shards: reads on until so many objects were found that
 * are selected.
 *
 * @param readOne - For a list that can have only one.
 * @param keyOf - The place of an object in the order of its shard, as `after` takes it.
 */
export async function pageOfShards<T extends ApiObject>(
  backend: Backend,
  { namespace, selection, limit, after }: PageRequest,
  read: ReadShard<T>,
  readOne: ReadOne<T>,
  keyOf: (object: T) => string,
): Promise<Page> {
  const store = await backend.store();
  const shards = namespace === null ? store.shards : [store.shardOf(namespace)];
  // Before anything is read: a watch from here tells what was missed.
  const versions = await backend.run(() =>
    Promise.all(shards.map((shard) => shard.resourceVersion())),
  );
  const resourceVersion = Math.max(...versions).toFixed(0);
  const { name } = selection;
  const [only] = shards;
  if (name !== null && namespace !== null && only !== undefined) {
    const found = await backend.run(() => readOne(only, { namespace, name }));
    const items = found !== null && selection.matches(found) ? [found] : [];
    return { items, next: null, resourceVersion };
  }
  let { shardIndex, key } = parsePlace(after);
  const items: T[] = [];
  for (; shardIndex < shards.length; shardIndex++, key = null) {
    const shard = shards[shardIndex];
    if (shard === undefined) break;
    let from: string | null = key;
    do {
      // What will be left out has to be read, too.
      const isExact = selection.isEmpty && limit !== null;
      const size = isExact ? Math.min(limit - items.length, READ_SIZE) : READ_SIZE;
      const options = { namespace, after: from, limit: size };
      const page: ShardPage<T> = await backend.run(() => read(shard, options));
      for (const [at, object] of page.items.entries()) {
        if (!selection.matches(object)) continue;
        items.push(object);
        if (limit === null || items.length < limit) continue;
        const isLast = at === page.items.length - 1 && page.next === null;
        if (!isLast) return { items, next: `${shardIndex} ${keyOf(object)}`, resourceVersion };
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
  const keyOf = ({ metadata }: ApiObject): string => `${metadata.namespace}/${metadata.name}`;
  const found = objects.filter(
    (object) =>
      (namespace === null || object.metadata.namespace === namespace) &&
      (after === null || keyOf(object) > after) &&
      selection.matches(object),
  );
  const items = found.slice(0, limit ?? found.length);
  const last = items.at(-1);
  const next = last !== undefined && items.length < found.length ? keyOf(last) : null;
  return { items, next, resourceVersion };
}
