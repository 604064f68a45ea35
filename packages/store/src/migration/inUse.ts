import type { ShardKeys } from '../keys.ts';
import { listeners, timeOf } from '../inspect/installation.ts';
import { type RedisClient, serversOf } from '../redisClient.ts';

/** Connections that are named; of more there is only the number. */
const MOST_CONNECTIONS = 10;

/** Who works with an installation now. */
export interface InUse {
  /** Controllers that listen for what becomes due. */
  readonly controllers: number;
  /** Names of the workers whose lease has not ended: that of one that was killed ends a few seconds later. */
  readonly workers: readonly string[];
}

/** Whether anybody does. */
export function isInUse({ controllers, workers }: InUse): boolean {
  return controllers > 0 || workers.length > 0;
}

/** Asks who works with an installation, of whatever version. */
export async function findUsers(redis: RedisClient, shards: readonly ShardKeys[]): Promise<InUse> {
  const workers = new Set<string>();
  let controllers = 0;
  for (const keys of shards) {
    controllers = Math.max(controllers, await listeners(redis, keys.wakeChannel));
    const nowMs = await timeOf(redis, keys);
    for (const session of await redis.zrangebyscore(keys.sessions, `(${nowMs}`, '+inf')) {
      workers.add((await redis.hget(keys.session(session).session, 'node')) ?? session);
    }
  }
  return { controllers, workers: [...workers].toSorted() };
}

/** Connections to Redis beside one's own; there is no telling what they are there for. */
export interface Connections {
  readonly count: number;
  /** The first ten, `<address> (<user>)`. */
  readonly names: readonly string[];
}

/** Lists them; null where that may not be asked. */
export async function otherConnections(redis: RedisClient): Promise<Connections | null> {
  const names: string[] = [];
  try {
    for (const server of await serversOf(redis)) {
      const own = String(await server.client('ID'));
      for (const line of String(await server.client('LIST', 'TYPE', 'NORMAL')).split('\n')) {
        const fields = new Map(
          line.split(' ').map((pair) => pair.split('=', 2) as [string, string]),
        );
        if (fields.has('addr') && fields.get('id') !== own) {
          names.push(`${fields.get('addr')} (${fields.get('user') ?? 'default'})`);
        }
      }
    }
  } catch (error) {
    if ((error as Error).message.startsWith('NOPERM')) return null;
    throw error;
  }
  return { count: names.length, names: names.slice(0, MOST_CONNECTIONS) };
}
