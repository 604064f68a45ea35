import {
  NotFoundError,
  matchesSelector,
  parseSelector,
  podNumberFromName,
  type Job,
  type OwnerReference,
  type Pod,
  type PodPhase,
  type Selector,
  type PodPriority,
} from '@drover/shared';
import {
  composeJob,
  composePod,
  readPodLog,
  readWholeLogs,
  removeLogs,
  showsPods,
  unschedulableMessage,
  type JobView,
  type LogPiece,
  type PodLogLine,
  type Shard,
  type SlotRecord,
} from '@drover/store';

import type { Backend } from './backend.ts';
import {
  applyBarePod,
  createBarePod,
  deleteBarePod,
  patchBarePod,
  updateBarePod,
  type UpdatePodOptions,
  type AppliedPod,
  type BarePodHost,
  type CreatePodOptions,
  type PodManifest,
} from './barePods.ts';
import { runsToRead } from './containerRuns.ts';
import { mergeAll } from './merge.ts';
import { changeJobPod, type LocatedPod } from './jobPods.ts';
import { applyMergePatch, type MergePatch } from './mergePatch.ts';
import { OutputTail } from './outputTail.ts';
import { watchPodEnds, type PodEnd } from './podEnds.ts';
import { runningNumbers, watchPods, type PodComposer, type PodEvent } from './podWatch.ts';
import { resolveRef, type ObjectRef } from './refs.ts';

/** Options of `pods.get`, `pods.delete` and the base of others. */
export interface PodNamespaceOptions {
  /** Default: the client's. */
  readonly namespace?: string;
}

/** Options of `pods.list`. */
export interface ListPodsOptions extends PodNamespaceOptions {
  /** Only pods of this Job. */
  readonly job?: ObjectRef;
  /** As kubectl writes it, for example `job-name=pi`. */
  readonly labelSelector?: string;
  /** Only pods in this phase. */
  readonly phase?: PodPhase;
  /** Of all namespaces. */
  readonly allNamespaces?: boolean;
  /** Only pods that this worker runs now; of all namespaces with `allNamespaces`. */
  readonly node?: string;
  /** Of each Job only the newest so many; of a Job with a great many pods the rest is not read. */
  readonly newest?: number;
  /** At most so many, the oldest of each Job first. */
  readonly limit?: number;
}

/** Options of `pods.watch`. */
export interface WatchPodsOptions extends PodNamespaceOptions {
  /** Only pods of this Job. */
  readonly job?: ObjectRef;
  /** As for `list`. */
  readonly labelSelector?: string;
  /** Of all namespaces. */
  readonly allNamespaces?: boolean;
  /** Ends the watch; leaving the loop ends it too. */
  readonly signal?: AbortSignal;
}

/** Options of `pods.logs`. */
export interface LogOptions extends PodNamespaceOptions {
  /** Go on until the pod ended; with `container` until that has ended for good. */
  readonly follow?: boolean;
  /** Begin with the last so many lines. */
  readonly tailLines?: number;
  /** Begin with output of the last so many seconds. */
  readonly sinceSeconds?: number;
  /** End after so many bytes. */
  readonly limitBytes?: number;
  /** A time before each line. */
  readonly timestamps?: boolean;
  /** Only this container. Default: all of them, as they wrote. */
  readonly container?: string;
  /** What its containers wrote before their last restart, instead of since then. */
  readonly previous?: boolean;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
}

const PAGE_SIZE = 1000;
/** How often is looked anew at a pod that is to be deleted and moves on at the same moment. */
const DELETE_ATTEMPTS = 5;
const JOB_NAME_LABELS: ReadonlySet<string> = new Set(['job-name', 'batch.kubernetes.io/job-name']);

/** Pods: list, read, their logs, delete. */
export class PodsClient {
  readonly #backend: Backend;
  readonly #namespace: string;
  readonly #owner: OwnerReference | null;

  /** @param owner - To whom belongs what is created. */
  constructor(backend: Backend, namespace: string, owner: OwnerReference | null = null) {
    this.#backend = backend;
    this.#namespace = namespace;
    this.#owner = owner;
  }

  /** Lists pods: those that run and those that ended and are kept. */
  async list(options: ListPodsOptions = {}): Promise<Pod[]> {
    const pods: Pod[] = [];
    for await (const pod of this.iterate(options)) pods.push(pod);
    return pods;
  }

  /** As `list`, page by page, for Jobs with a great many pods. */
  async *iterate(options: ListPodsOptions = {}): AsyncGenerator<Pod> {
    const selector = readSelector(options.labelSelector);
    let left = options.limit ?? Number.POSITIVE_INFINITY;
    if (options.node !== undefined) {
      yield* this.#onNode(options.node, options, selector);
      return;
    }
    for await (const { shard, view } of this.#jobs(options, selector)) {
      const newest = options.newest ?? Number.POSITIVE_INFINITY;
      for await (const pod of this.#podsOf(shard, view, view.counters.podCount - newest)) {
        if (left <= 0) return;
        if (options.phase !== undefined && pod.status?.phase !== options.phase) continue;
        if (!matchesSelector(selector, pod.metadata.labels)) continue;
        if (options.job !== undefined && !isOwn(pod, view)) continue;
        left -= 1;
        yield pod;
      }
      if (options.job === undefined) continue;
      for await (const pod of this.#adoptedBy(shard, view)) {
        if (left <= 0) return;
        if (options.phase !== undefined && pod.status.phase !== options.phase) continue;
        if (!matchesSelector(selector, pod.metadata.labels)) continue;
        left -= 1;
        yield pod;
      }
    }
  }

  /** The pods that a Job has adopted, host by host. */
  async *#adoptedBy(shard: Shard, job: JobView): AsyncGenerator<Pod> {
    if (job.adoptedPods === 0) return;
    const adopted = await this.#backend.run(() => shard.adoption.list(job.uid));
    for (const [hostUid, its] of Map.groupBy(adopted, (pod) => pod.hostUid)) {
      const host = await this.#backend.run(() => shard.getJobByUid(hostUid));
      if (host === null) continue;
      const pods = await this.#backend.run(() => shard.readPods(hostUid, its));
      const notes = await this.#backend.run(() => shard.podNotes(hostUid, runningNumbers(pods)));
      const composer = await this.#composer(shard, host);
      for (const stored of pods) {
        if (stored.adopter?.uid !== job.uid) continue;
        yield composer.compose(stored, notes.get(stored.podNumber));
      }
    }
  }

  /**
   * Creates a pod without a Job. It runs once: it is not replaced, whatever becomes of it, and stays
   * until it is deleted. Its restartPolicy is Never or OnFailure.
   *
   * @example
   * await drover.pods.create({
   *   apiVersion: 'v1',
   *   kind: 'Pod',
   *   metadata: { name: 'backup' },
   *   spec: { restartPolicy: 'Never', containers: [{ name: 'main', command: ['backup'] }] },
   * });
   * @throws InvalidSpecError with everything that is wrong with it.
   * @throws AlreadyExistsError when another pod has the name.
   */
  async create(manifest: PodManifest, options: CreatePodOptions = {}): Promise<Pod> {
    return await createBarePod(this.#host, manifest, options);
  }

  /**
   * Creates the pod of a manifest, or brings labels, annotations and owners of one without a Job in
   * line with it, as `kubectl apply` does. What it runs can not be changed.
   */
  async apply(manifest: PodManifest, options: CreatePodOptions = {}): Promise<AppliedPod> {
    return await applyBarePod(this.#host, manifest, options);
  }

  /**
   * Changes labels and annotations of a pod; of one without a Job its owners, too. As `update`.
   *
   * @example
   * await drover.pods.patch(pod, { metadata: { labels: { 'job-name': null } } });
   */
  async patch(ref: ObjectRef, patch: MergePatch, options: PodNamespaceOptions = {}): Promise<Pod> {
    const { view } = await this.#locate(ref, options);
    if (!view.bare) return await this.update(ref, (pod) => applyMergePatch(pod, patch), options);
    const target = resolveRef(ref, options.namespace ?? this.#namespace);
    return await patchBarePod(this.#host, target, patch);
  }

  /**
   * Changes labels and annotations of a pod by a function of the pod; of one without a Job its owners, too. A Job that
   * does not select the labels of a pod any more releases it: it runs to its end, but is nobody's, is not counted, and
   * the Job starts another one in its place.
   *
   * @throws NotFoundError
   * @throws InvalidSpecError for what can not be changed.
   * @throws ConflictError when the result names a `metadata.resourceVersion` that is not current.
   */
  async update(
    ref: ObjectRef,
    change: (stored: Pod) => unknown,
    options: PodNamespaceOptions & UpdatePodOptions = {},
  ): Promise<Pod> {
    const { view } = await this.#locate(ref, options);
    if (!view.bare) return await changeJobPod(() => this.#locate(ref, options), change, options);
    const target = resolveRef(ref, options.namespace ?? this.#namespace);
    return await updateBarePod(this.#host, target, change, options);
  }

  /** Reads a pod. @throws NotFoundError */
  async get(ref: ObjectRef, options: PodNamespaceOptions = {}): Promise<Pod> {
    return (await this.#locate(ref, options)).pod;
  }

  /**
   * Reads what a pod wrote, line by line; each item ends with its newline if it has one. With
   * `follow` it goes on until the pod ended. Of a container that was restarted it is what it wrote
   * since then.
   *
   * @throws NotFoundError, also for a container that there is not, or that was not restarted.
   * @example
   * for await (const line of drover.pods.logs(pod, { follow: true })) process.stdout.write(line);
   */
  async *logs(ref: ObjectRef, options: LogOptions = {}): AsyncGenerator<string> {
    for await (const line of this.logLines(ref, options)) {
      yield line.droppedBytes > 0 ? `[${line.droppedBytes} bytes were dropped here]\n` : line.text;
    }
  }

  /** As `logs`, with the stream, the container and the time of each line. */
  async *logLines(ref: ObjectRef, options: LogOptions = {}): AsyncGenerator<PodLogLine> {
    const { shard, view, stored, pod } = await this.#locate(ref, options);
    const key = shard.podLogKey(view.uid, stored.podNumber);
    const since = options.sinceSeconds;
    const wanted = {
      // A run that is over has nothing to wait for.
      follow: options.follow === true && options.previous !== true,
      tailLines: options.tailLines,
      limitBytes: options.limitBytes,
      timestamps: options.timestamps,
      container: options.container,
      runs: runsToRead(pod, options),
      signal: options.signal,
      sinceMs: since === undefined ? undefined : Date.now() - since * 1000,
      hasEnded: () => this.#hasEnded(shard, view.uid, stored.podNumber, options.container),
    };
    const redis = await this.#backend.duplicate();
    try {
      yield* readPodLog(redis, key, wanted);
    } catch (error) {
      throw await this.#backend.translate(error);
    } finally {
      redis.disconnect();
    }
  }

  /**
   * Deletes a pod. One that runs is stopped, counted as failed and replaced, unless it has no Job (with
   * podReplacementPolicy Failed when it has ended, and counted for its end); of one that ended the
   * record and the log are removed. @throws NotFoundError
   */
  async delete(ref: ObjectRef, options: PodNamespaceOptions = {}): Promise<void> {
    let located = await this.#locate(ref, options);
    for (let attempt = 1; !(await this.#delete(located)) && attempt < DELETE_ATTEMPTS; attempt++) {
      const again = await this.#locate(ref, options).catch((error: unknown) => {
        if (error instanceof NotFoundError) return null;
        throw error;
      });
      // It ended meanwhile, and nothing is left of it.
      if (again === null) return;
      located = again;
    }
  }

  /** False when it began to run, or ended, since it was found. */
  async #delete({ shard, view, stored, pod }: LocatedPod): Promise<boolean> {
    return await this.#backend.run(async () => {
      if (view.bare) {
        const isRunning = stored.kind === 'slot' && stored.phase !== 'Pending';
        if ((await deleteBarePod(shard, view, isRunning)) !== null) return true;
        const { name, namespace } = pod.metadata;
        throw new NotFoundError({ resource: 'pods', name, namespace });
      }
      if (stored.kind === 'record') {
        await shard.removePodRecord(view.uid, stored.podNumber);
        return true;
      }
      const reply = await shard.stopPods({
        uid: view.uid,
        guard: null,
        pods: [stored],
        countAs: 'unjudged',
      });
      return reply.type !== 'stopped' || reply.count > 0 || stored.phase === 'Stopping';
    });
  }

  /**
   * Watches pods: `ADDED` for each that is there, then every change as it happens.
   *
   * @example
   * for await (const { pod } of drover.pods.watch({ job: 'resize' })) console.log(pod.status?.phase);
   */
  async *watch(options: WatchPodsOptions = {}): AsyncGenerator<PodEvent> {
    const controller = new AbortController();
    const signal =
      options.signal === undefined
        ? controller.signal
        : AbortSignal.any([options.signal, controller.signal]);
    const selector = readSelector(options.labelSelector);
    const only = options.job === undefined ? null : await this.#jobOf(options.job, options);
    const namespace = only?.view.namespace ?? options.namespace ?? this.#namespace;
    const store = await this.#backend.store();
    const all = options.allNamespaces === true && only === null;
    const shards = all ? store.shards : [store.shardOf(namespace)];
    const reader = {
      jobs: (shard: Shard) =>
        only === null
          ? this.#jobsOf(shard, all ? null : namespace)
          : this.#withHosts(shard, only.view),
      accepts: (view: JobView) =>
        only === null
          ? all || view.namespace === namespace
          : view.uid === only.view.uid || (view.hasLentPods && view.namespace === namespace),
      composer: (shard: Shard, view: JobView) => this.#composer(shard, view),
      selects: (pod: Pod) =>
        matchesSelector(selector, pod.metadata.labels) && (only === null || isOwn(pod, only.view)),
    };
    const sources = shards.map((shard) => watchPods(this.#backend, shard, reader, signal));
    yield* mergeAll(sources, () => controller.abort());
  }

  /**
   * The pods of a Job that ended, each once, in batches and in short: for who follows a great many
   * of them. It has no end of its own; what ended before it began comes first, as a batch that may be empty.
   *
   * @param options.intervalMs - Shortest time between two batches. Default 50.
   */
  async *ends(
    job: Job,
    options: { readonly signal: AbortSignal; readonly intervalMs?: number },
  ): AsyncGenerator<PodEnd[]> {
    yield* watchPodEnds(this.#backend, job, { intervalMs: 50, ...options });
  }

  /** What pods of a Job wrote, read all at once; the bytes as they were written. */
  async outputs(job: Job, podNumbers: readonly number[]): Promise<LogPiece[][]> {
    const { namespace, uid } = job.metadata;
    return await this.#backend.run((store) => {
      const shard = store.shardOf(namespace);
      const keys = podNumbers.map((podNumber) => shard.podLogKey(uid, podNumber));
      return readWholeLogs(store.redis, keys);
    });
  }

  /** How the pods of a Job are composed of what is stored; for who reads them from the store. */
  async composer(shard: Shard, view: JobView): Promise<PodComposer> {
    return await this.#composer(shard, view);
  }

  /** Removes what pods of a Job wrote; their records stay. */
  async removeOutputs(job: Job, podNumbers: readonly number[]): Promise<void> {
    await this.#backend.run(async (store) => {
      const shard = store.shardOf(job.metadata.namespace);
      const keys = podNumbers.map((podNumber) => shard.podLogKey(job.metadata.uid, podNumber));
      await removeLogs(store.redis, keys);
    });
  }

  /** Reads what the running pods of a Job write, whenever it is asked. */
  tail(job: Job): OutputTail {
    return new OutputTail(this.#backend, job);
  }

  get #host(): BarePodHost {
    return {
      backend: this.#backend,
      namespace: this.#namespace,
      owner: this.#owner,
      read: (namespace, name) => this.get(name, { namespace }),
      exists: (namespace, name) =>
        this.get(name, { namespace }).then(
          () => true,
          (error: unknown) => {
            if (error instanceof NotFoundError) return false;
            throw error;
          },
        ),
    };
  }

  async *#jobs(
    options: ListPodsOptions,
    selector: Selector,
  ): AsyncGenerator<{ shard: Shard; view: JobView }> {
    const jobName = jobNameOf(selector);
    if (options.job !== undefined) {
      yield await this.#jobOf(options.job, options);
      return;
    }
    const store = await this.#backend.store();
    const namespace = options.namespace ?? this.#namespace;
    if (jobName !== null && options.allNamespaces !== true) {
      const shard = store.shardOf(namespace);
      for (const uid of await this.#backend.run(() => shard.findJobsWithPods(namespace, jobName))) {
        const view = await this.#backend.run(() => shard.getJobByUid(uid));
        if (view !== null && showsPods(view)) yield { shard, view };
      }
      return;
    }
    const all = options.allNamespaces === true;
    for (const shard of all ? store.shards : [store.shardOf(namespace)]) {
      for await (const view of this.#jobsOf(shard, all ? null : namespace)) yield { shard, view };
    }
  }

  /** The Jobs, those that were deleted and left pods behind, and what pods without a Job are stored as. */
  async *#jobsOf(shard: Shard, namespace: string | null): AsyncGenerator<JobView> {
    for (const list of ['listJobs', 'listOrphaned', 'listBarePods'] as const) {
      let after: string | null = null;
      do {
        const from: { after?: string } = after === null ? {} : { after };
        const page: { jobs: JobView[]; next: string | null } = await this.#backend.run(() =>
          shard[list]({ namespace, limit: PAGE_SIZE, ...from }),
        );
        yield* page.jobs;
        after = page.next;
      } while (after !== null);
    }
  }

  async #jobOf(
    ref: ObjectRef,
    options: PodNamespaceOptions,
  ): Promise<{ shard: Shard; view: JobView }> {
    const { name, namespace, uid } = resolveRef(ref, options.namespace ?? this.#namespace);
    const shard = (await this.#backend.store()).shardOf(namespace);
    const view = await this.#backend.run(() => shard.getJob(namespace, name));
    if (view === null || (uid !== null && view.uid !== uid)) {
      throw new NotFoundError({ resource: 'jobs.batch', name, namespace });
    }
    return { shard, view };
  }

  /** Whether a pod has ended, or the one container of it that is of interest, for good. */
  async #hasEnded(
    shard: Shard,
    uid: string,
    podNumber: number,
    container: string | undefined,
  ): Promise<boolean> {
    const stored = await shard.getPod(uid, podNumber);
    if (stored?.kind !== 'slot' || container === undefined) return stored?.kind !== 'slot';
    const details = (await shard.podNotes(uid, [podNumber])).get(podNumber)?.details;
    const record = details?.containers.find(({ name }) => name === container);
    return record?.state?.terminated !== undefined;
  }

  /** The pods that a worker runs now, from what its sessions have claimed. */
  async *#onNode(node: string, options: ListPodsOptions, selector: Selector): AsyncGenerator<Pod> {
    const namespace =
      options.allNamespaces === true ? null : (options.namespace ?? this.#namespace);
    const job =
      options.job === undefined ? null : (await this.#jobOf(options.job, options)).view.uid;
    const store = await this.#backend.store();
    let left = options.limit ?? Number.POSITIVE_INFINITY;
    for (const shard of namespace === null ? store.shards : [store.shardOf(namespace)]) {
      for (const { view, slots } of await this.#claimed(shard, node)) {
        if (namespace !== null && view.namespace !== namespace) continue;
        if (job !== null && view.uid !== job) continue;
        const composer = await this.#composer(shard, view);
        const numbers = composer.needsNotes ? slots.map(({ podNumber }) => podNumber) : [];
        const notes = await this.#backend.run(() => shard.podNotes(view.uid, numbers));
        for (const slot of slots) {
          const pod = composer.compose({ kind: 'slot', ...slot }, notes.get(slot.podNumber));
          if (options.phase !== undefined && pod.status.phase !== options.phase) continue;
          if (!matchesSelector(selector, pod.metadata.labels)) continue;
          if (left <= 0) return;
          left -= 1;
          yield pod;
        }
      }
    }
  }

  async #claimed(shard: Shard, node: string): Promise<{ view: JobView; slots: SlotRecord[] }[]> {
    return await this.#backend.run(async () => {
      const claimed: { view: JobView; slots: SlotRecord[] }[] = [];
      for (const session of await shard.sessions()) {
        if (session.node !== node || session.podCount === 0) continue;
        for (const [uid, slots] of await shard.sessionSlots(session.id)) {
          // Of a deleted Job too: its pods run until they ended.
          const view = await shard.getJobByUid(uid);
          if (view !== null) claimed.push({ view, slots });
        }
      }
      return claimed;
    });
  }

  /** @param from - Pods up to this number are left out. */
  async *#podsOf(shard: Shard, view: JobView, from = 0): AsyncGenerator<Pod> {
    const composer = await this.#composer(shard, view);
    let after: number | null = Math.max(0, from);
    while (after !== null) {
      const start: number = after;
      const page = await this.#backend.run(() =>
        shard.listPods(view.uid, { after: start, limit: PAGE_SIZE }),
      );
      const notes = await this.#backend.run(() =>
        shard.podNotes(view.uid, runningNumbers(page.pods)),
      );
      for (const stored of page.pods) yield composer.compose(stored, notes.get(stored.podNumber));
      after = page.next;
    }
  }

  /** A Job, and the others with which pods lie that it has adopted. */
  async *#withHosts(shard: Shard, job: JobView): AsyncGenerator<JobView> {
    yield job;
    const adopted = await this.#backend.run(() => shard.adoption.list(job.uid));
    for (const uid of new Set(adopted.map(({ hostUid }) => hostUid))) {
      const host = uid === job.uid ? null : await this.#backend.run(() => shard.getJobByUid(uid));
      if (host !== null && showsPods(host)) yield host;
    }
  }

  /** How to compose the pods of a Job; reads once what they share. */
  async #composer(shard: Shard, view: JobView): Promise<PodComposer> {
    const job = withPriority(
      composeJob({ stored: view, counters: null, done: null }),
      view.priority,
    );
    const [nodeNames, pendingMessage] = await this.#backend.run(() =>
      Promise.all([shard.nodeNames(), unschedulableMessage(shard, view, job)]),
    );
    const pending = pendingMessage === null ? {} : { pendingMessage };
    const { containers, initContainers = [], volumes = [], restartPolicy } = job.spec.template.spec;
    return {
      needsNotes:
        restartPolicy === 'OnFailure' ||
        containers.length + initContainers.length > 1 ||
        volumes.length > 0,
      compose: (stored, notes) =>
        composePod({
          job,
          pod: stored,
          overlay: stored.kind === 'record' ? stored.overlay : null,
          nodeName: nodeNames.get(stored.nodeNumber) ?? '',
          isOrphan: view.orphaned,
          isBare: view.bare,
          changed: stored.changed,
          adopter: stored.adopter,
          notes,
          ...pending,
        }),
    };
  }

  async #locate(ref: ObjectRef, options: PodNamespaceOptions): Promise<LocatedPod> {
    const { name, namespace, uid } = resolveRef(ref, options.namespace ?? this.#namespace);
    const shard = (await this.#backend.store()).shardOf(namespace);
    const bare = await this.#backend.run(() => shard.getBarePod(namespace, name));
    const owners = await this.#backend.run(() => shard.findOwnersOfPod(namespace, name));
    for (const owner of bare === null ? owners : [bare.uid, ...owners]) {
      const view = await this.#backend.run(() => shard.getJobByUid(owner));
      const podNumber = view?.bare === true ? 1 : podNumberFromName(owner, name);
      if (view === null || !showsPods(view) || podNumber === null) continue;
      const stored = await this.#backend.run(() => shard.getPod(view.uid, podNumber));
      if (stored === null) continue;
      const composer = await this.#composer(shard, view);
      const notes = await this.#backend.run(() =>
        shard.podNotes(view.uid, runningNumbers([stored])),
      );
      const pod = composer.compose(stored, notes.get(podNumber));
      // The number may belong to a pod of another index, or of another Job with a similar name.
      if (pod.metadata.name !== name || (uid !== null && pod.metadata.uid !== uid)) continue;
      return { shard, view, stored, pod };
    }
    throw new NotFoundError({ resource: 'pods', name, namespace });
  }
}

/** The Job that a selector is about, when it names one. */
function jobNameOf(selector: Selector): string | null {
  for (const { key, operator, values } of selector) {
    if (operator === 'In' && values.length === 1 && JOB_NAME_LABELS.has(key)) {
      return values[0] ?? null;
    }
  }
  return null;
}

/** Whether a pod that a Job had started is still its own: it may have been released, and another Job have adopted it. */
function isOwn({ metadata }: Pod, { bare, uid }: JobView): boolean {
  return bare || (metadata.ownerReferences ?? []).some((owner) => owner.uid === uid);
}

function readSelector(text: string | undefined): Selector {
  return text === undefined || text === '' ? [] : parseSelector(text);
}

/** Pods show the priority that they were started with, and the class that gave it. */
function withPriority(job: Job, { value, className }: PodPriority): Job {
  if (className === '') return job;
  const { template } = job.spec;
  const preemptionPolicy = template.spec.preemptionPolicy ?? 'PreemptLowerPriority';
  const spec = {
    ...template.spec,
    priorityClassName: className,
    priority: value,
    preemptionPolicy,
  };
  return { ...job, spec: { ...job.spec, template: { ...template, spec } } };
}
