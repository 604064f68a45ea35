import { TerminalError } from '@drover/shared';
import type { ObservedJob, Shard, Subscriber, Taken, Taking } from '@drover/store';
import type { Logger } from 'pino';

/** How long a taking lasts: what a dead controller had taken is taken by another after this. */
export const TAKE_MS = 5_000;

/** A look without a wake-up, in case one was lost: the only work of an idle loop. */
export const SAFETY_WAKE_MS = 10_000;

/**
 * How far the shard's clock may be ahead of what is known of it: the way of an answer, and the part
 * of a millisecond that was cut off. Who is told of what is due now should not wait for that.
 */
const CLOCK_ERROR_MS = 2;

/** Members taken per call. What is done for them in one tick goes to Redis together. */
const BATCH = 64;

/** Pause after an error of Redis: doubles from the first to the second. */
const ERROR_PAUSE_MS = { base: 100, cap: 5_000 };

/** Pause before a member that failed is tried again: doubles with each failure, up to one resync. */
const RETRY_BASE_MS = 1_000;

/** Members that are Jobs. */
const JOB_PREFIX = 'job:';

/** Options of a {@link DueLoop}. */
export interface DueLoopOptions {
  readonly shard: Pick<Shard, 'take' | 'takeAndObserve' | 'done' | 'keys'>;
  readonly subscriber: Pick<Subscriber, 'subscribe' | 'onReady'>;
  /**
   * Looks at a member; answers when to look again, ms by the shard's clock, null = on a trigger.
   * `reconcileId` names the look in log lines. `look`: the Job, of one that was looked at as it was taken, else null.
   */
  readonly handle: (
    member: string,
    reconcileId: string,
    look: ObservedJob | null,
  ) => Promise<number | null>;
  /** A Job was told of, and is about to be taken. Default: nobody wants to know. */
  readonly expect?: () => void;
  /** How many Pending slots of such a Job to name. Default 0. */
  readonly pendingWanted?: number;
  /** Members in hand at once at most, >= 1. */
  readonly concurrency: number;
  /**
   * Longest pause before a member that failed is tried again, ms. What keeps a Job from going on
   * may end at any time, and then it has to go on within one resync. Default 30,000.
   */
  readonly retryCapMs?: number;
  readonly logger: Logger;
}

/**
 * Takes what is due in a shard and hands it to `handle`, woken by pub/sub and by one timer.
 *
 *     idle --wake or timer--> taking --members--> handling --done--> idle
 *
 * Several loops may serve one shard: each member is taken by one of them at a time, and by another
 * if that one dies. An idle loop sends one command per {@link SAFETY_WAKE_MS}.
 */
export class DueLoop {
  readonly #options: DueLoopOptions;
  readonly #inHand = new Set<Promise<void>>();
  /** Failures in a row of members that failed last time. */
  readonly #failures = new Map<string, number>();
  #state: 'new' | 'running' | 'closed' = 'new';
  #isTaking = false;
  /** A look whether to take is planned. */
  #isPlanned = false;
  /** Woken while it could not take: take again as soon as that is possible. */
  #isWoken = false;
  #timer: NodeJS.Timeout | null = null;
  /** When the timer fires, ms by `performance.now()`. */
  #timerAtMs = Number.POSITIVE_INFINITY;
  /** Earliest time told by a wake-up that came while a taking was under way, shard's clock. */
  #toldAtMs = Number.POSITIVE_INFINITY;
  /** The shard's clock minus `performance.now()`, as of the last taking. */
  #clockOffsetMs: number | null = null;
  #errorPauseMs = 0;
  /** When Redis last said what is due, ms by `performance.now()`. */
  #turnedAtMs = Number.NEGATIVE_INFINITY;
  #unsubscribe: (() => void) | null = null;

  constructor(options: DueLoopOptions) {
    this.#options = options;
  }

  /** Starts taking. Resolves when wake-ups arrive. */
  async start(): Promise<void> {
    const { shard, subscriber } = this.#options;
    this.#state = 'running';
    subscriber.onReady(() => this.wake());
    this.#unsubscribe = await subscriber.subscribe(shard.keys.wakeChannel, (message) =>
      this.#onMessage(message),
    );
    this.wake();
  }

  /** Takes what is due, now or as soon as there is room. */
  wake(): void {
    this.#wakeFor(null);
  }

  /** @param told - A Job that is due; null = not known, or several. */
  #wakeFor(told: string | null): void {
    if (this.#state !== 'running') return;
    if (this.#isTaking || this.#room() <= 0) {
      this.#isWoken = true;
      return;
    }
    void this.#take(told);
  }

  /** Stops taking and waits for what is in hand. What was not begun is taken by others. */
  async close(): Promise<void> {
    this.#state = 'closed';
    this.#unsubscribe?.();
    this.#setTimer(null);
    await Promise.allSettled(this.#inHand);
  }

  /** It runs, and asked what is due not longer ago than it does when nothing happens. */
  get isTurning(): boolean {
    const patienceMs = SAFETY_WAKE_MS + TAKE_MS;
    return this.#state === 'running' && performance.now() - this.#turnedAtMs < patienceMs;
  }

  /** Members in hand. */
  get inHandCount(): number {
    return this.#inHand.size;
  }

  #room(): number {
    return this.#options.concurrency - this.#inHand.size;
  }

  /** @param message - A time, and the member that is due then if that is now. */
  #onMessage(message: string): void {
    const [time, member] = message.split(' ');
    const atMs = Number(time);
    if (this.#clockOffsetMs === null || Number.isNaN(atMs)) {
      this.wake();
      return;
    }
    this.#wakeAt(atMs, member?.startsWith(JOB_PREFIX) === true ? member : null);
  }

  /** @param atMs - By the shard's clock. */
  #wakeAt(atMs: number, member: string | null = null): void {
    // The script may have run before what this is about: its answer must not undo the timer.
    if (this.#isTaking) this.#toldAtMs = Math.min(this.#toldAtMs, atMs);
    const waitMs = atMs - (performance.now() + (this.#clockOffsetMs ?? 0));
    if (waitMs <= CLOCK_ERROR_MS) this.#wakeFor(member);
    else if (performance.now() + waitMs < this.#timerAtMs) this.#setTimer(waitMs);
  }

  #setTimer(waitMs: number | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    if (waitMs === null || this.#state !== 'running') return;
    const boundedMs = Math.min(Math.max(1, Math.ceil(waitMs)), SAFETY_WAKE_MS);
    this.#timerAtMs = performance.now() + boundedMs;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.wake();
    }, boundedMs);
  }

  async #take(told: string | null): Promise<void> {
    const { logger } = this.#options;
    this.#isTaking = true;
    this.#isWoken = false;
    this.#toldAtMs = Number.POSITIVE_INFINITY;
    try {
      const { nowMs, nextAtMs, taken, look } = await this.#takeTold(told);
      this.#errorPauseMs = 0;
      this.#turnedAtMs = performance.now();
      this.#clockOffsetMs = nowMs - this.#turnedAtMs;
      for (const one of taken) this.#begin(one, one.member === told ? look : null);
      const nextKnownMs = Math.min(nextAtMs ?? Number.POSITIVE_INFINITY, this.#toldAtMs);
      if (nextKnownMs <= nowMs) this.#isWoken = true;
      this.#setTimer(nextKnownMs - nowMs);
    } catch (error) {
      this.#errorPauseMs = grow(this.#errorPauseMs, ERROR_PAUSE_MS);
      if (this.#state === 'running') {
        logger.warn({ err: error, pauseMs: this.#errorPauseMs }, 'could not ask what is due');
      }
      this.#setTimer(this.#errorPauseMs);
      this.#isWoken = false;
    } finally {
      this.#isTaking = false;
    }
    this.#takeIfWoken();
  }

  async #takeTold(member: string | null): Promise<Taking & { look: ObservedJob | null }> {
    const { shard, expect, pendingWanted = 0 } = this.#options;
    const max = Math.min(BATCH, this.#room());
    if (member === null) return { ...(await shard.take(max, TAKE_MS)), look: null };
    expect?.();
    const uid = member.slice(JOB_PREFIX.length);
    return await shard.takeAndObserve(max, TAKE_MS, uid, pendingWanted);
  }

  /** After all that lies in the sockets: members that are done together make room together. */
  #takeIfWoken(): void {
    if (!this.#isWoken || this.#isPlanned) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      if (this.#isWoken) this.wake();
    });
  }

  #begin(taken: Taken, look: ObservedJob | null): void {
    const work = this.#handle(taken, look).finally(() => {
      this.#inHand.delete(work);
      this.#takeIfWoken();
    });
    this.#inHand.add(work);
  }

  async #handle(taken: Taken, seen: ObservedJob | null): Promise<void> {
    const { shard, logger } = this.#options;
    const reconcileId = nextReconcileId();
    const nextAtMs = await this.#look(taken.member, reconcileId, seen);
    try {
      await shard.done(taken, nextAtMs);
      if (nextAtMs !== null) this.#wakeAt(nextAtMs);
    } catch (error) {
      // The taking ends by itself, and then somebody looks again.
      const { member } = taken;
      logger.warn({ err: error, member, reconcileId }, 'could not give a member back');
    }
  }

  /** Never rejects: an error becomes a later look. */
  async #look(
    member: string,
    reconcileId: string,
    seen: ObservedJob | null,
  ): Promise<number | null> {
    const { handle, logger, retryCapMs = 30_000 } = this.#options;
    try {
      const nextAtMs = await handle(member, reconcileId, seen);
      this.#failures.delete(member);
      return nextAtMs;
    } catch (error) {
      if (error instanceof TerminalError) {
        this.#failures.delete(member);
        logger.error({ err: error, member, reconcileId }, 'gave up: no retry would help');
        return null;
      }
      const failures = (this.#failures.get(member) ?? 0) + 1;
      this.#failures.set(member, failures);
      const retryMs = Math.min(retryCapMs, RETRY_BASE_MS * 2 ** (failures - 1));
      const fields = { err: error, member, reconcileId, retryMs };
      logger.warn(fields, 'reconcile failed, will be tried again');
      return performance.now() + (this.#clockOffsetMs ?? 0) + retryMs;
    }
  }
}

let reconcileCount = 0;

/** Tells the looks of one process apart; the process is in every log line anyway. */
function nextReconcileId(): string {
  reconcileCount += 1;
  return `r${reconcileCount.toString(36)}`;
}

function grow(pauseMs: number, { base, cap }: { base: number; cap: number }): number {
  return pauseMs === 0 ? base : Math.min(cap, pauseMs * 2);
}
