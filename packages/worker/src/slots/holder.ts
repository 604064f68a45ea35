import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

import { parseFittingKey, type ComputeResources } from '@drover/shared';
import type { Claim, ReportAnswer, ReportEntry } from '@drover/store';
import type { Logger } from 'pino';

import type { PodResult, WorkerFigures } from '../figures.ts';
import type { JobPlan } from '../jobPlan.ts';
import { afterTime } from '../longTimer.ts';
import type { PlanCache } from '../planCache.ts';
import type { PodEvents } from '../podEvents.ts';
import type { ReportSink } from '../reporter.ts';
import type { PodEnd, PodLane, PodNews, PodSink, Runtime, Seat, SlotRef } from '../runtime.ts';
import type { Session, SessionKeeper } from '../session.ts';
import type { ControlPort } from '../shardPort.ts';
import type { PodAttempt } from '../tracing.ts';
import { HeldPlace } from './heldPlace.ts';
import type { HeldLane } from './lanes.ts';
import type { LockHolder } from './lockRenewer.ts';
import { DEADLINE_MESSAGE } from './podDeadline.ts';
import type { Reservation, Reservations } from './reservations.ts';
import type { UnfitSlots } from './unfitSlots.ts';

/** A delivered QueueJob: the offer to hold a slot. */
export interface SlotDelivery {
  readonly queueJobId: string;
  /** Token of BullMQ's lock. */
  readonly token: string;
  /** Deliveries of the QueueJob so far, this one included. */
  readonly attemptsStarted: number;
  /** Name of the queue it came from. */
  readonly queue: string;
  readonly uid: string;
  readonly shard: number;
  readonly slot: number;
  /** What a worker must offer to run its pods, and what they request. */
  readonly fittingKey: string;
}

/** What becomes of the QueueJob when its holder is done with it. */
export type SlotEnd =
  /** The slot is closed or not ours: finish it. */
  | { readonly type: 'finish' }
  /** Put it at the back until then; ms since the epoch. */
  | {
      readonly type: 'delay';
      readonly untilMs: number;
      /** It needs so much room, and there was none. */
      readonly wants?: ComputeResources;
    }
  /** The lock is lost, so BullMQ delivers it to somebody else without our help. */
  | { readonly type: 'leave' };

/** Why a running pod is stopped by its worker. */
export type StopKind = 'order' | 'deadline' | 'sessionEnded' | 'drain' | 'force';

/** A shard as the holders of its slots use it. */
export interface HolderShard {
  readonly port: ControlPort;
  readonly keeper: SessionKeeper;
  /** Takes what there is to tell of pods. */
  readonly events: PodEvents;
  /** Holders with a claim, for stop orders; by `<uid>:<slot>`. */
  readonly holders: Map<string, SlotHolder>;
  /** Slots whose claims are being given up since no holder has them; named likewise. */
  readonly givenUp: ReadonlySet<string>;
  /** Removes what a pod that does not count wrote, if its Job is not there any more. */
  forgetLog(uid: string, podNumber: number): void;
}

/** What a worker is told while it runs; read by the holders of its slots. */
export interface WorkerState {
  /** No new slots; holders leave between pods. */
  draining: boolean;
  /** The same, until it is told otherwise. */
  cordoned: boolean;
  /** Nothing is waited for any more. */
  forced: boolean;
}

/** What all holders of a queue share. */
export interface HolderHost {
  readonly runtime: Runtime;
  /** What this worker offers of the runtime. */
  readonly fittingKeys: ReadonlySet<string>;
  readonly plans: PlanCache;
  readonly logger: Logger;
  /** How long a slot stays with its holder while others wait. */
  readonly quantumMs: number;
  readonly state: WorkerState;
  readonly unfit: UnfitSlots;
  readonly figures: WorkerFigures;
  /** What is reserved for pods; of all queues together. */
  readonly reservations: Reservations;
}

/** Longest grace of a pod whose claim is void: another one may run in its place already. */
const VOID_CLAIM_GRACE_MS = 2_000;
/** First wait after a failed acquire; doubles up to the cap. */
const RETRY_BASE_MS = 50;
const RETRY_CAP_MS = 1_000;
/** A slot put back is left alone for at least this long, whatever the clocks of Redis and worker say. */
const MIN_DELAY_MS = 10;

const FINISH: SlotEnd = { type: 'finish' };
const LEAVE: SlotEnd = { type: 'leave' };

/** The entry of a holder's pod; the same object for each of its pods, since only one is on its way. */
type OwnEntry = { -readonly [Key in keyof ReportEntry]: ReportEntry[Key] };

/**
 * Holds one slot from its delivery until it goes back to the queue or is closed.
 *
 * ```text
 *            acquire                podEnded              reportAnswered
 *   (begin) ---------> pod runs --------------> reported ----------------> next: pod runs
 *      ^                                            |
 *      |   stale, rolledBack (who runs it now?)     |--> released: finish
 *      '--------------------------------------------'--> yield: to the back of the queue
 * ```
 *
 * Once acquired, a slot belongs to this session until a report or the end of the session says
 * otherwise. So a holder never leaves while its claim may be valid: it asks again until Redis answers.
 * Between pods there is no promise and no timer of the holder's own: `podEnded` and
 * `reportAnswered` call each other through the reporter.
 */
export class SlotHolder implements PodSink, ReportSink, LockHolder {
  readonly #host: HolderHost;
  readonly #shard: HolderShard;
  readonly #delivery: SlotDelivery;
  readonly #heldLane: HeldLane;
  readonly #entry: OwnEntry;
  #place: HeldPlace | null = null;
  #session: Session | null = null;
  #plan: JobPlan | null = null;
  #lane: PodLane | null = null;
  #podRuns = false;
  /** Of the present pod, or of the one before. */
  #claim: Claim | null = null;
  #stopping: StopKind | null = null;
  #endDeadline: (() => void) | null = null;
  /** Pod that an order named before its claim was known here. */
  #orderedPod = 0;
  #lockLost = false;
  #heldSinceMs = 0;
  #podBeganMs = 0;
  /** The present pod as a span; null = it is not traced. */
  #attempt: PodAttempt | null = null;
  #settle: ((end: SlotEnd | 'askAgain') => void) | null = null;

  constructor(host: HolderHost, shard: HolderShard, delivery: SlotDelivery, lane: HeldLane) {
    this.#host = host;
    this.#shard = shard;
    this.#delivery = delivery;
    this.#heldLane = lane;
    this.#entry = {
      uid: delivery.uid,
      queue: delivery.queue,
      slot: delivery.slot,
      attemptsStarted: delivery.attemptsStarted,
      podNumber: 0,
      outcome: 'Succeeded',
      exitCode: 0,
      reason: 'Completed',
      hasLog: false,
      leave: false,
      quantumOver: false,
      overlay: null,
    };
  }

  get queueJobId(): string {
    return this.#delivery.queueJobId;
  }

  get token(): string {
    return this.#delivery.token;
  }

  get attemptsStarted(): number {
    return this.#delivery.attemptsStarted;
  }

  /** The session whose claim it holds, if any. */
  get session(): Session | null {
    return this.#session;
  }

  /** A pod runs right now. */
  get podRuns(): boolean {
    return this.#podRuns;
  }

  /** The pod that runs right now, for people: namespace, name and what it runs. */
  get podText(): string | null {
    const plan = this.#plan;
    if (!this.#podRuns || plan === null || this.#claim === null) return null;
    const handler = plan.image === '' ? '' : ` (${plan.image})`;
    return `${plan.facts.namespace}/${plan.podName(this.#claim)}${handler}`;
  }

  /** Grace period of the pods of its Job, ms. */
  get graceMs(): number {
    return this.#plan?.graceMs ?? 0;
  }

  /** Holds the slot; the answer says what to do with the QueueJob. Never rejects for a reason of the pod. */
  async hold(): Promise<SlotEnd> {
    for (;;) {
      if (this.#mustLeave) return this.#back(Date.now());
      const end = await this.#holdOnce();
      if (end !== 'askAgain') return end;
      if (this.#lockLost) return LEAVE;
    }
  }

  async #holdOnce(): Promise<SlotEnd | 'askAgain'> {
    const { lanes, requests } = parseFittingKey(this.#delivery.fittingKey);
    // A `handler` queue has slots of handlers that this worker does not have. Both before the claim,
    // which could not be given back.
    if (!this.#host.fittingKeys.has(lanes)) {
      this.#host.logger.debug({ ...this.#names(), lanes }, 'a slot can not run here');
      return this.#backUnfit();
    }
    if (requests === null) return await this.#holdWithSeat(lanes);
    // Whatever else its pods wait for, what they requested stays theirs, as in Kubernetes.
    let room: Reservation | Promise<Reservation | null> | null =
      this.#host.reservations.take(requests);
    if (room instanceof Promise) room = await room;
    if (room === null) return this.#backUnfit(requests);
    try {
      return await this.#holdWithSeat(lanes);
    } finally {
      room.leave();
    }
  }

  async #holdWithSeat(lanes: string): Promise<SlotEnd | 'askAgain'> {
    let seat: Seat | Promise<Seat | null> | null = this.#host.runtime.takeSeat(lanes);
    if (seat instanceof Promise) seat = await seat;
    if (seat === null) return this.#backUnfit();
    this.#place = new HeldPlace(this.#heldLane, seat);
    try {
      // It may have waited for its seat.
      if (this.#mustLeave) return this.#back(Date.now());
      return await this.#holdFitting();
    } finally {
      this.#place.takeBack();
      this.#place = null;
      seat.leave();
    }
  }

  get #mustLeave(): boolean {
    const { draining, cordoned } = this.#host.state;
    return draining || cordoned || this.#heldLane.isFree;
  }

  async #holdFitting(): Promise<SlotEnd | 'askAgain'> {
    const { uid } = this.#delivery;
    const session = await this.#shard.keeper.current();
    const key = `${uid}:${this.#delivery.slot}`;
    this.#session = session;
    // Before the claim exists, so that a stop order for it can not be missed.
    const other = this.#shard.holders.get(key);
    if ((other !== undefined && other !== this) || this.#shard.givenUp.has(key)) {
      return this.#back(Date.now() + RETRY_CAP_MS);
    }
    this.#shard.holders.set(key, this);
    try {
      return await this.#claimAndRun(session, this.#host.plans.get(uid));
    } finally {
      this.#shard.holders.delete(key);
      this.#session = null;
    }
  }

  async #claimAndRun(session: Session, known: JobPlan | null): Promise<SlotEnd | 'askAgain'> {
    const { uid, slot, attemptsStarted } = this.#delivery;
    const knownGeneration = known?.generation ?? 0;
    const reply = await this.#untilAnswered(session, () =>
      this.#shard.port.acquire({
        uid,
        slot,
        attemptsStarted,
        session: session.id,
        knownGeneration,
      }),
    );
    if (reply === 'sessionEnded') return 'askAgain';
    switch (reply.type) {
      case 'gone':
        return this.#lockLost ? LEAVE : FINISH;
      case 'held':
      case 'parked':
        return this.#back(reply.untilMs);
      case 'sessionEnded':
        this.#shard.keeper.noticeEnded(session);
        return 'askAgain';
      case 'run': {
        const plan = reply.job === null ? known : this.#host.plans.put(reply.job);
        assert(plan !== null, 'acquire leaves the object out only when it is known');
        return this.#run(session, plan, reply.claim);
      }
    }
  }

  #run(session: Session, plan: JobPlan, claim: Claim): Promise<SlotEnd | 'askAgain'> {
    this.#plan = plan;
    this.#heldSinceMs = performance.now();
    return new Promise((resolve) => {
      this.#settle = (end) => {
        this.#settle = null;
        this.#lane = null;
        resolve(end);
      };
      this.#start(session, claim);
    });
  }

  #start(session: Session, claim: Claim): void {
    this.#claim = claim;
    this.#entry.podNumber = claim.podNumber;
    this.#stopping = null;
    this.#podRuns = true;
    this.#podBeganMs = performance.now();
    this.#host.figures.podsStarted += 1;
    try {
      const fault = this.#plan?.fault ?? null;
      if (fault !== null) throw new Error(fault);
      if (this.#lane === null || this.#lane.spent) this.#lane = this.#createLane(session);
      this.#startIn(this.#lane, claim);
    } catch (error) {
      // A pod that can't even begin must not take its slot with it.
      this.#host.logger.error({ err: error, ...this.#names() }, 'a pod could not be started');
      if (this.#podRuns) this.podEnded(startError(error));
      return;
    }
    if (!this.#podRuns) return;
    this.#noteStart(claim);
    if (this.#orderedPod === claim.podNumber) this.stop('order');
    if (session.ended) this.stop('sessionEnded');
  }

  #startIn(lane: PodLane, claim: Claim): void {
    const plan = this.#plan;
    const trace = plan?.trace ?? null;
    if (plan === null || trace === null) {
      lane.start(claim);
      return;
    }
    const index = plan.indexed ? claim.index : null;
    const [name, uid] = [plan.podName(claim), plan.podUid(claim)];
    this.#attempt = trace.begin(claim, { name, uid, index });
    this.#attempt.run(() => lane.start(claim));
  }

  #noteStart(claim: Claim): void {
    const plan = this.#plan;
    if (plan === null) return;
    this.#shard.events.started(plan, claim);
    if (claim.podNumber === 1) {
      this.#host.figures.startDelays.note(Math.max(0, Date.now() - plan.createdMs) / 1_000);
    }
    if (plan.activeDeadlineMs === null) return;
    this.#endDeadline = afterTime(plan.activeDeadlineMs, () => this.stop('deadline'));
  }

  #createLane(session: Session): PodLane {
    assert(this.#plan !== null && this.#place !== null, 'a lane belongs to a Job');
    const { uid, shard, slot } = this.#delivery;
    const tell = (news: PodNews): void => this.#noteNews(news);
    const ref: SlotRef = {
      uid,
      shard,
      slot,
      session: session.id,
      place: this.#place,
      tell,
    };
    return this.#host.runtime.createLane(this.#plan, ref, this);
  }

  podEnded(ended: PodEnd): void {
    assert(this.#podRuns, 'a pod ends once');
    const end = this.#stopping === 'deadline' ? overdue(ended) : ended;
    this.#podRuns = false;
    this.#endDeadline?.();
    this.#endDeadline = null;
    this.#place?.takeBack();
    const nowMs = performance.now();
    this.#host.figures.podTimes.note((nowMs - this.#podBeganMs) / 1_000);
    this.#attempt?.end(end);
    this.#attempt = null;
    const session = this.#session;
    if (session === null || session.ended) {
      this.#host.figures.podsEnded.discarded += 1;
      // Whatever it did, it does not count: the claim is void.
      if (end.hasLog) this.#shard.forgetLog(this.#delivery.uid, this.#entry.podNumber);
      this.#finish('askAgain');
      return;
    }
    const entry = this.#entry;
    const handedOver = this.#stopping === 'drain' || this.#stopping === 'force';
    entry.outcome = handedOver ? 'Failed' : end.outcome;
    entry.reason = handedOver ? 'Drained' : end.reason;
    entry.exitCode = handedOver && end.exitCode === 0 ? SIGTERM_EXIT_CODE : end.exitCode;
    entry.hasLog = end.hasLog;
    if (entry.outcome === 'Failed' && this.#stopping === null) this.#noteFailure(end);
    const failures = this.#claim?.failures;
    // Nothing else tells it of a pod that ended.
    entry.overlay = failures === undefined ? end.overlay : { ...end.overlay, failures };
    // At once: of several whose pods end now, only those that are too many are to leave.
    if (this.#heldLane.isOneTooMany) this.#heldLane.free();
    entry.leave = this.#lockLost || this.#mustLeave;
    entry.quantumOver = nowMs - this.#heldSinceMs >= this.#host.quantumMs;
    session.reporter.push(entry, this);
  }

  #noteNews(news: PodNews): void {
    if (this.#plan !== null && this.#claim !== null) {
      this.#shard.events.happened(this.#plan, this.#claim, news);
    }
  }

  #noteFailure(end: PodEnd): void {
    if (this.#plan !== null && this.#claim !== null) {
      this.#shard.events.failed(this.#plan, this.#claim, end);
    }
  }

  reportAnswered(answer: ReportAnswer): void {
    const session = this.#session;
    this.#host.figures.podsEnded[this.#resultFor(answer)] += 1;
    switch (answer.type) {
      case 'next':
        if (session === null || session.ended) this.#finish('askAgain');
        else this.#start(session, answer.claim);
        return;
      case 'released':
        this.#finish(this.#lockLost ? LEAVE : FINISH);
        return;
      case 'yield':
        this.#finish(this.#back(Date.now()));
        return;
      case 'stale':
      case 'rolledBack':
        this.#host.logger.info(
          { ...this.#names(), answer: answer.type },
          'the end of a pod did not count',
        );
        if (this.#entry.hasLog) {
          this.#shard.forgetLog(this.#delivery.uid, this.#entry.podNumber);
        }
        this.#finish('askAgain');
        return;
    }
  }

  #resultFor({ type }: ReportAnswer): PodResult {
    if (type === 'stale' || type === 'rolledBack') return 'discarded';
    if (this.#entry.reason === 'Drained') return 'drained';
    return this.#entry.outcome === 'Succeeded' ? 'succeeded' : 'failed';
  }

  /** An order: only the pod it names is stopped, which may be the one that is yet to come. */
  order(podNumber: number): void {
    this.#orderedPod = podNumber;
    if (this.#podRuns && this.#entry.podNumber === podNumber) this.stop('order');
  }

  /** Stops the running pod, if there is one and it was not told before for as strong a reason. */
  stop(kind: StopKind): void {
    if (!this.#podRuns || this.#lane === null) return;
    if (this.#stopping === kind) return;
    // A pod that was ordered to stop counts as the order says; a drain only makes it quicker.
    if (kind === 'deadline' && this.#stopping !== null) return;
    this.#noteStop(kind);
    if (this.#stopping === null || kind === 'sessionEnded') this.#stopping = kind;
    this.#lane.stop(this.#stopGraceMs(kind));
  }

  #noteStop(kind: StopKind): void {
    const [plan, claim] = [this.#plan, this.#claim];
    if (plan === null || claim === null || this.#stopping !== null) return;
    const { events } = this.#shard;
    if (kind === 'deadline') events.deadlineExceeded(plan, claim, DEADLINE_MESSAGE);
    if (kind !== 'sessionEnded') events.stopping(plan, claim);
  }

  lockWasLost(): void {
    this.#lockLost = true;
  }

  #stopGraceMs(kind: StopKind): number {
    switch (kind) {
      case 'order':
      case 'deadline':
        return this.graceMs;
      case 'sessionEnded':
      case 'drain':
        return Math.min(this.graceMs, VOID_CLAIM_GRACE_MS);
      case 'force':
        return 0;
    }
  }

  #finish(end: SlotEnd | 'askAgain'): void {
    assert(this.#settle !== null, 'a slot is given up once');
    this.#settle(end);
  }

  /** Passed on to others, or left alone for a while when it came back from them. */
  #backUnfit(wants?: ComputeResources): SlotEnd {
    const end = this.#back(Date.now() + this.#host.unfit.delayMs(this.queueJobId));
    return end.type === 'delay' && wants !== undefined ? { ...end, wants } : end;
  }

  #back(untilMs: number): SlotEnd {
    if (this.#lockLost) return LEAVE;
    const nowMs = Date.now();
    return {
      type: 'delay',
      untilMs: untilMs <= nowMs ? nowMs : Math.max(untilMs, nowMs + MIN_DELAY_MS),
    };
  }

  /**
   * Asks until there is an answer: a claim that was given, but whose answer got lost, would
   * belong to a living session without anybody running it. Ends early only with the session.
   */
  async #untilAnswered<T>(session: Session, ask: () => Promise<T>): Promise<T | 'sessionEnded'> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await ask();
      } catch (error) {
        this.#host.logger.debug({ err: error, ...this.#names() }, 'acquire failed; asking again');
      }
      if (session.ended || this.#host.state.forced) return 'sessionEnded';
      await delay(Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(failures, 6)));
    }
  }

  #names(): Record<string, unknown> {
    return {
      jobUid: this.#delivery.uid,
      slot: this.#delivery.slot,
      pod: this.#entry.podNumber,
      session: this.#session?.id,
    };
  }
}

/** Exit code of a pod that was stopped and said nothing else: ended by SIGTERM. */
const SIGTERM_EXIT_CODE = 143;

/** How a pod ends that was active for too long, whatever its program made of the time it was given to stop. */
function overdue(end: PodEnd): PodEnd {
  // The worker lost it in the meantime.
  if (end.reason === 'Drained') return end;
  return {
    ...end,
    outcome: 'Failed',
    reason: 'DeadlineExceeded',
    exitCode: end.exitCode === 0 ? SIGTERM_EXIT_CODE : end.exitCode,
    overlay: { ...end.overlay, message: DEADLINE_MESSAGE },
  };
}

function startError(error: unknown): PodEnd {
  const message = error instanceof Error ? error.message : String(error);
  return {
    outcome: 'Failed',
    exitCode: 128,
    reason: 'StartError',
    hasLog: false,
    overlay: { message: message.slice(0, 4096) },
  };
}
