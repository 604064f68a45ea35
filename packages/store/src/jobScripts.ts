/**
 * The scripts that take many Jobs. What is asked of them in one tick goes together: many small Jobs
 * at once then cost little more than a large one, see docs/design/0004-many-jobs-at-once.md.
 */
import assert from 'node:assert/strict';
import type { PodPriority } from '@drover/shared';
import type {
  AcquireReply,
  Created,
  DecisionGuard,
  JudgeInput,
  NewJob,
  NewStatus,
  ObservedJob,
  Opened,
  Owner,
  Refused,
  SlotRequest,
  Taken,
  Verdicts,
  WriteStatusInput,
} from './api.ts';
import { Gather } from './gather.ts';
import { encodeRules } from './hot.ts';
import type { JobKeys, ShardKeys } from './keys.ts';
import { decodeFailures, encodeFailures, failuresField } from './records.ts';
import {
  choose,
  integer,
  list,
  observedJob,
  quotaDenial,
  refused,
  storedJob,
  textMap,
} from './replies.ts';
import type { ScriptReply } from './scripts.ts';
import { sessionBytes } from './session.ts';
import { ShardScripts, type ShardScriptsOptions } from './shardScripts.ts';

/** Most pods per call of `stopPods`, `endLostPods`, `judge`, `openSlots`: bounds a script's time. */
export const MAX_PODS_PER_CALL = 500;
/** Most Jobs, members or slots per script of those that take many: bounds its time. */
export const MAX_JOBS_PER_SCRIPT = 32;
/** Most bytes of new Jobs per script; a single one may be larger. */
const MAX_CREATE_BYTES = 512 * 1024;
/** What a Job costs a script beside its pods, as a number of pods. */
const JOB_WEIGHT = 6;

type Argument = string | number | Buffer;

/** Bits of an argument of `openSlots`. */
const JUDGES = 1;
const PER_INDEX = 2;

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

/** Slots to be opened. */
export interface Opening extends DecisionGuard {
  readonly count: number;
  readonly judge: Verdicts | null;
  readonly status: NewStatus | null;
  /** Failures are counted for each index. */
  readonly perIndex: boolean;
  /** Of the pods. */
  readonly priority: PodPriority;
}

/** What {@link JobScripts} needs of its shard. */
export interface JobScriptsOptions extends ShardScriptsOptions {
  readonly leaseTtlMs: number;
}

/** See the methods of `Shard` that are named like these. */
export class JobScripts {
  readonly #leaseTtlMs: number;
  readonly #keys: ShardKeys;
  readonly #scripts: ShardScripts;
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

  constructor(options: JobScriptsOptions) {
    this.#leaseTtlMs = options.leaseTtlMs;
    this.#scripts = new ShardScripts(options);
    this.#keys = options.keys;
  }

  /** Stores a Job and makes it due. */
  create(job: NewJob): Promise<Created> {
    return this.#creates.call(job);
  }

  /** Gives a taken member back. */
  done(taken: Taken, nextAtMs: number | null): Promise<'done' | 'again' | 'replayed'> {
    return this.#dones.call({ ...taken, nextAtMs });
  }

  /** One atomic look at a Job. */
  async observe(uid: string, pendingWanted: number): Promise<ObservedJob | null> {
    const { nowMs, look } = await this.#looks.call({ uid, pendingWanted });
    return observedJob(uid, nowMs, look);
  }

  /** Counts failed pods by verdict and sets the gate. */
  async judge(input: JudgeInput): Promise<{ type: 'judged'; decisionVersion: number } | Refused> {
    assert(input.judgements.length <= MAX_PODS_PER_CALL);
    const reply = await this.#judgings.call(input);
    return refused(reply) ?? { type: 'judged', decisionVersion: reply };
  }

  /** Opens slots, judges before and writes a status after it. */
  openSlots(opening: Opening): Promise<Opened | Refused> {
    const { count, judge } = opening;
    assert(count > 0 && count <= MAX_PODS_PER_CALL);
    assert(judge === null || judge.judgements.length <= MAX_PODS_PER_CALL);
    return this.#openings.call(opening);
  }

  /** Writes a status. */
  async writeStatus(
    input: WriteStatusInput,
  ): Promise<{ type: 'written'; decisionVersion: number } | { type: 'notSettled' } | Refused> {
    const reply = await this.#statuses.call(input);
    if (reply === -3) return { type: 'notSettled' };
    return refused(reply) ?? { type: 'written', decisionVersion: reply };
  }

  /** Asks for the pod of a slot. */
  async acquire(request: SlotRequest): Promise<AcquireReply> {
    const { reply, fields } = await this.#acquires.call(request);
    return acquireReply(request, reply, fields);
  }

  async #createJobs(jobs: readonly NewJob[]): Promise<Created[]> {
    const { names, uids, watch, owned, quotaHard, quotaUsed } = this.#keys;
    const keys = [...this.#scripts.dueKeys, names, uids, watch, owned, quotaHard, quotaUsed];
    const args: Argument[] = [this.#scripts.now, this.#keys.wakeChannel];
    for (const job of jobs) {
      const ofJob = this.#keys.job(job.uid);
      keys.push(ofJob.job, ofJob.hot);
      args.push(...newJobArguments(job));
    }
    return list(await this.#scripts.run('createJob', keys, args)).map((reply) =>
      created(list(reply)),
    );
  }

  async #giveBack(given: readonly Given[]): Promise<('done' | 'again' | 'replayed')[]> {
    const args: Argument[] = [this.#scripts.now, this.#keys.wakeChannel];
    for (const one of given) args.push(one.member, one.token, one.count, one.nextAtMs ?? '');
    const replies = list(await this.#scripts.run('doneDue', this.#scripts.dueKeys, args));
    return replies.map((reply) => choose(reply, { '1': 'done', '2': 'again', '0': 'replayed' }));
  }

  async #observeJobs(asked: readonly LookRequest[]): Promise<RawLook[]> {
    const looks: RawLook[] = [];
    // A script that had many pods to name leaves the rest of the Jobs to the next one.
    while (looks.length < asked.length) {
      const rest = asked.slice(looks.length);
      const { clock, lanes, queues, owned, capacity } = this.#keys;
      const keys = [clock, lanes, queues, owned, capacity];
      const args: Argument[] = [this.#scripts.now];
      for (const { uid, pendingWanted } of rest) {
        const ofJob = this.#keys.job(uid);
        keys.push(ofJob.job, ofJob.hot, ofJob.unjudged, ofJob.losses, ofJob.pending);
        args.push(uid, pendingWanted);
      }
      const [nowMs, ...replies] = list(await this.#scripts.run('observeJob', keys, args));
      assert(replies.length > 0, 'one look at least');
      for (const look of replies) looks.push({ nowMs: integer(nowMs), look });
    }
    return looks;
  }

  async #judgeJobs(inputs: readonly JudgeInput[]): Promise<number[]> {
    const keys: string[] = [this.#keys.clock];
    const args: Argument[] = [this.#scripts.now];
    for (const input of inputs) {
      const ofJob = this.#keys.job(input.uid);
      keys.push(ofJob.hot, ofJob.unjudged, ofJob.retry);
      if (input.gate.perIndex === true) keys.push(...perIndexKeys(ofJob));
      args.push(input.generation, input.decisionVersion);
      addVerdicts(args, input);
    }
    return list(await this.#scripts.run('judge', keys, args)).map((reply) => integer(reply));
  }

  async #openSlotsOf(inputs: readonly Opening[]): Promise<(Opened | Refused)[]> {
    const { clock, queues, watch, podWatchers } = this.#keys;
    const { quotaHard, quotaUsed, quotaWaiting } = this.#keys;
    const keys = [clock, queues, watch, podWatchers, quotaHard, quotaUsed, quotaWaiting];
    const args: Argument[] = [this.#scripts.now];
    for (const input of inputs) {
      const ofJob = this.#keys.job(input.uid);
      keys.push(ofJob.job, ofJob.hot, ofJob.slots, ofJob.pending, ofJob.retry, ofJob.unjudged);
      const { status, judge, perIndex, priority } = input;
      if (perIndex) keys.push(...perIndexKeys(ofJob));
      args.push(input.uid, input.generation, input.decisionVersion, input.count);
      args.push(status?.text ?? '', status?.critical === true ? 1 : 0);
      args.push(priorityText(priority));
      args.push((judge === null ? 0 : JUDGES) | (perIndex ? PER_INDEX : 0));
      if (judge !== null) addVerdicts(args, judge);
    }
    return list(await this.#scripts.run('openSlots', keys, args)).map((reply) => {
      const [version, written, denial = null, ...slots] = list(reply);
      const decisionVersion = integer(version);
      return (
        refused(decisionVersion) ?? {
          type: 'opened',
          slots: slots.map((slot) => integer(slot)),
          decisionVersion,
          isStatusWritten: integer(written) === 1,
          denial: denial === null || String(denial) === '' ? null : quotaDenial(denial),
        }
      );
    });
  }

  async #writeStatuses(inputs: readonly WriteStatusInput[]): Promise<number[]> {
    const { queues, waiting, watch, kept, keptFailed, keptTotal } = this.#keys;
    const [clock, ...due] = this.#scripts.dueKeys;
    const { quotaUsed, quotaWaiting } = this.#keys;
    const keys = [clock, queues, waiting, watch, kept, keptFailed, keptTotal, ...due];
    keys.push(quotaUsed, quotaWaiting);
    const args: Argument[] = [this.#scripts.now, this.#keys.wakeChannel];
    for (const input of inputs) {
      const ofJob = this.#keys.job(input.uid);
      keys.push(ofJob.job, ofJob.hot);
      args.push(input.uid, input.generation, input.decisionVersion, input.status);
      args.push(input.finish ?? '', input.critical ? 1 : 0);
    }
    return list(await this.#scripts.run('writeStatus', keys, args)).map((reply) => integer(reply));
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
    const ofSession = this.#keys.session(session);
    const keys: string[] = [...this.#scripts.dueKeys, this.#keys.sessions];
    keys.push(ofSession.session, ofSession.claims, this.#keys.watch, this.#keys.podWatchers);
    const args: Argument[] = [this.#scripts.now, this.#keys.wakeChannel, session];
    args.push(sessionBytes(session), this.#leaseTtlMs);
    for (const request of requests) {
      const ofJob = this.#keys.job(request.uid);
      keys.push(ofJob.job, ofJob.hot, ofJob.slots, ofJob.pending);
      args.push(request.uid, request.slot, request.attemptsStarted, request.knownGeneration);
    }
    const replies = list(await this.#scripts.run('acquire', keys, args));
    // The object of a Job comes once for all of its slots.
    const fieldsOf = new Map<string, ScriptReply[]>();
    return requests.map(({ uid }, i) => {
      const reply = list(replies[i]!);
      const fields = list(reply[7] ?? []);
      if (fields.length > 0) fieldsOf.set(uid, fields);
      return { reply, fields: fieldsOf.get(uid) ?? [] };
    });
  }
}

/** The arguments of a new Job, see `lua/include/newJob.lua`. */
export function newJobArguments(job: NewJob): (string | number)[] {
  return [
    job.uid,
    job.namespace,
    job.name,
    job.object,
    job.status,
    job.completions ?? -1,
    job.queue,
    job.fittingKey,
    job.indexed ? 1 : 0,
    (job.finalizers ?? []).join(' '),
    ownersText(job.owners ?? []),
    job.bare === true ? 1 : 0,
    job.share ?? '',
  ];
}

/** The field `owners` of a Job, see `lua/include/owners.lua`. */
export function ownersText(owners: readonly Owner[]): string {
  return owners
    .map(({ uid, blocks, cronJob = null }) => {
      const text = `${uid}/${blocks ? 1 : 0}`;
      return cronJob === null ? text : `${text}/${cronJob}`;
    })
    .join(' ');
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
    case -2:
      return { type: 'forbidden', denial: quotaDenial(reply[1] ?? null) };
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
          ...failuresField(decodeFailures(reply[8] as Buffer, 0)),
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
  args.push(gate.limit, gate.notBeforeMs, gate.deadlineMs, encodeRules(gate));
  args.push(rest.failuresInRow, rest.lastFailureMs, judgements.length);
  for (const { podNumber, verdict, countsToLimit, retryAtMs = 0, failures } of judgements) {
    args.push(podNumber, verdict, countsToLimit ? 1 : 0, retryAtMs);
    args.push(failures === undefined ? '' : encodeFailures(failures));
  }
}

/** The field `priority` of a Job; '' = none. */
function priorityText({ value, className }: PodPriority): string {
  return className === '' ? '' : `${value} ${className}`;
}

/** Keys that only Jobs need which count failures for each index. */
function perIndexKeys({ losses, failed }: JobKeys): string[] {
  return [losses, failed];
}
