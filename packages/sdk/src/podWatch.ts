import type { Pod } from '@drover/shared';
import {
  WatchExpiredError,
  announcePodWatcher,
  showsPods,
  versionOfPod,
  watchShard,
  type JobView,
  type PodNotes,
  type Shard,
  type StoredPod,
  type WatchEntry,
} from '@drover/store';

import type { Backend } from './backend.ts';

/** What happened to a pod. */
export interface PodEvent {
  /** `ADDED` also for each pod that was there when the watch began. */
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The pod as it is now; with DELETED as it was last seen. */
  readonly pod: Pod;
}

/** Makes the pods of one Job. */
export interface PodComposer {
  /** As the API shows it. `notes` are of a running pod. */
  compose(stored: StoredPod, notes?: PodNotes): Pod;
  /** How a running pod is can't be told without its notes. */
  readonly needsNotes: boolean;
}

/** What a watch of pods reads with; the pods client provides it. */
export interface PodReader {
  /** The Jobs whose pods the watch is about. */
  jobs(shard: Shard): AsyncGenerator<JobView>;
  /** Whether the watch is about pods of this Job. */
  accepts(view: JobView): boolean;
  /** How to compose the pods of a Job. */
  composer(shard: Shard, view: JobView): Promise<PodComposer>;
  /** Whether the watch is about this pod. */
  selects(pod: Pod): boolean;
}

/** Pods of one Job as last told. Kept as they are stored: composed they take ten times the room. */
interface KnownPods {
  readonly byNumber: Map<number, StoredPod>;
  composer: PodComposer;
}

const PAGE_SIZE = 1000;

/** Watches the pods of one shard: first what is there, then what changes. */
export async function* watchPods(
  backend: Backend,
  shard: Shard,
  reader: PodReader,
  signal: AbortSignal,
): AsyncGenerator<PodEvent> {
  const known = new Map<string, KnownPods>();
  while (!signal.aborted) {
    // Entries of pods are written only for watchers: ask for them before the first look.
    await backend.run((store) => announcePodWatcher(store.redis, shard.keys));
    const since = await backend.run(() => shard.resourceVersion());
    const unseen = new Set(known.keys());
    for await (const view of reader.jobs(shard)) {
      unseen.delete(view.uid);
      yield* changesOf(backend, shard, reader, known, view, 1, Number.POSITIVE_INFINITY);
    }
    for (const uid of unseen) yield* forget(known, uid);
    try {
      const redis = await backend.duplicate();
      for await (const batch of watchShard(redis, shard.keys, { since, pods: true, signal })) {
        for (const { uid, from, to } of ranges(batch)) {
          const view = await backend.run(() => shard.getJobByUid(uid));
          if (view === null || !showsPods(view)) yield* forget(known, uid);
          else if (reader.accepts(view)) {
            yield* changesOf(backend, shard, reader, known, view, from, to);
          }
        }
      }
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof WatchExpiredError)) throw await backend.translate(error);
    }
  }
}

/** The pods that a batch is about, as one range per Job. A Job's own entry has an empty range. */
function ranges(batch: readonly WatchEntry[]): { uid: string; from: number; to: number }[] {
  const byUid = new Map<string, { uid: string; from: number; to: number }>();
  for (const entry of batch) {
    if (entry.kind === 'Object') continue;
    const empty = { uid: entry.uid, from: Number.POSITIVE_INFINITY, to: 0 };
    const range = byUid.get(entry.uid) ?? empty;
    byUid.set(entry.uid, range);
    if (entry.kind !== 'Pods') continue;
    range.from = Math.min(range.from, entry.from);
    range.to = Math.max(range.to, entry.to);
  }
  return [...byUid.values()];
}

async function* changesOf(
  backend: Backend,
  shard: Shard,
  reader: PodReader,
  known: Map<string, KnownPods>,
  view: JobView,
  from: number,
  to: number,
): AsyncGenerator<PodEvent> {
  if (from > to) return;
  const composer = await reader.composer(shard, view);
  const pods = known.get(view.uid) ?? { byNumber: new Map<number, StoredPod>(), composer };
  pods.composer = composer;
  known.set(view.uid, pods);
  const gone = new Set(numbersWithin(pods.byNumber, from, to));
  let after: number | null = from - 1;
  while (after !== null && after < to) {
    const start: number = after;
    const limit = Math.min(PAGE_SIZE, to - start);
    const page = await backend.run(() => shard.listPods(view.uid, { after: start, limit }));
    const running = composer.needsNotes ? runningNumbers(page.pods) : [];
    const notes = await backend.run(() => shard.podNotes(view.uid, running));
    for (const stored of page.pods) {
      if (stored.podNumber > to) break;
      gone.delete(stored.podNumber);
      const before = pods.byNumber.get(stored.podNumber);
      if (before !== undefined && versionOfPod(before) === versionOfPod(stored)) continue;
      const pod = composer.compose(stored, notes.get(stored.podNumber));
      if (reader.selects(pod)) {
        pods.byNumber.set(stored.podNumber, stored);
        yield { type: before === undefined ? 'ADDED' : 'MODIFIED', pod };
      } else if (before !== undefined) {
        // Its labels were changed.
        pods.byNumber.delete(stored.podNumber);
        yield { type: 'DELETED', pod };
      }
    }
    after = page.next;
  }
  for (const number of gone) {
    const last = pods.byNumber.get(number);
    pods.byNumber.delete(number);
    if (last !== undefined) yield { type: 'DELETED', pod: composer.compose(last) };
  }
}

/** Numbers of the pods that may have notes. */
export function runningNumbers(pods: readonly StoredPod[]): number[] {
  return pods
    .filter((pod) => pod.kind === 'slot' && pod.phase !== 'Pending')
    .map((pod) => pod.podNumber);
}

/** The numbers of known pods from `from` to `to`; looks at the shorter of the two ranges. */
function numbersWithin(pods: ReadonlyMap<number, StoredPod>, from: number, to: number): number[] {
  if (to - from > pods.size) {
    return [...pods.keys()].filter((number) => number >= from && number <= to);
  }
  const numbers: number[] = [];
  for (let number = from; number <= to; number++) if (pods.has(number)) numbers.push(number);
  return numbers;
}

function* forget(known: Map<string, KnownPods>, uid: string): Generator<PodEvent> {
  const pods = known.get(uid);
  known.delete(uid);
  if (pods === undefined) return;
  for (const stored of pods.byNumber.values()) {
    yield { type: 'DELETED', pod: pods.composer.compose(stored) };
  }
}
