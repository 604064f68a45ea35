import type { ItemOutcome } from '@drover/store';

/** Ids that are looked at in one go. */
const LOOK_IDS = 1_000;

/**
 * Puts outcomes in the order of their ids. Each is passed on as soon as all before it are there, or known to have
 * none: items that were removed, or whose outcomes are not kept any more.
 */
export class EnqueueOrder {
  readonly #kept = new Map<number, ItemOutcome>();
  #next = 1;

  /** Takes an outcome; those that may be passed on now. */
  add(outcome: ItemOutcome): ItemOutcome[] {
    this.#kept.set(outcome.id, outcome);
    return this.#ready();
  }

  /** Ids that hold up what is kept, and others after them; none when nothing is kept. */
  get missing(): number[] {
    if (this.#kept.size === 0) return [];
    return Array.from({ length: LOOK_IDS }, (_, i) => this.#next + i);
  }

  /**
   * Passes over items that will have no outcome.
   *
   * @param isSettled - Of the ids from the next one on: whether they were settled *before* all outcomes were read.
   */
  skip(isSettled: readonly boolean[]): ItemOutcome[] {
    const ready: ItemOutcome[] = [];
    const first = this.#next;
    while (this.#kept.size > 0 && isSettled[this.#next - first] === true) {
      this.#next += 1;
      ready.push(...this.#ready());
    }
    return ready;
  }

  /** What is left, when no more will come. */
  rest(): ItemOutcome[] {
    return [...this.#kept.values()].toSorted((a, b) => a.id - b.id);
  }

  #ready(): ItemOutcome[] {
    const ready: ItemOutcome[] = [];
    for (;;) {
      const found = this.#kept.get(this.#next);
      if (found === undefined) return ready;
      this.#kept.delete(this.#next);
      this.#next += 1;
      ready.push(found);
    }
  }
}
