import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { RedisClient } from './redisClient.ts';

/**
 * The arguments of a Job's indexes lie beside the Job, in chunks of a hash: its object, which is
 * read often, does not grow with them, and a worker reads those it needs. Chunks are compressed,
 * since most of a list repeats itself.
 */
export const ARGUMENTS_PER_CHUNK = 64;

/** The arguments of one pod: the `args` of its container. */
export type Arguments = readonly string[];

/** A list whose Job was never created goes by itself. */
const UNUSED_TTL_S = 86_400;
/** Chunks per command, so that no command is large. */
const CHUNKS_PER_WRITE = 64;

/** Stores a list; it is to be kept once its Job is created. */
export async function writeArguments(
  redis: RedisClient,
  key: string,
  list: readonly Arguments[],
): Promise<void> {
  for (let from = 0; from < list.length; from += CHUNKS_PER_WRITE * ARGUMENTS_PER_CHUNK) {
    const fields: (string | Buffer)[] = [];
    const to = Math.min(list.length, from + CHUNKS_PER_WRITE * ARGUMENTS_PER_CHUNK);
    for (let at = from; at < to; at += ARGUMENTS_PER_CHUNK) {
      const chunk = list.slice(at, Math.min(to, at + ARGUMENTS_PER_CHUNK));
      fields.push(String(at / ARGUMENTS_PER_CHUNK), deflateRawSync(JSON.stringify(chunk)));
    }
    await redis.hset(key, ...fields);
    if (from === 0) await redis.expire(key, UNUSED_TTL_S);
  }
}

/**
 * Reads a chunk for a pod; null when there is none. The list stays from then on: its Job is there, though the client
 * may have died before it could say so.
 */
export async function readArguments(
  redis: RedisClient,
  key: string,
  chunk: number,
): Promise<readonly Arguments[] | null> {
  const [packed] = await Promise.all([redis.hgetBuffer(key, String(chunk)), redis.persist(key)]);
  if (packed === null) return null;
  return JSON.parse(inflateRawSync(packed).toString()) as readonly Arguments[];
}
