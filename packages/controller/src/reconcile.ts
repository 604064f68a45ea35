/**
 * Observe, decide, apply for one Job. Every step may run twice and beside another controller's:
 * the scripts compare the decision's version, and count again what they rely on.
 */
import assert from 'node:assert/strict';
import { parseIndexIntervals, type JobStatus, type PodPriority } from '@drover/shared';
import type {
  DecisionGuard,
  EventSink,
  NewStatus,
  ObservedJob,
  PodOverlay,
  Shard,
  SlotRecord,
  StopInput,
  StoredJob,
} from '@drover/store';
import { isOutOfMemory, MAX_PODS_PER_CALL } from '@drover/store';
import type { Logger } from 'pino';
import type { BackoffPolicy } from './decide/backoff.ts';
import { decide } from './decide/decide.ts';
import { composeStatus, type IndexText, renderIndexes } from './decide/status.ts';
import { stopOrder } from './decide/stopOrder.ts';
import { lastIndexNeeded } from './decide/successPolicy.ts';
import type { DecideSpec, Decision, Figures, JudgePlan, Next, Standing } from './decide/types.ts';
import { Adoptions, type AdoptedSlot, type AdoptedSource } from './adoption.ts';
import {
  priorityClassOf,
  readSpec,
  selectsByHand,
  readStatus,
  toObserved,
  workQueueOf,
} from './jobPlan.ts';
import { deleteDependentsOfPods } from './garbage.ts';
import { JobEvents } from './jobEvents.ts';
import { JobMemos, type JobMemo } from './jobMemo.ts';
import type { KeptPodsKeeper } from './keptPods.ts';
import type { Priorities } from './priorities.ts';
import { dismantle, orphan, purge, type RemovalShard } from './removal.ts';
import { MAX_OFFERS_PER_CALL, type SlotOffers } from './slotOffers.ts';

/** Looks in one go at most; a Job that needs more takes its turn behind the others. */
const MAX_PASSES = 10;

/** Counters are folded into the status no more often than this. */
export const FOLD_EVERY_MS = 1_000;

/** How much longer than one resync a queue stays marked, so that the mark does not flicker. */
const CONTENDED_SLACK_MS = 5_000;

/** How soon a Job that opened slots on a shared queue is looked at again: do its pods have to wait? */
const CONTENTION_CHECK_MS = 100;

/** What the reconciler needs of a shard. */
export type ReconcileShard = Pick<
  Shard,
  | 'index'
  | 'observeJob'
  | 'judge'
  | 'openSlots'
  | 'stopPods'
  | 'writeStatus'
  | 'resizeJob'
  | 'listSlots'
  | 'allSlots'
  | 'doneBitmap'
  | 'doneUpTo'
  | 'failedBitmap'
  | 'indexState'
  | 'podOverlays'
  | 'awaitLanes'
  | 'markContended'
  | 'readRecord'
  | 'fittingLanes'
  | 'capacities'
  | 'sessions'
  | 'hostsOfLoosePods'
  | 'loosePods'
> &
  RemovalShard & {
    readonly workQueues: Pick<Shard['workQueues'], 'find' | 'read' | 'awaitCreation'>;
  };

/** Options of a {@link JobReconciler}. */
export interface ReconcilerOptions {
  readonly shard: ReconcileShard;
  readonly offers: Pick<SlotOffers, 'offer'>;
  readonly priorities: Pick<Priorities, 'refresh' | 'of' | 'inQueue'>;
  readonly backoff: BackoffPolicy;
  /** How often an unfinished Job is looked at though nothing happened, ms. */
  readonly resyncMs: number;
  /** Bounds what is kept of pods that ended. */
  readonly kept: Pick<KeptPodsKeeper, 'trim' | 'finished'>;
  /** Takes what there is to tell of Jobs. */
  readonly events: EventSink;
  /** Told of each Job that got its final condition. Default: nobody is. */
  readonly onFinished?: (condition: string, reason: string) => void;
  readonly logger: Logger;
}

/** How one pass ended. */
type PassEnd =
  | { readonly type: 'settled'; readonly nextAtMs: number | null }
  /** Something moved, or was made to move: look again at once. */
  | { readonly type: 'again' };

const AGAIN: PassEnd = { type: 'again' };
const NO_BITS = new Uint8Array(0);

type Resize = Extract<Decision, { type: 'resize' }>;
type Suspend = Extract<Decision, { type: 'suspend' }>;
type End = Extract<Decision, { type: 'end' }>;
type Converge = Extract<Decision, { type: 'converge' }>;
type Dismantle = Extract<Decision, { type: 'dismantle' }>;
type Tend = Extract<Decision, { type: 'tend' }>;

/** One look and what belongs to it. */
interface Pass {
  readonly reconcileId: string;
  readonly look: ObservedJob;
  readonly memo: JobMemo;
  readonly status: JobStatus;
  readonly indexed: boolean;
  readonly completions: number;
  /** Failures are counted for each index. */
  readonly perIndex: boolean;
  /** Failed pods that the Job has adopted, by their numbers among those that wait for a verdict. */
  readonly adopted: ReadonlyMap<number, AdoptedSource>;
}

/** What is to be shown. */
interface Shown {
  readonly figures: Figures;
  /** Indexes that this very pass fails: they may not be stored yet. */
  readonly failedNow: readonly number[];
  readonly standing: Standing;
  readonly finish: End['finish'];
}

/** A status that is worth writing. */
interface StatusPlan extends NewStatus {
  readonly type: 'write';
  readonly shown: Shown;
}

/** Nothing new to say, or not yet: look again at `foldAtMs`. */
interface Unwritten {
  readonly type: 'unwritten';
  readonly foldAtMs: number | null;
}

/** The outcome of a status write. */
type StatusEnd =
  | { readonly type: 'written'; readonly decisionVersion: number }
  | Unwritten
  | { readonly type: 'refused' };

/** What a controller remembers of a slot queue; it only spares commands. Times by the shard's clock, ms. */
interface QueueMemo {
  /** Until when it is marked contended. */
  contendedUntilMs: number;
  /** When a Job on it is looked at the next time, to see whether its pods have to wait. */
  checkAtMs: number;
}

/** Reconciles the Jobs of one shard. */
export class JobReconciler {
  readonly #shard: ReconcileShard;
  readonly #offers: Pick<SlotOffers, 'offer'>;
  readonly #priorities: Pick<Priorities, 'refresh' | 'of' | 'inQueue'>;
  readonly #backoff: BackoffPolicy;
  readonly #resyncMs: number;
  readonly #logger: Logger;
  readonly #onFinished: (condition: string, reason: string) => void;
  readonly #kept: Pick<KeptPodsKeeper, 'trim' | 'finished'>;
  readonly #events: JobEvents;
  readonly #adoptions: Adoptions;
  readonly #memos = new JobMemos();
  readonly #queues = new Map<string, QueueMemo>();

  constructor(options: ReconcilerOptions) {
    this.#shard = options.shard;
    this.#offers = options.offers;
    this.#priorities = options.priorities;
    this.#backoff = options.backoff;
    this.#resyncMs = options.resyncMs;
    this.#logger = options.logger;
    this.#onFinished = options.onFinished ?? (() => undefined);
    this.#kept = options.kept;
    this.#events = new JobEvents(options.shard, options.events);
    this.#adoptions = new Adoptions(options.shard, options.events, options.logger);
  }

  /** Jobs that are remembered: the unfinished ones that were looked at. */
  get rememberedCount(): number {
    return this.#memos.size;
  }

  /**
   * Brings a Job nearer to what its spec wants, as far as that goes now.
   *
   * @param reconcileId - Names this call in log lines.
   * @param seen - The Job as it was when it was taken; null = it is yet to be looked at.
   * @returns When to look again, ms by the shard's clock; null = when something changes.
   * @throws TerminalError when the stored Job can not be read; other errors are worth a retry.
   */
  async reconcile(
    uid: string,
    reconcileId = '',
    seen: ObservedJob | null = null,
  ): Promise<number | null> {
    let nowMs = 0;
    let known = seen;
    // Together with the look: pods that are to start do not wait for both.
    this.#priorities.refresh();
    for (let pass = 0; pass < MAX_PASSES; pass++) {
      const memo = this.#memos.of(uid);
      // Of one with slots on offer more Pending ones are to be named than was known when it was taken.
      if (
        known !== null &&
        memo.offered.size > 0 &&
        known.pendingSlots.length < known.pendingCount
      ) {
        known = null;
      }
      const look = known ?? (await this.#observe(uid, memo));
      known = null;
      if (look === null) {
        this.#memos.forget(uid);
        return null;
      }
      nowMs = look.nowMs;
      if (look.hasOwningPods) await deleteDependentsOfPods(this.#shard, uid);
      readObject(look, memo);
      if (await this.#adoptions.seek(look.job, memo)) continue;
      if (await this.#adoptions.tend(look.job)) continue;
      await this.#adoptions.tendLent(look.job);
      const hasMore = await this.#kept.trim(look);
      const end = await this.#apply(look, memo, reconcileId);
      await this.#adoptions.show(look.job, memo);
      if (end.type === 'settled') {
        if (hasMore) return nowMs;
        if (end.nextAtMs === null || look.job.finished) this.#memos.forget(uid);
        return end.nextAtMs;
      }
    }
    return nowMs;
  }

  #observe(uid: string, { offered }: JobMemo): Promise<ObservedJob | null> {
    return this.#shard.observeJob(uid, Math.min(1000, offered.size + MAX_OFFERS_PER_CALL));
  }

  async #apply(look: ObservedJob, memo: JobMemo, reconcileId: string): Promise<PassEnd> {
    const { job } = look;
    const spec = readObject(look, memo);
    const status = readStatus(job);
    const { indexed } = spec;
    const completions = spec.completions ?? 0;
    const perIndex = spec.backoffLimitPerIndex !== null;
    const adopted = await this.#adoptions.sources(look);
    const pass = { reconcileId, look, memo, status, indexed, completions, perIndex, adopted };
    const { startTime } = status;
    await this.#events.created(look, memo, look.counters.podCount, { indexed, startTime });
    const [isHeldUp, indexState, overlays, done, hasTail] = await Promise.all([
      this.#missesWorkQueue(look, memo),
      perIndex ? this.#shard.indexState(job.uid, look.nowMs) : null,
      spec.failureRules === null ? null : this.#readOverlays(look),
      this.#readDoneFor(look, spec),
      this.#hasTail(look, spec),
    ]);
    const observed = toObserved(look, spec, status, {
      isHeldUp,
      indexState,
      overlays,
      done,
      adopted,
      hasTail,
    });
    const decision = decide(observed, look.nowMs, this.#backoff);
    switch (decision.type) {
      case 'rest':
        return this.#settle(pass, { type: 'unwritten', foldAtMs: null }, decision.next);
      case 'expire':
        await this.#shard.deleteJob(look.job.uid, {
          policy: 'Foreground',
          resourceVersion: look.job.resourceVersion,
        });
        return AGAIN;
      case 'dismantle':
        return this.#applyDismantle(pass, decision);
      case 'orphan':
        await orphan(this.#shard, look);
        return AGAIN;
      case 'tend':
        return this.#applyTend(pass, decision);
      case 'clear':
        await this.#stopAll(pass, guardOf(look), 'uncounted');
        return AGAIN;
      case 'purge':
        return this.#purge(look);
      case 'resize':
        return this.#applyResize(pass, decision);
      case 'suspend':
        return this.#applySuspend(pass, decision);
      case 'end':
        return this.#applyEnd(pass, decision);
      case 'converge':
        return this.#applyConverge(pass, decision);
    }
  }

  async #readOverlays({ job, unjudged }: ObservedJob): Promise<ReadonlyMap<number, PodOverlay>> {
    const numbers = unjudged.filter((pod) => pod.hasOverlay).map(({ podNumber }) => podNumber);
    return await this.#shard.podOverlays(job.uid, numbers);
  }

  /** Which indexes succeeded, as far as a successPolicy wants to know it. */
  async #readDoneFor(
    { job, counters }: ObservedJob,
    { successRules }: DecideSpec,
  ): Promise<Uint8Array> {
    const last = lastIndexNeeded(successRules, counters.succeeded);
    return last < 0 ? NO_BITS : await this.#shard.doneUpTo(job.uid, last);
  }

  /** Asked only of a Job that grows and replaces pods when they ended. */
  async #hasTail({ job, supply, counters }: ObservedJob, spec: DecideSpec): Promise<boolean> {
    const { indexed, completions, replacesEnded } = spec;
    const end = supply.completions ?? 0;
    const grows = indexed && (completions ?? 0) > end;
    if (!grows || !replacesEnded || counters.terminating === 0) return false;
    return (await this.#ownSlots(job.uid)).some(({ index }) => index >= end);
  }

  async #ownSlots(uid: string): Promise<SlotRecord[]> {
    return (await this.#shard.allSlots(uid)).filter(isOwn);
  }

  /** Its own, and the pods that it has adopted. */
  async #slotsOf(job: StoredJob): Promise<(SlotRecord | AdoptedSlot)[]> {
    const [own, adopted] = await Promise.all([this.#ownSlots(job.uid), this.#adoptions.slots(job)]);
    return [...own, ...adopted];
  }

  /** Whether the Job names a work queue that does not exist; its creation then makes the Job due. */
  async #missesWorkQueue({ job }: ObservedJob, memo: JobMemo): Promise<boolean> {
    // One that is being deleted starts nothing.
    if (memo.hasWorkQueue || job.finished || job.deleted || job.deletionMs !== null) return false;
    const name = workQueueOf(job);
    if (name === null) return false;
    const { workQueues } = this.#shard;
    const isThere = async (): Promise<boolean> =>
      (memo.hasWorkQueue = (await workQueues.find(job.namespace, name)) !== null);
    if (await isThere()) return false;
    await this.#asFarAsRoom(workQueues.awaitCreation(job.namespace, name, job.uid));
    // It may have been created in between.
    return !(await isThere());
  }

  async #purge(look: ObservedJob): Promise<PassEnd> {
    const step = await purge(this.#shard, look.job);
    // The report of the last pod that ends makes the Job due; the resync is for its loss.
    return step === 'done' ? { type: 'settled', nextAtMs: null } : this.#afterStep(look, step);
  }

  #afterStep({ nowMs }: ObservedJob, step: 'more' | 'waiting'): PassEnd {
    return { type: 'settled', nextAtMs: step === 'more' ? nowMs : nowMs + this.#resyncMs };
  }

  async #applyDismantle(pass: Pass, decision: Dismantle): Promise<PassEnd> {
    const { look } = pass;
    const guard = await this.#judge(pass, decision.judge);
    if (guard === null) return AGAIN;
    if (decision.stopsPods) {
      await this.#stopAll(pass, guard, 'failed');
      return AGAIN;
    }
    if (decision.isEmpty) {
      const step = await dismantle(this.#shard, look);
      return step === 'done' ? AGAIN : this.#afterStep(look, step);
    }
    const { shown, next } = decision;
    const nothing: Unwritten = { type: 'unwritten', foldAtMs: null };
    const written =
      shown === null
        ? nothing
        : await this.#show(pass, guard, {
            ...shown,
            failedNow: failedBy(decision.judge),
            finish: null,
          });
    return this.#settle(pass, written, next);
  }

  /** Pods that are nobody's still have to be offered to workers, and be looked after when they are lost. */
  async #applyTend(pass: Pass, { judge, offerLimit, next }: Tend): Promise<PassEnd> {
    const guard = await this.#judge(pass, judge);
    if (guard === null) return AGAIN;
    const wakes = await this.#offer(pass, { offerLimit, contended: false }, []);
    return this.#settle(pass, { type: 'unwritten', foldAtMs: null }, next, wakes);
  }

  async #applyResize(pass: Pass, decision: Resize): Promise<PassEnd> {
    const guard = await this.#judge(pass, decision.judge);
    if (guard === null || decision.isUnjudged) return AGAIN;
    const { from, completions, figures, standing } = decision;
    if (from !== null) {
      const slots = await this.#slotsOf(pass.look.job);
      const inTheWay = slots.filter(
        (slot) => slot.index >= from && (slot.phase !== 'Stopping' || owesSomething(slot)),
      );
      if (inTheWay.length > 0) {
        await this.#stop(pass, guard, inTheWay, 'cut');
        return AGAIN;
      }
    }
    const { uid } = guard;
    // As they are when nothing of the indexes that go is left. Those that a former resize began to remove go, too.
    const end = Math.min(completions, from ?? completions);
    const [done, failed] = await Promise.all([
      this.#shard.doneBitmap(uid),
      pass.perIndex ? this.#shard.failedBitmap(uid) : null,
    ]);
    const status = composeStatus(
      pass,
      figures,
      standing,
      renderIndexes(done, end),
      failed && renderIndexes(failed, end),
    );
    const resize = { ...guard, completions, status: JSON.stringify(status) };
    let reply = await this.#shard.resizeJob(resize);
    while (reply.type === 'more') reply = await this.#shard.resizeJob(resize, reply.from);
    return AGAIN;
  }

  async #applySuspend(pass: Pass, decision: Suspend): Promise<PassEnd> {
    const guard = await this.#judge(pass, decision.judge);
    if (guard === null) return AGAIN;
    if (decision.stopsPods) {
      await this.#stopAll(pass, guard, 'uncounted');
      return AGAIN;
    }
    const written = await this.#show(pass, guard, {
      ...decision,
      failedNow: failedBy(decision.judge),
      finish: null,
    });
    return this.#settle(pass, written, decision.next);
  }

  async #applyEnd(pass: Pass, decision: End): Promise<PassEnd> {
    const guard = await this.#judge(pass, decision.judge);
    if (guard === null) return AGAIN;
    // The verdict is on record before anything is done because of it.
    const failedNow = failedBy(decision.judge);
    const written = await this.#show(pass, guard, { ...decision, failedNow });
    if (written.type === 'refused') return AGAIN;
    if (decision.stopsPodsAs !== null) {
      const version = written.type === 'written' ? written.decisionVersion : guard.decisionVersion;
      await this.#stopAll(pass, { ...guard, decisionVersion: version }, decision.stopsPodsAs);
      return AGAIN;
    }
    return this.#settle(pass, written, decision.next);
  }

  async #applyConverge(pass: Pass, decision: Converge): Promise<PassEnd> {
    const { judge, pods } = decision;
    if (pods.type === 'open') {
      const priority = await this.#priorities.of(pass.memo.className);
      if (priority !== null) return this.#applyOpen(pass, decision, pods.count, priority);
      // The class may come: the resync looks for it.
      this.#events.noPriorityClass(pass.look, pass.memo.className);
    }
    const guard = await this.#judge(pass, judge);
    if (guard === null) return AGAIN;
    if (pods.type === 'stop' || pods.type === 'stopPending') {
      const slots = await this.#slotsOf(pass.look.job);
      const chosen =
        pods.type === 'stop'
          ? stopOrder(slots, pods.count)
          : slots.filter((slot) => slot.phase === 'Pending');
      await this.#stop(pass, guard, chosen, 'uncounted');
      return AGAIN;
    }
    const wakes = await this.#offer(pass, decision, []);
    const written = await this.#show(pass, guard, shownBy(decision, 0));
    return this.#settle(pass, written, decision.next, wakes);
  }

  /** Verdicts, slots and status in one step: a Job's first look is all that a burst of Jobs costs. */
  async #applyOpen(
    pass: Pass,
    decision: Converge,
    count: number,
    priority: PodPriority,
  ): Promise<PassEnd> {
    const { judge } = decision;
    const {
      perIndex,
      look,
      memo,
      indexed,
      status: { startTime },
    } = pass;
    const guard = guardOf(look);
    const plan = await this.#planStatus(pass, shownBy(decision, count));
    const status = plan.type === 'write' ? plan : null;
    const also = { judge, status, perIndex, priority };
    const opened = await this.#shard.openSlots(guard, count, also);
    if (opened.type !== 'opened') return AGAIN;

    const { slots, decisionVersion, isStatusWritten } = opened;
    const wakes = await this.#offer(pass, decision, slots, priority);
    // No pod waits for what is told.
    await this.#events.failed(look, judge, pass.adopted);
    const podCount = look.counters.podCount + slots.length;
    await this.#events.created(look, memo, podCount, { indexed, startTime });
    this.#events.denied(look, opened.denial, podCount);
    let written: StatusEnd;
    if (isStatusWritten && plan.type === 'write') {
      await this.#noteStatus(pass, plan);
      written = { type: 'written', decisionVersion };
    } else if (slots.length === count && plan.type === 'unwritten') written = plan;
    else {
      const shown = shownBy(decision, slots.length);
      written = await this.#show(pass, { ...guard, decisionVersion }, shown);
    }
    return this.#settle(pass, written, decision.next, wakes);
  }

  async #judge({ look, adopted }: Pass, plan: JudgePlan | null): Promise<DecisionGuard | null> {
    const guard = guardOf(look);
    if (plan === null) return guard;
    const reply = await this.#shard.judge({ ...guard, ...plan });
    if (reply.type !== 'judged') return null;
    await this.#events.failed(look, plan, adopted);
    return { ...guard, decisionVersion: reply.decisionVersion };
  }

  /** Answers when to look again because of it. */
  async #offer(
    pass: Pass,
    decision: Pick<Converge, 'offerLimit' | 'contended'>,
    opened: readonly number[],
    priority: PodPriority = pass.look.job.priority,
  ): Promise<number[]> {
    const { look, memo } = pass;
    const { job, nowMs } = look;
    const isResync = nowMs - memo.offeredAtMs >= this.#resyncMs;
    const room = Math.max(0, decision.offerLimit - look.counters.running);
    const onOffer = [...look.pendingSlots, ...opened].slice(0, room);
    const missing = isResync ? onOffer : onOffer.filter((slot) => !memo.offered.has(slot));
    const offering = missing.slice(0, MAX_OFFERS_PER_CALL);

    const waiting = look.pendingCount + opened.length > room;
    await Promise.all([
      offering.length > 0
        ? this.#offerSlots(look, offering, priority, isResync && look.pendingSlots.length > 0)
        : null,
      // More lanes would help; whoever brings some makes the Job due.
      waiting ? this.#shard.awaitLanes(job.uid, job.fittingKey, look.fittingLanes) : null,
      decision.contended ? this.#markContended(look) : null,
    ]);

    await this.#events.unschedulable(look, memo, look.pendingCount + opened.length);

    if (isResync) {
      memo.offered = new Set(offering);
      memo.offeredAtMs = nowMs;
    } else {
      if (look.pendingSlots.length === look.pendingCount) keepOnly(memo.offered, look.pendingSlots);
      for (const slot of offering) memo.offered.add(slot);
    }
    const wakes: number[] = [];
    if (offering.length < missing.length) wakes.push(nowMs);
    // Nothing tells that the new pods run: one more look puts that into the status.
    if (opened.length > 0) wakes.push(this.#contentionCheckMs(look) ?? nowMs + FOLD_EVERY_MS);
    return wakes;
  }

  async #offerSlots(
    { job }: ObservedJob,
    slots: readonly number[],
    priority: PodPriority,
    isAgain: boolean,
  ): Promise<void> {
    const inQueue = await this.#priorities.inQueue(priority);
    await this.#offers.offer(job, this.#shard.index, slots, inQueue, isAgain);
  }

  /**
   * When to see whether new pods have to wait behind those of other Jobs; null = that is known, or
   * another Job is looked at for it: of many that come at once one now and then is enough.
   */
  #contentionCheckMs({ job, nowMs, counters, jobsOnQueue }: ObservedJob): number | null {
    const othersOnQueue = jobsOnQueue - (counters.podCount > 0 ? 1 : 0);
    if (othersOnQueue === 0) return null;
    const memo = this.#queueMemo(job.queue);
    if (memo.contendedUntilMs - nowMs > this.#resyncMs / 2) return null;
    const checkAtMs = nowMs + CONTENTION_CHECK_MS;
    if (checkAtMs - memo.checkAtMs < CONTENTION_CHECK_MS / 5) return null;
    memo.checkAtMs = checkAtMs;
    return checkAtMs;
  }

  async #markContended({ job, nowMs }: ObservedJob): Promise<void> {
    const memo = this.#queueMemo(job.queue);
    // Marked for longer than until the next resync: while pods wait it is renewed before it ends.
    if (memo.contendedUntilMs - nowMs > this.#resyncMs / 2) return;
    memo.contendedUntilMs = nowMs + this.#resyncMs + CONTENDED_SLACK_MS;
    try {
      const marking = this.#shard.markContended(job.queue, memo.contendedUntilMs);
      if (!(await this.#asFarAsRoom(marking))) memo.contendedUntilMs = 0;
    } catch (error) {
      memo.contendedUntilMs = 0;
      throw error;
    }
  }

  /** Awaits a note that only makes something sooner. Without memory for it the look goes on: the next resync notes it. */
  async #asFarAsRoom(note: Promise<void>): Promise<boolean> {
    try {
      await note;
      return true;
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      this.#logger.debug({ err: error }, 'Redis has no memory for a note');
      return false;
    }
  }

  #queueMemo(queue: string): QueueMemo {
    const memo = this.#queues.get(queue) ?? { contendedUntilMs: 0, checkAtMs: 0 };
    this.#queues.set(queue, memo);
    return memo;
  }

  async #stopAll(pass: Pass, guard: DecisionGuard, countAs: StopInput['countAs']): Promise<void> {
    let cursor = '0';
    let present: DecisionGuard | null = guard;
    do {
      const page = await this.#shard.listSlots(guard.uid, cursor);
      cursor = page.cursor;
      const active = page.slots
        .filter(isOwn)
        .filter(
          (slot) =>
            slot.phase !== 'Stopping' || (countAs === 'failed' && slot.countsByEnd === true),
        );
      present = await this.#stop(pass, present, active, countAs);
    } while (cursor !== '0' && present !== null);
    if (present === null) return;
    const adopted = await this.#adoptions.slots(pass.look.job);
    const active = adopted.filter(({ phase }) => phase !== 'Stopping');
    await this.#stop(pass, present, active, countAs);
  }

  /** Answers the guard for the next call, or null when something else moved the Job. */
  async #stop(
    { look, memo, indexed }: Pass,
    guard: DecisionGuard,
    slots: readonly (SlotRecord | AdoptedSlot)[],
    countAs: StopInput['countAs'],
  ): Promise<DecisionGuard | null> {
    let present = guard;
    const adopted = slots.flatMap((slot) => ('adoption' in slot ? [slot.adoption.number] : []));
    if (adopted.length > 0) {
      assert(countAs !== 'unjudged', 'only their user deletes pods so');
      const reply = await this.#shard.adoption.stop(present, adopted, countAs);
      if (reply.type !== 'stopped') return null;
      present = { ...present, decisionVersion: reply.decisionVersion };
    }
    const pods = slots.filter((slot) => !('adoption' in slot));
    for (let from = 0; from < pods.length; from += MAX_PODS_PER_CALL) {
      const some = pods.slice(from, from + MAX_PODS_PER_CALL);
      const { uid } = guard;
      const reply = await this.#shard.stopPods({ uid, guard: present, pods: some, countAs });
      if (reply.type !== 'stopped') return null;
      present = { ...present, decisionVersion: reply.decisionVersion };
      this.#events.deleted(look, memo, some, indexed);
    }
    return present;
  }

  /** Writes the status if it says something new. */
  async #show(pass: Pass, guard: DecisionGuard, shown: Shown): Promise<StatusEnd> {
    const plan = await this.#planStatus(pass, shown);
    if (plan.type === 'unwritten') return plan;
    const { text: status, critical } = plan;
    const { finish } = shown;
    const reply = await this.#shard.writeStatus({ ...guard, status, finish, critical });
    if (reply.type !== 'written') return { type: 'refused' };
    await this.#noteStatus(pass, plan);
    if (finish !== null && pass.look.counters.kept > 0) await this.#kept.finished(pass.look.nowMs);
    return reply;
  }

  /** The status to write: at once for a condition, else now and then. */
  async #planStatus(pass: Pass, shown: Shown): Promise<StatusPlan | Unwritten> {
    const { look, memo, status } = pass;
    const { figures, standing, finish } = shown;
    const conditionsAndStart = composeStatus({ indexed: false }, figures, standing, null);
    const critical =
      finish !== null ||
      conditionsAndStart.startTime !== status.startTime ||
      JSON.stringify(conditionsAndStart.conditions) !== JSON.stringify(status.conditions);

    const foldAtMs = memo.statusAtMs + FOLD_EVERY_MS;
    if (!critical && look.nowMs < foldAtMs) {
      const isNew = JSON.stringify(figures) !== JSON.stringify(shownFigures(status));
      return { type: 'unwritten', foldAtMs: isNew ? foldAtMs : null };
    }
    const [done, failed] = await Promise.all([
      pass.indexed ? this.#readDone(pass, figures) : null,
      pass.perIndex ? this.#readFailed(pass, shown) : null,
    ]);
    const text = JSON.stringify(composeStatus(pass, figures, standing, done, failed));
    if (finish === null && text === look.job.status) return { type: 'unwritten', foldAtMs: null };
    return { type: 'write', text, critical, shown };
  }

  async #noteStatus(pass: Pass, { critical, shown }: StatusPlan): Promise<void> {
    const { look, memo, indexed, status } = pass;
    memo.statusAtMs = look.nowMs;
    if (!critical) return;
    this.#logConditions(pass, shown);
    const isLast = shown.finish !== null;
    if (isLast) {
      const { startTime } = status;
      const { podCount } = look.counters;
      await this.#events.created(look, memo, podCount, { indexed, startTime, isLast });
    }
    this.#events.conditions(look, status.conditions ?? [], shown.standing.conditions);
    if (isLast) await this.#events.finished(look);
  }

  #logConditions({ look, reconcileId }: Pass, { standing, finish }: Shown): void {
    const { uid: jobUid, namespace, name } = look.job;
    const last = standing.conditions.at(-1);
    const fields = { jobUid, job: `${namespace}/${name}`, reconcileId, reason: last?.reason };
    if (finish === null) {
      this.#logger.debug({ ...fields, condition: last?.type }, 'Job moved on');
      return;
    }
    this.#logger.info(fields, `Job is ${last?.type}`);
    this.#onFinished(last?.type ?? '', last?.reason ?? '');
  }

  async #readDone(pass: Pass, figures: Figures): Promise<IndexText> {
    const known = knownDone(pass);
    if (known.count === figures.succeeded) return known;
    return renderIndexes(await this.#shard.doneBitmap(pass.look.job.uid), pass.completions);
  }

  async #readFailed(pass: Pass, { figures, failedNow }: Shown): Promise<IndexText> {
    const text = pass.status.failedIndexes;
    const count = text === undefined ? -1 : countInText(text);
    if (text !== undefined && count === figures.failedIndexes) return { text, count };
    const bitmap = await this.#shard.failedBitmap(pass.look.job.uid);
    return renderIndexes(withBits(bitmap, failedNow), pass.completions);
  }

  #settle({ look }: Pass, written: StatusEnd, next: Next, wakes: readonly number[] = []): PassEnd {
    if (written.type === 'refused') return AGAIN;
    if (next.type === 'until') return { type: 'settled', nextAtMs: next.atMs };
    const times = [...wakes];
    if (written.type === 'unwritten' && written.foldAtMs !== null) times.push(written.foldAtMs);
    if (next.type === 'at') times.push(next.atMs);
    if (next.type !== 'never' && look.foldAtMs > look.nowMs) times.push(look.foldAtMs);
    if (next.type !== 'never') times.push(look.nowMs + this.#resyncMs);
    return { type: 'settled', nextAtMs: times.length === 0 ? null : Math.min(...times) };
  }
}

/** The part of the Job's object that decisions are made from; read once for each generation. */
function readObject({ job }: ObservedJob, memo: JobMemo): DecideSpec {
  if (memo.spec === null || memo.generation !== job.generation) {
    memo.spec = readSpec(job);
    memo.className = priorityClassOf(job);
    memo.selectsByHand = selectsByHand(job);
    memo.generation = job.generation;
  }
  return memo.spec;
}

/** What a decision wants shown once so many slots more are open. */
function shownBy({ figures, standing, judge }: Converge, opened: number): Shown {
  return {
    figures: { ...figures, active: figures.active + opened },
    failedNow: failedBy(judge),
    standing,
    finish: null,
  };
}

/** Pods that were released run on, whatever becomes of the Job. */
function isOwn({ isFree }: SlotRecord): boolean {
  return isFree !== true;
}

/** Whether the end of a pod that was told to stop still changes something. */
function owesSomething({ countsByEnd, owesIndex }: SlotRecord): boolean {
  return countsByEnd === true || owesIndex === true;
}

function failedBy(judge: JudgePlan | null): number[] {
  const verdicts = judge?.judgements ?? [];
  return verdicts.flatMap(({ verdict, index }) => (verdict === 'indexFailed' ? [index] : []));
}

function guardOf({ job, decisionVersion }: ObservedJob): DecisionGuard {
  return { uid: job.uid, generation: job.generation, decisionVersion };
}

/** The completed indexes as the written status has them. */
function knownDone({ status }: Pass): IndexText {
  return { text: status.completedIndexes ?? '', count: status.succeeded ?? 0 };
}

/** The figures as the written status has them, in the order of `Figures`. */
function shownFigures(status: JobStatus): Figures {
  return {
    active: status.active ?? 0,
    ready: status.ready ?? 0,
    terminating: status.terminating ?? 0,
    succeeded: status.succeeded ?? 0,
    failed: status.failed ?? 0,
    ...(status.failedIndexes !== undefined && { failedIndexes: countInText(status.failedIndexes) }),
  };
}

function countInText(text: string): number {
  return parseIndexIntervals(text, Number.POSITIVE_INFINITY).reduce(
    (sum, { first, last }) => sum + last - first + 1,
    0,
  );
}

function withBits(bitmap: Uint8Array, indexes: readonly number[]): Uint8Array {
  const bytes = Math.max(bitmap.length, (Math.max(-1, ...indexes) >> 3) + 1);
  const bits = new Uint8Array(bytes);
  bits.set(bitmap);
  for (const index of indexes) bits[index >> 3]! |= 0x80 >> (index & 7);
  return bits;
}

function keepOnly(set: Set<number>, present: readonly number[]): void {
  const wanted = new Set(present);
  for (const one of set) if (!wanted.has(one)) set.delete(one);
}
