import { setTimeout as delay } from 'node:timers/promises';

import type { Job } from '@drover/shared';
import {
  WatchExpiredError,
  announcePodWatcher,
  readPodEnds,
  watchShard,
  type EndedPod,
  type Shard,
  type WatchEntry,
} from '@drover/store';

import type { Backend } from './backend.ts';

/** How a pod ended, in short, for who follows a great many of them. */
export interface PodEnd extends EndedPod {
  /** Name of the node that it ran on; '' when it was never assigned. */
  readonly nodeName: string;
}

/** A range of pod numbers, both ends included. */
interface NumberRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The pods of a Job that ended, each once, in batches, from its beginning and without end. The first batch comes at once,
 * and may be empty: it is what ended before.
 *
 * @param intervalMs - Shortest time between two batches: what ends meanwhile is read at once.
 */
export async function* watchPodEnds(
  backend: Backend,
  job: Job,
  options: { readonly intervalMs: number; readonly signal: AbortSignal },
): AsyncGenerator<PodEnd[]> {
  const { signal, intervalMs } = options;
  const shard = (await backend.store()).shardOf(job.metadata.namespace);
  const { uid } = job.metadata;
  const reader = new EndReader(backend, shard, uid);
  let isFirst = true;
  while (!signal.aborted) {
    // Entries of pods are written only for watchers: ask for them before the first look.
    await backend.run((store) => announcePodWatcher(store.redis, shard.keys));
    const since = await backend.run(() => shard.resourceVersion());
    const ended = await reader.read([await wholeRange(backend, shard, uid)]);
    if (isFirst || ended.length > 0) yield ended;
    isFirst = false;
    try {
      const redis = await backend.duplicate();
      for await (const batch of watchShard(redis, shard.keys, { since, pods: true, signal })) {
        const ranges = rangesOf(batch, uid);
        if (ranges.length === 0) continue;
        const ends = await reader.read(ranges);
        if (ends.length > 0) yield ends;
        await delay(intervalMs, undefined, { signal }).catch(() => undefined);
      }
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof WatchExpiredError)) throw await backend.translate(error);
    }
  }
}

/** Numbers of all pods of a Job so far. */
async function wholeRange(backend: Backend, shard: Shard, uid: string): Promise<NumberRange> {
  const view = await backend.run(() => shard.getJobByUid(uid));
  return { from: 1, to: view?.counters.podCount ?? 0 };
}

/** The ends of a Job's pods that were not told before. */
class EndReader {
  readonly #backend: Backend;
  readonly #shard: Shard;
  readonly #uid: string;
  readonly #told = new Set<number>();
  #nodeNames: ReadonlyMap<number, string> = new Map();

  constructor(backend: Backend, shard: Shard, uid: string) {
    this.#backend = backend;
    this.#shard = shard;
    this.#uid = uid;
  }

  async read(ranges: readonly NumberRange[]): Promise<PodEnd[]> {
    const fresh: EndedPod[] = [];
    for (const range of ranges) {
      const ends = await this.#backend.run((store) =>
        readPodEnds(store.redis, this.#shard.keys, this.#uid, range),
      );
      for (const end of ends) {
        if (this.#told.has(end.podNumber)) continue;
        this.#told.add(end.podNumber);
        fresh.push(end);
      }
    }
    if (fresh.some(({ nodeNumber }) => nodeNumber > 0 && !this.#nodeNames.has(nodeNumber))) {
      this.#nodeNames = await this.#backend.run(() => this.#shard.nodeNames());
    }
    return fresh.map((end) => ({ ...end, nodeName: this.#nodeNames.get(end.nodeNumber) ?? '' }));
  }
}

/** What a batch says of a Job's pods: ranges that lie near each other as one. */
function rangesOf(batch: readonly WatchEntry[], uid: string): NumberRange[] {
  const NEAR = 64;
  const told: NumberRange[] = [];
  for (const entry of batch) if (entry.kind === 'Pods' && entry.uid === uid) told.push(entry);
  const merged: { from: number; to: number }[] = [];
  for (const { from, to } of told.toSorted((a, b) => a.from - b.from)) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last.to + NEAR) last.to = Math.max(last.to, to);
    else merged.push({ from, to });
  }
  return merged;
}
