import { mergeAll, type Backend } from '@drover/sdk/internals';
import { WatchExpiredError, type Shard } from '@drover/store';

import type { WatchEvent, WatchRequest } from '../api/resource.ts';

/** Says that everything up to a version of a shard has been told. */
export interface Mark {
  readonly type: 'MARK';
  readonly shard: Shard;
  readonly version: number;
}

/** Tells what happens in one shard, from a version on or with null from the beginning. */
type WatchShard = (
  shard: Shard,
  since: number | null,
  signal: AbortSignal,
) => AsyncGenerator<WatchEvent | Mark>;

/**
 * How much is told again to one who goes on with a watch over several shards, whose versions are of
 * different clocks: what happened in about two seconds.
 */
const SHARD_OVERLAP = 2_000 * 4_096;

/**
 * Watches the shards that a request is about as one, with a bookmark whenever all of them have told
 * how far they are.
 */
export async function* watchShards(
  backend: Backend,
  { apiVersion, kind }: { readonly apiVersion: string; readonly kind: string },
  { namespace, from, signal: wanted }: WatchRequest,
  watchShard: WatchShard,
): AsyncGenerator<WatchEvent> {
  const store = await backend.store();
  const shards = namespace === null ? store.shards : [store.shardOf(namespace)];
  const starts = from.type === 'initial' ? null : await startsOf(shards, from);
  const ending = new AbortController();
  const signal = AbortSignal.any([wanted, ending.signal]);
  const sources = shards.map((shard) => watchShard(shard, starts?.get(shard) ?? null, signal));
  const marks = new Map<Shard, number>();
  let isInitial = from.type === 'initial';
  for await (const event of mergeAll(sources, () => ending.abort())) {
    if (event.type !== 'MARK') {
      yield event;
      continue;
    }
    marks.set(event.shard, event.version);
    if (marks.size < shards.length) continue;
    const version = Math.max(...marks.values());
    const annotations = isInitial ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {};
    const metadata = { resourceVersion: version.toFixed(0), ...annotations };
    yield { type: 'BOOKMARK', object: { apiVersion, kind, metadata }, isRemains: true };
    isInitial = false;
    marks.clear();
  }
}

/** From where to go on in each shard. */
async function startsOf(
  shards: readonly Shard[],
  from: Exclude<WatchRequest['from'], { readonly type: 'initial' }>,
): Promise<ReadonlyMap<Shard, number>> {
  const clocks = await Promise.all(shards.map((shard) => shard.resourceVersion()));
  if (!('version' in from)) return new Map(shards.map((shard, i) => [shard, clocks[i] ?? 0]));
  const since = from.version;
  const [only] = shards;
  if (shards.length === 1 && only !== undefined) return new Map([[only, since]]);
  if (since > Math.max(...clocks)) {
    throw new WatchExpiredError(`resourceVersion ${since} is not known here`);
  }
  return new Map(
    shards.map((shard, i) => [shard, Math.min(Math.max(0, since - SHARD_OVERLAP), clocks[i] ?? 0)]),
  );
}
