/**
 * One shard: a typed method per script. It is one file although long, because it is the list of
 * all that can be done to the state; what only reads is in `shardReader.ts`.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { NO_PRIORITY, type PodPriority, podUid } from '@drover/shared';
import type {
  AcquireReply,
  Created,
  DecisionGuard,
  DeleteOptions,
  JobUpdate,
  JudgeInput,
  NewJob,
  NewStatus,
  ObservedJob,
  Opened,
  PodChange,
  PodDrop,
  PodDetails,
  Refused,
  ReportAnswer,
  ReportEntry,
  ResizeInput,
  SessionInfo,
  SlotRequest,
  StopInput,
  StopOrder,
  Taken,
  Taking,
  Verdicts,
  WriteStatusInput,
} from './api.ts';
import { Adoption, decodeAdopter } from './adoption.ts';
import { writeArguments, type Arguments } from './argumentList.ts';
import { Events } from './events.ts';
import { JobScripts, MAX_PODS_PER_CALL, ownersText } from './jobScripts.ts';
import { RECORDS_PER_CHUNK, type ShardKeys } from './keys.ts';
import { CronJobs } from './cronJobs.ts';
import { Objects } from './objects.ts';
import { Quotas } from './quotas.ts';
import {
  decodeAnswers,
  decodeSlotRecord,
  encodeEntries,
  encodeOverlays,
  POD_RECORD_BYTES,
} from './records.ts';
import { choose, integer, list, observedJob, refused, taking, textMap } from './replies.ts';
import { defineScripts } from './scripts.ts';
import { sessionBytes } from './session.ts';
import { ShardReader } from './shardReader.ts';
import { ShardScripts } from './shardScripts.ts';
import { WorkQueues } from './workQueues.ts';
import type { RedisClient } from './redisClient.ts';

/** Most pods per script that takes pods away: these write more of each. */
const PODS_PER_STOP = 200;
/** How long the progress of a pod is kept that says nothing more of it. */
const PROGRESS_TTL_MS = 3_600_000;

/** What a Shard needs of its installation. */
export interface ShardOptions {
  readonly redis: RedisClient;
  readonly keys: ShardKeys;
  readonly prefix: string;
  readonly index: number;
  readonly leaseTtlMs: number;
  /** Tests only: the time that scripts use instead of Redis' own. */
  readonly testClock: (() => number) | null;
}

/** All namespaces of one hash tag. Methods are as idempotent as the contracts in `lua/` say. */
export class Shard extends ShardReader {
  readonly index: number;
  readonly #options: ShardOptions;
  /** How far the purge of a Job came; another process begins again, at the cost of some reads. */
  readonly #purgedChunks = new Map<string, number>();
  readonly #scripts: ShardScripts;
  readonly #many: JobScripts;
  /** The work queues of these namespaces. */
  readonly workQueues: WorkQueues;
  /** ConfigMaps, Secrets and the like of these namespaces. */
  readonly objects: Objects;
  /** What happened in these namespaces. */
  readonly events: Events;
  /** CronJobs, beyond what they are as objects. */
  readonly cronJobs: CronJobs;
  /** ResourceQuotas, beyond what they are as objects. */
  readonly quotas: Quotas;
  /** Pods that Jobs have adopted. */
  readonly adoption: Adoption;

  constructor(options: ShardOptions) {
    super(options);
    this.#options = options;
    this.#scripts = new ShardScripts(options);
    this.#many = new JobScripts(options);
    this.workQueues = new WorkQueues(options);
    this.objects = new Objects(options);
    this.events = new Events(options);
    this.cronJobs = new CronJobs(options);
    this.quotas = new Quotas(options);
    this.adoption = new Adoption(options);
    this.index = options.index;
    defineScripts(options.redis);
  }

  /** The same shard over another connection, so that its calls queue behind no others. */
  on(redis: RedisClient): Shard {
    return new Shard({ ...this.#options, redis });
  }

  // Jobs

  /** Stores a Job and makes it due. The same uid answers 'replayed'. Jobs of one tick go together. */
  createJob(job: NewJob): Promise<Created> {
    return this.#many.create(job);
  }

  /** Replaces a Job's object, compare-and-set. */
  async updateJob(update: JobUpdate): Promise<'updated' | 'deleted' | 'conflict' | 'notFound'> {
    const keys = this.keys.job(update.uid);
    const { watch, queues, names, uids, owned, orphaned } = this.keys;
    const reply = await this.#scripts.run(
      'updateJob',
      [...this.#scripts.dueKeys, keys.job, keys.hot, watch, queues, names, uids, owned, orphaned],
      [
        this.#scripts.now,
        this.keys.wakeChannel,
        update.uid,
        update.expectedResourceVersion ?? '',
        update.object,
        update.specChanged ? 1 : 0,
        update.completions ?? -1,
        update.queue,
        update.fittingKey,
        update.finalizers?.join(' ') ?? '=',
        update.owners === undefined ? '=' : ownersText(update.owners),
        update.share ?? '=',
        update.mostActive ?? -1,
      ],
    );
    return choose(reply, { '1': 'updated', '2': 'deleted', '-1': 'notFound', '-2': 'conflict' });
  }

  /**
   * Deletes a Job. Without finalizers its name is free at once and its pods are stopped; 'deleting':
   * it stays until its finalizers are taken away.
   */
  async deleteJob(
    uid: string,
    { policy, resourceVersion }: DeleteOptions = {},
  ): Promise<'deleted' | 'deleting' | 'notFound' | 'conflict'> {
    const reply = await this.#scripts.run('deleteJob', this.#removalKeys(uid), [
      this.#scripts.now,
      this.keys.wakeChannel,
      uid,
      resourceVersion ?? '',
      policy ?? '',
    ]);
    return choose(reply, { '1': 'deleted', '2': 'deleting', '-1': 'notFound', '-2': 'conflict' });
  }

  /** Takes a finalizer of the controller's own away from a Job that is being deleted. */
  async finalizeJob(
    uid: string,
    finalizer: 'foregroundDeletion' | 'orphan',
  ): Promise<'deleted' | 'finalized' | 'notFound' | 'blocked'> {
    const reply = await this.#scripts.run(
      'finalizeJob',
      [...this.#removalKeys(uid), ...this.#keptKeys],
      [this.#scripts.now, this.keys.wakeChannel, uid, finalizer],
    );
    return choose(reply, { '1': 'deleted', '2': 'finalized', '-1': 'notFound', '-3': 'blocked' });
  }

  get #keptKeys(): [jobs: string, failed: string, total: string] {
    const { kept, keptFailed, keptTotal } = this.keys;
    return [kept, keptFailed, keptTotal];
  }

  /**
   * Removes what is kept of pods that ended, records, overlays and logs, from a number on and within
   * one chunk of records.
   */
  async dropPods(uid: string, drop: PodDrop): Promise<{ removed: number; next: number }> {
    const { job, hot, overlay, changed, free, adopters } = this.keys.job(uid);
    const { clock, watch, podWatchers } = this.keys;
    const chunk = Math.floor(drop.from / RECORDS_PER_CHUNK);
    const last = Math.min(drop.to, (chunk + 1) * RECORDS_PER_CHUNK - 1);
    const [removed, next, ...withLog] = list(
      await this.#scripts.run(
        'dropPods',
        [
          clock,
          job,
          hot,
          overlay,
          this.keys.podChunk(uid, chunk),
          watch,
          podWatchers,
          ...this.#keptKeys,
          changed,
          free,
          adopters,
        ],
        [this.#scripts.now, uid, drop.from, last, drop.most, drop.failed ? 1 : 0],
      ),
    ).map((number) => integer(number));
    await Promise.all(withLog.map((podNumber) => this.removeLog(uid, podNumber)));
    return { removed: removed ?? 0, next: next ?? drop.from };
  }

  /** Of a finished Job only failed pods are left: it is the last whose pods are removed to make room. */
  async keepForFailures(uid: string, finishedMs: number): Promise<void> {
    const { kept, keptFailed } = this.keys;
    await this.#scripts.run('keepForFailures', [kept, keptFailed], [uid, finishedMs]);
  }

  /** A finished Job is no more among those whose pods may be removed to make room. */
  async forgetKept(uid: string): Promise<void> {
    await this.redis.zrem(this.keys.keptFailed, uid);
  }

  /** Keys of the scripts that may remove a Job. */
  #removalKeys(uid: string): string[] {
    const { names, uids, watch, owned, orphaned, queues } = this.keys;
    const { job, hot } = this.keys.job(uid);
    return [...this.#scripts.dueKeys, names, uids, job, hot, watch, owned, orphaned, queues];
  }

  // Pods

  /** Removes what is kept of a finished pod: its record, overlay and log. */
  async removePodRecord(uid: string, podNumber: number): Promise<boolean> {
    let removed = await this.#removePod(uid, podNumber);
    if (removed === 'uncounted') {
      await this.#countAdopted(uid, podNumber);
      removed = await this.#removePod(uid, podNumber);
    }
    if (removed === 'uncounted') return false;
    await this.redis.unlink(this.podLogKey(uid, podNumber));
    return removed;
  }

  /** Lets the Job that has adopted a pod count it. */
  async #countAdopted(hostUid: string, podNumber: number): Promise<void> {
    const text = await this.redis.hget(this.keys.job(hostUid).adopters, String(podNumber));
    const { uid, number } = text === null ? { uid: null, number: 0 } : decodeAdopter(text);
    if (uid === null) return;
    const adopted = (await this.adoption.list(uid)).filter((pod) => pod.number === number);
    if (adopted.length > 0) await this.adoption.tend(uid, adopted);
    // Redis lost in a failover what the Job knew of it.
    else await this.redis.hdel(this.keys.job(hostUid).adopters, String(podNumber));
  }

  async #removePod(uid: string, podNumber: number): Promise<boolean | 'uncounted'> {
    const reply = await this.#scripts.run(
      'removePod',
      [
        this.keys.clock,
        this.keys.podChunk(uid, Math.floor(podNumber / RECORDS_PER_CHUNK)),
        this.keys.job(uid).overlay,
        this.keys.watch,
        this.keys.podWatchers,
        this.keys.due,
        this.keys.dueTaken,
        this.keys.dueCounts,
        this.keys.job(uid).hot,
        this.keys.owned,
        this.keys.job(uid).job,
        ...this.#keptKeys,
        this.keys.job(uid).changed,
        this.keys.job(uid).free,
        this.keys.job(uid).adopters,
      ],
      [this.#scripts.now, this.keys.wakeChannel, uid, podNumber, podUid(uid, podNumber)],
    );
    return choose(reply, { '1': true, '0': false, '-1': 'uncounted' });
  }

  /**
   * Changes labels and annotations of a pod of a Job. One that the Job does not select any more is released, unless
   * it was told to stop, or the Job is finished or being deleted.
   */
  async changePod(
    change: PodChange,
  ): Promise<'changed' | 'notFound' | 'conflict' | 'pending' | 'tooMany'> {
    const { uid, podNumber } = change;
    const { job, hot, slots, retry, changed, free, adopters } = this.keys.job(uid);
    const chunk = this.keys.podChunk(uid, Math.floor(podNumber / RECORDS_PER_CHUNK));
    const { changed: changedJobs, watch, podWatchers } = this.keys;
    const ofJob = [job, hot, slots, retry, changed, free, chunk];
    const reply = await this.#scripts.run(
      'changePod',
      [...this.#scripts.dueKeys, ...ofJob, changedJobs, watch, podWatchers, adopters],
      [
        this.#scripts.now,
        this.keys.wakeChannel,
        uid,
        podNumber,
        change.slot,
        change.expectedResourceVersion ?? '',
        JSON.stringify({ ...change.change, labels: change.change.labels ?? {} }),
        change.isSelected ? 1 : 0,
      ],
    );
    return choose(reply, {
      '1': 'changed',
      '-1': 'notFound',
      '-2': 'conflict',
      '-3': 'pending',
      '-4': 'tooMany',
    });
  }

  // Argument lists

  /** Stores the arguments of a Job's indexes, before the Job; {@link keepArguments} once it is created. */
  async writeArguments(uid: string, entries: readonly Arguments[]): Promise<void> {
    await writeArguments(this.redis, this.keys.job(uid).args, entries);
  }

  /** The Job of an argument list was created: the list stays until the Job is purged. */
  async keepArguments(uid: string): Promise<void> {
    await this.redis.persist(this.keys.job(uid).args);
  }

  /** Removes what a pod wrote so far; its log may go on. */
  async removeLog(uid: string, podNumber: number): Promise<void> {
    await this.redis.unlink(this.podLogKey(uid, podNumber));
  }

  /** Notes that an index of a Job with an argument list ended; answers how many did. Idempotent. */
  async noteEndedIndex(uid: string, index: number): Promise<number> {
    const key = this.keys.job(uid).ended;
    await this.redis.sadd(key, index);
    return await this.redis.scard(key);
  }

  /**
   * Notes how far a running pod has come, for those who look; null takes it away. No fence: it
   * decides nothing, and what a worker that died has left behind expires.
   */
  async setPodProgress(uid: string, podNumber: number, text: string | null): Promise<void> {
    const key = this.keys.podProgress(uid, podNumber);
    if (text === null) await this.redis.unlink(key);
    else await this.redis.set(key, text, 'PX', PROGRESS_TTL_MS);
  }

  // Due set

  /** Makes a member (`job:<uid>`, `session:<id>`) due, now or at a time at the latest. */
  async trigger(member: string, atMs?: number): Promise<void> {
    await this.#scripts.run('trigger', this.#scripts.dueKeys, [
      this.#scripts.now,
      this.keys.wakeChannel,
      member,
      atMs ?? '',
    ]);
  }

  /** Takes up to `max` due members for `takeMs`. */
  async take(max: number, takeMs: number): Promise<Taking> {
    const token = randomBytes(8).toString('hex');
    const args = [this.#scripts.now, max, takeMs, token];
    return taking(await this.#scripts.run('takeDue', this.#scripts.dueKeys, args), token);
  }

  /** The same, with a look at a Job if it is among what was taken, else null. */
  async takeAndObserve(
    max: number,
    takeMs: number,
    uid: string,
    pendingWanted: number,
  ): Promise<Taking & { look: ObservedJob | null }> {
    const token = randomBytes(8).toString('hex');
    const { lanes, queues, owned, capacity } = this.keys;
    const { job, hot, unjudged, losses, pending } = this.keys.job(uid);
    const ofJob = [job, hot, unjudged, losses, pending];
    const [takenReply = null, look = null] = list(
      await this.#scripts.run(
        'takeAndObserve',
        [...this.#scripts.dueKeys, lanes, queues, owned, capacity, ...ofJob],
        [this.#scripts.now, max, takeMs, token, uid, pendingWanted],
      ),
    );
    const taken = taking(takenReply, token);
    return { ...taken, look: observedJob(uid, taken.nowMs, look) };
  }

  /**
   * Gives a taken member back. 'again': it was triggered meanwhile and is due now. Those of one
   * tick go together.
   */
  done(taken: Taken, nextAtMs: number | null): Promise<'done' | 'again' | 'replayed'> {
    return this.#many.done(taken, nextAtMs);
  }

  // Reconcile

  /** One atomic look at a Job; null when nothing is left of it. Looks of one tick go together. */
  observeJob(uid: string, pendingWanted: number): Promise<ObservedJob | null> {
    return this.#many.observe(uid, pendingWanted);
  }

  /**
   * Counts failed pods by verdict and sets the gate. The decisionVersion rises by exactly one.
   * What is judged in one tick goes together.
   */
  judge(input: JudgeInput): Promise<{ type: 'judged'; decisionVersion: number } | Refused> {
    return this.#many.judge(input);
  }

  /**
   * Opens up to `count` slots as far as the gate allows; answers their numbers. Before that, in the
   * same step, it judges; after it, when as many were opened, it writes a status. Slots that are
   * opened in one tick are opened together.
   */
  openSlots(
    guard: DecisionGuard,
    count: number,
    also: {
      readonly judge?: Verdicts | null;
      readonly status?: NewStatus | null;
      /** As in the gate. */
      readonly perIndex?: boolean;
      /** Of the pods; default: none. */
      readonly priority?: PodPriority;
    } = {},
  ): Promise<Opened | Refused> {
    const { judge = null, status = null, perIndex = false, priority = NO_PRIORITY } = also;
    return this.#many.openSlots({ ...guard, count, judge, status, perIndex, priority });
  }

  /** Takes pods out of the active ones; running ones are told to stop. */
  async stopPods(
    input: StopInput,
  ): Promise<{ type: 'stopped'; count: number; decisionVersion: number } | Refused> {
    assert(input.pods.length <= MAX_PODS_PER_CALL);
    let reply = await this.#stopSome({ ...input, pods: input.pods.slice(0, PODS_PER_STOP) });
    for (let from = PODS_PER_STOP; from < input.pods.length; from += PODS_PER_STOP) {
      if (reply.type !== 'stopped') return reply;
      const { count, decisionVersion } = reply;
      const guard = input.guard && { ...input.guard, decisionVersion };
      const pods = input.pods.slice(from, from + PODS_PER_STOP);
      reply = await this.#stopSome({ ...input, guard, pods });
      if (reply.type === 'stopped') reply = { ...reply, count: reply.count + count };
    }
    return reply;
  }

  async #stopSome(
    input: StopInput,
  ): Promise<{ type: 'stopped'; count: number; decisionVersion: number } | Refused> {
    const keys = this.keys.job(input.uid);
    const sessions = [...new Set(input.pods.map((pod) => pod.session))].filter((id) => id !== '');
    const position = new Map(sessions.map((id, i) => [id, i + 1]));
    const reply = list(
      await this.#scripts.run(
        'stopPods',
        [
          ...this.#scripts.dueKeys,
          keys.hot,
          keys.slots,
          keys.pending,
          keys.retry,
          keys.unjudged,
          this.keys.watch,
          this.keys.podWatchers,
          this.keys.quotaUsed,
          this.keys.quotaWaiting,
          ...sessions.map((id) => this.keys.session(id).orders),
        ],
        [
          this.#scripts.now,
          this.keys.wakeChannel,
          input.uid,
          input.guard?.generation ?? '',
          input.guard?.decisionVersion ?? '',
          input.countAs,
          sessions.length,
          ...sessions.flatMap((id) => [id, this.keys.session(id).ordersChannel]),
          ...input.pods.flatMap((pod) => [pod.slot, pod.podNumber, position.get(pod.session) ?? 0]),
        ],
      ),
    );
    const version = integer(reply[0]);
    return (
      refused(version) ?? {
        type: 'stopped',
        count: integer(reply[1]),
        decisionVersion: version,
      }
    );
  }

  /**
   * Gives an Indexed Job another number of completions, once no pod of an index that goes counts any
   * more. 'more': it is one step nearer; go on with `from`. 'notSettled': a pod waits for its verdict,
   * or the gate is open.
   *
   * @param from - Where the step before ended; left out at first.
   */
  async resizeJob(
    input: ResizeInput,
    from: readonly string[] = ['0', '0', '0', '0'],
  ): Promise<
    | { type: 'resized'; decisionVersion: number }
    | { type: 'more'; from: readonly string[] }
    | { type: 'notSettled' }
    | Refused
  > {
    const { job, hot, done, failed, retry, losses } = this.keys.job(input.uid);
    const { uid, generation, decisionVersion, completions, status } = input;
    const [code, ...rest] = list(
      await this.#scripts.run(
        'resizeJob',
        [this.keys.clock, this.keys.watch, job, hot, done, failed, retry, losses],
        [this.#scripts.now, uid, generation, decisionVersion, completions, status, ...from],
      ),
    );
    const answer = integer(code);
    if (answer === 0) return { type: 'more', from: rest.map(String) };
    if (answer === -3) return { type: 'notSettled' };
    return refused(answer) ?? { type: 'resized', decisionVersion: integer(rest[0]) };
  }

  /** Writes a status. With `finish` only when no pod is left. Those of one tick go together. */
  writeStatus(
    input: WriteStatusInput,
  ): Promise<{ type: 'written'; decisionVersion: number } | { type: 'notSettled' } | Refused> {
    return this.#many.writeStatus(input);
  }

  /** Notes that a Job's Pending pods wait for workers. 'changed': look again at once. */
  async awaitLanes(
    uid: string,
    fittingKey: string,
    knownLanes: number,
  ): Promise<'waiting' | 'changed'> {
    const reply = await this.#scripts.run(
      'awaitLanes',
      [...this.#scripts.dueKeys, this.keys.lanes, this.keys.waiting, this.keys.capacity],
      [this.#scripts.now, this.keys.wakeChannel, uid, fittingKey, knownLanes],
    );
    return choose(reply, { '1': 'waiting', '0': 'changed' });
  }

  /** Says until when several Jobs compete for a queue, so that slots yield after their quantum. */
  async markContended(queue: string, untilMs: number): Promise<void> {
    await this.redis.hset(this.keys.contended, queue, untilMs);
  }

  /**
   * A step of removing what is left of a deleted Job. 'more': call again. 'notEmpty': pods are
   * still active or terminating, or the Job is not deleted.
   */
  async purgeJob(uid: string): Promise<'more' | 'purged' | 'left' | 'notEmpty'> {
    const keys = this.keys.job(uid);
    const job = await this.getJobByUid(uid);
    const counters = job?.counters ?? null;
    if (job !== null && !job.deleted) return 'notEmpty';
    if (counters !== null && counters.active + counters.terminating > 0) return 'notEmpty';
    if (job?.orphaned === true && job.counters.kept > 0) return 'notEmpty';
    if (job !== null && !job.emptied) {
      const step = await this.purgePods(uid, job.counters.podCount, job.hasFreePods);
      if (step === 'more') return 'more';
    }
    const free = await this.freePods(uid);
    const reply = await this.#scripts.run(
      'purgeJob',
      [
        keys.job,
        keys.hot,
        keys.slots,
        keys.pending,
        keys.done,
        keys.retry,
        keys.unjudged,
        keys.losses,
        keys.overlay,
        this.keys.queues,
        this.keys.waiting,
        keys.args,
        keys.ended,
        this.keys.orphaned,
        keys.failed,
        ...this.#keptKeys,
        this.keys.quotaUsed,
        this.keys.quotaWaiting,
        ...this.#scripts.dueKeys,
        keys.changed,
        keys.free,
        this.keys.changed,
        keys.adopted,
        keys.adopters,
        this.keys.selecting,
        ...free.map(([pod]) => this.keys.podChunk(uid, Math.floor(pod / RECORDS_PER_CHUNK))),
      ],
      [uid, this.#scripts.now, this.keys.wakeChannel, ...free.flat()],
    );
    return choose(reply, { '1': 'purged', '2': 'left', '3': 'more', '-1': 'notEmpty' });
  }

  /**
   * A step of removing what is kept of a Job's pods, none of which runs any more, with their logs.
   *
   * @param keepsFree - Those that the Job has released stay.
   */
  async purgePods(uid: string, podCount: number, keepsFree = true): Promise<'more' | 'purged'> {
    const from = this.#purgedChunks.get(uid) ?? 0;
    if (from * RECORDS_PER_CHUNK > podCount) {
      this.#purgedChunks.delete(uid);
      return 'purged';
    }
    const free = new Map(keepsFree ? await this.freePods(uid) : []);
    this.#purgedChunks.set(uid, await this.#purgeChunks(uid, from, podCount, free));
    return 'more';
  }

  /** Removes some chunks with their logs; answers how far that came. Only deletes: memory may be full. */
  async #purgeChunks(
    uid: string,
    from: number,
    podCount: number,
    free: ReadonlyMap<number, number>,
  ): Promise<number> {
    const CHUNKS_PER_STEP = 8;
    const to = Math.min(Math.floor(podCount / RECORDS_PER_CHUNK) + 1, from + CHUNKS_PER_STEP);
    for (let chunk = from; chunk < to; chunk++) {
      const withoutLog = new Set<number>();
      for (const pod of await this.readChunk(uid, chunk)) {
        if (pod.kind === 'record' && !pod.hasLog) withoutLog.add(pod.podNumber);
      }
      // Each log lies under a tag of its own, so they can't share a pipeline on a cluster.
      const removals: Promise<number>[] = [];
      const first = Math.max(1, chunk * RECORDS_PER_CHUNK);
      const last = Math.min(podCount, (chunk + 1) * RECORDS_PER_CHUNK - 1);
      for (let podNumber = first; podNumber <= last; podNumber++) {
        // A pod that was stopped has no record, but it may have a log.
        if (!withoutLog.has(podNumber) && !free.has(podNumber)) {
          removals.push(this.redis.unlink(this.podLogKey(uid, podNumber)));
        }
      }
      await Promise.all(removals);
      const hasFree = [...free.keys()].some((podNumber) => podNumber >= first && podNumber <= last);
      if (hasFree) await this.#clearRecords(uid, chunk, free);
      else await this.redis.unlink(this.keys.podChunk(uid, chunk));
    }
    return to;
  }

  /** Removes the records of a chunk one by one, but for those of released pods. */
  async #clearRecords(
    uid: string,
    chunk: number,
    free: ReadonlyMap<number, number>,
  ): Promise<void> {
    const pipeline = this.redis.pipeline();
    for (const { podNumber } of await this.readChunk(uid, chunk)) {
      if (free.has(podNumber)) continue;
      const offset = (podNumber % RECORDS_PER_CHUNK) * POD_RECORD_BYTES;
      pipeline.setrange(this.keys.podChunk(uid, chunk), offset, Buffer.alloc(POD_RECORD_BYTES));
      pipeline.hdel(this.keys.job(uid).overlay, String(podNumber));
      pipeline.hdel(this.keys.job(uid).changed, String(podNumber));
      pipeline.hdel(this.keys.job(uid).adopters, String(podNumber));
    }
    for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
  }

  // Workers

  /** Begins a session; Jobs that wait for its lanes become due. */
  async registerSession(info: SessionInfo): Promise<void> {
    await this.#scripts.run(
      'registerSession',
      [
        ...this.#scripts.dueKeys,
        this.keys.sessions,
        this.keys.session(info.id).session,
        this.keys.lanes,
        this.keys.waiting,
        this.keys.nodes,
        this.keys.meta,
        this.keys.capacity,
      ],
      [
        this.#scripts.now,
        this.keys.wakeChannel,
        info.id,
        info.leaseTtlMs,
        info.node,
        info.resources?.cpuMilli ?? 0,
        info.resources?.memoryBytes ?? 0,
        ...Object.entries(info.lanes).flat(),
      ],
    );
  }

  /** Says whether a session takes pods: the lanes of one that does not are there for nobody. */
  async offerLanes(session: string, isOffered: boolean): Promise<'changed' | 'replayed' | 'ended'> {
    const { sessions, lanes, waiting, capacity } = this.keys;
    const reply = await this.#scripts.run(
      'offerLanes',
      [
        ...this.#scripts.dueKeys,
        sessions,
        this.keys.session(session).session,
        lanes,
        waiting,
        capacity,
      ],
      [this.#scripts.now, this.keys.wakeChannel, session, isOffered ? 1 : 0],
    );
    return choose(reply, { '1': 'changed', '0': 'replayed', '-1': 'ended' });
  }

  /** Extends the lease of a session; answers how many claims and what stop orders it has, or that it was ended. */
  async heartbeat(
    session: string,
  ): Promise<{ type: 'alive'; claims: number; orders: StopOrder[] } | { type: 'ended' }> {
    const { orders: ordersKey, claims } = this.keys.session(session);
    const reply = await this.#scripts.run(
      'heartbeat',
      [this.keys.clock, this.keys.due, this.keys.dueTaken, this.keys.sessions, ordersKey, claims],
      [this.#scripts.now, this.keys.wakeChannel, session, this.#options.leaseTtlMs],
    );
    if (reply === null) return { type: 'ended' };
    const [count, ordered] = list(reply);
    const orders: StopOrder[] = [];
    for (const [claim, podNumber] of textMap(ordered)) {
      orders.push({ ...parseClaim(claim), podNumber: Number(podNumber) });
    }
    return { type: 'alive', claims: integer(count), orders };
  }

  /** The slots whose pods a session runs, as far as Redis knows. */
  async claimsOf(session: string): Promise<{ uid: string; slot: number }[]> {
    return (await this.redis.smembers(this.keys.session(session).claims)).map(parseClaim);
  }

  /** Ends a session whose lease ran out, or with `force` whatever its lease; names its claims. */
  async expireSession(
    session: string,
    options: { readonly force?: boolean } = {},
  ): Promise<
    { type: 'alive'; untilMs: number } | { type: 'ended'; claims: { uid: string; slot: number }[] }
  > {
    const keys = this.keys.session(session);
    const reply = list(
      await this.#scripts.run(
        'expireSession',
        [
          this.keys.clock,
          this.keys.sessions,
          keys.session,
          keys.claims,
          keys.orders,
          this.keys.lanes,
          this.keys.meta,
          this.keys.capacity,
        ],
        [this.#scripts.now, session, this.#options.leaseTtlMs, options.force === true ? 1 : 0],
      ),
    );
    if (integer(reply[0]) === 1) return { type: 'alive', untilMs: integer(reply[1]) };
    return { type: 'ended', claims: reply.slice(1).map((claim) => parseClaim(String(claim))) };
  }

  /**
   * Ends pods of one Job that a session holds and nobody runs: all of an ended session, or of a session that asks
   * itself. Answers how many.
   */
  async endLostPods(
    session: string,
    uid: string,
    slots: readonly number[],
    options: { readonly isOwn?: boolean } = {},
  ): Promise<number> {
    assert(slots.length <= MAX_PODS_PER_CALL);
    let count = 0;
    for (let from = 0; from < slots.length; from += PODS_PER_STOP) {
      const some = slots.slice(from, from + PODS_PER_STOP);
      count += await this.#endSomeLost(session, uid, some, options.isOwn === true);
    }
    return count;
  }

  async #endSomeLost(
    session: string,
    uid: string,
    slots: readonly number[],
    isOwn: boolean,
  ): Promise<number> {
    const sessionKeys = this.keys.session(session);
    const jobKeys = this.keys.job(uid);
    const held = await this.redis.hmgetBuffer(jobKeys.slots, ...slots.map(String));
    const podNumbers = held.map((packed, i) =>
      packed === null ? 0 : decodeSlotRecord(slots[i]!, packed).podNumber,
    );
    const reply = await this.#scripts.run(
      'endLostPods',
      [
        ...this.#scripts.dueKeys,
        this.keys.sessions,
        sessionKeys.claims,
        sessionKeys.orders,
        jobKeys.hot,
        jobKeys.slots,
        jobKeys.unjudged,
        jobKeys.losses,
        this.keys.watch,
        this.keys.podWatchers,
        jobKeys.overlay,
        jobKeys.retry,
        this.keys.quotaUsed,
        this.keys.quotaWaiting,
        ...podNumbers.map((n) => this.keys.podChunk(uid, Math.floor(n / RECORDS_PER_CHUNK))),
      ],
      [
        this.#scripts.now,
        this.keys.wakeChannel,
        session,
        sessionBytes(session),
        uid,
        isOwn ? 1 : 0,
        ...slots.flatMap((slot, i) => [slot, podNumbers[i]!]),
      ],
    );
    return Math.max(0, integer(reply));
  }

  /** Asks for the pod of a slot that BullMQ delivered. What is asked in one tick goes together. */
  acquire(request: SlotRequest): Promise<AcquireReply> {
    return this.#many.acquire(request);
  }

  /**
   * Records ended pods and claims the next ones; answers in the order of the entries. No slot may
   * be named twice. May be sent again as it is when no answer came.
   */
  async report(session: string, entries: readonly ReportEntry[]): Promise<ReportAnswer[]> {
    const sessionKeys = this.keys.session(session);
    const keys = [
      ...this.#scripts.dueKeys,
      sessionKeys.claims,
      sessionKeys.orders,
      this.keys.contended,
      this.keys.watch,
      this.keys.podWatchers,
      this.keys.sessions,
      this.keys.quotaUsed,
      this.keys.quotaWaiting,
    ];
    const args: (string | number | Buffer)[] = [
      this.#scripts.now,
      this.keys.wakeChannel,
      sessionBytes(session),
      session,
    ];
    const ofJobs = entriesByJob(entries);
    for (const ofJob of ofJobs) this.#addJobToReport(ofJob, keys, args);
    const reply = await this.#scripts.run('report', keys, args);
    assert(Buffer.isBuffer(reply));
    return inOrder(entries, ofJobs, decodeAnswers(reply, entries.length));
  }

  /**
   * What {@link report} does, for much less, with pods that simply succeeded: no overlay, and their holder does not
   * leave. null: the Job of the entry is refused, and nothing of it was written; its entries go to `report`.
   */
  async reportSuccesses(
    session: string,
    entries: readonly ReportEntry[],
  ): Promise<(ReportAnswer | null)[]> {
    const { clock, podWatchers, sessions, contended } = this.keys;
    const keys = [clock, podWatchers, sessions, contended];
    const args: (string | number | Buffer)[] = [this.#scripts.now, sessionBytes(session), session];
    const ofJobs = entriesByJob(entries);
    for (const ofJob of ofJobs) {
      const { uid, queue } = ofJob[0]!;
      const { hot, slots, done } = this.keys.job(uid);
      const chunks = chunksOf(ofJob);
      const isQuantumOver = ofJob.some(({ quantumOver }) => quantumOver);
      keys.push(hot, slots, done);
      args.push(isQuantumOver ? queue : '', encodeEntries(ofJob), chunks.length, ...chunks);
      for (const chunk of chunks) keys.push(this.keys.podChunk(uid, chunk));
    }
    const replies = list(await this.#scripts.run('reportSuccesses', keys, args));
    const answers = ofJobs.flatMap((ofJob, i) => {
      const reply = replies[i];
      assert(Buffer.isBuffer(reply));
      return reply.length === 0 ? ofJob.map(() => null) : decodeAnswers(reply, ofJob.length);
    });
    return inOrder(entries, ofJobs, answers);
  }

  #addJobToReport(
    entries: readonly ReportEntry[],
    keys: string[],
    args: (string | number | Buffer)[],
  ): void {
    const { uid, queue } = entries[0]!;
    const job = this.keys.job(uid);
    keys.push(
      job.hot,
      job.slots,
      job.done,
      job.retry,
      job.unjudged,
      job.losses,
      job.overlay,
      job.pending,
    );
    const chunks = chunksOf(entries);
    const overlays = encodeOverlays(entries);
    args.push(uid, queue, encodeEntries(entries), chunks.length, overlays.length);
    for (const chunk of chunks) {
      keys.push(this.keys.podChunk(uid, chunk));
      args.push(chunk);
    }
    args.push(...overlays);
  }

  /** Notes how the containers of a running pod are, for those who look. */
  async writeContainers(note: {
    readonly uid: string;
    readonly slot: number;
    readonly podNumber: number;
    readonly session: string;
    readonly details: PodDetails;
    /** For how long it is kept without another word; a short one says that the pod ends. */
    readonly ttlMs: number;
  }): Promise<'written' | 'stale'> {
    const { uid, podNumber } = note;
    const reply = await this.#scripts.run(
      'writeContainers',
      [
        this.keys.clock,
        this.keys.job(uid).slots,
        this.keys.podContainers(uid, podNumber),
        this.keys.watch,
        this.keys.podWatchers,
      ],
      [
        this.#scripts.now,
        uid,
        note.slot,
        podNumber,
        sessionBytes(note.session),
        JSON.stringify(note.details),
        note.ttlMs,
      ],
    );
    return choose(reply, { '1': 'written', '-1': 'stale' });
  }

  /** Records that a container restarts within its pod. */
  async recordRestart(restart: {
    readonly uid: string;
    readonly slot: number;
    readonly podNumber: number;
    readonly session: string;
    readonly restarts: number;
  }): Promise<'recorded' | 'replayed' | 'stale' | 'stopping'> {
    const keys = this.keys.job(restart.uid);
    const reply = await this.#scripts.run(
      'recordRestart',
      [...this.#scripts.dueKeys, keys.hot, keys.slots],
      [
        this.#scripts.now,
        this.keys.wakeChannel,
        restart.uid,
        restart.slot,
        restart.podNumber,
        sessionBytes(restart.session),
        restart.restarts,
      ],
    );
    return choose(reply, { '1': 'recorded', '0': 'replayed', '-1': 'stale', '-2': 'stopping' });
  }
}

function parseClaim(text: string): { uid: string; slot: number } {
  const colon = text.lastIndexOf(':');
  return { uid: text.slice(0, colon), slot: Number(text.slice(colon + 1)) };
}

/** The entries of a report, Job by Job. */
function entriesByJob(entries: readonly ReportEntry[]): (readonly ReportEntry[])[] {
  const { uid } = entries[0]!;
  // Most are of one Job.
  if (entries.every((entry) => entry.uid === uid)) return [entries];
  return [...Map.groupBy(entries, (entry) => entry.uid).values()];
}

/** Answers that came Job by Job, in the order of the entries. */
function inOrder<Answer>(
  entries: readonly ReportEntry[],
  ofJobs: readonly (readonly ReportEntry[])[],
  answers: readonly Answer[],
): Answer[] {
  if (ofJobs.length === 1) return [...answers];
  const answerOf = new Map(ofJobs.flat().map((entry, i) => [entry, answers[i]!]));
  return entries.map((entry) => answerOf.get(entry)!);
}

/** The chunks of records that entries of a Job go to. */
function chunksOf(entries: readonly ReportEntry[]): number[] {
  const chunks: number[] = [];
  for (const { podNumber } of entries) {
    const chunk = Math.floor(podNumber / RECORDS_PER_CHUNK);
    if (!chunks.includes(chunk)) chunks.push(chunk);
  }
  return chunks;
}
