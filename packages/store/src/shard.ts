/**
 * One shard: a typed method per script, and plain reads. It is one file although long, because it
 * is the list of all that can be done to the state.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { ResourceExhaustedError } from '@drover/shared';
import type { Redis } from 'ioredis';
import type {
  AcquireReply,
  DecisionGuard,
  HotCounters,
  JobUpdate,
  JobView,
  JudgeInput,
  NewJob,
  ObservedJob,
  PodOverlay,
  PodRecord,
  Refused,
  ReportAnswer,
  ReportEntry,
  SessionInfo,
  SlotRecord,
  StopInput,
  StopOrder,
  StoredPod,
  Taken,
  WriteStatusInput,
} from './api.ts';
import { podLogKey, RECORDS_PER_CHUNK, type ShardKeys } from './keys.ts';
import { decodeHot } from './hot.ts';
import {
  decodeAnswers,
  decodePodRecord,
  decodeSlotRecord,
  encodeEntries,
  isPodRecord,
  POD_RECORD_BYTES,
} from './records.ts';
import { integer, observedJob, storedJob, textMap } from './replies.ts';
import { defineScripts, runScript, type ScriptName, type ScriptReply } from './scripts.ts';
import { sessionBytes } from './session.ts';

/** Most pods per call of `stopPods`, `endLostPods`, `judge`, `openSlots`: bounds a script's time. */
export const MAX_PODS_PER_CALL = 500;
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

/** All namespaces of one hash tag. Methods are as idempotent as the contracts in `lua/` say. */
export class Shard {
  readonly index: number;
  readonly keys: ShardKeys;
  readonly #options: ShardOptions;
  readonly #redis: Redis;
  /** How far the purge of a Job came; another process begins again, at the cost of some reads. */
  readonly #purgedChunks = new Map<string, number>();

  constructor(options: ShardOptions) {
    this.#options = options;
    this.#redis = options.redis;
    this.index = options.index;
    this.keys = options.keys;
    defineScripts(options.redis);
  }

  /** The same shard over another connection, so that its calls queue behind no others. */
  on(redis: Redis): Shard {
    return new Shard({ ...this.#options, redis });
  }

  /** Key of a pod's log stream. */
  podLogKey(uid: string, podNumber: number): string {
    return podLogKey(this.#options.prefix, uid, podNumber);
  }

  // Jobs

  /** Stores a Job and makes it due. The same uid answers 'replayed'. */
  async createJob(job: NewJob): Promise<'created' | 'replayed' | 'alreadyExists'> {
    const keys = this.keys.job(job.uid);
    const reply = await this.#run(
      'createJob',
      [...this.#dueKeys(), this.keys.names, this.keys.uids, keys.job, keys.hot, this.keys.watch],
      [
        this.#now(),
        this.keys.wakeChannel,
        job.uid,
        job.namespace,
        job.name,
        job.object,
        job.status,
        job.completions ?? -1,
        job.queue,
        job.fittingKey,
        job.indexed ? 1 : 0,
      ],
    );
    return choose(reply, { '1': 'created', '0': 'replayed', '-1': 'alreadyExists' });
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

  /** uid of the Job of a name, or null. */
  async findJob(namespace: string, name: string): Promise<string | null> {
    return await this.#redis.hget(this.keys.uids, `${namespace}/${name}`);
  }

  /** A Job that was not deleted, by name. */
  async getJob(namespace: string, name: string): Promise<JobView | null> {
    const uid = await this.findJob(namespace, name);
    if (uid === null) return null;
    const job = await this.getJobByUid(uid);
    return job === null || job.deleted ? null : job;
  }

  /** A Job by uid; deleted ones too while their pods end. */
  async getJobByUid(uid: string): Promise<JobView | null> {
    return (await this.#readJobs([uid]))[0] ?? null;
  }

  /**
   * A page of Jobs in order of namespace and name.
   *
   * @param options.after - Continue after this `<namespace>/<name>`.
   */
  async listJobs(options: {
    readonly namespace: string | null;
    readonly after?: string;
    readonly limit: number;
  }): Promise<{ jobs: JobView[]; next: string | null; resourceVersion: number }> {
    const { namespace, after, limit } = options;
    const resourceVersion = await this.resourceVersion();
    // '0' is the character after '/', so this bounds exactly one namespace.
    const to = namespace === null ? '+' : `(${namespace}0`;
    let from = namespace === null ? '-' : `[${namespace}/`;
    if (after !== undefined) from = `(${after}`;
    const paths = await this.#redis.zrangebylex(this.keys.names, from, to, 'LIMIT', 0, limit);
    if (paths.length === 0) return { jobs: [], next: null, resourceVersion };
    const uids = await this.#redis.hmget(this.keys.uids, ...paths);
    const jobs = await this.#readJobs(uids.filter((uid) => uid !== null));
    const next = paths.length < limit ? null : paths.at(-1)!;
    return {
      jobs: jobs.filter((job): job is JobView => job !== null && !job.deleted),
      next,
      resourceVersion,
    };
  }

  /** Names `<namespace>/<name>` that begin so, for finding a Job by a pod's name. At most 1000. */
  async jobPathsWithPrefix(path: string): Promise<string[]> {
    return await this.#redis.zrangebylex(
      this.keys.names,
      `[${path}`,
      `(${path}\u{10FFFF}`,
      'LIMIT',
      0,
      1000,
    );
  }

  /** The newest resourceVersion of the shard. */
  async resourceVersion(): Promise<number> {
    return Number((await this.#redis.get(this.keys.clock)) ?? 0);
  }

  /** Bits of the indexes that succeeded, most significant bit first; empty when none did. */
  async doneBitmap(uid: string): Promise<Buffer> {
    return (await this.#redis.getBuffer(this.keys.job(uid).done)) ?? Buffer.alloc(0);
  }

  async #readJobs(uids: readonly string[]): Promise<(JobView | null)[]> {
    const pipeline = this.#redis.pipeline();
    for (const uid of uids) {
      const keys = this.keys.job(uid);
      pipeline.hgetall(keys.job);
      pipeline.getBuffer(keys.hot);
    }
    const replies = (await pipeline.exec()) ?? [];
    return uids.map((uid, i) => {
      const job = pipelineMap(replies[2 * i]);
      const hot = pipelineValue(replies[2 * i + 1]);
      if (job.size === 0 || hot === null) return null;
      return { ...storedJob(uid, job), counters: decodeHot(hot as Buffer).counters };
    });
  }

  async #counters(uid: string): Promise<HotCounters | null> {
    const packed = await this.#redis.getBuffer(this.keys.job(uid).hot);
    return packed === null ? null : decodeHot(packed).counters;
  }

  // Pods

  /**
   * A page of a Job's pods, in order of their numbers.
   *
   * @param options.after - Continue after this pod number.
   */
  async listPods(
    uid: string,
    options: { readonly after?: number; readonly limit: number },
  ): Promise<{ pods: StoredPod[]; next: number | null }> {
    const after = options.after ?? 0;
    const podCount = (await this.#counters(uid))?.podCount ?? 0;
    const byNumber = new Map<number, StoredPod>();
    // Slots before records: a pod that ends in between is then seen twice, never not at all.
    for (const slot of await this.allSlots(uid)) {
      if (slot.podNumber > after) byNumber.set(slot.podNumber, { kind: 'slot', ...slot });
    }
    let chunk = Math.floor((after + 1) / RECORDS_PER_CHUNK);
    const lastChunk = Math.floor(podCount / RECORDS_PER_CHUNK);
    let found = 0;
    for (; chunk <= lastChunk && found <= options.limit; chunk++) {
      for (const pod of await this.#readChunk(uid, chunk)) {
        if (pod.podNumber <= after) continue;
        byNumber.set(pod.podNumber, pod);
        found++;
      }
    }
    // What lies beyond the chunks that were read belongs to a later page.
    const readUpTo = chunk > lastChunk ? Number.POSITIVE_INFINITY : chunk * RECORDS_PER_CHUNK - 1;
    const all = [...byNumber.values()].toSorted((a, b) => a.podNumber - b.podNumber);
    const pods = all.filter((pod) => pod.podNumber <= readUpTo).slice(0, options.limit);
    const complete = pods.length === all.length && chunk > lastChunk;
    return { pods, next: complete ? null : (pods.at(-1)?.podNumber ?? readUpTo) };
  }

  /** One pod, or null when there is none of this number (any more). */
  async getPod(uid: string, podNumber: number): Promise<StoredPod | null> {
    const record = await this.#readRecord(uid, podNumber);
    if (record !== null) return record;
    const slot = (await this.allSlots(uid)).find((held) => held.podNumber === podNumber);
    if (slot !== undefined) return { kind: 'slot', ...slot };
    return await this.#readRecord(uid, podNumber);
  }

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
    await this.#redis.unlink(this.podLogKey(uid, podNumber));
    return choose(reply, { '1': true, '0': false });
  }

  /**
   * Notes how far a running pod has come, for those who look; null takes it away. No fence: it
   * decides nothing, and what a worker that died has left behind expires.
   */
  async setPodProgress(uid: string, podNumber: number, text: string | null): Promise<void> {
    const key = this.keys.podProgress(uid, podNumber);
    if (text === null) await this.#redis.unlink(key);
    else await this.#redis.set(key, text, 'PX', PROGRESS_TTL_MS);
  }

  /** How far pods have come, of those that said so, by number. */
  async podProgress(uid: string, podNumbers: readonly number[]): Promise<Map<number, string>> {
    const byNumber = new Map<number, string>();
    if (podNumbers.length === 0) return byNumber;
    const keys = podNumbers.map((podNumber) => this.keys.podProgress(uid, podNumber));
    const texts = await this.#redis.mget(...keys);
    for (const [i, text] of texts.entries()) {
      if (text !== null) byNumber.set(podNumbers[i]!, text);
    }
    return byNumber;
  }

  /** What the slots of a Job hold; a page of a few hundred. Begin with cursor '0', end at '0'. */
  async listSlots(uid: string, cursor: string): Promise<{ slots: SlotRecord[]; cursor: string }> {
    const [next, flat] = await this.#redis.hscanBuffer(
      this.keys.job(uid).slots,
      cursor,
      'COUNT',
      MAX_PODS_PER_CALL,
    );
    const slots: SlotRecord[] = [];
    for (let i = 0; i < flat.length; i += 2) {
      slots.push(decodeSlotRecord(Number(String(flat[i])), flat[i + 1]!));
    }
    return { slots, cursor: String(next) };
  }

  /** All slots of a Job, each once, by pages: O(active pods). */
  async allSlots(uid: string): Promise<SlotRecord[]> {
    const bySlot = new Map<number, SlotRecord>();
    let cursor = '0';
    do {
      const page = await this.listSlots(uid, cursor);
      for (const slot of page.slots) bySlot.set(slot.slot, slot);
      cursor = page.cursor;
    } while (cursor !== '0');
    return [...bySlot.values()];
  }

  /** Names of the shard's nodes by their numbers in records. */
  async nodeNames(): Promise<Map<number, string>> {
    const names = new Map<number, string>();
    for (const [field, value] of Object.entries(await this.#redis.hgetall(this.keys.nodes))) {
      if (field.startsWith('#') && field !== '#') names.set(Number(field.slice(1)), value);
    }
    return names;
  }

  async #readRecord(uid: string, podNumber: number): Promise<StoredPod | null> {
    const key = this.keys.podChunk(uid, Math.floor(podNumber / RECORDS_PER_CHUNK));
    const offset = (podNumber % RECORDS_PER_CHUNK) * POD_RECORD_BYTES;
    const packed = await this.#redis.getrangeBuffer(key, offset, offset + POD_RECORD_BYTES - 1);
    if (!isPodRecord(packed)) return null;
    const record = decodePodRecord(podNumber, packed);
    const overlays = record.hasOverlay ? await this.#readOverlays(uid, [podNumber]) : [];
    return { kind: 'record', ...record, overlay: overlays[0] ?? null };
  }

  async #readChunk(uid: string, chunk: number): Promise<StoredPod[]> {
    const packed = await this.#redis.getBuffer(this.keys.podChunk(uid, chunk));
    if (packed === null) return [];
    const records: PodRecord[] = [];
    for (let at = 0; at < packed.length; at += POD_RECORD_BYTES) {
      const record = packed.subarray(at, at + POD_RECORD_BYTES);
      if (!isPodRecord(record)) continue;
      records.push(decodePodRecord(chunk * RECORDS_PER_CHUNK + at / POD_RECORD_BYTES, record));
    }
    const withOverlay = records.filter((record) => record.hasOverlay);
    const numbers = withOverlay.map((record) => record.podNumber);
    const overlays = numbers.length === 0 ? [] : await this.#readOverlays(uid, numbers);
    const byNumber = new Map(numbers.map((podNumber, i) => [podNumber, overlays[i] ?? null]));
    return records.map((record) => ({
      kind: 'record',
      ...record,
      overlay: byNumber.get(record.podNumber) ?? null,
    }));
  }

  async #readOverlays(uid: string, podNumbers: number[]): Promise<(PodOverlay | null)[]> {
    const texts = await this.#redis.hmget(this.keys.job(uid).overlay, ...podNumbers.map(String));
    return texts.map((text) => (text === null ? null : (JSON.parse(text) as PodOverlay)));
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

  /** Gives a taken member back. 'again': it was triggered meanwhile and is due now. */
  async done(taken: Taken, nextAtMs: number | null): Promise<'done' | 'again' | 'replayed'> {
    const reply = await this.#run('doneDue', this.#dueKeys(), [
      this.#now(),
      this.keys.wakeChannel,
      taken.member,
      taken.token,
      taken.count,
      nextAtMs ?? '',
    ]);
    return choose(reply, { '1': 'done', '2': 'again', '0': 'replayed' });
  }

  // Reconcile

  /** One atomic look at a Job; null when nothing is left of it. */
  async observeJob(uid: string, pendingWanted: number): Promise<ObservedJob | null> {
    const keys = this.keys.job(uid);
    const reply = await this.#run(
      'observeJob',
      [
        this.keys.clock,
        keys.job,
        keys.hot,
        keys.unjudged,
        keys.losses,
        keys.pending,
        this.keys.lanes,
        this.keys.queues,
      ],
      [this.#now(), pendingWanted],
    );
    return observedJob(uid, reply);
  }

  /**
   * Counts failed pods by verdict and sets the gate. The decisionVersion rises by exactly one, so
   * a caller may send the next guarded script in the same pipeline.
   */
  async judge(input: JudgeInput): Promise<{ type: 'judged'; decisionVersion: number } | Refused> {
    assert(input.judgements.length <= MAX_PODS_PER_CALL);
    const keys = this.keys.job(input.uid);
    const { gate } = input;
    const reply = integer(
      await this.#run(
        'judge',
        [keys.hot, keys.unjudged, keys.retry],
        [
          input.generation,
          input.decisionVersion,
          gate.limit,
          gate.notBeforeMs,
          gate.deadlineMs,
          gate.holdOnFailure ? 1 : 0,
          input.failuresInRow,
          input.lastFailureMs,
          ...input.judgements.flatMap((judgement) => [
            judgement.podNumber,
            judgement.verdict,
            judgement.countsToLimit ? 1 : 0,
          ]),
        ],
      ),
    );
    return refused(reply) ?? { type: 'judged', decisionVersion: reply };
  }

  /** Opens up to `count` slots as far as the gate allows; answers their numbers. */
  async openSlots(
    guard: DecisionGuard,
    count: number,
  ): Promise<{ type: 'opened'; slots: number[] } | Refused> {
    assert(count > 0 && count <= MAX_PODS_PER_CALL);
    const keys = this.keys.job(guard.uid);
    const reply = await this.#run(
      'openSlots',
      [
        this.keys.clock,
        keys.hot,
        keys.slots,
        keys.pending,
        keys.retry,
        this.keys.queues,
        this.keys.watch,
        this.keys.podWatchers,
        keys.job,
      ],
      [this.#now(), guard.uid, guard.generation, guard.decisionVersion, count],
    );
    if (typeof reply === 'number') return refused(reply)!;
    return { type: 'opened', slots: list(reply).map((slot) => integer(slot)) };
  }

  /** Takes pods out of the active ones; running ones are told to stop. */
  async stopPods(
    input: StopInput,
  ): Promise<{ type: 'stopped'; count: number; decisionVersion: number } | Refused> {
    assert(input.pods.length <= MAX_PODS_PER_CALL);
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

  /** Writes a status. With `finish` only when no pod is left. */
  async writeStatus(
    input: WriteStatusInput,
  ): Promise<{ type: 'written'; decisionVersion: number } | { type: 'notSettled' } | Refused> {
    const keys = this.keys.job(input.uid);
    const reply = integer(
      await this.#run(
        'writeStatus',
        [this.keys.clock, keys.job, keys.hot, this.keys.queues, this.keys.waiting, this.keys.watch],
        [
          this.#now(),
          input.uid,
          input.generation,
          input.decisionVersion,
          input.status,
          input.finish ?? '',
          input.critical ? 1 : 0,
        ],
      ),
    );
    if (reply === -3) return { type: 'notSettled' };
    return refused(reply) ?? { type: 'written', decisionVersion: reply };
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

  /** Lanes of live workers for a fitting key. */
  async fittingLanes(fittingKey: string): Promise<number> {
    return Number((await this.#redis.hget(this.keys.lanes, fittingKey)) ?? 0);
  }

  /** Says until when several Jobs compete for a queue, so that slots yield after their quantum. */
  async markContended(queue: string, untilMs: number): Promise<void> {
    await this.#redis.hset(this.keys.contended, queue, untilMs);
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
      for (const pod of await this.#readChunk(uid, chunk)) {
        if (pod.kind === 'record' && !pod.hasLog) withoutLog.add(pod.podNumber);
      }
      const pipeline = this.#redis.pipeline();
      const first = Math.max(1, chunk * RECORDS_PER_CHUNK);
      const last = Math.min(podCount, (chunk + 1) * RECORDS_PER_CHUNK - 1);
      for (let podNumber = first; podNumber <= last; podNumber++) {
        // A pod that was stopped has no record, but it may have a log.
        if (!withoutLog.has(podNumber)) pipeline.unlink(this.podLogKey(uid, podNumber));
      }
      pipeline.unlink(this.keys.podChunk(uid, chunk));
      await pipeline.exec();
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
    const sessionKeys = this.keys.session(session);
    const jobKeys = this.keys.job(uid);
    const held = await this.#redis.hmgetBuffer(jobKeys.slots, ...slots.map(String));
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

  /** Asks for the pod of a slot that BullMQ delivered. */
  async acquire(request: {
    readonly uid: string;
    readonly slot: number;
    readonly attemptsStarted: number;
    readonly session: string;
    /** Generation of the object that the caller has; 0 = none. */
    readonly knownGeneration: number;
  }): Promise<AcquireReply> {
    const { uid, session } = request;
    const jobKeys = this.keys.job(uid);
    const sessionKeys = this.keys.session(session);
    const reply = list(
      await this.#run(
        'acquire',
        [
          ...this.#dueKeys(),
          this.keys.sessions,
          sessionKeys.session,
          sessionKeys.claims,
          jobKeys.job,
          jobKeys.hot,
          jobKeys.slots,
          jobKeys.pending,
          this.keys.watch,
          this.keys.podWatchers,
        ],
        [
          this.#now(),
          this.keys.wakeChannel,
          uid,
          request.slot,
          request.attemptsStarted,
          session,
          sessionBytes(session),
          request.knownGeneration,
          this.#options.leaseTtlMs,
        ],
      ),
    );
    switch (integer(reply[0])) {
      case 1:
        return {
          type: 'run',
          claim: {
            podNumber: integer(reply[1]),
            index: integer(reply[2]),
            createdMs: integer(reply[3]),
            startMs: integer(reply[4]),
            restarts: integer(reply[5]),
          },
          generation: integer(reply[6]),
          job: list(reply[7]!).length === 0 ? null : storedJob(uid, textMap(reply[7])),
        };
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
    args.push(uid, entries[0]!.queue, encodeEntries(entries), chunks.size);
    for (const chunk of chunks) {
      keys.push(this.keys.podChunk(uid, chunk));
      args.push(chunk);
    }
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
    args: readonly (string | number | Buffer)[],
  ): Promise<ScriptReply> {
    try {
      return await runScript(this.#redis, name, keys, args);
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('OOM ')) {
        throw new ResourceExhaustedError(
          'Redis is out of memory: raise maxmemory or delete finished Jobs; nothing was written',
          { cause: error },
        );
      }
      throw error;
    }
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

function pipelineValue(reply: [Error | null, unknown] | undefined): unknown {
  assert(reply !== undefined);
  const [error, value] = reply;
  if (error !== null) throw error;
  return value;
}

function pipelineMap(reply: [Error | null, unknown] | undefined): Map<string, string> {
  return new Map(Object.entries(pipelineValue(reply) as Record<string, string>));
}
