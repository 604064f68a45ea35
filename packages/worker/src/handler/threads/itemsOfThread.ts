import type { PodItem } from '../../items/podItem.ts';
import type { PodItems, PodItemsEnd } from '../../items/podItems.ts';
import type { ItemAnswer, ItemRequest, SentItem } from './itemMessages.ts';

/** Who tells the thread. */
export interface ItemsOfThreadSink {
  answer(request: number, answer: ItemAnswer): void;
  lost(handle: number, message: string): void;
}

interface Walk {
  readonly iterator: AsyncIterableIterator<PodItem>;
  /** The item that the next request leaves. */
  handle: number;
}

/** The items of a handler in a thread, on the main thread: they are taken and settled here, as for all others. */
export class ItemsOfThread {
  readonly #open: (signal: AbortSignal) => PodItems;
  readonly #sink: ItemsOfThreadSink;
  readonly #walks = new Map<number, Walk>();
  /** By handle. */
  readonly #items = new Map<number, PodItem>();
  readonly #stop = new AbortController();
  #podItems: PodItems | null = null;
  #lastHandle = 0;

  /** @param open - Makes the items of the pod; called with the first request. */
  constructor(open: (signal: AbortSignal) => PodItems, sink: ItemsOfThreadSink) {
    this.#open = open;
    this.#sink = sink;
  }

  /** The handler wants something. Its answer goes to the sink. */
  request(number: number, request: ItemRequest): void {
    this.#serve(request).then(
      (answer) => this.#sink.answer(number, answer),
      (error: unknown) => {
        const { name, message } = error as Error;
        this.#sink.answer(number, { type: 'error', name, message });
      },
    );
  }

  /** The pod is told to stop. */
  stop(reason: Error): void {
    this.#stop.abort(reason);
    this.#podItems?.stop(reason);
  }

  /** The handler is over; resolves when all that it said of items is recorded. */
  async end(how: PodItemsEnd): Promise<void> {
    await this.#podItems?.end(how);
  }

  async #serve(request: ItemRequest): Promise<ItemAnswer> {
    switch (request.type) {
      case 'next':
        return await this.#next(this.#walk(request.walk, request.prefetch));
      case 'leave':
        await this.#walks.get(request.walk)?.iterator.return?.();
        return { type: 'over' };
      case 'complete':
        await this.#take(request.handle).completeWith(request.payload);
        return { type: 'recorded' };
      case 'fail':
        await this.#take(request.handle).fail(request.message, { retry: request.retry });
        return { type: 'recorded' };
    }
  }

  #walk(number: number, prefetch: number): Walk {
    const known = this.#walks.get(number);
    if (known !== undefined) return known;
    if (this.#podItems === null) {
      this.#podItems = this.#open(this.#stop.signal);
      // Told to stop before it asked for the first.
      const { signal } = this.#stop;
      if (signal.aborted) this.#podItems.stop(signal.reason as Error);
    }
    const walk = { iterator: this.#podItems.iterate({ prefetch }), handle: 0 };
    this.#walks.set(number, walk);
    return walk;
  }

  async #next(walk: Walk): Promise<ItemAnswer> {
    this.#items.delete(walk.handle);
    const { value: item } = (await walk.iterator.next()) as IteratorResult<PodItem, undefined>;
    if (item === undefined) return { type: 'over' };
    this.#lastHandle += 1;
    const handle = this.#lastHandle;
    walk.handle = handle;
    this.#items.set(handle, item);
    item.onLost(({ message }) => this.#sink.lost(handle, message));
    return { type: 'item', item: sentItem(item, handle) };
  }

  #take(handle: number): PodItem {
    const item = this.#items.get(handle)!;
    this.#items.delete(handle);
    return item;
  }
}

/** An item for a thread. */
export function sentItem({ id, key, data, attempt }: PodItem, handle: number): SentItem {
  return { handle, id, key, data, attempt };
}
