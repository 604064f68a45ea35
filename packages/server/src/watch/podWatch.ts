import { podMetadata, podUid, type Job, type ObjectMeta, type Pod } from '@drover/shared';
import type { Backend, PodsClient } from '@drover/sdk/internals';
import {
  composeJob,
  WatchExpiredError,
  type JobView,
  type Shard,
  type StoredPod,
  type WatchEntry,
} from '@drover/store';

import type { WatchEvent, WatchRequest } from '../api/resource.ts';
import { KnownPods } from './knownPods.ts';
import type { PodChanges, PodFeed } from './podFeed.ts';
import { narrow, PodReader } from './podReader.ts';
import { PodScope } from './podScope.ts';
import type { Mark } from './shardWatches.ts';

/** An event, and where it stands in the order of all. */
interface Placed extends WatchEvent {
  readonly version: number;
}

/** A Job whose pods are watched. */
interface WatchedJob {
  readonly job: Job;
  /** It is what a pod without a Job is stored as. */
  readonly bare: boolean;
  readonly pods: KnownPods;
  /** Those that are not over, as they were last seen: of one that is deleted there may be no more. */
  readonly live: Map<number, Pod>;
}

/** Events of one step; a client that is further behind lists anew. */
const MAX_STEP = 100_000;
/** A step with so many events is followed by a pause: a busy Job is not read all the time. */
const BUSY_EVENTS = 100;
const PAUSE_MS = 200;
const VERSIONS_PER_MS = 4_096;

/** What a watch of pods is made of. */
export interface PodWatchOptions {
  readonly backend: Backend;
  readonly pods: PodsClient;
  readonly shard: Shard;
  readonly feed: PodFeed;
  readonly request: WatchRequest;
  readonly signal: AbortSignal;
}

/**
 * One watch of the pods of one shard. It reads what may have changed when it can tell of it, so that
 * what waits is never more than a range for each Job, and tells it in order of resourceVersion.
 */
export class PodWatch {
  readonly #options: PodWatchOptions;
  readonly #scope: PodScope;
  readonly #reader: PodReader;
  readonly #jobs = new Map<string, WatchedJob>();

  constructor(options: PodWatchOptions) {
    this.#options = options;
    this.#reader = new PodReader(options.backend, options.pods, options.shard);
    this.#scope = new PodScope(options.request);
  }

  /** Tells until the signal. @throws WatchExpiredError when events may be missing. */
  async *run(since: number | null): AsyncGenerator<WatchEvent | Mark> {
    const { backend, shard, feed, request, signal } = this.#options;
    const { bookmarkMs } = request;
    const { follower, catchUp, close } = await feed.follow();
    try {
      let told = await backend.run(() => shard.resourceVersion());
      if (since === null) {
        yield* this.#everything();
        yield { type: 'MARK', shard, version: told };
      } else yield* await this.#sinceThen(since);

      let markedMs = performance.now();
      while (!signal.aborted) {
        const dueMs = bookmarkMs === null ? null : markedMs + bookmarkMs;
        const leftMs = dueMs === null ? null : Math.max(0, dueMs - performance.now());
        const changes = await follower.take(leftMs, signal);
        if (changes !== null) {
          const events = await this.#step(changes, told);
          told = Math.max(told, changes.upTo);
          yield* events;
          if (events.length >= BUSY_EVENTS) await pause(signal);
        }
        if (dueMs === null || performance.now() < dueMs) continue;
        markedMs = performance.now();
        const upTo = await catchUp();
        const rest = follower.drain();
        if (rest !== null) yield* await this.#step(rest, told);
        told = Math.max(told, upTo);
        yield { type: 'MARK', shard, version: upTo };
      }
    } finally {
      close();
    }
  }

  /** What is there. */
  async *#everything(): AsyncGenerator<WatchEvent> {
    for await (const { view, stored, pod } of this.#reader.existing(this.#scope)) {
      const isSelected = this.#note(this.#watched(view), stored, pod);
      if (isSelected) yield { type: 'ADDED', object: pod, isRemains: false };
    }
  }

  /** What one has to be told who knew everything up to `since`. */
  async #sinceThen(since: number): Promise<Placed[]> {
    const entries = await this.#options.feed.changesSince(since);
    const events: Placed[] = [];
    for await (const { view, stored, pod } of this.#reader.existing(this.#scope)) {
      const isSelected = this.#note(this.#watched(view), stored, pod);
      const version = versionOf(pod);
      const mayHaveBeen = this.#scope.isDynamic || stored.changed !== undefined;
      if (version <= since || (!isSelected && !mayHaveBeen)) continue;
      const type = createdMsOf(stored) * VERSIONS_PER_MS > since ? 'ADDED' : 'MODIFIED';
      push(events, { type: isSelected ? type : 'DELETED', object: pod, isRemains: false, version });
    }
    for (const entry of entries) await this.#endsOf(entry, events);
    return inOrder(events);
  }

  /** Pods that were there at an entry, and are not any more when the watch begins. */
  async #endsOf(entry: WatchEntry, events: Placed[]): Promise<void> {
    const version = entry.resourceVersion;
    if (entry.kind === 'Pods') {
      const view = await this.#reader.view(entry.uid);
      if (view === null || !this.#scope.accepts(view)) return;
      const watched = this.#watched(view);
      const { from, to } = narrow(entry, this.#scope.podNumber(view));
      for (let number = from; number <= to; number++) {
        if (watched.pods.get(number) !== null) continue;
        const isIndexed = watched.job.spec.completionMode === 'Indexed';
        if (isIndexed && this.#scope.podName === null) throw unknownPods();
        push(events, this.#remains(watched, number, 0, version));
      }
    } else if (entry.kind === 'Job' && entry.type === 'DELETED' && this.#scope.accepts(entry)) {
      const number = this.#scope.podNumber(entry);
      if (number === null) throw unknownPods();
      const { uid, namespace } = entry;
      const name = this.#scope.podName ?? '';
      push(events, remainsOf({ name, namespace, uid: podUid(uid, number) }, version));
    }
  }

  /** Reads what may have changed since `told`. */
  async #step({ ranges, goneJobs, upTo }: PodChanges, told: number): Promise<Placed[]> {
    const events: Placed[] = [];
    for (const [uid, range] of ranges) {
      const view = await this.#reader.view(uid);
      if (view === null) this.#allEnded(uid, upTo, events);
      if (view === null || !this.#scope.accepts(view)) continue;
      const watched = this.#watched(view);
      const gone = new Set(watched.pods.numbers(range.from, range.to));
      const wanted = narrow(range, this.#scope.podNumber(view));
      for await (const { stored, pod } of this.#reader.podsOf(view, wanted)) {
        gone.delete(stored.podNumber);
        const version = versionOf(pod);
        // What came after the entries that were read is told with its own.
        if (version > told && version <= upTo) this.#changed(watched, stored, pod, events);
      }
      for (const number of gone) this.#ended(watched, number, upTo, events);
    }
    for (const uid of goneJobs) {
      // One that was deleted may have left its pods behind.
      if (this.#jobs.has(uid) && (await this.#reader.view(uid)) === null) {
        this.#allEnded(uid, upTo, events);
      }
    }
    return inOrder(events);
  }

  /** Notes how a pod is; answers whether it is selected. */
  #note({ job, pods, live }: WatchedJob, stored: StoredPod, pod: Pod): boolean {
    const isSelected = this.#scope.selects(pod);
    pods.set(stored.podNumber, indexOf(job, stored), isSelected);
    if (stored.kind === 'slot') live.set(stored.podNumber, pod);
    else live.delete(stored.podNumber);
    return isSelected;
  }

  #changed(watched: WatchedJob, stored: StoredPod, pod: Pod, events: Placed[]): void {
    const was = watched.pods.get(stored.podNumber)?.isSelected === true;
    const is = this.#note(watched, stored, pod);
    if (!was && !is) return;
    const type = !is ? 'DELETED' : was ? 'MODIFIED' : 'ADDED';
    push(events, { type, object: pod, isRemains: false, version: versionOf(pod) });
  }

  #allEnded(uid: string, version: number, events: Placed[]): void {
    const watched = this.#jobs.get(uid);
    if (watched === undefined) return;
    this.#jobs.delete(uid);
    for (const number of watched.pods.numbers(1, Number.POSITIVE_INFINITY)) {
      this.#ended(watched, number, version, events);
    }
  }

  #ended(watched: WatchedJob, number: number, version: number, events: Placed[]): void {
    const { pods, live } = watched;
    const known = pods.get(number);
    const last = live.get(number);
    pods.delete(number);
    live.delete(number);
    if (known?.isSelected !== true) return;
    if (last === undefined) {
      push(events, this.#remains(watched, number, known.index, version));
      return;
    }
    const metadata = { ...last.metadata, resourceVersion: version.toFixed(0) };
    push(events, { type: 'DELETED', object: { ...last, metadata }, isRemains: false, version });
  }

  /** What can be said of a pod that is gone. */
  #remains({ job, bare }: WatchedJob, podNumber: number, index: number, version: number): Placed {
    const isIndexed = job.spec.completionMode === 'Indexed';
    const metadata = podMetadata(job, { podNumber, index: isIndexed ? index : null, bare });
    return remainsOf({ ...metadata, name: this.#scope.podName ?? metadata.name }, version);
  }

  #watched(view: JobView): WatchedJob {
    const known = this.#jobs.get(view.uid);
    if (known !== undefined) return known;
    const job = composeJob({ stored: view, counters: null, done: null });
    const watched: WatchedJob = { job, bare: view.bare, pods: new KnownPods(), live: new Map() };
    this.#jobs.set(view.uid, watched);
    return watched;
  }
}

/** Of a pod without a Job labels and the like have a version of their own; the newer one is shown. */
function versionOf({ metadata }: Pod): number {
  return Number(metadata.resourceVersion ?? 0);
}

function indexOf(job: Job, stored: StoredPod): number {
  return job.spec.completionMode === 'Indexed' ? stored.index : 0;
}

/** When a pod was created, as its creationTimestamp has it. */
function createdMsOf(stored: StoredPod): number {
  return stored.kind === 'slot' ? stored.createdMs : stored.startMs;
}

function remainsOf(
  metadata: Pick<ObjectMeta, 'name' | 'namespace' | 'uid'>,
  version: number,
): Placed {
  const resourceVersion = version.toFixed(0);
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, resourceVersion } };
  return { type: 'DELETED', object, isRemains: true, version };
}

function push(events: Placed[], event: Placed): void {
  if (events.length >= MAX_STEP) {
    throw new WatchExpiredError('more happened to pods than the client can be told one by one');
  }
  events.push(event);
}

function inOrder(events: readonly Placed[]): Placed[] {
  return events.toSorted((a, b) => a.version - b.version);
}

function unknownPods(): WatchExpiredError {
  return new WatchExpiredError('pods are gone of which nothing is known');
}

async function pause(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, PAUSE_MS);
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}
