import type { Redis } from 'ioredis';

/** One connection in subscriber mode that serves many channels. Messages are hints, never the truth. */
export class Subscriber {
  readonly #redis: Redis;
  readonly #listeners = new Map<string, Set<(message: string) => void>>();
  readonly #onReady = new Set<() => void>();

  /** @param redis - A connection of its own; closed by `close`. */
  constructor(redis: Redis) {
    this.#redis = redis;
    // ioredis connects again by itself; without a listener it would write to the console.
    redis.on('error', () => {});
    redis.on('message', (channel: string, message: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(message);
    });
    // Messages sent while the connection was away are lost: whoever cares looks again.
    redis.on('ready', () => {
      for (const listener of this.#onReady) listener();
    });
  }

  /** Calls back for every message of a channel until the returned function is called. */
  async subscribe(channel: string, listener: (message: string) => void): Promise<() => void> {
    let listeners = this.#listeners.get(channel);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(channel, listeners);
      await this.#redis.subscribe(channel);
    }
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.#listeners.get(channel) !== listeners) return;
      this.#listeners.delete(channel);
      void this.#redis.unsubscribe(channel).catch(() => {});
    };
  }

  /** Calls back whenever the connection came (back): messages may have been missed. */
  onReady(listener: () => void): void {
    this.#onReady.add(listener);
  }

  /** Ends the connection. */
  close(): void {
    this.#redis.disconnect();
  }
}
