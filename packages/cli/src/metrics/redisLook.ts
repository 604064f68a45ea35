import { setTimeout as delay } from 'node:timers/promises';

import type { Backend } from '@drover/sdk/internals';
import { readGauges, type InstallationGauges } from '@drover/store';

/** What is read is good for so long, however often it is asked for. */
const FRESH_MS = 1_000;
/** A Redis that takes longer to answer is taken for one that does not. */
const ANSWER_TIMEOUT_MS = 2_000;

/** What one look at Redis saw. */
export interface RedisLook {
  /** Null: it answers. */
  readonly fault: string | null;
  /** Null: they were not asked for, or it does not answer. */
  readonly gauges: InstallationGauges | null;
}

/** Looks at Redis for those who ask, at most once a second, and not at all when nobody does. */
export class RedisLooks {
  readonly #read: () => Promise<InstallationGauges | null>;
  readonly #answerTimeoutMs: number;
  /** A question without an answer so far: one that may never come is not asked for again and again. */
  #reading: Promise<InstallationGauges | null> | null = null;
  #last: Promise<RedisLook> | null = null;
  #lastMs = Number.NEGATIVE_INFINITY;

  /**
   * @param read - Asks Redis.
   * @param answerTimeoutMs - For how long a look waits for that.
   */
  constructor(
    read: () => Promise<InstallationGauges | null>,
    answerTimeoutMs: number = ANSWER_TIMEOUT_MS,
  ) {
    this.#read = read;
    this.#answerTimeoutMs = answerTimeoutMs;
  }

  /** Looks over a connection; with `gauges` at the installation too, else only whether there is an answer. */
  static over(backend: Backend, { gauges }: { readonly gauges: boolean }): RedisLooks {
    return new RedisLooks(
      async () =>
        await backend.run(async ({ redis, prefix, settings: { shardCount } }) => {
          if (gauges) return await readGauges({ redis, prefix, shardCount });
          await redis.ping();
          return null;
        }),
    );
  }

  /** What is known, or a new look. Never rejects. */
  look(): Promise<RedisLook> {
    const nowMs = performance.now();
    if (this.#last === null || nowMs - this.#lastMs >= FRESH_MS) {
      this.#lastMs = nowMs;
      this.#last = this.#look();
    }
    return this.#last;
  }

  #ask(): Promise<InstallationGauges | null> {
    if (this.#reading !== null) return this.#reading;
    const reading = this.#read().finally(() => (this.#reading = null));
    // Its end may come long after anybody waits for it.
    reading.catch(() => undefined);
    this.#reading = reading;
    return reading;
  }

  async #look(): Promise<RedisLook> {
    const patience = new AbortController();
    try {
      const gauges = await Promise.race([
        this.#ask(),
        delay(this.#answerTimeoutMs, null, { signal: patience.signal }).then(() => {
          throw new Error('Redis does not answer');
        }),
      ]);
      return { fault: null, gauges };
    } catch (error) {
      return { fault: error instanceof Error ? error.message : String(error), gauges: null };
    } finally {
      patience.abort();
    }
  }
}
