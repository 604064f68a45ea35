/** A stand-in for BullMQ's queue: what our use of it relies on, and no more. */
import type { World } from './world.ts';

/** A QueueJob of a slot. */
interface QueueJob {
  readonly uid: string;
  readonly slot: number;
  attemptsStarted: number;
  state: 'wait' | 'delayed' | 'active';
  /** End of the delay, or of the lock. ms. */
  untilMs: number;
  /** Of the present delivery. */
  token: number;
}

/** A delivered QueueJob. */
export interface Delivery {
  readonly uid: string;
  readonly slot: number;
  readonly attemptsStarted: number;
  readonly token: number;
}

const LOCK_MS = 10_000;

/** Delivers each QueueJob to one holder at a time as long as that one renews its lock. */
export class SlotQueue {
  readonly #world: World;
  /** By `<uid>.<slot>`; those that wait in the order of delivery. */
  readonly #jobs = new Map<string, QueueJob>();
  #waiting: QueueJob[] = [];
  #tokens = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Adds QueueJobs; those that exist, in whatever state, stay as they are. */
  offer(uid: string, slots: readonly number[]): void {
    for (const slot of slots) {
      const id = `${uid}.${slot}`;
      if (this.#jobs.has(id)) continue;
      const job: QueueJob = { uid, slot, attemptsStarted: 0, state: 'wait', untilMs: 0, token: 0 };
      this.#jobs.set(id, job);
      this.#waiting.push(job);
    }
  }

  get hasWaiting(): boolean {
    this.#tick();
    return this.#waiting.length > 0;
  }

  /** When something will wait that does not yet; infinite if nothing will. */
  get nextAtMs(): number {
    return Math.min(
      ...[...this.#jobs.values()].map((job) => (job.state === 'wait' ? Infinity : job.untilMs)),
    );
  }

  /** Delivers the first one that waits. */
  take(): Delivery {
    const job = this.#waiting.shift()!;
    job.state = 'active';
    job.attemptsStarted++;
    job.token = ++this.#tokens;
    job.untilMs = this.#world.nowMs + LOCK_MS;
    return { uid: job.uid, slot: job.slot, attemptsStarted: job.attemptsStarted, token: job.token };
  }

  /** Renews a lock; false when it is lost. */
  renew(delivery: Delivery): boolean {
    const job = this.#held(delivery);
    if (job !== null) job.untilMs = this.#world.nowMs + LOCK_MS;
    return job !== null;
  }

  /** Removes the QueueJob, if the lock is still held. */
  finish(delivery: Delivery): void {
    if (this.#held(delivery) !== null) this.#jobs.delete(`${delivery.uid}.${delivery.slot}`);
  }

  /** Puts it back until then, if the lock is still held. */
  delay(delivery: Delivery, untilMs: number): void {
    const job = this.#held(delivery);
    if (job === null) return;
    job.state = 'delayed';
    job.untilMs = untilMs;
  }

  /** Everything is lost, as after a failover. */
  lose(): void {
    this.#jobs.clear();
    this.#waiting = [];
  }

  #held(delivery: Delivery): QueueJob | null {
    this.#tick();
    const job = this.#jobs.get(`${delivery.uid}.${delivery.slot}`);
    return job?.state === 'active' && job.token === delivery.token ? job : null;
  }

  #tick(): void {
    for (const job of this.#jobs.values()) {
      if (job.state === 'wait' || job.untilMs > this.#world.nowMs) continue;
      // What stalled goes to the front.
      if (job.state === 'active') this.#waiting.unshift(job);
      else this.#waiting.push(job);
      job.state = 'wait';
    }
  }
}
