import { runningNumbers, type Backend, type PodsClient } from '@drover/sdk/internals';
import type { Pod } from '@drover/shared';
import { showsPods, versionOfPod, type JobView, type Shard, type StoredPod } from '@drover/store';

import type { PodScope } from './podScope.ts';

/** Pods of one Job by their numbers. */
export interface PodRange {
  readonly from: number;
  readonly to: number;
}

/** All pods of a Job. */
export const ALL_PODS: PodRange = { from: 1, to: Number.POSITIVE_INFINITY };

/** A pod that is there, composed when it is looked at: of most there is no need. */
export class FoundPod {
  readonly view: JobView;
  readonly stored: StoredPod;
  readonly #compose: () => Pod;
  #pod: Pod | null = null;

  constructor(view: JobView, stored: StoredPod, compose: () => Pod) {
    this.view = view;
    this.stored = stored;
    this.#compose = compose;
  }

  get pod(): Pod {
    this.#pod ??= this.#compose();
    return this.#pod;
  }

  /** Of a pod without a Job labels and the like have a version of their own; the newer one is shown. */
  get version(): number {
    if (!this.view.bare) return versionOfPod(this.stored);
    return Number(this.pod.metadata.resourceVersion ?? 0);
  }
}

/** Some pods of a Job, in order of their numbers. */
export interface FoundPods {
  readonly pods: readonly FoundPod[];
  /** Where a list of pods goes on after one of them. */
  readonly placeOf: (pod: FoundPod) => PodPlace;
}

/** What has pods: Jobs, Jobs that were deleted and left theirs behind, and pods without a Job, in this order. */
const LISTS = ['listJobs', 'listOrphaned', 'listBarePods'] as const;

const PAGE_SIZE = 1_000;

/** Where a list of pods goes on: after this one. */
export interface PodPlace {
  /** In which of {@link LISTS} its Job is. */
  readonly list: number;
  /** Its Job's place in that list. */
  readonly path: string;
  readonly uid: string;
  readonly podNumber: number;
}

/** Reads the pods of one shard from the store, in a fixed order. */
export class PodReader {
  readonly #backend: Backend;
  readonly #pods: PodsClient;
  readonly #shard: Shard;

  constructor(backend: Backend, pods: PodsClient, shard: Shard) {
    this.#backend = backend;
    this.#pods = pods;
    this.#shard = shard;
  }

  /** The pods that may be meant, from a place on. */
  async *existing(scope: PodScope, after: PodPlace | null = null): AsyncGenerator<FoundPods> {
    if (after !== null) {
      const view = await this.view(after.uid);
      if (view !== null) yield* this.#placed(view, scope, after.podNumber + 1, after);
    }
    for (let list = after?.list ?? 0; list < LISTS.length; list++) {
      const from = after?.list === list ? after.path : null;
      for await (const { view, path } of this.#views(scope, list, from)) {
        if (!scope.accepts(view)) continue;
        yield* this.#placed(view, scope, 1, { list, path, uid: view.uid });
      }
    }
  }

  /** Pods of a Job, some at a time. */
  async *podsOf(view: JobView, { from, to }: PodRange): AsyncGenerator<readonly FoundPod[]> {
    const composer = await this.#pods.composer(this.#shard, view);
    let after: number | null = from - 1;
    while (after !== null && after < to) {
      const start: number = after;
      const limit = Math.min(PAGE_SIZE, to - start);
      const page = await this.#backend.run(() =>
        this.#shard.listPods(view.uid, { after: start, limit }),
      );
      const running = composer.needsNotes ? runningNumbers(page.pods) : [];
      const notes = await this.#backend.run(() => this.#shard.podNotes(view.uid, running));
      yield page.pods
        .filter(({ podNumber }) => podNumber <= to)
        .map((stored) => {
          const compose = (): Pod => composer.compose(stored, notes.get(stored.podNumber));
          return new FoundPod(view, stored, compose);
        });
      after = page.next;
    }
  }

  /** A Job by its uid; null when its pods are gone with it. */
  async view(uid: string): Promise<JobView | null> {
    const view = await this.#backend.run(() => this.#shard.getJobByUid(uid));
    return view === null || !showsPods(view) ? null : view;
  }

  async *#placed(
    view: JobView,
    scope: PodScope,
    from: number,
    place: Omit<PodPlace, 'podNumber'>,
  ): AsyncGenerator<FoundPods> {
    const range = narrow({ ...ALL_PODS, from }, scope.podNumber(view));
    const placeOf = ({ stored }: FoundPod): PodPlace => ({ ...place, podNumber: stored.podNumber });
    for await (const pods of this.podsOf(view, range)) yield { pods, placeOf };
  }

  /** The Jobs of a list, with their places in it. */
  async *#views(
    { namespace, jobName }: PodScope,
    list: number,
    from: string | null,
  ): AsyncGenerator<{ readonly view: JobView; readonly path: string }> {
    const name = LISTS[list] ?? 'listJobs';
    if (jobName !== null && namespace !== null && name !== 'listBarePods') {
      // All of them are found at once, with the first list.
      if (name === 'listOrphaned') return;
      const uids = await this.#backend.run(() => this.#shard.findJobsWithPods(namespace, jobName));
      for (const uid of uids.slice(from === null ? 0 : uids.indexOf(from) + 1)) {
        const view = await this.view(uid);
        if (view !== null) yield { view, path: uid };
      }
      return;
    }
    let after = from;
    do {
      const start: { after?: string } = after === null ? {} : { after };
      const page: { jobs: readonly JobView[]; next: string | null } = await this.#backend.run(() =>
        this.#shard[name]({ namespace, limit: PAGE_SIZE, ...start }),
      );
      for (const view of page.jobs) yield { view, path: pathOf(view, name) };
      after = page.next;
    } while (after !== null);
  }
}

/** The place of a Job in a list, as the list takes it to go on. */
function pathOf({ namespace, name, uid }: JobView, list: (typeof LISTS)[number]): string {
  switch (list) {
    case 'listJobs':
      return `${namespace}/${name}`;
    case 'listOrphaned':
      return `${namespace}/${name}/${uid}`;
    case 'listBarePods':
      return `~${namespace}/${name}`;
  }
}

/** The part of a range that is wanted: one number, or all. */
export function narrow({ from, to }: PodRange, only: number | null): PodRange {
  if (only === null) return { from, to };
  return only >= from && only <= to ? { from: only, to: only } : { from: 1, to: 0 };
}
