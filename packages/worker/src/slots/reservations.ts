import { podsThatFit, type ComputeResources } from '@drover/shared';

/** How long a slot waits here for room, until it is offered to other workers again. */
const WAIT_MS = 1_000;
/** One slot may wait for each so many that have room, and one at least: it keeps a lane from others. */
const HELD_PER_WAITING = 4;
/** Slots that were put back and are remembered. */
const MAX_PUT_BACK = 1_000;

/** What is kept of the worker for the pods of a slot, from pod to pod. */
export interface Reservation {
  /** Gives it back, once. */
  leave(): void;
}

/** A slot that may be given room. */
interface Waiting {
  readonly wants: ComputeResources;
  readonly settle: (reservation: Reservation | null) => void;
}

/** A slot that was put back for lack of room. */
interface PutBack {
  readonly wants: ComputeResources;
  readonly wake: () => Promise<boolean>;
}

/**
 * Who may use how much of what a worker declares: the pods of a slot have what they request for as long as the slot
 * is held.
 *
 * A slot that finds no room waits a moment, when few others do, or is put back, so that another worker may take it. When
 * something becomes free those that wait here get it first, and then slots that were put back are called for: nobody
 * asks again and again. A large pod may have to wait for long while small ones come and go, as in Kubernetes.
 */
export class Reservations {
  readonly #has: ComputeResources;
  readonly #waiting = new Set<Waiting>();
  readonly #putBack = new Map<string, PutBack>();
  #cpuMilli = 0;
  #memoryBytes = 0;
  #held = 0;
  #isCalling = false;
  /** Something became free, or was put back, since slots were last called for. */
  #isCallDue = false;
  #isClosed = false;

  /** @param has - What the worker declares. */
  constructor(has: ComputeResources) {
    this.#has = has;
  }

  /** What is not reserved. */
  get free(): ComputeResources {
    return {
      cpuMilli: this.#has.cpuMilli - this.#cpuMilli,
      memoryBytes: this.#has.memoryBytes - this.#memoryBytes,
    };
  }

  /** Room for the pods of a slot, now or soon; null when there is none. */
  take(wants: ComputeResources): Reservation | Promise<Reservation | null> | null {
    if (this.#isClosed || podsThatFit(this.#has, wants) < 1) return null;
    if (podsThatFit(this.free, wants) >= 1) return this.#reserve(wants);
    if (this.#waiting.size >= Math.max(1, Math.floor(this.#held / HELD_PER_WAITING))) return null;
    return new Promise((resolve) => {
      const waiting: Waiting = {
        wants,
        settle: (reservation) => {
          clearTimeout(timer);
          this.#waiting.delete(waiting);
          resolve(reservation);
        },
      };
      const timer = setTimeout(() => waiting.settle(null), WAIT_MS);
      this.#waiting.add(waiting);
    });
  }

  /**
   * A slot was put back because {@link take} had nothing for it.
   *
   * @param wake - Brings it back to the queue's workers; answers false when it is not there any more.
   */
  putBack(slot: string, wants: ComputeResources, wake: () => Promise<boolean>): void {
    // One that can never run here is not called for.
    if (this.#isClosed || podsThatFit(this.#has, wants) < 1) return;
    this.#putBack.delete(slot);
    this.#putBack.set(slot, { wants, wake });
    const [oldest] = this.#putBack.keys();
    if (this.#putBack.size > MAX_PUT_BACK && oldest !== undefined) this.#putBack.delete(oldest);
    // It takes a while to put one back: there may be room by now.
    this.#callForMore();
  }

  /** A slot that was put back is here again. */
  isBack(slot: string): void {
    this.#putBack.delete(slot);
  }

  /** No more room for anybody, and nobody waits for it. */
  close(): void {
    this.#isClosed = true;
    this.#putBack.clear();
    for (const { settle } of this.#waiting) settle(null);
  }

  #reserve(wants: ComputeResources): Reservation {
    this.#held += 1;
    this.#add(wants, 1);
    let isHeld = true;
    return {
      leave: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#held -= 1;
        this.#add(wants, -1);
        this.#freed();
      },
    };
  }

  #add({ cpuMilli, memoryBytes }: ComputeResources, sign: 1 | -1): void {
    this.#cpuMilli += sign * cpuMilli;
    this.#memoryBytes += sign * memoryBytes;
  }

  #freed(): void {
    for (const { wants, settle } of this.#waiting) {
      if (podsThatFit(this.free, wants) >= 1) settle(this.#reserve(wants));
    }
    this.#callForMore();
  }

  /** Calls for as many slots as there is room for; it may be others that come. */
  #callForMore(): void {
    this.#isCallDue = true;
    if (!this.#isCalling) void this.#callUntilDone();
  }

  async #callUntilDone(): Promise<void> {
    this.#isCalling = true;
    while (this.#isCallDue) {
      this.#isCallDue = false;
      await this.#call();
    }
    this.#isCalling = false;
  }

  async #call(): Promise<void> {
    const called = { cpuMilli: 0, memoryBytes: 0 };
    for (const [slot, { wants, wake }] of this.#putBack) {
      const { cpuMilli, memoryBytes } = this.free;
      const left = {
        cpuMilli: cpuMilli - called.cpuMilli,
        memoryBytes: memoryBytes - called.memoryBytes,
      };
      if (podsThatFit(left, wants) < 1) continue;
      this.#putBack.delete(slot);
      if (!(await wake())) continue;
      called.cpuMilli += wants.cpuMilli;
      called.memoryBytes += wants.memoryBytes;
    }
  }
}
