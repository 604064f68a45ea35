import type { Place } from '../runtime.ts';

/** A pod waits for so long, with nothing in hand, before it lends its place, ms. */
const LEND_AFTER_MS = 100;

/** Whether a pod's place may be lent, and who wants to know when it may be taken back. */
export interface LendingPod {
  /** It waits, and has nothing in hand. */
  readonly mayLend: () => boolean;
  /** It may go on now; so far it could not. */
  readonly onRoom: () => void;
}

/** The place of a pod that takes items, lent to others while it waits for one. */
export class LentPlace {
  readonly #place: Place;
  readonly #pod: LendingPod;
  #timer: NodeJS.Timeout | null = null;
  #isLent = false;

  constructor(place: Place, pod: LendingPod) {
    this.#place = place;
    this.#pod = pod;
  }

  /** The pod may go on now. */
  get mayTakeBack(): boolean {
    return !this.#isLent || this.#place.mayTakeBack;
  }

  /** Lends it if the pod still waits in a while. */
  lendSoon(): void {
    if (this.#timer !== null || this.#isLent || !this.#pod.mayLend()) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#pod.mayLend()) this.#isLent = this.#place.lend(this.#pod.onRoom);
    }, LEND_AFTER_MS);
  }

  /** The pod goes on. */
  takeBack(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.#isLent) return;
    this.#isLent = false;
    this.#place.takeBack();
  }
}
