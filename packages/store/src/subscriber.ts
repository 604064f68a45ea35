import type { Redis } from 'ioredis';

interface Channel {
  readonly listeners: Set<(message: string) => void>;
  /** Redis knows of it. */
  readonly subscribed: Promise<unknown>;
}

/** One connection in subscriber mode that serves many channels. Messages are hints, never the truth. */
export class Subscriber {
  readonly #redis: Redis;
  readonly #channels = new Map<string, Channel>();
  readonly #onReady = new Set<() => void>();

  /** @param redis - A connection of its own; closed by `close`. */
  constructor(redis: Redis) {
    this.#redis = redis;
    // ioredis connects again by itself; without a listener it would write to the console.
    redis.on('error', () => {});
    redis.on('message', (channel: string, message: string) => {
      for (const listener of this.#channels.get(channel)?.listeners ?? []) listener(message);
    });
    // Messages sent while the connection was away are lost: whoever cares looks again.
    redis.on('ready', () => {
      for (const listener of this.#onReady) listener();
    });
  }

  /**
   * Calls back for every message of a channel until the returned function is called: for all that are
   * sent after this resolved.
   */
  async subscribe(channel: string, listener: (message: string) => void): Promise<() => void> {
    const open = this.#channels.get(channel) ?? {
      listeners: new Set<(message: string) => void>(),
      subscribed: this.#redis.subscribe(channel),
    };
    this.#channels.set(channel, open);
    open.listeners.add(listener);
    const leave = (): void => {
      open.listeners.delete(listener);
      if (open.listeners.size > 0 || this.#channels.get(channel) !== open) return;
      this.#channels.delete(channel);
      void this.#redis.unsubscribe(channel).catch(() => {});
    };
    try {
      // Also for those that come while the first one still waits for this.
      await open.subscribed;
    } catch (error) {
      leave();
      throw error;
    }
    return leave;
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
