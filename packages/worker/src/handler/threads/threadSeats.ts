import { setTimeout as delay } from 'node:timers/promises';

import type { Seat } from '../../runtime.ts';

/** How long a slot waits here for a seat, until it is offered to other workers again. */
const WAIT_MS = 1_000;
/** What is not even let wait is passed on after this: thousands of slots must not go round and round. */
const PASS_ON_MS = 100;

/**
 * Who may use a thread: one seat for each, and a slot keeps its seat for as long as it is held here.
 *
 * A worker has more lanes than threads, so it is offered slots that it has no thread for. As many as
 * there are seats may wait, so that a thread that becomes free has work at once; the others are better
 * off with other workers.
 *
 * A pod that waits keeps its thread though it lends its seat, so that there may be twice as many threads as seats.
 */
export class ThreadSeats {
  readonly #count: number;
  readonly #waiting: ((seat: Seat | null) => void)[] = [];
  #taken = 0;
  #lent = 0;
  #isClosed = false;

  /** @param count - Seats, at least 1. */
  constructor(count: number) {
    this.#count = count;
  }

  /** A seat, now or soon; null when none becomes free. */
  take(): Seat | Promise<Seat | null> | null {
    if (this.#isClosed) return null;
    if (this.#taken < this.#count) return this.#sit();
    if (this.#waiting.length >= this.#count) return delay(PASS_ON_MS, null);
    return new Promise((resolve) => {
      const settle = (seat: Seat | null): void => {
        clearTimeout(timer);
        resolve(seat);
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(settle), 1);
        resolve(null);
      }, WAIT_MS);
      this.#waiting.push(settle);
    });
  }

  /** No more seats, and nobody waits for one. */
  close(): void {
    this.#isClosed = true;
    for (const settle of this.#waiting.splice(0)) settle(null);
  }

  #sit(): Seat {
    this.#taken += 1;
    return {
      lend: () => {
        if (this.#lent >= this.#count) return false;
        this.#lent += 1;
        this.#vacate();
        return true;
      },
      takeBack: () => {
        this.#lent -= 1;
        this.#taken += 1;
      },
      leave: () => this.#vacate(),
    };
  }

  #vacate(): void {
    this.#taken -= 1;
    if (this.#taken >= this.#count) return;
    const next = this.#waiting.shift();
    if (next !== undefined) next(this.#sit());
  }
}
