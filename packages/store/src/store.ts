import assert from 'node:assert/strict';
import { installationKey, shardIndexOf, ShardKeys } from './keys.ts';
import { LAYOUT_VERSION, layoutRefusal } from './migration/layout.ts';
import { NodeStore } from './nodes.ts';
import { Shard } from './shard.ts';
import { Subscriber } from './subscriber.ts';
import { TokenStore } from './tokens.ts';
import { openSubscriberClient, type RedisClient, serversOf } from './redisClient.ts';
import { UnsuitableRedisError } from './unsuitable.ts';

/** What all processes of an installation must agree on: written by the first, read by all. */
export interface InstallationSettings {
  /** Hash tags that namespaces are spread over; default 1. */
  readonly shardCount: number;
  /** How long a session's claims are valid without a heartbeat; default 6000. */
  readonly leaseTtlMs: number;
  /** How often a session renews its lease; default 1500. */
  readonly heartbeatMs: number;
  /** BullMQ's lock of a slot; default 10000. */
  readonly slotLockMs: number;
  /** BullMQ's check for stalled slots; default 5000. */
  readonly slotStalledMs: number;
  /** How often an unfinished Job is looked at though nothing happened; default 30000. */
  readonly resyncMs: number;
}

/** Defaults of {@link InstallationSettings}. */
export const DEFAULT_SETTINGS: InstallationSettings = {
  shardCount: 1,
  leaseTtlMs: 6_000,
  heartbeatMs: 1_500,
  slotLockMs: 10_000,
  slotStalledMs: 5_000,
  resyncMs: 30_000,
};

/** Options of {@link Store.open}. */
export interface StoreOptions {
  /** Connection for commands; stays the caller's. */
  readonly redis: RedisClient;
  /** Prefix of all keys, so that installations may share a Redis. Default `drover`. */
  readonly prefix?: string;
  /** Settings for a new installation; ignored where one exists, but `shardCount` must agree. */
  readonly settings?: Partial<InstallationSettings>;
  /** Tests only: the time that scripts use instead of Redis' own. */
  readonly testClock?: () => number;
}

/** Field of the settings. */
const PRIORITIES_FIELD = 'usesPriorities';

/** The state of an installation in Redis. */
export class Store {
  readonly redis: RedisClient;
  readonly prefix: string;
  readonly settings: InstallationSettings;
  readonly shards: readonly Shard[];
  readonly nodes: NodeStore;
  readonly tokens: TokenStore;

  private constructor(
    redis: RedisClient,
    prefix: string,
    settings: InstallationSettings,
    testClock: (() => number) | null,
  ) {
    this.redis = redis;
    this.prefix = prefix;
    this.settings = settings;
    this.nodes = new NodeStore(redis, prefix);
    this.tokens = new TokenStore(redis, prefix);
    this.shards = Array.from(
      { length: settings.shardCount },
      (_, index) =>
        new Shard({
          redis,
          keys: new ShardKeys(prefix, index, settings.shardCount),
          prefix,
          index,
          leaseTtlMs: settings.leaseTtlMs,
          testClock,
        }),
    );
  }

  /**
   * Checks the Redis and reads the installation's settings, writing them when it is the first.
   *
   * @throws UnsuitableRedisError for an old Redis, an eviction policy that loses data, another key layout.
   */
  static async open(options: StoreOptions): Promise<Store> {
    const { redis, prefix = 'drover' } = options;
    if (!/^[A-Za-z0-9_.-]{1,64}$/.test(prefix)) {
      throw new UnsuitableRedisError(
        'INVALID_PREFIX',
        `prefix ${JSON.stringify(prefix)}: must be 1 to 64 letters, digits, '_', '.' or '-'`,
      );
    }
    for (const info of await infosOf(redis)) checkServer(info);
    const settings = await agreeOnSettings(redis, prefix, options.settings ?? {});
    return new Store(redis, prefix, settings, options.testClock ?? null);
  }

  /** Whether pods of this installation ever had a priority: from then on all slots are offered with one. */
  async usesPriorities(): Promise<boolean> {
    return (await this.redis.hget(installationKey(this.prefix), PRIORITIES_FIELD)) !== null;
  }

  /** From now on they do. */
  async notePriorities(): Promise<void> {
    await this.redis.hset(installationKey(this.prefix), PRIORITIES_FIELD, 1);
  }

  /** The shard of a namespace; '' for what belongs to none. */
  shardOf(namespace: string): Shard {
    const shard = this.shards[shardIndexOf(namespace, this.shards.length)];
    assert(shard !== undefined);
    return shard;
  }

  /** A shard by its number, as QueueJobs name it. */
  shard(index: number): Shard {
    const shard = this.shards[index];
    assert(shard !== undefined, `no shard ${index}`);
    return shard;
  }

  /** Opens a connection of its own for pub/sub. */
  openSubscriber(): Subscriber {
    return new Subscriber(openSubscriberClient(this.redis));
  }
}

/** What the servers say of themselves: each master of a cluster holds some of the shards. */
async function infosOf(redis: RedisClient): Promise<string[]> {
  const asked = await Promise.allSettled((await serversOf(redis)).map((server) => server.info()));
  const infos = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  // While one of several is replaced the others are there to begin with.
  if (infos.length === 0 && asked[0]?.status === 'rejected') throw asked[0].reason;
  return infos;
}

/** Refuses a server that could lose state, by the text of INFO. */
export function checkServer(info: string): void {
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim();
  const policy = field('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction') {
    throw new UnsuitableRedisError(
      'EVICTION_POLICY',
      `maxmemory-policy is ${policy}: Redis may drop Drover's keys; set it to noeviction (CONFIG SET maxmemory-policy noeviction)`,
    );
  }
  const version = field('valkey_version') ?? field('redis_version') ?? '0';
  if (Number.parseInt(version, 10) < 7) {
    throw new UnsuitableRedisError(
      'REDIS_TOO_OLD',
      `Redis ${version} is too old: Drover needs Redis 7 or newer, or Valkey`,
    );
  }
}

async function agreeOnSettings(
  redis: RedisClient,
  prefix: string,
  wanted: Partial<InstallationSettings>,
): Promise<InstallationSettings> {
  const key = installationKey(prefix);
  const proposal = { ...DEFAULT_SETTINGS, ...wanted, layoutVersion: LAYOUT_VERSION };
  let stored = await redis.hgetall(key);
  // Before anything is written: an older version would find settings there that it does not know.
  checkLayout(stored['layoutVersion'] ?? proposal.layoutVersion, prefix);
  // Nothing is written where all of it is there: Redis refuses that when its memory is full, and then the more has to
  // be able to open it who frees some.
  const missing = Object.entries(proposal).filter(([name]) => stored[name] === undefined);
  if (missing.length > 0) {
    // One HSETNX per field: whoever comes first with a field decides it for all.
    const pipeline = redis.pipeline();
    for (const [name, value] of missing) pipeline.hsetnx(key, name, value);
    pipeline.hgetall(key);
    const replies = (await pipeline.exec()) ?? [];
    for (const [error] of replies) {
      if (error?.message.startsWith('NOPERM') === true) {
        throw new UnsuitableRedisError(
          'NOT_INSTALLED',
          `there is no installation with prefix ${prefix} yet, or it misses settings of this version, and this user of Redis may not write them: start a controller first`,
        );
      }
      if (error !== null) throw error;
    }
    stored = replies.at(-1)![1] as Record<string, string>;
  }
  checkLayout(stored['layoutVersion'] ?? '', prefix);
  const settings = Object.fromEntries(
    Object.keys(DEFAULT_SETTINGS).map((name) => [name, Number(stored[name])]),
  ) as unknown as InstallationSettings;
  if (wanted.shardCount !== undefined && wanted.shardCount !== settings.shardCount) {
    throw new UnsuitableRedisError(
      'SHARD_COUNT',
      `shardCount ${wanted.shardCount}: this installation was made with ${settings.shardCount}, which can't be changed`,
    );
  }
  return settings;
}

function checkLayout(text: string | number, prefix: string): void {
  const refusal = layoutRefusal(String(text), prefix);
  if (refusal === null) return;
  throw new UnsuitableRedisError('LAYOUT_VERSION', `${refusal.message}: ${refusal.advice}`);
}
