import type { Subscriber } from '@drover/store';

import { untilAborted } from './untilAborted.ts';

/** What a waiter for objects is told of. */
export interface ObjectWatch {
  /** Resolves after a change, at once when there was one since the last call, and in any case after a while. */
  next(timeoutMs: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Tells pods that wait for ConfigMaps and Secrets when these change. Nothing is subscribed while none waits. */
export class ObjectNews {
  readonly #subscriber: Pick<Subscriber, 'subscribe' | 'onReady'>;
  readonly #watches = new Set<Watch>();

  constructor(subscriber: Pick<Subscriber, 'subscribe' | 'onReady'>) {
    this.#subscriber = subscriber;
    // Messages sent while the connection was away are lost.
    subscriber.onReady(() => {
      for (const watch of this.#watches) watch.wake();
    });
  }

  /**
   * Watches objects: what changes after this resolved is told.
   *
   * @param channel - Of the objects' shard.
   * @param paths - `<kind> <namespace>/<name>` of each.
   */
  async watch(channel: string, paths: ReadonlySet<string>): Promise<ObjectWatch> {
    const watch = new Watch();
    // Of what only the host has there are no news.
    if (paths.size === 0) return watch;
    const leave = await this.#subscriber.subscribe(channel, (message) => {
      if (paths.has(message)) watch.wake();
    });
    this.#watches.add(watch);
    watch.onClose = () => {
      this.#watches.delete(watch);
      leave();
    };
    return watch;
  }
}

class Watch implements ObjectWatch {
  onClose = (): void => undefined;
  #isTold = false;
  #wake: (() => void) | null = null;

  wake(): void {
    this.#isTold = true;
    this.#wake?.();
  }

  async next(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#isTold && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, timeoutMs);
      await untilAborted(signal, promise);
      clearTimeout(timer);
      this.#wake = null;
    }
    this.#isTold = false;
  }

  close(): void {
    this.onClose();
  }
}
