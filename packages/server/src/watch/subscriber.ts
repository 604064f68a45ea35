import { WatchExpiredError } from '@drover/store';

import { Wakening } from './wakening.ts';

/** Events that may wait for one who does not take them; who is further behind begins anew. */
const MAX_WAITING = 10_000;

/** One who follows a feed: what happened is kept until it is taken. */
export class Subscriber<E> {
  #events: E[] = [];
  #failure: { readonly error: unknown } | null = null;
  readonly #news = new Wakening();

  /** Keeps an event. */
  push(event: E): void {
    if (this.#failure !== null) return;
    if (this.#events.length >= MAX_WAITING) {
      this.fail(new WatchExpiredError('the client did not keep up with what happened'));
      return;
    }
    this.#events.push(event);
    this.#news.wake();
  }

  /** Ends it with an error, after what was kept. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#news.wake();
  }

  /** What happened since the last call, without waiting for more. */
  drain(): readonly E[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /**
   * What happened since the last call, as soon as there is something; nothing after `timeoutMs`, or
   * when the signal is aborted.
   *
   * @throws what it failed with, once all that came before was taken.
   */
  async take(timeoutMs: number | null, signal: AbortSignal): Promise<readonly E[]> {
    if (this.#events.length === 0 && this.#failure === null && !signal.aborted) {
      await this.#news.wait(timeoutMs, signal);
    }
    const events = this.drain();
    if (events.length === 0 && this.#failure !== null && !signal.aborted) throw this.#failure.error;
    return events;
  }
}
