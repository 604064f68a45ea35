import { openRedis } from '@drover/store';
import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from 'pino';

/** How to reach Redis: a URL, ioredis' options, or a connection, which is only copied and stays the caller's. */
export type Connection = string | RedisOptions | Redis;

/** Longest pause between two tries to connect. */
const MAX_RETRY_DELAY_MS = 1_000;

/** An answer that takes longer never comes, ms. BullMQ's calls that wait for something take up to ten seconds. */
const ANSWER_MS = 15_000;

const LINK_OPTIONS = {
  // A command waits for the connection to come back; who can't wait takes a new link.
  maxRetriesPerRequest: null,
  enableAutoPipelining: false,
  // A socket that was closed without a word is noticed even when nothing is asked on it.
  keepAlive: 5_000,
  retryStrategy: (times: number) => Math.min(times * 50, MAX_RETRY_DELAY_MS),
} satisfies RedisOptions;

/** One connection for one purpose, which can be replaced when it hangs. */
export class Link {
  readonly #open: () => Redis;
  readonly #logger: Logger;
  readonly #purpose: string;
  #redis: Redis;
  #generation = 0;
  #lastError = '';
  /** How to fail the calls that wait for an answer. */
  readonly #waiting = new Set<(error: Error) => void>();

  constructor(connection: Connection, purpose: string, logger: Logger) {
    this.#open = () => openConnection(connection);
    this.#purpose = purpose;
    this.#logger = logger;
    this.#redis = this.#connect();
  }

  /** The present connection. */
  get redis(): Redis {
    return this.#redis;
  }

  /** How often it was replaced. */
  get generation(): number {
    return this.#generation;
  }

  /** Waits for the answer to a call over the present connection; fails when that one is replaced. */
  run<T>(call: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      call()
        .then(resolve, reject)
        .finally(() => this.#waiting.delete(reject));
    });
  }

  /** Gives the connection up and opens another; what waits for an answer on the old one fails. */
  replace(): void {
    const old = this.#redis;
    this.#generation += 1;
    this.#redis = this.#connect();
    old.disconnect();
    // Between two tries to connect ioredis has no socket whose end would fail them: it forgets them.
    for (const fail of this.#waiting) fail(new Error('the connection to Redis was given up'));
    this.#waiting.clear();
  }

  /** Closes the connection. */
  close(): void {
    this.#redis.disconnect();
  }

  #connect(): Redis {
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
export function openConnection(connection: Connection, answerMs = ANSWER_MS): Redis {
  const ours = { ...LINK_OPTIONS, socketTimeout: answerMs };
  if (typeof connection === 'string') return openRedis(connection, ours);
  if (connection instanceof Redis) return connection.duplicate(ours);
  return new Redis({ ...connection, ...ours } as RedisOptions & { replyMapping?: 'legacy' });
}
