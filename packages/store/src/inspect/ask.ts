import type { Redis } from 'ioredis';

/** Commands that go to Redis together. */
const COMMANDS_PER_PIPELINE = 500;

/** Commands of one pipeline. */
export type Pipeline = ReturnType<Redis['pipeline']>;

/**
 * Asks one question of each thing, many in one go.
 *
 * @param command - Adds exactly one command to the pipeline.
 * @returns The answers, in the same order.
 */
export async function ask<T>(
  redis: Redis,
  things: readonly T[],
  command: (pipeline: Pipeline, thing: T) => unknown,
): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (let from = 0; from < things.length; from += COMMANDS_PER_PIPELINE) {
    const pipeline = redis.pipeline();
    for (const thing of things.slice(from, from + COMMANDS_PER_PIPELINE)) command(pipeline, thing);
    for (const [error, answer] of (await pipeline.exec()) ?? []) {
      if (error !== null) throw error;
      answers.push(answer);
    }
  }
  return answers;
}
