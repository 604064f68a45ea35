import {
  prefetchOf,
  type FailItemOptions,
  type Item,
  type ItemsOptions,
} from '../../items/item.ts';
import {
  endedBefore,
  ItemEndedError,
  ItemsFencedError,
  NoItemsError,
} from '../../items/itemErrors.ts';
import { resultText } from '../../items/itemResult.ts';
import type { ContextItems } from '../context.ts';
import { describeThrown } from '../handlerEnd.ts';
import type { Progress } from '../podProgress.ts';
import type { ItemAnswer, ItemMessage, ItemRequest, SentItem } from './itemMessages.ts';

/** What the items of a thread need. */
export interface ThreadItemsHost {
  /** Most bytes of an item's result. */
  readonly maxResultBytes: number;
  readonly ask: (number: number, request: ItemRequest) => void;
  /** An AbortController that knows at once when the pod is told to stop. */
  readonly createAbort: () => AbortController;
  readonly showProgress: (progress: Progress) => void;
}

interface Asked {
  readonly resolve: (answer: ItemAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** The items of one call of a handler in a thread: the main thread has them, here they are asked for. */
export class ThreadItems implements ContextItems {
  readonly #host: ThreadItemsHost;
  readonly #asked = new Map<number, Asked>();
  /** By handle, those that have not ended. */
  readonly #inHand = new Map<number, ThreadItem>();
  #lastRequest = 0;
  #lastWalk = 0;
  #stopReason: Error | null = null;

  constructor(host: ThreadItemsHost) {
    this.#host = host;
  }

  iterate(options?: ItemsOptions): AsyncIterableIterator<ThreadItem> {
    const prefetch = prefetchOf(options);
    this.#lastWalk += 1;
    return new ThreadWalk(this, this.#lastWalk, prefetch);
  }

  /** The main thread says something. */
  take(message: ItemMessage): void {
    if (message.type === 'itemLost') {
      this.#inHand.get(message.handle)?.abort(new ItemEndedError(message.message));
      return;
    }
    const asked = this.#asked.get(message.request);
    this.#asked.delete(message.request);
    const { answer } = message;
    if (answer.type === 'error') asked?.reject(this.#errorOf(answer));
    else asked?.resolve(answer);
  }

  stop(reason: Error): void {
    this.#stopReason ??= reason;
    for (const item of this.#inHand.values()) item.abort(reason);
  }

  /** What becomes of those in hand the main thread knows. */
  async end(): Promise<void> {
    for (const item of this.#inHand.values()) item.takeAway();
    this.#inHand.clear();
  }

  /** Asks the main thread. Rejects with the error that it would have thrown there. */
  ask(request: ItemRequest): Promise<ItemAnswer> {
    this.#lastRequest += 1;
    const number = this.#lastRequest;
    return new Promise((resolve, reject) => {
      this.#asked.set(number, { resolve, reject });
      this.#host.ask(number, request);
    });
  }

  /** An item is in the handler's hands from now on. */
  hand(sent: SentItem): ThreadItem {
    const item = new ThreadItem(this, this.#host, sent);
    this.#inHand.set(sent.handle, item);
    return item;
  }

  /** It was said what becomes of an item, or nothing is said any more. */
  letGo(handle: number): void {
    this.#inHand.delete(handle);
  }

  #errorOf({ name, message }: Extract<ItemAnswer, { type: 'error' }>): Error {
    switch (name) {
      case 'AbortError':
        return this.#stopReason ?? new NoItemsError(message);
      case 'ItemEndedError':
        return new ItemEndedError(message);
      case 'ItemsFencedError':
        return new ItemsFencedError();
      case 'NoItemsError':
        return new NoItemsError(message);
      default:
        return new Error(message);
    }
  }
}

/** One walk over the items. */
class ThreadWalk implements AsyncIterableIterator<ThreadItem> {
  readonly #items: ThreadItems;
  readonly #walk: number;
  readonly #prefetch: number;
  #current: ThreadItem | null = null;
  #isOver = false;

  constructor(items: ThreadItems, walk: number, prefetch: number) {
    this.#items = items;
    this.#walk = walk;
    this.#prefetch = prefetch;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<ThreadItem, undefined>> {
    this.#current?.takeAway();
    this.#current = null;
    if (this.#isOver) return { done: true, value: undefined };
    const [walk, prefetch] = [this.#walk, this.#prefetch];
    const answer = await this.#items.ask({ type: 'next', walk, prefetch });
    if (answer.type !== 'item') {
      this.#isOver = true;
      return { done: true, value: undefined };
    }
    this.#current = this.#items.hand(answer.item);
    return { done: false, value: this.#current };
  }

  /** The body was left: what is in hand stays there until the pod ends. */
  async return(): Promise<IteratorResult<ThreadItem, undefined>> {
    if (!this.#isOver) void this.#items.ask({ type: 'leave', walk: this.#walk });
    this.#isOver = true;
    return { done: true, value: undefined };
  }
}

/** An item in the hands of a handler in a thread. */
class ThreadItem implements Item<never> {
  readonly #items: ThreadItems;
  readonly #host: ThreadItemsHost;
  readonly #sent: SentItem;
  #abort: AbortController | null = null;
  #lostReason: Error | null = null;
  #isEnded = false;

  constructor(items: ThreadItems, host: ThreadItemsHost, sent: SentItem) {
    this.#items = items;
    this.#host = host;
    this.#sent = sent;
  }

  get id(): number {
    return this.#sent.id;
  }

  get key(): string | null {
    return this.#sent.key;
  }

  get data(): never {
    return this.#sent.data as never;
  }

  get attempt(): number {
    return this.#sent.attempt;
  }

  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = this.#host.createAbort();
      if (this.#lostReason !== null) this.#abort.abort(this.#lostReason);
    }
    return this.#abort.signal;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  complete(result?: unknown): Promise<void> {
    return this.#end(() => {
      const payload = resultText(result, this.#host.maxResultBytes);
      return { type: 'complete', handle: this.#sent.handle, payload };
    });
  }

  fail(error: unknown, { retry = true }: FailItemOptions = {}): Promise<void> {
    return this.#end(() => {
      const message = typeof error === 'string' ? error : describeThrown(error);
      return { type: 'fail', handle: this.#sent.handle, message, retry };
    });
  }

  progress(progress: Progress): void {
    this.#host.showProgress(progress);
  }

  /** Fires its signal, also for whoever asks for it later. */
  abort(reason: Error): void {
    this.#lostReason ??= reason;
    this.#abort?.abort(reason);
  }

  /** Its pod went on without a word. */
  takeAway(): void {
    this.#isEnded = true;
    this.#items.letGo(this.#sent.handle);
  }

  /** Who does not wait for it has not asked: the thread must not end for that. */
  #end(request: () => ItemRequest): Promise<void> {
    const told = this.#tell(request);
    told.catch(() => undefined);
    return told;
  }

  async #tell(request: () => ItemRequest): Promise<void> {
    if (this.#isEnded) throw endedBefore(this.id);
    const made = request();
    this.takeAway();
    await this.#items.ask(made);
  }
}
