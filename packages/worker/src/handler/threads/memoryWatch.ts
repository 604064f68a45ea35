import type { Worker } from 'node:worker_threads';

/** Between two looks. */
const LOOK_MS = 100;

/**
 * Looks how much memory a thread has, heap and buffers, while a pod runs in it.
 *
 * V8 has a limit, too, but only for the heap, and it ends the whole process when a single piece does not
 * fit: so its limit lies well above this one, and is not met.
 */
export class MemoryWatch {
  readonly #worker: Worker;
  readonly #limitMiB: number;
  readonly #onExceeded: () => void;
  #timer: NodeJS.Timeout | null = null;
  #isWatching = false;

  /** @param onExceeded - Called each time that it is found above the limit. */
  constructor(worker: Worker, limitMiB: number, onExceeded: () => void) {
    this.#worker = worker;
    this.#limitMiB = limitMiB;
    this.#onExceeded = onExceeded;
  }

  /** A pod runs: looks until the first look after `pause`. */
  watch(): void {
    this.#isWatching = true;
    this.#timer ??= this.#plan();
  }

  /** No pod runs. The timer goes on for one look: pods may be over in no time, and follow each other. */
  pause(): void {
    this.#isWatching = false;
  }

  /** The thread is over. */
  stop(): void {
    this.pause();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #plan(): NodeJS.Timeout {
    return setTimeout(() => {
      void this.#look();
    }, LOOK_MS).unref();
  }

  async #look(): Promise<void> {
    if (this.#isWatching) {
      // Rejects when the thread ends.
      const heap = await this.#worker.getHeapStatistics().catch(() => null);
      const usedMiB = heap === null ? 0 : (heap.used_heap_size + heap.external_memory) / 2 ** 20;
      if (this.#isWatching && usedMiB > this.#limitMiB) this.#onExceeded();
    }
    this.#timer = this.#isWatching ? this.#plan() : null;
  }
}

/** V8's limit for the heap of a thread that may have so much memory, MiB. */
export function heapLimitMiB(memoryMiB: number): number {
  return memoryMiB + Math.max(MIN_MARGIN_MIB, Math.min(memoryMiB, MAX_MARGIN_MIB));
}

/** What a thread may allocate between two looks without meeting V8's limit. */
const MIN_MARGIN_MIB = 512;
const MAX_MARGIN_MIB = 1_024;
