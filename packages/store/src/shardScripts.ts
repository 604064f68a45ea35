import { ResourceExhaustedError } from '@drover/shared';
import type { ShardKeys } from './keys.ts';
import { runScript, type ScriptName, type ScriptReply } from './scripts.ts';
import type { RedisClient } from './redisClient.ts';

/** What {@link ShardScripts} needs of its shard. */
export interface ShardScriptsOptions {
  /** A connection that `defineScripts` was called for. */
  readonly redis: RedisClient;
  readonly keys: ShardKeys;
  /** Tests only: the time that scripts use instead of Redis' own. */
  readonly testClock: (() => number) | null;
}

/** Runs the scripts of one shard over one connection. */
export class ShardScripts {
  readonly #redis: RedisClient;
  readonly #keys: ShardKeys;
  readonly #testClock: (() => number) | null;

  constructor({ redis, keys, testClock }: ShardScriptsOptions) {
    this.#redis = redis;
    this.#keys = keys;
    this.#testClock = testClock;
  }

  /** The first keys of every script that makes something due. */
  get dueKeys(): [clock: string, due: string, taken: string, counts: string] {
    const { clock, due, dueTaken, dueCounts } = this.#keys;
    return [clock, due, dueTaken, dueCounts];
  }

  /** The argument `nowMs`: a test's clock, or ''. */
  get now(): number | '' {
    return this.#testClock === null ? '' : this.#testClock();
  }

  /** Runs a script. @throws ResourceExhaustedError when it creates something and memory is full. */
  async run(
    name: ScriptName,
    keys: readonly string[],
    args: readonly (string | number | Buffer)[],
  ): Promise<ScriptReply> {
    try {
      return await runScript(this.#redis, name, keys, args);
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('OOM ')) {
        throw new ResourceExhaustedError(
          'Redis is out of memory: raise maxmemory or delete finished Jobs; nothing was written',
          { cause: error },
        );
      }
      throw error;
    }
  }
}
