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
import type { PodFeed } from './podFeed.ts';
import type { PodChanges, PodFollower } from './podFollower.ts';
import { type FoundPod, narrow, PodReader } from './podReader.ts';
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
/** A step with so many events is followed by a rest: a busy Job is not read all the time. */
const BUSY_EVENTS = 100;
/** How long it rests before it looks whether pods still change. */
const MAX_PAUSE_MS = 250;
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
          const beganMs = performance.now();
          const events = await this.#step(changes, told);
          const tookMs = performance.now() - beganMs;
          told = Math.max(told, changes.upTo);
          yield* events;
          if (events.length >= BUSY_EVENTS) await this.#rest(follower, tookMs);
        }
        if (dueMs === null || performance.now() < dueMs) continue;
        markedMs = performance.now();
        const upTo = await catchUp();
        if (follower.isQuiet) told = Math.max(told, upTo);
        yield { type: 'MARK', shard, version: told };
      }
    } finally {
      close();
    }
  }

  /** What is there. */
  async *#everything(): AsyncGenerator<WatchEvent> {
    for await (const { pods } of this.#reader.existing(this.#scope)) {
      for (const found of pods) {
        const isSelected = this.#note(this.#watched(found.view), found);
        if (isSelected) yield { type: 'ADDED', object: found.pod, isRemains: false };
      }
    }
  }

  /** What one has to be told who knew everything up to `since`. */
  async #sinceThen(since: number): Promise<Placed[]> {
    const entries = await this.#options.feed.changesSince(since);
    const events: Placed[] = [];
    for await (const { pods } of this.#reader.existing(this.#scope)) {
      for (const found of pods) {
        const isSelected = this.#note(this.#watched(found.view), found);
        const { stored, version } = found;
        const mayHaveBeen = this.#scope.isDynamic || stored.changed !== undefined;
        if (version <= since || (!isSelected && !mayHaveBeen)) continue;
        const isNew = createdMsOf(stored) * VERSIONS_PER_MS > since;
        const type = !isSelected ? 'DELETED' : isNew ? 'ADDED' : 'MODIFIED';
        push(events, { type, object: found.pod, isRemains: false, version });
      }
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

  /** Rests after a step, while pods change: what is left is told when the engine has time for it. */
  async #rest(follower: PodFollower, tookMs: number): Promise<void> {
    const { feed, signal } = this.#options;
    feed.rest.add(tookMs);
    while (follower.isBusy && feed.rest.leftMs > 0 && !signal.aborted) {
      await pause(Math.min(feed.rest.leftMs, MAX_PAUSE_MS), signal);
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
      for await (const pods of this.#reader.podsOf(view, wanted)) {
        for (const found of pods) {
          const { stored, version } = found;
          gone.delete(stored.podNumber);
          // What came after the entries that were read is told with its own.
          if (version > told && version <= upTo) this.#changed(watched, found, events);
        }
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
  #note({ job, pods, live }: WatchedJob, found: FoundPod): boolean {
    const { stored } = found;
    const isSelected = this.#scope.selectsAll || this.#scope.selects(found.pod);
    pods.set(stored.podNumber, indexOf(job, stored), isSelected);
    if (stored.kind === 'slot') live.set(stored.podNumber, found.pod);
    else live.delete(stored.podNumber);
    return isSelected;
  }

  #changed(watched: WatchedJob, found: FoundPod, events: Placed[]): void {
    const was = watched.pods.get(found.stored.podNumber)?.isSelected === true;
    const is = this.#note(watched, found);
    if (!was && !is) return;
    const type = !is ? 'DELETED' : was ? 'MODIFIED' : 'ADDED';
    push(events, { type, object: found.pod, isRemains: false, version: found.version });
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

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}
