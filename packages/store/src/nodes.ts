import { nodeKeys } from './keys.ts';
import type { RedisClient } from './redisClient.ts';

/** A worker as a node: what it said of itself at its last heartbeat. */
export interface NodeRecord {
  readonly name: string;
  /** JSON text of the node's details, as the worker wrote it. */
  readonly object: string;
  /** When the record counts as gone, ms since the epoch by the worker's clock. */
  readonly leaseEndMs: number;
  /** Somebody said that it is to take no pods, or is to take them again; null = nobody ever said. */
  readonly cordon: NodeCordon | null;
}

/** Whether a node is to take pods. */
export interface NodeCordon {
  readonly isCordoned: boolean;
  /** When that was said, ms since the epoch. */
  readonly sinceMs: number;
}

/** The registry of nodes: a record per worker, under one fixed tag. */
export class NodeStore {
  readonly #redis: RedisClient;
  readonly #keys: ReturnType<typeof nodeKeys>;

  constructor(redis: RedisClient, prefix: string) {
    this.#redis = redis;
    this.#keys = nodeKeys(prefix);
  }

  /** Writes a node's record. */
  async put(name: string, object: string, leaseEndMs: number): Promise<void> {
    await this.#redis
      .multi()
      .hset(this.#keys.objects, name, object)
      .zadd(this.#keys.leases, String(leaseEndMs), name)
      .exec();
  }

  /** Says whether a node is to take pods; it learns of it at once. */
  async cordon(name: string, isCordoned: boolean, nowMs: number): Promise<void> {
    await this.#redis.hset(this.#keys.cordons, name, `${isCordoned ? 1 : 0}:${nowMs}`);
    await this.#redis.publish(this.#keys.cordonChannel, name);
  }

  /** Whether a node is to take no pods. */
  async isCordoned(name: string): Promise<boolean> {
    return readCordon(await this.#redis.hget(this.#keys.cordons, name))?.isCordoned === true;
  }

  /** All nodes by name, those whose lease ran out included. */
  async list(): Promise<NodeRecord[]> {
    const [objects, leases, cordons] = await Promise.all([
      this.#redis.hgetall(this.#keys.objects),
      this.#redis.zrange(this.#keys.leases, '0', '-1', 'WITHSCORES'),
      this.#redis.hgetall(this.#keys.cordons),
    ]);
    const leaseEnds = new Map<string, number>();
    for (let i = 0; i < leases.length; i += 2) leaseEnds.set(leases[i]!, Number(leases[i + 1]));
    return Object.entries(objects)
      .map(([name, object]) => ({
        name,
        object,
        leaseEndMs: leaseEnds.get(name) ?? 0,
        cordon: readCordon(cordons[name] ?? null),
      }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Removes a node's record. */
  async remove(name: string): Promise<void> {
    await this.#redis
      .multi()
      .hdel(this.#keys.objects, name)
      .zrem(this.#keys.leases, name)
      .hdel(this.#keys.cordons, name)
      .exec();
  }

  /** Removes nodes whose lease ended before `beforeMs`: workers that never came back. */
  async removeExpired(beforeMs: number): Promise<number> {
    const names = await this.#redis.zrangebyscore(this.#keys.leases, 0, `(${beforeMs}`);
    for (const name of names) await this.remove(name);
    return names.length;
  }
}

function readCordon(text: string | null): NodeCordon | null {
  const [, flag = '', since = ''] = /^([01]):(\d+)$/.exec(text ?? '') ?? [];
  return flag === '' ? null : { isCordoned: flag === '1', sinceMs: Number(since) };
}
