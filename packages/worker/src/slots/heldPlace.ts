import type { Place, Seat } from '../runtime.ts';
import type { HeldLane } from './lanes.ts';

/** The place of a slot's pods: a lane, and what else they need. Both are lent, or neither. */
export class HeldPlace implements Place {
  readonly #lane: HeldLane;
  readonly #seat: Seat;
  #isLent = false;

  constructor(lane: HeldLane, seat: Seat) {
    this.#lane = lane;
    this.#seat = seat;
  }

  get mayTakeBack(): boolean {
    return this.#lane.mayTakeBack;
  }

  lend(onRoom: () => void): boolean {
    if (this.#isLent) return true;
    if (!this.#seat.lend()) return false;
    this.#isLent = this.#lane.lend(onRoom);
    if (!this.#isLent) this.#seat.takeBack();
    return this.#isLent;
  }

  takeBack(): void {
    if (!this.#isLent) return;
    this.#isLent = false;
    this.#seat.takeBack();
    this.#lane.takeBack();
  }
}
