/** A worker process: sessions, slots and gathered reports as packages/worker does them, without real pods. */
import type { Claim, PodReason, ReportAnswer, ReportEntry, Shard } from '@drover/store';
import type { Delivery, SlotQueue } from './queue.ts';
import { type Actor, isFault, type World } from './world.ts';

export const LANE = 'default/process';
export const QUEUE = 'default.process';
export const LEASE_MS = 6_000;
const HEARTBEAT_MS = 1_500;
const QUANTUM_MS = 200;
/** With what containers fail. */
export const FAILING_CODES = [1, 2, 3] as const;
/** Small, so that batches of every size happen. */
const MAX_BATCH = 3;

/** What user code does. */
export interface Behaviour {
  /** Probability that a container fails. */
  readonly failRate: number;
  readonly longestMs: number;
  /** A failed container is restarted in its pod. */
  readonly restarts: boolean;
}

/** Told of what pods really did, whoever may hear of it. */
export type PodWitness = (uid: string, podNumber: number, outcome: 'Succeeded' | 'Failed') => void;

interface Session {
  readonly id: string;
  ended: boolean;
}

interface PodEnd {
  readonly outcome: 'Succeeded' | 'Failed';
  readonly reason: PodReason;
  readonly exitCode: number;
}

interface Holder {
  readonly delivery: Delivery;
  lockLost: boolean;
  orderedPod: number;
  /** Stops the pod that runs. */
  stop: ((kind: 'order' | 'ended' | 'drain') => void) | null;
  podNumber: number;
}

/** One start of a worker. */
export class WorkerActor {
  readonly actor: Actor;
  readonly #world: World;
  readonly #shard: Shard;
  readonly #queue: SlotQueue;
  readonly #lanes: number;
  readonly #behaviourOf: (uid: string) => Behaviour;
  readonly #witness: PodWitness;
  readonly #holders = new Set<Holder>();
  readonly #waiting: {
    entry: ReportEntry;
    session: Session;
    answered: (answer: ReportAnswer) => void;
  }[] = [];
  #session: Session | null = null;
  #isReporting = false;
  #draining = false;

  constructor(options: {
    readonly world: World;
    readonly name: string;
    readonly shard: Shard;
    readonly queue: SlotQueue;
    readonly lanes: number;
    readonly behaviourOf: (uid: string) => Behaviour;
    readonly witness: PodWitness;
  }) {
    this.#world = options.world;
    this.actor = options.world.start(options.name);
    this.#shard = options.world.shardOf(this.actor, options.shard);
    this.#queue = options.queue;
    this.#lanes = options.lanes;
    this.#behaviourOf = options.behaviourOf;
    this.#witness = options.witness;
    this.#world.spawn(this.#begin());
    this.#renewLocks();
  }

  /** A slot could be taken now. */
  get hasRoom(): boolean {
    return (
      this.actor.alive &&
      !this.#draining &&
      this.#session !== null &&
      this.#holders.size < this.#lanes &&
      this.actor.pausedUntilMs <= this.#world.nowMs
    );
  }

  get isBusy(): boolean {
    return this.#holders.size > 0;
  }

  /** Takes the next slot of the queue. */
  take(): void {
    const delivery = this.#queue.take();
    const holder = { delivery, lockLost: false, orderedPod: 0, stop: null, podNumber: 0 };
    this.#holders.add(holder);
    this.#world.spawn(this.#hold(holder).finally(() => this.#holders.delete(holder)));
  }

  /** Hands its pods over and ends its session. `gone` is called when it is done. */
  drain(gone: () => void): void {
    if (this.#draining) return;
    this.#world.note(`${this.actor.name} drains`);
    this.#draining = true;
    for (const holder of this.#holders) holder.stop?.('drain');
    this.#world.spawn(this.#leave(gone));
  }

  async #leave(gone: () => void): Promise<void> {
    while (this.#holders.size > 0) await this.#sleep(50);
    const session = this.#session;
    this.#session = null;
    if (session !== null) {
      await this.#insist(async () => {
        const reply = await this.#shard.expireSession(session.id, { force: true });
        if (reply.type === 'ended' && reply.claims.length > 0)
          await this.#shard.trigger(`session:${session.id}`);
      });
    }
    gone();
  }

  // Session

  async #begin(): Promise<void> {
    const id = this.#world.random.hex(16);
    const info = {
      id,
      node: this.actor.name,
      lanes: { [LANE]: this.#lanes },
      leaseTtlMs: LEASE_MS,
    };
    await this.#insist(() => this.#shard.registerSession(info));
    const session = { id, ended: false };
    this.#session = session;
    this.#world.note(`${this.actor.name} is session ${id}`);
    this.#world.spawn(this.#beat(session));
  }

  async #beat(session: Session): Promise<void> {
    while (this.#session === session) {
      await this.#sleep(HEARTBEAT_MS);
      if (this.#session !== session) return;
      try {
        const reply = await this.#shard.heartbeat(session.id);
        if (reply.type === 'ended') return this.#noticeEnded(session);
        for (const { uid, slot, podNumber } of reply.orders) this.#order(uid, slot, podNumber);
      } catch (error) {
        this.#world.fail(error);
      }
    }
  }

  #order(uid: string, slot: number, podNumber: number): void {
    for (const holder of this.#holders) {
      if (holder.delivery.uid !== uid || holder.delivery.slot !== slot) continue;
      holder.orderedPod = podNumber;
      if (holder.podNumber === podNumber) holder.stop?.('order');
    }
  }

  #noticeEnded(session: Session): void {
    if (session.ended) return;
    session.ended = true;
    if (this.#session !== session) return;
    this.#session = null;
    for (const holder of this.#holders) holder.stop?.('ended');
    const lost = this.#waiting.filter((one) => one.session === session);
    this.#waiting.splice(
      0,
      this.#waiting.length,
      ...this.#waiting.filter((one) => one.session !== session),
    );
    for (const { answered } of lost) answered({ type: 'stale' });
    this.#world.spawn(this.#begin());
  }

  #renewLocks(): void {
    this.#world.at(this.actor, this.#world.nowMs + 3_300, () => {
      for (const holder of this.#holders)
        if (!this.#queue.renew(holder.delivery)) holder.lockLost = true;
      this.#renewLocks();
    });
  }

  // Slots

  async #hold(holder: Holder): Promise<void> {
    for (;;) {
      const end = this.#draining ? { delayMs: this.#world.nowMs } : await this.#holdOnce(holder);
      if (end === 'askAgain' && !holder.lockLost) continue;
      if (holder.lockLost || end === 'askAgain') return;
      // Now and then BullMQ does not hear of it: the lock runs out.
      if (this.#world.faulty && this.#world.random.chance(0.03)) return;
      if (end === 'finish') this.#queue.finish(holder.delivery);
      else this.#queue.delay(holder.delivery, Math.max(end.delayMs, this.#world.nowMs));
      return;
    }
  }

  async #holdOnce(holder: Holder): Promise<'finish' | 'askAgain' | { delayMs: number }> {
    const { delivery } = holder;
    while (this.#session === null) {
      if (this.#draining) return { delayMs: this.#world.nowMs };
      await this.#sleep(20);
    }
    const session = this.#session;
    for (const other of this.#holders) {
      if (
        other === holder ||
        other.delivery.uid !== delivery.uid ||
        other.delivery.slot !== delivery.slot
      )
        continue;
      return { delayMs: this.#world.nowMs + 1_000 };
    }
    const reply = await this.#insist(() =>
      this.#shard.acquire({
        uid: delivery.uid,
        slot: delivery.slot,
        attemptsStarted: delivery.attemptsStarted,
        session: session.id,
        knownGeneration: 0,
      }),
    );
    switch (reply.type) {
      case 'gone':
        return 'finish';
      case 'held':
      case 'parked':
        return { delayMs: reply.untilMs };
      case 'sessionEnded':
        this.#noticeEnded(session);
        return 'askAgain';
      case 'run':
        return this.#runPods(holder, session, reply.claim);
    }
  }

  async #runPods(
    holder: Holder,
    session: Session,
    first: Claim,
  ): Promise<'finish' | 'askAgain' | { delayMs: number }> {
    const heldSinceMs = this.#world.nowMs;
    let claim = first;
    for (;;) {
      holder.podNumber = claim.podNumber;
      const end = await this.#runPod(holder, session, claim);
      holder.podNumber = 0;
      if (end === 'void' || session.ended) return 'askAgain';
      const { uid, slot, attemptsStarted } = holder.delivery;
      const answer = await this.#report(session, {
        uid,
        queue: QUEUE,
        slot,
        attemptsStarted,
        podNumber: claim.podNumber,
        outcome: end.outcome,
        exitCode: end.exitCode,
        reason: end.reason,
        hasLog: false,
        leave: holder.lockLost || this.#draining,
        quantumOver: this.#world.nowMs - heldSinceMs >= QUANTUM_MS,
        overlay: null,
      });
      switch (answer.type) {
        case 'next':
          if (session.ended) return 'askAgain';
          claim = answer.claim;
          break;
        case 'released':
          return 'finish';
        case 'yield':
          return { delayMs: this.#world.nowMs };
        case 'stale':
        case 'rolledBack':
          return 'askAgain';
      }
    }
  }

  /** User code; `void` when its claim turned out to be nobody's. */
  async #runPod(holder: Holder, session: Session, claim: Claim): Promise<PodEnd | 'void'> {
    const { uid } = holder.delivery;
    for (let restarts = claim.restarts + 1; ; restarts++) {
      const { failRate, longestMs, restarts: restartsContainers } = this.#behaviourOf(uid);
      const stopped = await this.#runContainer(
        holder,
        session,
        claim,
        this.#world.random.between(1, longestMs),
      );
      if (stopped === 'ended') return 'void';
      if (stopped === 'drain')
        return this.#told(uid, claim, { outcome: 'Failed', reason: 'Drained', exitCode: 143 });
      const failed = stopped === 'order' || this.#world.random.chance(failRate);
      if (!failed) {
        return this.#told(uid, claim, { outcome: 'Succeeded', reason: 'Completed', exitCode: 0 });
      }
      const exitCode = this.#world.random.pick(FAILING_CODES);
      const end = this.#told(uid, claim, { outcome: 'Failed', reason: 'Error', exitCode });
      if (stopped === 'order' || !restartsContainers) return end;
      const { slot } = holder.delivery;
      const reply = await this.#insist(() =>
        this.#shard.recordRestart({
          uid,
          slot,
          podNumber: claim.podNumber,
          session: session.id,
          restarts,
        }),
      );
      if (reply === 'stale') return 'void';
      if (reply === 'stopping' || session.ended) return end;
    }
  }

  #told(uid: string, claim: Claim, end: PodEnd): PodEnd {
    this.#witness(uid, claim.podNumber, end.outcome);
    return end;
  }

  #runContainer(
    holder: Holder,
    session: Session,
    claim: Claim,
    durationMs: number,
  ): Promise<'order' | 'ended' | 'drain' | null> {
    return new Promise((resolve) => {
      let why: 'order' | 'ended' | 'drain' | null = null;
      const end = (): void => {
        holder.stop = null;
        resolve(why);
      };
      this.#world.at(this.actor, this.#world.nowMs + durationMs, () =>
        holder.stop === stop && why === null ? end() : undefined,
      );
      const stop = (kind: 'order' | 'ended' | 'drain'): void => {
        const first = why === null;
        if (first || kind === 'ended') why = kind;
        // Some need their grace period.
        if (first)
          this.#world.at(this.actor, this.#world.nowMs + this.#world.random.between(0, 400), end);
      };
      holder.stop = stop;
      if (session.ended) stop('ended');
      else if (this.#draining) stop('drain');
      else if (holder.orderedPod === claim.podNumber) stop('order');
    });
  }

  // Reports

  #report(session: Session, entry: ReportEntry): Promise<ReportAnswer> {
    return new Promise((answered) => {
      this.#waiting.push({ entry, session, answered });
      if (!this.#isReporting) this.#world.spawn(this.#sendReports());
    });
  }

  /** One batch at a time, each until it is answered. */
  async #sendReports(): Promise<void> {
    this.#isReporting = true;
    // What ends at the same time goes together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const { session } = this.#waiting[0]!;
      const batch = this.#waiting.filter((one) => one.session === session).slice(0, MAX_BATCH);
      for (const one of batch) this.#waiting.splice(this.#waiting.indexOf(one), 1);
      const entries = batch.map((one) => one.entry);
      const answers = session.ended
        ? entries.map(() => ({ type: 'stale' }) as const)
        : await this.#insist(() => this.#shard.report(session.id, entries));
      for (const [i, one] of batch.entries())
        one.answered(session.ended ? { type: 'stale' } : answers[i]!);
    }
    this.#isReporting = false;
  }

  // Helpers

  /** Again and again until there is an answer. */
  async #insist<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!isFault(error)) throw error;
        await this.#sleep(50);
      }
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#world.at(this.actor, this.#world.nowMs + ms, resolve);
    });
  }
}
