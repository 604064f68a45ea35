import { nodeKeys } from './keys.ts';
import type { RedisClient } from './redisClient.ts';

/** How long a worker that is not heard of is shown, so that somebody may ask what became of it. */
const KEEP_SILENT_MS = 24 * 60 * 60 * 1_000;
/** Records that are removed at a time. */
const MAX_REMOVED = 10;

/** A worker as a node: what it said of itself at its last heartbeat. */
export interface NodeRecord {
  readonly name: string;
  /** JSON text of the node's details, as the worker wrote it. */
  readonly object: string;
  /** Until when it counts as ready, ms since the epoch by the clock of Redis. */
  readonly leaseEndMs: number;
  /** It was not heard of in time. */
  readonly isSilent: boolean;
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

  /**
   * Writes a node's record, which counts as ready for so long. Removes some of those that have been silent
   * for a day: workers that never came back, whose names nobody will have again.
   */
  async put(name: string, object: string, ttlMs: number): Promise<void> {
    const nowMs = await this.#nowMs();
    await this.#redis
      .multi()
      .hset(this.#keys.objects, name, object)
      .zadd(this.#keys.leases, String(nowMs + ttlMs), name)
      .exec();
    const lost = [0, `(${nowMs - KEEP_SILENT_MS}`, 'LIMIT', 0, MAX_REMOVED] as const;
    for (const one of await this.#redis.zrangebyscore(this.#keys.leases, ...lost)) {
      await this.remove(one);
    }
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
    const [nowMs, objects, leases, cordons] = await Promise.all([
      this.#nowMs(),
      this.#redis.hgetall(this.#keys.objects),
      this.#redis.zrange(this.#keys.leases, '0', '-1', 'WITHSCORES'),
      this.#redis.hgetall(this.#keys.cordons),
    ]);
    const leaseEnds = new Map<string, number>();
    for (let i = 0; i < leases.length; i += 2) leaseEnds.set(leases[i]!, Number(leases[i + 1]));
    return Object.entries(objects)
      .map(([name, object]) => {
        const leaseEndMs = leaseEnds.get(name) ?? 0;
        const cordon = readCordon(cordons[name] ?? null);
        return { name, object, leaseEndMs, isSilent: leaseEndMs < nowMs, cordon };
      })
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

  /** Those who write and those who read may have other clocks. */
  async #nowMs(): Promise<number> {
    const [seconds, micros] = await this.#redis.time();
    return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  }
}

function readCordon(text: string | null): NodeCordon | null {
  const [, flag = '', since = ''] = /^([01]):(\d+)$/.exec(text ?? '') ?? [];
  return flag === '' ? null : { isCordoned: flag === '1', sinceMs: Number(since) };
}
