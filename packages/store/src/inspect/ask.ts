import { type ChainableCommander, Cluster } from 'ioredis';
import type { RedisClient } from '../redisClient.ts';

/** Commands that go to Redis together. */
const COMMANDS_PER_PIPELINE = 500;

/** Who takes a command: a pipeline, or the clients of a cluster's nodes. */
export type Asked = ChainableCommander | RedisClient;

/**
 * Asks one question of each thing, many in one go.
 *
 * @param command - Gives exactly one command and returns what that returns.
 * @returns The answers, in the same order.
 */
export async function ask<T>(
  redis: RedisClient,
  things: readonly T[],
  command: (asked: Asked, thing: T) => unknown,
): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (let from = 0; from < things.length; from += COMMANDS_PER_PIPELINE) {
    const batch = things.slice(from, from + COMMANDS_PER_PIPELINE);
    if (redis instanceof Cluster) {
      // The keys of a pipeline have to lie on one node, and these may be of all shards.
      answers.push(...(await Promise.all(batch.map((thing) => command(redis, thing)))));
      continue;
    }
    const pipeline = redis.pipeline();
    for (const thing of batch) command(pipeline, thing);
    for (const [error, answer] of (await pipeline.exec()) ?? []) {
      if (error !== null) throw error;
      answers.push(answer);
    }
  }
  return answers;
}
