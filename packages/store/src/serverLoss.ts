import { Cluster } from 'ioredis';
import { hashSlot } from './keys.ts';
import type { RedisClient } from './redisClient.ts';

/** Knows whether the server that holds a shard was lost since one began to look: another may lack its last writes. */
export class ServerLoss {
  readonly #redis: RedisClient;
  readonly #slot: number;
  readonly #forget: () => void;
  #master: string | null = null;
  #wasLost = false;

  /** @param tag - The shard's hash tag, with braces. */
  constructor(redis: RedisClient, tag: string) {
    this.#redis = redis;
    this.#slot = hashSlot(tag.slice(1, -1));
    if (redis instanceof Cluster) {
      // Nodes that hold other shards come and go.
      const onNodeEnd = ({ options: { host, port } }: LostNode): void => {
        if (`${host}:${port}` === this.#master) this.#wasLost = true;
      };
      redis.on('-node', onNodeEnd);
      this.#forget = () => redis.off('-node', onNodeEnd);
    } else {
      const onClose = (): void => {
        this.#wasLost = true;
      };
      redis.on('close', onClose);
      this.#forget = () => redis.off('close', onClose);
    }
  }

  /** Whether it was lost. */
  get wasLost(): boolean {
    if (!(this.#redis instanceof Cluster)) return this.#wasLost;
    const master = this.#redis.slots[this.#slot]?.[0] ?? this.#master;
    if (this.#master !== null && master !== this.#master) this.#wasLost = true;
    this.#master = master;
    return this.#wasLost;
  }

  /** Looks no longer. */
  close(): void {
    this.#forget();
  }
}

interface LostNode {
  readonly options: { readonly host?: string; readonly port?: number };
}
