import {
  type ClientOptions,
  openClient,
  openSubscriberClient,
  type RedisClient,
  type RedisConnection,
} from '@drover/store';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

/** How to reach Redis; a client that is given is only copied and stays the caller's. */
export type Connection = RedisConnection;

/** Longest pause between two tries to connect. */
const MAX_RETRY_DELAY_MS = 1_000;

/** An answer that takes longer never comes, ms. BullMQ's calls that wait for something take up to ten seconds. */
const ANSWER_MS = 15_000;

const CLOSED = 'the connection to Redis was closed';

const LINK_OPTIONS = {
  // A command waits for the connection to come back; who can't wait takes a new link.
  maxRetriesPerRequest: null,
  // A socket that was closed without a word is noticed even when nothing is asked on it.
  keepAlive: 5_000,
  retryStrategy: (times: number) => Math.min(times * 50, MAX_RETRY_DELAY_MS),
} satisfies ClientOptions;

/** One connection for one purpose, which can be replaced when it hangs. */
export class Link {
  readonly #open: () => RedisClient;
  readonly #logger: Logger;
  readonly #purpose: string;
  #redis: RedisClient;
  #generation = 0;
  #lastError = '';
  #isClosed = false;
  /** How to fail the calls that wait for an answer. */
  readonly #waiting = new Set<(error: Error) => void>();

  constructor(connection: Connection, purpose: string, logger: Logger) {
    this.#open = () => openConnection(connection);
    this.#purpose = purpose;
    this.#logger = logger;
    this.#redis = this.#connect();
  }

  /** The present connection. */
  get redis(): RedisClient {
    return this.#redis;
  }

  /** How often it was replaced. */
  get generation(): number {
    return this.#generation;
  }

  /** Waits for the answer to a call over the present connection; fails when that one is replaced or closed. */
  run<T>(call: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) {
        reject(new Error(CLOSED));
        return;
      }
      this.#waiting.add(reject);
      call()
        .then(resolve, reject)
        .finally(() => this.#waiting.delete(reject));
    });
  }

  /** Gives the connection up and opens another; what waits for an answer on the old one fails. Nothing is opened after `close`. */
  replace(): void {
    // Who noticed that nothing is answered may have waited longer than the worker.
    if (this.#isClosed) return;
    const old = this.#redis;
    this.#generation += 1;
    this.#redis = this.#connect();
    old.disconnect();
    this.#failWaiting('the connection to Redis was given up');
  }

  /** Closes the connection; what waits for an answer fails. */
  close(): void {
    this.#isClosed = true;
    this.#redis.disconnect();
    this.#failWaiting(CLOSED);
  }

  /** Between two tries to connect ioredis has no socket whose end would fail them: it forgets them. */
  #failWaiting(why: string): void {
    for (const fail of this.#waiting) fail(new Error(why));
    this.#waiting.clear();
  }

  #connect(): RedisClient {
    const redis = this.#open();
    redis.on('error', (error: Error) => {
      // ioredis tries again by itself; the same complaint every 50 ms helps nobody.
      if (error.message === this.#lastError) return;
      this.#lastError = error.message;
      this.#logger.warn({ err: error, connection: this.#purpose }, 'Redis connection failed');
    });
    redis.on('ready', () => {
      if (this.#lastError === '') return;
      this.#lastError = '';
      this.#logger.info({ connection: this.#purpose }, 'Redis connection is back');
    });
    return redis;
  }
}

/**
 * Opens a connection of our own. One that does not answer any more is opened anew, and what was asked is asked again: the
 * system itself would take a quarter of an hour to give a peer up that went without a word.
 */
export function openConnection(connection: Connection, answerMs = ANSWER_MS): RedisClient {
  return openClient(connection, { ...LINK_OPTIONS, socketTimeout: answerMs });
}

/** Opens a connection for pub/sub beside another one, which may be silent for as long as nothing happens. */
export function openSubscription(beside: RedisClient): Redis {
  return openSubscriberClient(beside, LINK_OPTIONS);
}
