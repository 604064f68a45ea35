import { tokenKey } from './keys.ts';
import type { RedisClient } from './redisClient.ts';

/** What is known of the tokens of an installation's API servers; one hash under a fixed tag. */
export class TokenStore {
  readonly #redis: RedisClient;
  readonly #key: string;

  constructor(redis: RedisClient, prefix: string) {
    this.#redis = redis;
    this.#key = tokenKey(prefix);
  }

  /** Keeps the record of a token; false when there is one of that name. */
  async add(name: string, record: string): Promise<boolean> {
    return (await this.#redis.hsetnx(this.#key, name, record)) === 1;
  }

  /** The record of a token; null when there is none. */
  async get(name: string): Promise<string | null> {
    return await this.#redis.hget(this.#key, name);
  }

  /** All records. */
  async list(): Promise<string[]> {
    return await this.#redis.hvals(this.#key);
  }

  /** Forgets a token; false when there is none. */
  async remove(name: string): Promise<boolean> {
    return (await this.#redis.hdel(this.#key, name)) === 1;
  }
}
