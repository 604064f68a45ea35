import { randomInt, randomUUID } from 'node:crypto';

import {
  AlreadyExistsError,
  ConflictError,
  NotFoundError,
  generateName,
  isSemanticallyEqual,
  matchesSelector,
  parseFittingKey,
  parseJob,
  parseJobUpdate,
  WORK_QUEUE_ANNOTATION,
  podQuotaDenial,
  PROPAGATION_POLICIES,
  type Job,
  type JobInput,
  type ObjectMeta,
  type OwnerReference,
  type ParsedJob,
  type PropagationPolicy,
  ForbiddenError,
  NO_PRIORITY,
  quotaDenialText,
} from '@drover/shared';
import {
  awaitReplicas,
  checkDurability,
  completeJob,
  composeJob,
  type Created,
  type Durability,
  jobText,
  type JobView,
  newJobOf,
  ownersOf,
  ownMetadata,
  placementOf,
  type Shard,
  unschedulableMessage,
} from '@drover/store';

import { withArgumentList, type ArgumentListInput } from './argumentList.ts';
import { desired, lastApplied, withLastApplied } from './applied.ts';
import type { Backend } from './backend.ts';
import { withItemPerPod, type ItemPerPodInput } from './itemPerPod.ts';
import { untilFinished } from './jobEnd.ts';
import type { WaitCondition } from './jobOutcome.ts';
import { awaitOutcome } from './jobWait.ts';
import { byNamespaceAndName, namespaceOf, readSelector, scopeOf } from './listing.ts';
import { mergeAll } from './merge.ts';
import { applyMergePatch, isPlainObject, threeWayPatch, type MergePatch } from './mergePatch.ts';
import { refuseBadUid } from './jobObject.ts';
import { watchObjects, type WatchReader } from './objectWatch.ts';
import { withOwner } from './podClient.ts';
import { resolveRef, type ObjectRef, type ResolvedRef } from './refs.ts';
import { submitting, withTrace } from './tracing.ts';
import { waitReasons, type WaitReason } from './waiting.ts';
import { WorkQueueHandle, type WorkQueueStats } from './workQueues/workQueue.ts';

/** A Job as a user writes it; checked when it is created. */
export type JobManifest = JobInput | Readonly<Record<string, unknown>>;

/** Options that say in which namespace a name is meant. */
export interface NamespaceOptions {
  /** Default: the client's. An object that names its own namespace has that. */
  readonly namespace?: string;
}

/** Options of `jobs.create`. */
export interface CreateOptions extends NamespaceOptions {
  /**
   * The Job's uid, a UUID, chosen by the caller. A create that is sent again with the same uid
   * answers with the Job that the first one made, so that a caller may retry without care.
   */
  readonly uid?: string;
  /** Told of every field that is stored and has no effect. */
  readonly onWarning?: (warning: string) => void;
  /**
   * Arguments of each index of an Indexed Job of programs, instead of the template's `args`; taken
   * as they are. They lie beside the Job, so a great many of them cost it nothing. How they are run
   * says the annotation `drover.dev/argument-list` of the pod template.
   */
  readonly argumentList?: ArgumentListInput;
  /**
   * Each pod takes one item of a work queue, and its end is that of the item: sets the annotations `drover.dev/work-queue`
   * and `drover.dev/item-per-pod`, and `spec.completions`, unless the manifest has it, to the number of items that are not
   * settled when the Job is created.
   */
  readonly itemPerPod?: ItemPerPodInput;
  /** Check only; nothing is stored. */
  readonly dryRun?: boolean;
  /**
   * Wait until replicas of Redis have the Job, too, so that a failover does not lose it. Costs a connection and a round
   * trip to them. Default: it is accepted when the master has it.
   */
  readonly durability?: Durability;
}

/** Options of `jobs.delete`. */
export interface DeleteOptions extends NamespaceOptions {
  /**
   * What becomes of its pods and of other objects that belong to it. Background: the name is free at
   * once, they are stopped and removed. Foreground: the Job stays until they are gone. Orphan: they
   * stay and go on. Default: what its finalizers say, else Background.
   */
  readonly propagationPolicy?: PropagationPolicy;
  /** Only the Job with this uid and this resourceVersion. */
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** Options of `jobs.list`. */
export interface ListOptions extends NamespaceOptions {
  /** As kubectl writes it: `app=web,tier!=db,env in (a,b),!canary`. */
  readonly labelSelector?: string;
  /** Of all namespaces. */
  readonly allNamespaces?: boolean;
  /** At most so many. */
  readonly limit?: number;
}

/** What happened to a Job. */
export interface JobEvent {
  /** `ADDED` also for each Job that was there when the watch began. */
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The Job as it is now; with DELETED as it was last seen. */
  readonly job: Job;
}

/** Options of `jobs.watch`. */
export interface WatchJobsOptions extends NamespaceOptions {
  /** As for `list`. */
  readonly labelSelector?: string;
  /** Of all namespaces. */
  readonly allNamespaces?: boolean;
  /** Only the Job of this name. */
  readonly name?: string;
  /** Ends the watch; leaving the loop ends it too. */
  readonly signal?: AbortSignal;
}

/** Options of `jobs.update`. */
export interface UpdateOptions extends NamespaceOptions {
  /** Told of every changed field that is stored and has no effect. */
  readonly onWarning?: (warning: string) => void;
  /** Check only; nothing is stored. */
  readonly dryRun?: boolean;
}

/** Options of `jobs.wait`. */
export interface WaitOptions extends NamespaceOptions {
  /** What to wait for; `finished` (the default) is Complete or Failed, whichever comes. */
  readonly for?: WaitCondition;
  /** Give up after so many ms; default: never. */
  readonly timeoutMs?: number;
  /** Ends the wait; the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * Told, before the wait ends, what the Job left in its work queue: items that are not settled, and dead letters. A Job may
   * be Complete with either.
   */
  readonly onWarning?: (warning: string) => void;
}

/** What `jobs.apply` did. */
export interface Applied {
  readonly job: Job;
  readonly action: 'created' | 'configured' | 'unchanged';
}

/** A read-modify-write that met another writer is tried again so many times. */
const MAX_WRITE_ATTEMPTS = 8;
/** Attempts to find a free name for a generateName. */
const MAX_NAME_ATTEMPTS = 8;
const PAGE_SIZE = 500;

/** Jobs: create, read, change, delete, watch, wait. */
export class JobsClient {
  readonly #backend: Backend;
  readonly #namespace: string;
  readonly #owner: OwnerReference | null;

  /** @param owner - To whom belongs what is created. */
  constructor(backend: Backend, namespace: string, owner: OwnerReference | null = null) {
    this.#backend = backend;
    this.#namespace = namespace;
    this.#owner = owner;
  }

  /**
   * Creates a Job from a `batch/v1` manifest. Many are created at little cost when none waits for
   * another: they go to Redis together, and each is made or refused for itself.
   *
   * @example
   * const jobs = await Promise.all(manifests.map((manifest) => drover.jobs.create(manifest)));
   * await Promise.all(jobs.map((job) => drover.jobs.wait(job)));
   * @throws InvalidSpecError with everything that is wrong with it.
   * @throws AlreadyExistsError when another Job has the name.
   * @throws TimeoutError when too few replicas had it in time; it is created all the same.
   */
  async create(manifest: JobManifest, options: CreateOptions = {}): Promise<Job> {
    const { durability } = options;
    if (durability !== undefined) checkDurability(durability);
    if (options.dryRun === true) {
      return await this.#create(manifest, options, (metadata) => metadata);
    }
    return await submitting(async (span) => {
      const job = await this.#create(manifest, options, (metadata) => withTrace(metadata, span));
      if (durability !== undefined) await this.#awaitReplicas(job, durability);
      return job;
    });
  }

  async #awaitReplicas({ metadata }: Job, durability: Durability): Promise<void> {
    const { uid, name, namespace } = metadata;
    const what = `Job ${namespace}/${name} (uid ${uid})`;
    await this.#backend.run((store) => {
      const { keys } = store.shardOf(namespace);
      return awaitReplicas(store.redis, keys, { key: keys.job(uid).job, what }, durability);
    });
  }

  async #create(
    manifest: JobManifest,
    options: CreateOptions,
    traced: (metadata: ObjectMeta) => ObjectMeta,
  ): Promise<Job> {
    const { argumentList } = options;
    const { job: given, warnings } = this.#parse(await this.#filled(manifest, options), options);
    const parsed = { ...given, metadata: traced(withOwner(given.metadata, this.#owner)) };
    const job = argumentList === undefined ? parsed : withArgumentList(parsed, argumentList);
    for (const warning of warnings) options.onWarning?.(warning);
    const uid = options.uid ?? randomUUID();
    refuseBadUid(uid, 'Job.batch', job.metadata);
    if (argumentList !== undefined && options.dryRun !== true) {
      const write = (shard: Shard) => shard.writeArguments(uid, argumentList);
      await this.#backend.onShard(job.metadata.namespace, write);
    }
    const prefix = job.metadata.name === '' ? (job.metadata.generateName ?? '') : null;
    for (let attempt = 1; ; attempt++) {
      const name = prefix === null ? job.metadata.name : generateName(prefix, randomInt);
      const completed = completeJob(job, { uid, name, createdMs: Date.now() });
      if (options.dryRun === true) return completed;
      const outcome = await this.#store(completed);
      if (outcome.type === 'forbidden') {
        const why = quotaDenialText(outcome.denial, null);
        throw new ForbiddenError(reference(completed.metadata), why);
      }
      if (outcome.type !== 'alreadyExists') {
        if (argumentList !== undefined) {
          await this.#backend.onShard(job.metadata.namespace, (shard) => shard.keepArguments(uid));
        }
        if (outcome.type === 'created') return asCreated(completed, outcome);
        return await this.#readByUid(completed);
      }
      if (prefix === null || attempt === MAX_NAME_ATTEMPTS) {
        throw new AlreadyExistsError(reference(completed.metadata));
      }
    }
  }

  /** Reads a Job with its live figures. @throws NotFoundError */
  async get(ref: ObjectRef, options: NamespaceOptions = {}): Promise<Job> {
    const target = this.#resolve(ref, options);
    return await this.#backend.onShard(target.namespace, async (shard) => {
      const view = await findView(shard, target);
      const [job] = await composeAll(shard, view === null ? [] : [view]);
      if (job === undefined) throw new NotFoundError(reference(target));
      return job;
    });
  }

  /** Lists Jobs, in order of namespace and name. */
  async list(options: ListOptions = {}): Promise<Job[]> {
    const { limit = Number.POSITIVE_INFINITY } = options;
    const selector = readSelector(options.labelSelector);
    const jobs: Job[] = [];
    const { namespace, shards } = await scopeOf(this.#backend, this.#namespace, options);
    for (const shard of shards) {
      for await (const page of this.#pages(shard, namespace)) {
        for (const job of page) {
          if (matchesSelector(selector, job.metadata.labels)) jobs.push(job);
          if (jobs.length >= limit) return jobs;
        }
      }
    }
    return jobs.toSorted((a, b) => byNamespaceAndName(a.metadata, b.metadata));
  }

  /**
   * Watches Jobs: `ADDED` for each that is there, then every change as it happens. Nothing is
   * polled.
   *
   * @example
   * for await (const { type, job } of drover.jobs.watch()) console.log(type, job.metadata.name);
   */
  async *watch(options: WatchJobsOptions = {}): AsyncGenerator<JobEvent> {
    const { namespace, shards } = await scopeOf(this.#backend, this.#namespace, options);
    const selector = readSelector(options.labelSelector);
    const { name } = options;
    const controller = new AbortController();
    const signal =
      options.signal === undefined
        ? controller.signal
        : AbortSignal.any([options.signal, controller.signal]);
    const reader: WatchReader<Job> = {
      kind: 'Job',
      list: async (shard) => {
        if (name !== undefined && namespace !== null) {
          const view = await shard.getJob(namespace, name);
          const jobs = await composeAll(shard, view === null ? [] : [view]);
          return jobs.filter((job) => reader.accepts(job));
        }
        const jobs: Job[] = [];
        for await (const page of this.#pages(shard, namespace)) jobs.push(...page);
        return jobs.filter((job) => reader.accepts(job));
      },
      read: async (shard, { uid }) => {
        const view = await shard.getJobByUid(uid);
        return (await composeAll(shard, view === null || view.deleted ? [] : [view]))[0] ?? null;
      },
      accepts: (job) =>
        (name === undefined || job.metadata.name === name) &&
        matchesSelector(selector, job.metadata.labels),
      concerns: (entry) =>
        (namespace === null || entry.namespace === namespace) &&
        (name === undefined || entry.name === name),
    };
    const sources = shards.map((shard) => watchObjects(this.#backend, shard, reader, signal));
    for await (const { type, object } of mergeAll(sources, () => controller.abort())) {
      yield { type, job: object };
    }
  }

  /**
   * Changes a Job with a JSON merge patch (RFC 7386): fields are set, `null` removes one.
   *
   * @example
   * await drover.jobs.patch('resize', { spec: { parallelism: 20 } });
   * @throws NotFoundError
   * @throws InvalidSpecError when the result is not valid, or changes what can not be changed.
   * @throws ConflictError when the patch names a `metadata.resourceVersion` that is not current.
   */
  async patch(ref: ObjectRef, patch: MergePatch, options: NamespaceOptions = {}): Promise<Job> {
    return await this.update(ref, (stored) => applyMergePatch(stored, patch), options);
  }

  /**
   * Changes a Job with a function of what is stored of it. When somebody else is quicker it is read
   * and changed again, unless the result names the `metadata.resourceVersion` that it was made for.
   *
   * @param change - Makes the Job as it is to be, in part or as a whole: what is left out has its
   *   default, as in a manifest. It may be called several times.
   * @throws NotFoundError
   * @throws InvalidSpecError when the result is not valid, or changes what can not be changed.
   * @throws ConflictError when the result names a `metadata.resourceVersion` that is not current.
   */
  async update(
    ref: ObjectRef,
    change: (stored: Job) => unknown,
    options: UpdateOptions = {},
  ): Promise<Job> {
    return (await this.#modify(ref, change, options)).job;
  }

  /** Stops the Job's pods and starts no new ones until it is resumed. What succeeded stays. */
  async suspend(ref: ObjectRef, options: NamespaceOptions = {}): Promise<Job> {
    return await this.patch(ref, { spec: { suspend: true } }, options);
  }

  /** Lets a suspended Job go on; its activeDeadlineSeconds begin anew. */
  async resume(ref: ObjectRef, options: NamespaceOptions = {}): Promise<Job> {
    return await this.patch(ref, { spec: { suspend: false } }, options);
  }

  /**
   * Changes how many pods of a Job run at once. Fewer: the excess is stopped, not counted, and run
   * anew later.
   *
   * @throws InvalidSpecError when `parallelism` is no whole number of 0 to 100,000.
   */
  async scale(ref: ObjectRef, parallelism: number, options: NamespaceOptions = {}): Promise<Job> {
    return await this.patch(ref, { spec: { parallelism } }, options);
  }

  /**
   * Says why a Job does not go on, or not faster: no worker fits, it is suspended, the back-off
   * after a failure, ... Empty when it is over, or nothing holds it up. @throws NotFoundError
   */
  async whyWaiting(ref: ObjectRef, options: NamespaceOptions = {}): Promise<WaitReason[]> {
    const target = this.#resolve(ref, options);
    return await this.#backend.onShard(target.namespace, async (shard) => {
      const view = await findView(shard, target);
      if (view === null) throw new NotFoundError(reference(target));
      const job = composeJob({ stored: view, counters: view.counters, done: null });
      const { lanes: laneKey } = parseFittingKey(view.fittingKey);
      const [lanes, unschedulable, lacksWorkQueue, denial] = await Promise.all([
        shard.fittingLanes(laneKey),
        unschedulableMessage(shard, view, job),
        isQueueMissing(shard, job),
        quotaDenialOf(shard, job),
      ]);
      const hindrances = { lacksWorkQueue, denial };
      return waitReasons(job, view, { lanes, unschedulable }, hindrances, Date.now());
    });
  }

  /**
   * Creates the Job of a manifest, or brings an existing one in line with it, as `kubectl apply`
   * does: what the manifest said the last time and does not say now is removed, what others set
   * is left alone.
   */
  async apply(manifest: JobManifest, options: CreateOptions = {}): Promise<Applied> {
    if (options.durability !== undefined) checkDurability(options.durability);
    const { job: wanted, warnings } = this.#parse(manifest, options);
    const ref = { name: wanted.metadata.name, namespace: wanted.metadata.namespace };
    const marked = withLastApplied(manifest);
    const exists = await this.#backend.onShard(ref.namespace, (shard) =>
      ref.name === '' ? Promise.resolve(null) : shard.findJob(ref.namespace, ref.name),
    );
    if (exists === null) {
      return { job: await this.create(marked, options), action: 'created' };
    }
    for (const warning of warnings) options.onWarning?.(warning);
    const { job, changed } = await this.#modify(
      ref.name,
      (stored) => applyMergePatch(stored, threeWayPatch(lastApplied(stored), desired(marked))),
      { namespace: ref.namespace, dryRun: options.dryRun === true },
    );
    const { durability, dryRun } = options;
    if (durability !== undefined && dryRun !== true) await this.#awaitReplicas(job, durability);
    return { job, action: changed ? 'configured' : 'unchanged' };
  }

  /**
   * Deletes a Job with its pods and whatever else belongs to it. With finalizers it stays, with a
   * deletionTimestamp, until they are taken away.
   *
   * @returns Whether it is gone; false while it waits for finalizers.
   * @throws NotFoundError
   * @throws ConflictError when a precondition does not hold.
   */
  async delete(ref: ObjectRef, options: DeleteOptions = {}): Promise<boolean> {
    const target = this.#resolve(ref, options);
    const { propagationPolicy: policy, preconditions = {} } = options;
    const { uid, resourceVersion } = preconditions;
    if (policy !== undefined && !PROPAGATION_POLICIES.includes(policy)) {
      throw new TypeError(`propagationPolicy is one of ${PROPAGATION_POLICIES.join(', ')}`);
    }
    return await this.#backend.onShard(target.namespace, async (shard) => {
      const view = await findView(shard, target);
      if (view === null) throw new NotFoundError(reference(target));
      if (uid !== undefined && uid !== view.uid) throw new ConflictError(reference(target));
      const version =
        resourceVersion === undefined ? {} : { resourceVersion: Number(resourceVersion) };
      const outcome = await shard.deleteJob(view.uid, { policy, ...version });
      if (outcome === 'notFound') throw new NotFoundError(reference(target));
      if (outcome === 'conflict') throw new ConflictError(reference(target));
      return outcome === 'deleted';
    });
  }

  /**
   * Waits until a Job is complete, failed or finished; reads it again whenever it changes, and
   * polls nothing.
   *
   * @returns The Job as it was when the condition held.
   * @throws JobOutcomeError when the condition can not hold any more: it waits for `complete`
   *   and the Job failed, or the other way round.
   * @throws NotFoundError when there is none, or it is deleted meanwhile.
   * @throws TimeoutError after `timeoutMs`.
   */
  async wait(ref: ObjectRef, options: WaitOptions = {}): Promise<Job> {
    const { name, namespace, uid: known } = this.#resolve(ref, options);
    const untilEnded = async (signal: AbortSignal): Promise<Job | null> => {
      const shard = (await this.#backend.store()).shardOf(namespace);
      // The first one found is meant; a later Job of the same name is another one.
      const uid = known ?? (await this.#backend.run(() => shard.findJob(namespace, name)));
      if (uid === null) throw new NotFoundError(reference({ name, namespace }));
      const ended = await untilFinished(this.#backend, shard, uid, signal);
      if (ended.type === 'gone') throw new NotFoundError(reference({ name, namespace }));
      return ended.type === 'finished' ? ended.job : null;
    };
    const statsOf = async (queue: string): Promise<WorkQueueStats> =>
      await new WorkQueueHandle(this.#backend, queue, { namespace, schema: null }).stats();
    return await awaitOutcome({ name, untilFinished: untilEnded, statsOf }, options);
  }

  /** A manifest with what options say of it. */
  async #filled(manifest: JobManifest, options: CreateOptions): Promise<JobManifest> {
    const { itemPerPod } = options;
    if (itemPerPod === undefined || !isPlainObject(manifest)) return manifest;
    const namespace = namespaceOf(manifest, this.#namespace, options);
    const { workQueue } = itemPerPod;
    return await withItemPerPod(manifest, itemPerPod, async () => {
      const handle = new WorkQueueHandle(this.#backend, workQueue, { namespace, schema: null });
      return (await handle.get()).status?.unsettled ?? 0;
    });
  }

  #parse(manifest: JobManifest, options: NamespaceOptions) {
    return parseJob(manifest, { namespace: namespaceOf(manifest, this.#namespace, options) });
  }

  #resolve(ref: ObjectRef, options: NamespaceOptions): ResolvedRef {
    return resolveRef(ref, options.namespace ?? this.#namespace);
  }

  async *#pages(shard: Shard, namespace: string | null): AsyncGenerator<Job[]> {
    let after: string | null = null;
    do {
      const from: { after?: string } = after === null ? {} : { after };
      const page = await this.#backend.run(() =>
        shard.listJobs({ namespace, limit: PAGE_SIZE, ...from }),
      );
      yield await this.#backend.run(() => composeAll(shard, page.jobs));
      after = page.next;
    } while (after !== null);
  }

  async #store(job: Job): Promise<Created> {
    return await this.#backend.onShard(job.metadata.namespace, (shard) =>
      shard.createJob(newJobOf(job)),
    );
  }

  async #readByUid({ metadata }: Job): Promise<Job> {
    return await this.#backend.onShard(metadata.namespace, async (shard) => {
      const view = await shard.getJobByUid(metadata.uid);
      const [job] = await composeAll(shard, view === null ? [] : [view]);
      // Deleted by somebody in the same moment.
      if (job === undefined) throw new NotFoundError(reference(metadata));
      return job;
    });
  }

  async #modify(
    ref: ObjectRef,
    change: (stored: Job) => unknown,
    options: UpdateOptions,
  ): Promise<{ job: Job; changed: boolean }> {
    const target = this.#resolve(ref, options);
    return await this.#backend.onShard(target.namespace, async (shard) => {
      for (let attempt = 1; attempt <= MAX_WRITE_ATTEMPTS; attempt++) {
        const view = await findView(shard, target);
        if (view === null) throw new NotFoundError(reference(target));
        // With live figures: whether a template may change depends on what runs.
        const stored = composeJob({ stored: view, counters: view.counters, done: null });
        const { job: next, warnings } = nextObject(stored, change(stored));
        const specChanged = !isSemanticallyEqual(next.spec, stored.spec);
        if (!specChanged && isSemanticallyEqual(ownMetadata(next), ownMetadata(stored))) {
          return { job: (await composeAll(shard, [view]))[0] ?? stored, changed: false };
        }
        if (options.dryRun === true) {
          for (const warning of warnings) options.onWarning?.(warning);
          return { job: next, changed: true };
        }
        const outcome = await shard.updateJob({
          uid: view.uid,
          expectedResourceVersion: view.resourceVersion,
          object: jobText(next),
          specChanged,
          mostActive: next.spec.suspend ? 0 : next.spec.parallelism,
          completions: next.spec.completions ?? null,
          ...placementOf(next),
          finalizers: next.metadata.finalizers ?? [],
          owners: ownersOf(next),
        });
        // That was its last finalizer, and it is gone.
        if (outcome === 'deleted') return { job: next, changed: true };
        if (outcome === 'notFound') throw new NotFoundError(reference(target));
        if (outcome === 'conflict') continue;
        for (const warning of warnings) options.onWarning?.(warning);
        return { job: await this.#readByUid(stored), changed: true };
      }
      throw new ConflictError(reference(target));
    });
  }
}

/** A new Job as a read would show it, without the read. */
function asCreated(
  job: Job,
  { resourceVersion, createdMs }: Extract<Created, { type: 'created' }>,
): Job {
  const { finalizers = [], ...created } = newJobOf(job);
  const stored = {
    ...created,
    finalizers,
    resourceVersion,
    generation: 1,
    createdMs,
    finished: false,
    deletionMs: null,
    droppedTo: 0,
    failedDroppedTo: 0,
    droppedPods: 0,
    orphaned: false,
    hasFreePods: false,
    hasChangedPods: false,
    podsChangedVersion: 0,
    adoptedPods: 0,
    hasLentPods: false,
    hasSought: false,
    emptied: false,
    cut: null,
    bare: false,
    priority: NO_PRIORITY,
    deleted: false,
  };
  return composeJob({ stored, counters: null, done: null });
}

/** The object after a change: parsed, defaulted and checked against the old one. */
function nextObject(stored: Job, changed: unknown): ParsedJob {
  const metadata = isPlainObject(changed) ? changed['metadata'] : undefined;
  const version = isPlainObject(metadata) ? metadata['resourceVersion'] : undefined;
  const isOther = typeof version === 'string' && version !== stored.metadata.resourceVersion;
  if (isOther && version !== '') throw new ConflictError(reference(stored.metadata));
  return parseJobUpdate(stored, changed);
}

function reference({ name, namespace }: { name: string; namespace: string }) {
  return { resource: 'jobs.batch', name, namespace };
}

async function findView(shard: Shard, target: ResolvedRef): Promise<JobView | null> {
  const view = await shard.getJob(target.namespace, target.name);
  return view === null || (target.uid !== null && view.uid !== target.uid) ? null : view;
}

/** Composes Jobs; reads the bitmap of those whose figures still move, so that both agree. */
export async function composeAll(shard: Shard, views: readonly JobView[]): Promise<Job[]> {
  return await Promise.all(
    views.map(async (view) => {
      const job = composeJob({ stored: view, counters: view.counters, done: null });
      if (view.finished || job.spec.completionMode !== 'Indexed') return job;
      const countsPerIndex = job.spec.backoffLimitPerIndex !== undefined;
      const [done, failed] = await Promise.all([
        shard.doneBitmap(view.uid),
        countsPerIndex ? shard.failedBitmap(view.uid) : null,
      ]);
      return composeJob({ stored: view, counters: view.counters, done, failed });
    }),
  );
}

/** What quota does not allow a Job that waits for some; null = it does not wait. */
async function quotaDenialOf(shard: Shard, { metadata, spec }: Job): Promise<string | null> {
  const quotas = await shard.quotas.awaitedBy(metadata.uid, metadata.namespace);
  if (quotas === null) return null;
  const podSpec = spec.template.spec;
  const denial = podQuotaDenial(podSpec, quotas);
  return denial === null ? null : quotaDenialText(denial, podSpec);
}

async function isQueueMissing(shard: Shard, { metadata }: Job): Promise<boolean> {
  const name = metadata.annotations?.[WORK_QUEUE_ANNOTATION];
  if (name === undefined) return false;
  return (await shard.workQueues.find(metadata.namespace, name)) === null;
}
