/**
 * The scripts' meaning in plain data: no counters, everything is counted from the pods. The model
 * test runs it beside the scripts and compares.
 */
import type {
  AcquireReply,
  Claim,
  Gate,
  IndexFailures,
  Judgement,
  PodOutcome,
  PodReason,
  ReportAnswer,
  ReportEntry,
  StopInput,
} from '../../src/api.ts';
import { NO_FAILURES } from '../../src/api.ts';
import { failuresField } from '../../src/records.ts';
import { countAdopted, type ModelAdopted, NO_INDEX } from './modelAdoption.ts';

/**
 * A pod that was told to stop: its end changes nothing, gives its index back, or counts for what it is.
 */
type Told = 'Stopping' | 'Returning' | 'Leaving';

/** A pod that its Job has released; it may be told to stop. */
type Free = 'Free' | 'FreeStopping';

/** A pod in a slot. */
export interface ModelSlot {
  pod: number;
  index: number;
  previous: number;
  /** `Ended` only inside one report: its pod is counted, the next one not chosen yet. */
  phase: 'Pending' | 'Running' | Told | Free | 'Ended';
  session: string;
  attempts: number;
  /** The newest delivery that asked. */
  asked: number;
  restarts: number;
  createdMs: number;
  startMs: number;
  failures: IndexFailures;
}

/** A session of a worker. */
export interface ModelSession {
  leaseEndMs: number;
  ended: boolean;
}

const DISRUPTIONS: readonly PodReason[] = ['NodeLost', 'Drained', 'RolledBack'];

/** One Job. */
export class ModelJob {
  readonly uid: string;
  completions: number | null;
  readonly indexed: boolean;
  generation = 1;
  decisionVersion = 1;
  gate: Gate = { limit: 0, notBeforeMs: 0, deadlineMs: 0, holdOnFailure: true };
  readonly slots = new Map<number, ModelSlot>();
  readonly retry = new Set<number>();
  /** Index to the time from which on it may be tried again. */
  readonly delayed = new Map<number, number>();
  readonly failures = new Map<number, IndexFailures>();
  readonly failedIndexes = new Set<number>();
  readonly unjudged = new Map<number, { index: number; reason: PodReason }>();
  readonly losses = new Map<number, number>();
  readonly done = new Set<number>();
  readonly records = new Map<number, PodOutcome>();
  /** Pods that were released, and the records of those of them that ended. */
  readonly free = new Set<number>();
  readonly freeRecords = new Map<number, PodOutcome>();
  /** How pods ended of which there are records. */
  readonly ended = new Map<number, ModelEnd>();
  /** How often labels of pods were changed. */
  readonly changes = new Map<number, number>();
  /** Pods that it has adopted, by number, and who has adopted pods of it. */
  readonly adopted = new Map<number, ModelAdopted>();
  readonly adopters = new Map<number, { uid: string; number: number }>();
  adoptions = 0;
  succeeded = 0;
  failed = 0;
  limitFailures = 0;
  cursor = 0;
  podCount = 0;
  nextSlot = 1;
  failuresInRow = 0;
  lastFailureMs = 0;
  lastSuccessMs = 0;
  foldAtMs = 0;
  finished = false;
  deleted = false;
  purged = false;
  /** It was deleted, and left pods that it had released before. */
  orphaned = false;
  /** When the Job is due; null = not. */
  dueAtMs: number | null = null;

  constructor(uid: string, completions: number | null, indexed: boolean, nowMs: number) {
    this.uid = uid;
    this.completions = completions;
    this.indexed = indexed;
    this.trigger(nowMs);
  }

  count(phase: ModelSlot['phase']): number {
    return [...this.slots.values()].filter((slot) => slot.phase === phase).length;
  }

  get terminating(): number {
    const own = this.count('Stopping') + this.count('Returning') + this.count('Leaving');
    return own + countAdopted(this, ['stopping', 'returning']);
  }

  get active(): number {
    return this.pending + this.running;
  }

  get pending(): number {
    return this.count('Pending') + countAdopted(this, ['pending']);
  }

  get running(): number {
    return this.count('Running') + countAdopted(this, ['running']);
  }

  /** An index is to be tried again, unless it is none of the Job's. */
  giveBack(index: number): void {
    if (index !== NO_INDEX && index < (this.completions ?? NO_INDEX)) this.retry.add(index);
  }

  trigger(atMs: number): void {
    this.dueAtMs = Math.min(this.dueAtMs ?? Number.POSITIVE_INFINITY, atMs);
  }

  mayStart(nowMs: number): boolean {
    const { limit, notBeforeMs, deadlineMs, holdOnFailure } = this.gate;
    if (limit === 0 || nowMs < notBeforeMs) return false;
    if (deadlineMs > 0 && nowMs >= deadlineMs) return false;
    if (holdOnFailure && this.unjudged.size > 0) return false;
    const room =
      this.completions === null
        ? this.succeeded > 0
          ? 0
          : limit
        : Math.min(limit, this.completions - this.succeeded);
    const indexLeft =
      this.retry.size > 0 || this.completions === null || this.cursor < this.completions;
    const inPlace = this.gate.replaceEnded === true ? this.terminating : 0;
    return this.active + inPlace < room && indexLeft;
  }

  takeIndex(): number {
    if (this.retry.size === 0) return this.cursor++;
    const lowest = Math.min(...this.retry);
    this.retry.delete(lowest);
    return lowest;
  }

  unjudge(pod: number, index: number, reason: PodReason): void {
    this.unjudged.set(pod, { index, reason });
    this.decisionVersion++;
  }

  fail(pod: number, index: number, reason: PodReason): void {
    this.unjudge(pod, index, reason);
    if (DISRUPTIONS.includes(reason)) this.losses.set(index, (this.losses.get(index) ?? 0) + 1);
    else if (reason !== 'Deleted') this.losses.delete(index);
  }

  openSlots(guard: ModelGuard, count: number, nowMs: number): number[] | 'moved' | 'gone' {
    if (this.finished || this.deleted) return 'gone';
    const refusal = this.refuses(guard);
    if (refusal !== null) return refusal;
    const opened: number[] = [];
    while (opened.length < count && this.mayStart(nowMs)) {
      const slot = this.nextSlot++;
      this.slots.set(slot, {
        pod: ++this.podCount,
        index: this.takeIndex(),
        previous: 0,
        phase: 'Pending',
        session: '',
        attempts: 0,
        asked: 0,
        restarts: 0,
        createdMs: nowMs,
        startMs: 0,
        failures: NO_FAILURES,
      });
      this.noteFailures(this.slots.get(slot)!);
      opened.push(slot);
    }
    return opened;
  }

  /** The pod of a slot is told how often those of its index failed before it. */
  noteFailures(slot: ModelSlot): void {
    const counts = this.gate.perIndex === true ? this.failures.get(slot.index) : undefined;
    const isNone = counts === undefined || counts.counted + counts.ignored === 0;
    slot.failures = isNone ? NO_FAILURES : counts;
  }

  judge(
    guard: ModelGuard,
    judgements: readonly Judgement[],
    gate: Gate,
    row: FailureRow,
    nowMs: number,
  ): 'judged' | 'moved' | 'gone' {
    const refusal = this.refuses(guard);
    if (refusal !== null) return refusal;
    for (const judgement of judgements) this.#judgePod(judgement);
    this.gate = gate;
    this.failuresInRow = row.failuresInRow;
    this.lastFailureMs = row.lastFailureMs;
    this.decisionVersion++;
    if (gate.perIndex !== true) return 'judged';
    for (const [index, atMs] of this.delayed) {
      if (atMs > nowMs) continue;
      this.delayed.delete(index);
      this.retry.add(index);
    }
    return 'judged';
  }

  #judgePod({ podNumber, verdict, countsToLimit, retryAtMs, failures }: Judgement): void {
    const pod = this.unjudged.get(podNumber);
    if (pod === undefined) return;
    this.unjudged.delete(podNumber);
    if (verdict !== 'ignored') this.failed++;
    if (countsToLimit) this.limitFailures++;
    if (verdict === 'indexFailed') {
      this.failedIndexes.add(pod.index);
      this.failures.delete(pod.index);
      return;
    }
    if (failures !== undefined) this.failures.set(pod.index, failures);
    if (retryAtMs === undefined) this.giveBack(pod.index);
    else this.delayed.set(pod.index, retryAtMs);
  }

  stopPods(input: StopInput, nowMs: number): number | 'moved' | 'gone' {
    if (this.purged) return 'gone';
    if (input.guard !== null && this.refuses(input.guard) !== null) return 'moved';
    let stopped = 0;
    for (const { slot: number, podNumber, session } of input.pods) {
      const slot = this.slots.get(number);
      if (slot === undefined || slot.pod !== podNumber) continue;
      if (slot.phase === 'Leaving' && input.countAs === 'failed') {
        slot.phase = 'Stopping';
        this.failed++;
        stopped++;
      }
      if ((slot.phase === 'Leaving' || slot.phase === 'Returning') && input.countAs === 'cut') {
        slot.phase = 'Stopping';
        this.retry.add(slot.index);
        stopped++;
      }
      if (slot.phase === 'Free' && input.countAs === 'unjudged' && session !== '') {
        slot.phase = 'FreeStopping';
        stopped++;
        continue;
      }
      if (isTold(slot) || isFree(slot)) continue;
      if ((slot.phase === 'Pending') !== (session === '')) continue;
      const isPending = slot.phase === 'Pending';
      if (isPending) this.slots.delete(number);
      else slot.phase = this.#toldAs(input.countAs);
      stopped++;
      if (!isPending && slot.phase !== 'Stopping') continue;
      if (input.countAs === 'uncounted' || input.countAs === 'cut') this.retry.add(slot.index);
      else if (input.countAs === 'failed') this.failed++;
      else this.unjudged.set(podNumber, { index: slot.index, reason: 'Deleted' });
    }
    if (stopped > 0) {
      this.decisionVersion++;
      if (input.guard === null) this.trigger(nowMs);
    }
    return stopped;
  }

  /** Gives a pod labels that the Job does not select. */
  release(number: number, pod: number, nowMs: number): 'changed' | 'notFound' | 'pending' {
    if (this.purged || (this.deleted && !this.orphaned)) return 'notFound';
    const slot = this.slots.get(number);
    const isHeld = slot?.pod === pod;
    if (!isHeld && !this.records.has(pod) && !this.freeRecords.has(pod)) return 'notFound';
    this.changes.set(pod, (this.changes.get(pod) ?? 0) + 1);
    if (this.free.has(pod) || this.orphaned) {
      // Another Job may select it now.
      this.trigger(nowMs);
      return 'changed';
    }
    if (this.finished || (isHeld && isTold(slot))) return 'changed';
    if (isHeld && slot.phase === 'Pending') {
      this.changes.set(pod, this.changes.get(pod)! - 1);
      return 'pending';
    }
    this.free.add(pod);
    if (isHeld) {
      slot.phase = 'Free';
      this.retry.add(slot.index);
    } else {
      this.freeRecords.set(pod, this.records.get(pod)!);
      this.records.delete(pod);
    }
    this.decisionVersion++;
    this.trigger(nowMs);
    return 'changed';
  }

  /** What a purge leaves of a Job that has released pods: as if Orphan had left them. */
  leaveFree(): boolean {
    const held = [...this.slots.values()];
    if (held.length + this.freeRecords.size === 0) return false;
    for (const slot of held) slot.phase = slot.phase === 'Free' ? 'Running' : 'Stopping';
    this.records.clear();
    for (const [pod, outcome] of this.freeRecords) this.records.set(pod, outcome);
    this.freeRecords.clear();
    this.orphaned = true;
    this.finished = false;
    return true;
  }

  #toldAs(countAs: StopInput['countAs']): Told {
    const isSettled = countAs === 'failed' || countAs === 'cut';
    if (this.gate.replaceEnded !== true || isSettled) return 'Stopping';
    return countAs === 'uncounted' ? 'Returning' : 'Leaving';
  }

  writeStatus(
    guard: ModelGuard,
    finish: 'Complete' | 'CompleteEarly' | 'Failed' | null,
    critical: boolean,
  ): 'written' | 'moved' | 'gone' | 'notSettled' {
    if (this.deleted) return 'gone';
    const refusal = this.refuses(guard);
    if (refusal !== null) return refusal;
    if (finish !== null) {
      if (this.active + this.terminating + this.unjudged.size > 0) return 'notSettled';
      if (finish === 'Complete' && this.succeeded < (this.completions ?? 1)) return 'notSettled';
      this.finished = true;
      this.gate = { ...this.gate, limit: 0 };
    }
    if (finish !== null || critical) this.decisionVersion++;
    return 'written';
  }

  resize(guard: ModelGuard, completions: number): 'resized' | 'moved' | 'gone' | 'notSettled' {
    if (this.finished || this.deleted) return 'gone';
    const refusal = this.refuses(guard);
    if (refusal !== null) return refusal;
    const first = Math.min(completions, this.completions!);
    const removes = first < this.completions!;
    if (this.unjudged.size > 0 || (removes && this.gate.limit > 0)) return 'notSettled';
    const removed = [...this.done].filter((index) => index >= first);
    this.succeeded -= removed.length;
    for (const one of [this.done, this.failedIndexes, this.retry]) {
      for (const index of one) if (index >= first) one.delete(index);
    }
    for (const one of [this.delayed, this.failures, this.losses]) {
      for (const index of one.keys()) if (index >= first) one.delete(index);
    }
    this.completions = completions;
    this.cursor = Math.min(this.cursor, first);
    this.decisionVersion++;
    return 'resized';
  }

  /** Whether a session has a pod, told to stop or not. */
  isClaimed(slotNumber: number, pod: number, session: string): boolean {
    const slot = this.slots.get(slotNumber);
    return slot?.pod === pod && slot.session === session && slot.phase !== 'Pending';
  }

  recordRestart(
    slotNumber: number,
    pod: number,
    session: string,
    restarts: number,
    nowMs: number,
  ): 'recorded' | 'replayed' | 'stale' | 'stopping' {
    const slot = this.slots.get(slotNumber);
    if (slot === undefined || !this.isClaimed(slotNumber, pod, session)) return 'stale';
    if (isTold(slot) || slot.phase === 'FreeStopping') return 'stopping';
    if (restarts <= slot.restarts) return 'replayed';
    slot.restarts = restarts;
    if (slot.phase === 'Free') return 'recorded';
    this.decisionVersion++;
    this.trigger(nowMs);
    return 'recorded';
  }

  refuses(guard: ModelGuard): 'moved' | 'gone' | null {
    if (this.purged) return 'gone';
    if (guard.generation !== this.generation || guard.decisionVersion !== this.decisionVersion)
      return 'moved';
    return null;
  }
}

/** How a pod ended. */
export interface ModelEnd {
  readonly endMs: number;
  readonly reason: PodReason;
}

/** What a decision was made from. */
export interface ModelGuard {
  readonly generation: number;
  readonly decisionVersion: number;
}

interface FailureRow {
  readonly failuresInRow: number;
  readonly lastFailureMs: number;
}

/** A claim request as `acquire` takes it. */
export interface AcquireRequest {
  readonly uid: string;
  readonly slot: number;
  readonly attemptsStarted: number;
  readonly session: string;
}

/** Jobs and sessions of one shard. */
export class Model {
  readonly jobs = new Map<string, ModelJob>();
  readonly sessions = new Map<string, ModelSession>();
  /** Until when queues are contended; all Jobs share one. */
  contendedUntilMs = 0;

  acquire(
    request: AcquireRequest,
    leaseTtlMs: number,
    nowMs: number,
  ):
    | AcquireReply['type']
    | [type: 'run', claim: Claim]
    | [type: 'held' | 'parked', untilMs: number] {
    if (this.sessions.get(request.session)?.ended !== false) return 'sessionEnded';
    const job = this.jobs.get(request.uid)!;
    const slot = job.slots.get(request.slot);
    if (slot === undefined) return 'gone';
    const { attemptsStarted, session } = request;
    const isNew = attemptsStarted > slot.asked;
    slot.asked = Math.max(slot.asked, attemptsStarted);
    if (slot.phase !== 'Pending') {
      if (slot.session !== session) {
        const holder = this.sessions.get(slot.session)!;
        return ['parked', Math.max(holder.ended ? 0 : holder.leaseEndMs, nowMs + 200)];
      }
      if (attemptsStarted < slot.attempts) return 'gone';
      if (attemptsStarted > slot.attempts) return ['parked', nowMs + leaseTtlMs];
      return ['run', claimOf(slot)];
    }
    if (!isNew) return ['held', nowMs + 20];
    if (job.gate.holdOnFailure && job.unjudged.size > 0) return ['held', nowMs + 20];
    if (job.gate.deadlineMs > 0 && nowMs >= job.gate.deadlineMs) return ['held', nowMs + 200];
    Object.assign(slot, { phase: 'Running', session, attempts: attemptsStarted, startMs: nowMs });
    return ['run', claimOf(slot)];
  }

  /** Entries of any Jobs; each slot at most once. */
  report(session: string, entries: readonly ReportEntry[], nowMs: number): ReportAnswer[] {
    const answers = new Map<ReportEntry, ReportAnswer>();
    const byJob = Map.groupBy(entries, (entry) => entry.uid);
    for (const [uid, ofJob] of byJob)
      this.#reportJob(this.jobs.get(uid)!, session, ofJob, nowMs, answers);
    return entries.map((entry) => answers.get(entry)!);
  }

  #reportJob(
    job: ModelJob,
    session: string,
    entries: readonly ReportEntry[],
    nowMs: number,
    answers: Map<ReportEntry, ReportAnswer>,
  ): void {
    const before = { succeeded: job.succeeded, unjudged: job.unjudged.size };
    const going: ReportEntry[] = [];
    const wasPurgedOrEnded = job.purged || this.sessions.get(session)?.ended !== false;
    const events = { applied: false, closed: false, stopped: false };
    const close = (entry: ReportEntry): void => {
      job.slots.delete(entry.slot);
      events.closed = true;
      if (!answers.has(entry)) answers.set(entry, { type: 'released' });
    };
    for (const entry of entries) {
      const slot = wasPurgedOrEnded ? undefined : job.slots.get(entry.slot);
      const verdict = classify(slot, session, entry);
      if (slot === undefined || (verdict !== 'apply' && verdict !== 'rolledBack')) {
        answers.set(entry, verdict === 'replay' ? present(slot!) : { type: 'stale' });
        continue;
      }
      events.applied = true;
      if (verdict === 'rolledBack') answers.set(entry, { type: 'rolledBack' });
      const isLeaving = slot.phase === 'Leaving';
      if (isTold(slot) || slot.phase === 'FreeStopping') events.stopped = true;
      if (slot.phase === 'Free') {
        const isFailed = verdict === 'rolledBack' || entry.outcome === 'Failed';
        job.freeRecords.set(slot.pod, isFailed ? 'Failed' : 'Succeeded');
      }
      const why = verdict === 'rolledBack' ? 'RolledBack' : entry.reason;
      job.ended.set(slot.pod, { endMs: nowMs, reason: why });
      if (isFree(slot)) {
        close(entry);
        continue;
      }
      if (slot.phase === 'Returning') job.retry.add(slot.index);
      if (isTold(slot) && !isLeaving) {
        close(entry);
      } else if (verdict === 'rolledBack' || entry.outcome === 'Failed') {
        const reason = verdict === 'rolledBack' ? 'RolledBack' : entry.reason;
        const isDisrupted = reason === 'RolledBack' || reason === 'Drained';
        if (!isLeaving) job.records.set(slot.pod, 'Failed');
        job.fail(slot.pod, slot.index, isLeaving && !isDisrupted ? 'Deleted' : reason);
        close(entry);
      } else {
        if (!isLeaving) job.records.set(slot.pod, 'Succeeded');
        if (!job.indexed || !job.done.has(slot.index)) job.succeeded++;
        if (job.indexed) {
          job.done.add(slot.index);
          if (job.gate.perIndex === true) job.failures.delete(slot.index);
        }
        job.lastSuccessMs = nowMs;
        job.losses.delete(slot.index);
        if (isLeaving) {
          close(entry);
          continue;
        }
        slot.phase = 'Ended';
        going.push(entry);
      }
    }
    if (!events.applied) return;
    for (const entry of going) {
      const slot = job.slots.get(entry.slot)!;
      if (entry.leave || !job.mayStart(nowMs)) {
        close(entry);
        continue;
      }
      slot.previous = slot.pod;
      const yields = entry.quantumOver && this.contendedUntilMs > nowMs;
      Object.assign(slot, {
        pod: ++job.podCount,
        index: job.takeIndex(),
        phase: yields ? 'Pending' : 'Running',
        restarts: 0,
        createdMs: nowMs,
        startMs: yields ? 0 : nowMs,
      });
      job.noteFailures(slot);
      answers.set(entry, yields ? { type: 'yield' } : present(slot));
    }
    const ended =
      job.succeeded > before.succeeded &&
      (job.gate.lookAtSuccesses === true ||
        (job.completions === null ? before.succeeded === 0 : job.succeeded >= job.completions));
    const short = events.closed && (job.active === 0 || job.pending > 0 || job.mayStart(nowMs));
    const drained = events.stopped && job.terminating === 0;
    if (job.unjudged.size > before.unjudged || ended || short || drained) {
      job.trigger(nowMs);
    } else if (job.foldAtMs <= nowMs) {
      job.foldAtMs = nowMs + 1000;
      job.trigger(job.foldAtMs);
    }
  }

  /** Slots of a Job that a session holds. */
  heldBy(session: string, job: ModelJob): number[] {
    return [...job.slots]
      .filter(([, slot]) => slot.session === session && slot.phase !== 'Pending')
      .map(([number]) => number);
  }

  /** `<uid>:<slot>` of all that a session holds, in order. */
  claimsOf(session: string): string[] {
    return [...this.jobs.values()]
      .flatMap((job) => this.heldBy(session, job).map((slot) => `${job.uid}:${slot}`))
      .toSorted();
  }

  /** Claims of pods that a session must stop, with their pods. */
  ordersOf(session: string): [claim: string, pod: number][] {
    return this.claimsOf(session).flatMap((claim) => {
      const [uid = '', slot] = claim.split(':');
      const held = this.jobs.get(uid)!.slots.get(Number(slot))!;
      const isToStop = isTold(held) || held.phase === 'FreeStopping';
      return isToStop ? [[claim, held.pod] as [string, number]] : [];
    });
  }

  endLostPods(session: string, uid: string, slots: readonly number[], nowMs: number): number {
    const job = this.jobs.get(uid)!;
    if (this.sessions.get(session)?.ended === false) return 0;
    let ended = 0;
    for (const number of slots) {
      const slot = job.slots.get(number);
      if (slot === undefined || slot.session !== session || slot.phase === 'Pending') continue;
      job.slots.delete(number);
      ended++;
      job.ended.set(slot.pod, { endMs: nowMs, reason: 'NodeLost' });
      if (slot.phase === 'Returning') job.retry.add(slot.index);
      if (slot.phase === 'Leaving') job.fail(slot.pod, slot.index, 'NodeLost');
      if (slot.phase === 'Free') job.freeRecords.set(slot.pod, 'Failed');
      if (isTold(slot) || isFree(slot)) continue;
      job.records.set(slot.pod, 'Failed');
      job.fail(slot.pod, slot.index, 'NodeLost');
    }
    if (ended > 0) job.trigger(nowMs);
    return ended;
  }
}

function isTold({ phase }: ModelSlot): boolean {
  return phase === 'Stopping' || phase === 'Returning' || phase === 'Leaving';
}

function isFree({ phase }: ModelSlot): boolean {
  return phase === 'Free' || phase === 'FreeStopping';
}

function classify(
  slot: ModelSlot | undefined,
  session: string,
  entry: ReportEntry,
): 'apply' | 'rolledBack' | 'replay' | 'stale' {
  if (slot === undefined || slot.session !== session || slot.attempts !== entry.attemptsStarted)
    return 'stale';
  if (slot.phase !== 'Pending' && slot.pod === entry.podNumber) return 'apply';
  if (slot.phase !== 'Pending' && slot.pod < entry.podNumber) return 'rolledBack';
  if (slot.previous === entry.podNumber) return 'replay';
  return 'stale';
}

function present(slot: ModelSlot): ReportAnswer {
  if (slot.phase === 'Pending') return { type: 'yield' };
  const { pod, index, startMs, failures } = slot;
  const claim = { podNumber: pod, index, createdMs: startMs, startMs, restarts: 0 };
  return { type: 'next', claim: { ...claim, ...failuresField(failures) } };
}

function claimOf(slot: ModelSlot): Claim {
  const { pod, index, createdMs, startMs, restarts, failures } = slot;
  return { podNumber: pod, index, createdMs, startMs, restarts, ...failuresField(failures) };
}
