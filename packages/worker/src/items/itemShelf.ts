import type { DeliveredItem } from './deliveredItem.ts';
import type { ItemJob } from './itemJob.ts';

/** Taken entries that are kept at most before the array is made anew. */
const MAX_TAKEN = 1_024;

/** Items that wait for a pod of this worker, in the order in which they came. */
export class ItemShelf {
  #items: DeliveredItem[] = [];
  #first = 0;

  /** How many. */
  get size(): number {
    return this.#items.length - this.#first;
  }

  /** Adds an item at the end. */
  put(item: DeliveredItem): void {
    this.#items.push(item);
  }

  /** Takes the first; null when there is none. */
  take(): DeliveredItem | null {
    const item = this.#items[this.#first];
    if (item === undefined) return null;
    this.#first += 1;
    if (this.#first === this.#items.length) {
      this.#items = [];
      this.#first = 0;
    } else if (this.#first > MAX_TAKEN) this.#tidy();
    return item;
  }

  /** How many items of a QueueJob wait. */
  countOf(job: ItemJob): number {
    this.#tidy();
    return this.#items.reduce((count, item) => (item.job === job ? count + 1 : count), 0);
  }

  /** Takes all items of a QueueJob. */
  removeOf(job: ItemJob): DeliveredItem[] {
    this.#tidy();
    const removed = this.#items.filter((item) => item.job === job);
    this.#items = this.#items.filter((item) => item.job !== job);
    return removed;
  }

  /** Takes all. */
  removeAll(): DeliveredItem[] {
    this.#tidy();
    const items = this.#items;
    this.#items = [];
    return items;
  }

  #tidy(): void {
    if (this.#first > 0) this.#items = this.#items.slice(this.#first);
    this.#first = 0;
  }
}
