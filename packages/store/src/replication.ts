import { ConnectionError, TimeoutError } from '@drover/shared';
import { Cluster, Redis } from 'ioredis';
import { hashSlot, type ShardKeys } from './keys.ts';
import type { RedisClient } from './redisClient.ts';

/** What must have happened before something counts as accepted. */
export interface Durability {
  /** So many replicas of Redis have it, an integer of at least 1. */
  readonly replicas: number;
  /** How long to wait for them, ms; an integer of at least 1. Default 1,000. */
  readonly timeoutMs?: number;
}

/** How long to wait for replicas when nothing is said, ms. */
const DEFAULT_TIMEOUT_MS = 1_000;
/** A key that only is there to have been written: a replica that has it has all before it. */
const MARK_TTL_MS = 60_000;

/** @throws RangeError for numbers that are none. */
export function checkDurability({ replicas, timeoutMs = DEFAULT_TIMEOUT_MS }: Durability): void {
  for (const [name, value] of Object.entries({ replicas, timeoutMs })) {
    if (Number.isSafeInteger(value) && value >= 1) continue;
    throw new RangeError(
      `durability.${name} is ${String(value)}: an integer of at least 1 is expected`,
    );
  }
}

/**
 * Waits until replicas have what a shard has by now, and with it a key. It asks on a connection of its own to one server,
 * which is never opened anew: the key is there, then a mark is written, then the replicas have the mark. So a failover in
 * between can not make it believe that a server has what only the one before it had.
 *
 * @param what - What the key stands for, for messages.
 * @throws TimeoutError when too few have it in time: it is accepted, and a failover may lose it.
 * @throws ConnectionError when it is gone: a failover lost it.
 */
export async function awaitReplicas(
  client: RedisClient,
  keys: ShardKeys,
  { key, what }: { readonly key: string; readonly what: string },
  { replicas, timeoutMs = DEFAULT_TIMEOUT_MS }: Durability,
): Promise<void> {
  const server = openServer(client, keys.tag);
  const errors: Error[] = [];
  server.on('error', (error: Error) => errors.push(error));
  const timer = setTimeout(() => server.disconnect(), timeoutMs + timeoutMs);
  let reached = 0;
  try {
    const [exists, , count] = await Promise.all([
      server.exists(key),
      server.set(keys.replicated, '', 'PX', MARK_TTL_MS),
      server.wait(replicas, timeoutMs),
    ]);
    if (exists === 0) {
      throw new ConnectionError(`${what} is gone: Redis lost it in a failover; create it again`);
    }
    reached = count;
  } catch (error) {
    if (error instanceof ConnectionError) throw error;
    errors.push(error instanceof Error ? error : new Error(String(error)));
  } finally {
    clearTimeout(timer);
    server.disconnect();
  }
  if (reached >= replicas) return;
  // The first one says why, the others what came of it.
  const [cause] = errors;
  const why = cause === undefined ? '' : ` (${cause.message})`;
  throw new TimeoutError(
    `${what} was created, and within ${timeoutMs} ms ${reached} of ${replicas} replicas of Redis had it${why}: ` +
      'a failover may lose it. To create it again with the same uid waits anew',
    { cause },
  );
}

/** A connection to the server that holds a shard, which ends when it is lost. */
function openServer(client: RedisClient, tag: string): Redis {
  const once = {
    lazyConnect: false,
    maxRetriesPerRequest: null,
    retryStrategy: null,
    reconnectOnError: null,
  };
  if (!(client instanceof Cluster)) return client.duplicate({ ...once, replyMapping: 'legacy' });
  const [master = ''] = client.slots[hashSlot(tag.slice(1, -1))] ?? [];
  const colon = master.lastIndexOf(':');
  return new Redis({
    ...client.options.redisOptions,
    ...once,
    host: master.slice(0, colon),
    port: Number(master.slice(colon + 1)),
    replyMapping: 'legacy',
  });
}
