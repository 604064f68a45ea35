/**
 * One shard: a typed method per script. It is one file although long, because it is the list of
 * all that can be done to the state; what only reads is in `shardReader.ts`.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type {
  AcquireReply,
  Created,
  DecisionGuard,
  JobUpdate,
  JudgeInput,
  NewJob,
  NewStatus,
  ObservedJob,
  Opened,
  PodDetails,
  Refused,
  ReportAnswer,
  ReportEntry,
  SessionInfo,
  SlotRequest,
  StopInput,
  StopOrder,
  Taken,
  Verdicts,
  WriteStatusInput,
} from './api.ts';
import { writeArguments, type Arguments } from './argumentList.ts';
import { Gather } from './gather.ts';
import { RECORDS_PER_CHUNK, type ShardKeys } from './keys.ts';
import { decodeAnswers, decodeSlotRecord, encodeEntries, encodeOverlays } from './records.ts';
import { integer, observedJob, storedJob, textMap } from './replies.ts';
import { defineScripts, runGuarded, type ScriptName, type ScriptReply } from './scripts.ts';
import { sessionBytes } from './session.ts';
import { ShardReader } from './shardReader.ts';
import { WorkQueues } from './workQueues.ts';

/** Most pods per call of `stopPods`, `endLostPods`, `judge`, `openSlots`: bounds a script's time. */
export const MAX_PODS_PER_CALL = 500;
/** Most pods per script that takes pods away: these write more of each. */
const PODS_PER_STOP = 200;
/** How long the progress of a pod is kept that says nothing more of it. */
const PROGRESS_TTL_MS = 3_600_000;

/** What a Shard needs of its installation. */
export interface ShardOptions {
  readonly redis: Redis;
  readonly keys: ShardKeys;
  readonly prefix: string;
  readonly index: number;
  readonly leaseTtlMs: number;
  /** Tests only: the time that scripts use instead of Redis' own. */
  readonly testClock: (() => number) | null;
}

type Argument = string | number | Buffer;

/** Most Jobs, members or slots per script of those that take many: bounds its time. */
export const MAX_JOBS_PER_SCRIPT = 32;
/** Most bytes of new Jobs per script; a single one may be larger. */
const MAX_CREATE_BYTES = 512 * 1024;
/** What a Job costs a script beside its pods, as a number of pods. */
const JOB_WEIGHT = 6;

const TOGETHER = { calls: MAX_JOBS_PER_SCRIPT, isOfOne: isScriptError };

/** A member that is given back. */
interface Given extends Taken {
  readonly nextAtMs: number | null;
}

/** A look as Redis answered it: one that can not be read must not take the others with it. */
interface RawLook {
  readonly nowMs: number;
  readonly look: ScriptReply;
}

interface LookRequest {
  readonly uid: string;
  readonly pendingWanted: number;
}

/** The answer to one acquire, and the fields of the Job when they are not known. */
interface RawAcquire {
  readonly reply: readonly ScriptReply[];
  readonly fields: ScriptReply[];
}

interface Opening extends DecisionGuard {
  readonly count: number;
  readonly judge: Verdicts | null;
  readonly status: NewStatus | null;
}

/** All namespaces of one hash tag. Methods are as idempotent as the contracts in `lua/` say. */
export class Shard extends ShardReader {
  readonly index: number;
  readonly #options: ShardOptions;
  /** How far the purge of a Job came; another process begins again, at the cost of some reads. */
  readonly #purgedChunks = new Map<string, number>();
  readonly #creates = new Gather(
    {
      calls: MAX_JOBS_PER_SCRIPT,
      weight: MAX_CREATE_BYTES,
      weightOf: (job: NewJob) => job.object.length,
    },
    (jobs) => this.#createJobs(jobs),
  );
  readonly #dones = new Gather(TOGETHER, (given: readonly Given[]) => this.#giveBack(given));
  readonly #looks = new Gather(TOGETHER, (asked: readonly LookRequest[]) =>
    this.#observeJobs(asked),
  );
  readonly #judgings = new Gather(
    {
      ...TOGETHER,
      weight: MAX_PODS_PER_CALL,
      weightOf: (input: JudgeInput) => JOB_WEIGHT + input.judgements.length,
    },
    (inputs) => this.#judgeJobs(inputs),
  );
  readonly #openings = new Gather(
    {
      ...TOGETHER,
      weight: MAX_PODS_PER_CALL,
      weightOf: ({ count, judge }: Opening) => JOB_WEIGHT + count + (judge?.judgements.length ?? 0),
    },
    (inputs) => this.#openSlotsOf(inputs),
  );
  readonly #statuses = new Gather(TOGETHER, (inputs: readonly WriteStatusInput[]) =>
    this.#writeStatuses(inputs),
  );
  readonly #acquires = new Gather(TOGETHER, (requests: readonly SlotRequest[]) =>
    this.#acquireSlots(requests),
  );

  /** The work queues of these namespaces. */
  readonly workQueues: WorkQueues;

  constructor(options: ShardOptions) {
    super(options);
    this.#options = options;
    this.workQueues = new WorkQueues(options);
    this.index = options.index;
    defineScripts(options.redis);
  }

  /** The same shard over another connection, so that its calls queue behind no others. */
  on(redis: Redis): Shard {
    return new Shard({ ...this.#options, redis });
  }

  // Jobs

  /** Stores a Job and makes it due. The same uid answers 'replayed'. Jobs of one tick go together. */
  async createJob(job: NewJob): Promise<Created> {
    return await this.#creates.call(job);
  }

  async #createJobs(jobs: readonly NewJob[]): Promise<Created[]> {
    const keys = [...this.#dueKeys(), this.keys.names, this.keys.uids, this.keys.watch];
    const args: Argument[] = [this.#now(), this.keys.wakeChannel];
    for (const job of jobs) {
      const ofJob = this.keys.job(job.uid);
      keys.push(ofJob.job, ofJob.hot);
      args.push(job.uid, job.namespace, job.name, job.object, job.status);
      args.push(job.completions ?? -1, job.queue, job.fittingKey, job.indexed ? 1 : 0);
    }
    return list(await this.#run('createJob', keys, args)).map((reply) => created(list(reply)));
  }

  /** Replaces a Job's object, compare-and-set. */
  async updateJob(update: JobUpdate): Promise<'updated' | 'conflict' | 'notFound'> {
    const keys = this.keys.job(update.uid);
    const reply = await this.#run(
      'updateJob',
      [...this.#dueKeys(), keys.job, keys.hot, this.keys.watch, this.keys.queues],
      [
        this.#now(),
        this.keys.wakeChannel,
        update.uid,
        update.expectedResourceVersion ?? '',
        update.object,
        update.specChanged ? 1 : 0,
        update.completions ?? -1,
        update.queue,
        update.fittingKey,
      ],
    );
    return choose(reply, { '1': 'updated', '-1': 'notFound', '-2': 'conflict' });
  }

  /** Deletes a Job in Background: the name is free at once, its pods are stopped. */
  async deleteJob(uid: string): Promise<'deleted' | 'notFound'> {
    const keys = this.keys.job(uid);
    const reply = await this.#run(
      'deleteJob',
      [...this.#dueKeys(), this.keys.names, this.keys.uids, keys.job, keys.hot, this.keys.watch],
      [this.#now(), this.keys.wakeChannel, uid],
    );
    return choose(reply, { '1': 'deleted', '-1': 'notFound' });
  }

  // Pods

  /** Removes what is kept of a finished pod: its record, overlay and log. */
  async removePodRecord(uid: string, podNumber: number): Promise<boolean> {
    const reply = await this.#run(
      'removePod',
      [
        this.keys.clock,
        this.keys.podChunk(uid, Math.floor(podNumber / RECORDS_PER_CHUNK)),
        this.keys.job(uid).overlay,
        this.keys.watch,
        this.keys.podWatchers,
      ],
      [this.#now(), uid, podNumber],
    );
    await this.redis.unlink(this.podLogKey(uid, podNumber));
    return choose(reply, { '1': true, '0': false });
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
    await this.#run('trigger', this.#dueKeys(), [
      this.#now(),
      this.keys.wakeChannel,
      member,
      atMs ?? '',
    ]);
  }

  /** Takes up to `max` due members for `takeMs`. `nextAtMs`: when the next one is due, null = none. */
  async take(
    max: number,
    takeMs: number,
  ): Promise<{ nowMs: number; nextAtMs: number | null; taken: Taken[] }> {
    const token = randomBytes(8).toString('hex');
    const reply = list(
      await this.#run('takeDue', this.#dueKeys(), [this.#now(), max, takeMs, token]),
    );
    const taken: Taken[] = [];
    for (let i = 2; i < reply.length; i += 2) {
      taken.push({ member: String(reply[i]), token, count: integer(reply[i + 1]) });
    }
    const nextAt = String(reply[1]);
    return {
      nowMs: integer(reply[0]),
      nextAtMs: nextAt === '' ? null : Number(nextAt),
      taken,
    };
  }

  /**
   * Gives a taken member back. 'again': it was triggered meanwhile and is due now. Those of one
   * tick go together.
   */
  async done(taken: Taken, nextAtMs: number | null): Promise<'done' | 'again' | 'replayed'> {
    return await this.#dones.call({ ...taken, nextAtMs });
  }

  async #giveBack(given: readonly Given[]): Promise<('done' | 'again' | 'replayed')[]> {
    const args: Argument[] = [this.#now(), this.keys.wakeChannel];
    for (const one of given) args.push(one.member, one.token, one.count, one.nextAtMs ?? '');
    const replies = list(await this.#run('doneDue', this.#dueKeys(), args));
    return replies.map((reply) => choose(reply, { '1': 'done', '2': 'again', '0': 'replayed' }));
  }

  // Reconcile

  /** One atomic look at a Job; null when nothing is left of it. Looks of one tick go together. */
  async observeJob(uid: string, pendingWanted: number): Promise<ObservedJob | null> {
    const { nowMs, look } = await this.#looks.call({ uid, pendingWanted });
    return observedJob(uid, nowMs, look);
  }

  async #observeJobs(asked: readonly LookRequest[]): Promise<RawLook[]> {
    const looks: RawLook[] = [];
    // A script that had many pods to name leaves the rest of the Jobs to the next one.
    while (looks.length < asked.length) {
      const rest = asked.slice(looks.length);
      const keys = [this.keys.clock, this.keys.lanes, this.keys.queues];
      const args: Argument[] = [this.#now()];
      for (const { uid, pendingWanted } of rest) {
        const ofJob = this.keys.job(uid);
        keys.push(ofJob.job, ofJob.hot, ofJob.unjudged, ofJob.losses, ofJob.pending);
        args.push(pendingWanted);
      }
      const [nowMs, ...replies] = list(await this.#run('observeJob', keys, args));
      assert(replies.length > 0, 'one look at least');
      for (const look of replies) looks.push({ nowMs: integer(nowMs), look });
    }
    return looks;
  }

  /**
   * Counts failed pods by verdict and sets the gate. The decisionVersion rises by exactly one.
   * What is judged in one tick goes together.
   */
  async judge(input: JudgeInput): Promise<{ type: 'judged'; decisionVersion: number } | Refused> {
    assert(input.judgements.length <= MAX_PODS_PER_CALL);
    const reply = await this.#judgings.call(input);
    return refused(reply) ?? { type: 'judged', decisionVersion: reply };
  }

  async #judgeJobs(inputs: readonly JudgeInput[]): Promise<number[]> {
    const keys: string[] = [];
    const args: Argument[] = [];
    for (const input of inputs) {
      const ofJob = this.keys.job(input.uid);
      keys.push(ofJob.hot, ofJob.unjudged, ofJob.retry);
      args.push(input.generation, input.decisionVersion);
      addVerdicts(args, input);
    }
    return list(await this.#run('judge', keys, args)).map((reply) => integer(reply));
  }

  /**
   * Opens up to `count` slots as far as the gate allows; answers their numbers. Before that, in the
   * same step, it judges; after it, when as many were opened, it writes a status. Slots that are
   * opened in one tick are opened together.
   */
  async openSlots(
    guard: DecisionGuard,
    count: number,
    also: { readonly judge?: Verdicts | null; readonly status?: NewStatus | null } = {},
  ): Promise<Opened | Refused> {
    assert(count > 0 && count <= MAX_PODS_PER_CALL);
    const { judge = null, status = null } = also;
    assert(judge === null || judge.judgements.length <= MAX_PODS_PER_CALL);
    return await this.#openings.call({ ...guard, count, judge, status });
  }

  async #openSlotsOf(inputs: readonly Opening[]): Promise<(Opened | Refused)[]> {
    const keys = [this.keys.clock, this.keys.queues, this.keys.watch, this.keys.podWatchers];
    const args: Argument[] = [this.#now()];
    for (const input of inputs) {
      const ofJob = this.keys.job(input.uid);
      keys.push(ofJob.job, ofJob.hot, ofJob.slots, ofJob.pending, ofJob.retry, ofJob.unjudged);
      const { status, judge } = input;
      args.push(input.uid, input.generation, input.decisionVersion, input.count);
      args.push(status?.text ?? '', status?.critical === true ? 1 : 0, judge === null ? 0 : 1);
      if (judge !== null) addVerdicts(args, judge);
    }
    return list(await this.#run('openSlots', keys, args)).map((reply) => {
      const [version, written, ...slots] = list(reply).map((one) => integer(one));
      return (
        refused(version!) ?? {
          type: 'opened',
          slots,
          decisionVersion: version!,
          isStatusWritten: written === 1,
        }
      );
    });
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
      await this.#run(
        'stopPods',
        [
          ...this.#dueKeys(),
          keys.hot,
          keys.slots,
          keys.pending,
          keys.retry,
          keys.unjudged,
          this.keys.watch,
          this.keys.podWatchers,
          ...sessions.map((id) => this.keys.session(id).orders),
        ],
        [
          this.#now(),
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

  /** Writes a status. With `finish` only when no pod is left. Those of one tick go together. */
  async writeStatus(
    input: WriteStatusInput,
  ): Promise<{ type: 'written'; decisionVersion: number } | { type: 'notSettled' } | Refused> {
    const reply = await this.#statuses.call(input);
    if (reply === -3) return { type: 'notSettled' };
    return refused(reply) ?? { type: 'written', decisionVersion: reply };
  }

  async #writeStatuses(inputs: readonly WriteStatusInput[]): Promise<number[]> {
    const keys = [this.keys.clock, this.keys.queues, this.keys.waiting, this.keys.watch];
    const args: Argument[] = [this.#now()];
    for (const input of inputs) {
      const ofJob = this.keys.job(input.uid);
      keys.push(ofJob.job, ofJob.hot);
      args.push(input.uid, input.generation, input.decisionVersion, input.status);
      args.push(input.finish ?? '', input.critical ? 1 : 0);
    }
    return list(await this.#run('writeStatus', keys, args)).map((reply) => integer(reply));
  }

  /** Notes that a Job's Pending pods wait for workers. 'changed': look again at once. */
  async awaitLanes(
    uid: string,
    fittingKey: string,
    knownLanes: number,
  ): Promise<'waiting' | 'changed'> {
    const reply = await this.#run(
      'awaitLanes',
      [...this.#dueKeys(), this.keys.lanes, this.keys.waiting],
      [this.#now(), this.keys.wakeChannel, uid, fittingKey, knownLanes],
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
  async purgeJob(uid: string): Promise<'more' | 'purged' | 'notEmpty'> {
    const keys = this.keys.job(uid);
    const job = await this.getJobByUid(uid);
    const counters = job?.counters ?? null;
    if (job !== null && !job.deleted) return 'notEmpty';
    if (counters !== null && counters.active + counters.terminating > 0) return 'notEmpty';
    const from = this.#purgedChunks.get(uid) ?? 0;
    const podCount = counters?.podCount ?? 0;
    if (counters !== null && from * RECORDS_PER_CHUNK <= podCount) {
      this.#purgedChunks.set(uid, await this.#purgeChunks(uid, from, podCount));
      return 'more';
    }
    this.#purgedChunks.delete(uid);
    const reply = await this.#run(
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
      ],
      [uid],
    );
    return choose(reply, { '1': 'purged', '-1': 'notEmpty' });
  }

  /** Removes some chunks with their logs; answers how far that came. Only deletes: memory may be full. */
  async #purgeChunks(uid: string, from: number, podCount: number): Promise<number> {
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
        if (!withoutLog.has(podNumber)) {
          removals.push(this.redis.unlink(this.podLogKey(uid, podNumber)));
        }
      }
      await Promise.all(removals);
      await this.redis.unlink(this.keys.podChunk(uid, chunk));
    }
    return to;
  }

  // Workers

  /** Begins a session; Jobs that wait for its lanes become due. */
  async registerSession(info: SessionInfo): Promise<void> {
    await this.#run(
      'registerSession',
      [
        ...this.#dueKeys(),
        this.keys.sessions,
        this.keys.session(info.id).session,
        this.keys.lanes,
        this.keys.waiting,
        this.keys.nodes,
        this.keys.meta,
      ],
      [
        this.#now(),
        this.keys.wakeChannel,
        info.id,
        info.leaseTtlMs,
        info.node,
        ...Object.entries(info.lanes).flat(),
      ],
    );
  }

  /** Extends the lease of a session; answers its stop orders, or that it was ended. */
  async heartbeat(
    session: string,
  ): Promise<{ type: 'alive'; orders: StopOrder[] } | { type: 'ended' }> {
    const reply = await this.#run(
      'heartbeat',
      [
        this.keys.clock,
        this.keys.due,
        this.keys.dueTaken,
        this.keys.sessions,
        this.keys.session(session).orders,
      ],
      [this.#now(), this.keys.wakeChannel, session, this.#options.leaseTtlMs],
    );
    if (reply === null) return { type: 'ended' };
    const orders: StopOrder[] = [];
    for (const [claim, podNumber] of textMap(reply)) {
      orders.push({ ...parseClaim(claim), podNumber: Number(podNumber) });
    }
    return { type: 'alive', orders };
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
      await this.#run(
        'expireSession',
        [
          this.keys.clock,
          this.keys.sessions,
          keys.session,
          keys.claims,
          keys.orders,
          this.keys.lanes,
          this.keys.meta,
        ],
        [this.#now(), session, this.#options.leaseTtlMs, options.force === true ? 1 : 0],
      ),
    );
    if (integer(reply[0]) === 1) return { type: 'alive', untilMs: integer(reply[1]) };
    return { type: 'ended', claims: reply.slice(1).map((claim) => parseClaim(String(claim))) };
  }

  /** Ends the pods that an ended session held of one Job. Answers how many. */
  async endLostPods(session: string, uid: string, slots: readonly number[]): Promise<number> {
    assert(slots.length <= MAX_PODS_PER_CALL);
    let count = 0;
    for (let from = 0; from < slots.length; from += PODS_PER_STOP) {
      count += await this.#endSomeLost(session, uid, slots.slice(from, from + PODS_PER_STOP));
    }
    return count;
  }

  async #endSomeLost(session: string, uid: string, slots: readonly number[]): Promise<number> {
    const sessionKeys = this.keys.session(session);
    const jobKeys = this.keys.job(uid);
    const held = await this.redis.hmgetBuffer(jobKeys.slots, ...slots.map(String));
    const podNumbers = held.map((packed, i) =>
      packed === null ? 0 : decodeSlotRecord(slots[i]!, packed).podNumber,
    );
    const reply = await this.#run(
      'endLostPods',
      [
        ...this.#dueKeys(),
        this.keys.sessions,
        sessionKeys.claims,
        sessionKeys.orders,
        jobKeys.hot,
        jobKeys.slots,
        jobKeys.unjudged,
        jobKeys.losses,
        this.keys.watch,
        this.keys.podWatchers,
        ...podNumbers.map((n) => this.keys.podChunk(uid, Math.floor(n / RECORDS_PER_CHUNK))),
      ],
      [
        this.#now(),
        this.keys.wakeChannel,
        session,
        sessionBytes(session),
        uid,
        ...slots.flatMap((slot, i) => [slot, podNumbers[i]!]),
      ],
    );
    return Math.max(0, integer(reply));
  }

  /** Asks for the pod of a slot that BullMQ delivered. What is asked in one tick goes together. */
  async acquire(request: SlotRequest): Promise<AcquireReply> {
    const { reply, fields } = await this.#acquires.call(request);
    return acquireReply(request, reply, fields);
  }

  /** Requests are of one session, but for the moment when a new one begins. */
  async #acquireSlots(requests: readonly SlotRequest[]): Promise<RawAcquire[]> {
    const replies = new Map<SlotRequest, RawAcquire>();
    const bySession = Map.groupBy(requests, (request) => request.session);
    await Promise.all(
      [...bySession].map(async ([session, own]) => {
        const answers = await this.#acquireSlotsOf(session, own);
        for (const [i, request] of own.entries()) replies.set(request, answers[i]!);
      }),
    );
    return requests.map((request) => replies.get(request)!);
  }

  async #acquireSlotsOf(session: string, requests: readonly SlotRequest[]): Promise<RawAcquire[]> {
    const ofSession = this.keys.session(session);
    const keys: string[] = [...this.#dueKeys(), this.keys.sessions];
    keys.push(ofSession.session, ofSession.claims, this.keys.watch, this.keys.podWatchers);
    const args: Argument[] = [this.#now(), this.keys.wakeChannel, session];
    args.push(sessionBytes(session), this.#options.leaseTtlMs);
    for (const request of requests) {
      const ofJob = this.keys.job(request.uid);
      keys.push(ofJob.job, ofJob.hot, ofJob.slots, ofJob.pending);
      args.push(request.uid, request.slot, request.attemptsStarted, request.knownGeneration);
    }
    const replies = list(await this.#run('acquire', keys, args));
    // The object of a Job comes once for all of its slots.
    const fieldsOf = new Map<string, ScriptReply[]>();
    return requests.map(({ uid }, i) => {
      const reply = list(replies[i]!);
      const fields = list(reply[7] ?? []);
      if (fields.length > 0) fieldsOf.set(uid, fields);
      return { reply, fields: fieldsOf.get(uid) ?? [] };
    });
  }

  /**
   * Records ended pods and claims the next ones; answers in the order of the entries. No slot may
   * be named twice. May be sent again as it is when no answer came.
   */
  async report(session: string, entries: readonly ReportEntry[]): Promise<ReportAnswer[]> {
    const byJob = new Map<string, number[]>();
    for (let i = 0; i < entries.length; i++) {
      const { uid } = entries[i]!;
      const positions = byJob.get(uid);
      if (positions === undefined) byJob.set(uid, [i]);
      else positions.push(i);
    }
    const sessionKeys = this.keys.session(session);
    const keys = [
      ...this.#dueKeys(),
      sessionKeys.claims,
      sessionKeys.orders,
      this.keys.contended,
      this.keys.watch,
      this.keys.podWatchers,
      this.keys.sessions,
    ];
    const args: (string | number | Buffer)[] = [
      this.#now(),
      this.keys.wakeChannel,
      sessionBytes(session),
      session,
    ];
    for (const [uid, positions] of byJob) {
      const ofJob = byJob.size === 1 ? entries : positions.map((i) => entries[i]!);
      this.#addJobToReport(uid, ofJob, keys, args);
    }
    const reply = await this.#run('report', keys, args);
    assert(Buffer.isBuffer(reply));
    const answers = decodeAnswers(reply, entries.length);
    if (byJob.size === 1) return answers;
    const ordered: ReportAnswer[] = Array.from({ length: entries.length });
    let next = 0;
    for (const positions of byJob.values()) {
      for (const i of positions) ordered[i] = answers[next++]!;
    }
    return ordered;
  }

  #addJobToReport(
    uid: string,
    entries: readonly ReportEntry[],
    keys: string[],
    args: (string | number | Buffer)[],
  ): void {
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
    const chunks = new Set<number>();
    for (const entry of entries) chunks.add(Math.floor(entry.podNumber / RECORDS_PER_CHUNK));
    const overlays = encodeOverlays(entries);
    args.push(uid, entries[0]!.queue, encodeEntries(entries), chunks.size, overlays.length);
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
    const reply = await this.#run(
      'writeContainers',
      [
        this.keys.clock,
        this.keys.job(uid).slots,
        this.keys.podContainers(uid, podNumber),
        this.keys.watch,
        this.keys.podWatchers,
      ],
      [
        this.#now(),
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
    const reply = await this.#run(
      'recordRestart',
      [...this.#dueKeys(), keys.hot, keys.slots],
      [
        this.#now(),
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

  #dueKeys(): [string, string, string, string] {
    return [this.keys.clock, this.keys.due, this.keys.dueTaken, this.keys.dueCounts];
  }

  #now(): number | '' {
    return this.#options.testClock === null ? '' : this.#options.testClock();
  }

  async #run(
    name: ScriptName,
    keys: readonly string[],
    args: readonly Argument[],
  ): Promise<ScriptReply> {
    return await runGuarded(this.redis, name, keys, args);
  }
}

function choose<const T extends Record<string, string | boolean>>(
  reply: ScriptReply,
  names: T,
): T[keyof T] {
  const name = names[String(reply)];
  assert(name !== undefined, `unknown reply ${String(reply)}`);
  return name as T[keyof T];
}

/** A script broke off, at what is stored of one Job: Redis itself is well. */
function isScriptError(error: unknown): boolean {
  return error instanceof Error && error.message.includes('user_script');
}

function created(reply: readonly ScriptReply[]): Created {
  switch (integer(reply[0])) {
    case 1:
      return {
        type: 'created',
        resourceVersion: integer(reply[1]),
        createdMs: integer(reply[2]),
      };
    case 0:
      return { type: 'replayed' };
    default:
      return { type: 'alreadyExists' };
  }
}

function acquireReply(
  { uid, knownGeneration }: SlotRequest,
  reply: readonly ScriptReply[],
  fields: ScriptReply[],
): AcquireReply {
  switch (integer(reply[0])) {
    case 1: {
      const generation = integer(reply[6]);
      return {
        type: 'run',
        claim: {
          podNumber: integer(reply[1]),
          index: integer(reply[2]),
          createdMs: integer(reply[3]),
          startMs: integer(reply[4]),
          restarts: integer(reply[5]),
        },
        generation,
        job: generation === knownGeneration ? null : storedJob(uid, textMap(fields)),
      };
    }
    case 0:
      return { type: 'gone' };
    case -1:
      return { type: 'held', untilMs: integer(reply[1]) };
    case -2:
      return { type: 'parked', untilMs: integer(reply[1]) };
    default:
      return { type: 'sessionEnded' };
  }
}

/** The arguments that `lua/include/verdicts.lua` reads. */
function addVerdicts(args: Argument[], { judgements, gate, ...rest }: Verdicts): void {
  args.push(gate.limit, gate.notBeforeMs, gate.deadlineMs, gate.holdOnFailure ? 1 : 0);
  args.push(rest.failuresInRow, rest.lastFailureMs, judgements.length);
  for (const { podNumber, verdict, countsToLimit } of judgements) {
    args.push(podNumber, verdict, countsToLimit ? 1 : 0);
  }
}

function refused(reply: number): Refused | null {
  if (reply === -1) return { type: 'moved' };
  if (reply === -2) return { type: 'gone' };
  return null;
}

function list(reply: ScriptReply): ScriptReply[] {
  assert(Array.isArray(reply), 'a list reply');
  return reply;
}

function parseClaim(text: string): { uid: string; slot: number } {
  const colon = text.lastIndexOf(':');
  return { uid: text.slice(0, colon), slot: Number(text.slice(colon + 1)) };
}
