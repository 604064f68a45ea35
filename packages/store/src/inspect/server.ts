import type { Redis } from 'ioredis';

/** How many times Redis is asked for its time, one after the other. */
const LOOKS = 25;

/** What a Redis says of itself, as far as Drover depends on it. Values that it does not tell are null. */
export interface ServerFacts {
  /** `redis` or `valkey`. */
  readonly software: string;
  readonly version: string;
  readonly uptimeSeconds: number;
  /** `master`, `slave`. */
  readonly role: string;
  readonly isCluster: boolean;
  /** What a node of a cluster says of the whole: `ok` or `fail`; null elsewhere. */
  readonly clusterState: string | null;
  /** Servers that get its writes and may take its place. */
  readonly replicas: number;
  readonly maxmemoryPolicy: string | null;
  readonly usedBytes: number;
  /** 0: no limit. */
  readonly maxBytes: number;
  /** Memory of the machine; 0 when Redis does not know. */
  readonly systemBytes: number;
  /** Keys that Redis dropped to make room, since it started. */
  readonly evictedKeys: number;
  readonly connectedClients: number;
  readonly maxClients: number;
  readonly hasAppendOnlyFile: boolean;
  /** `always`, `everysec` or `no`; null where CONFIG may not be asked. */
  readonly appendfsync: string | null;
  /** When idle connections are closed, in seconds; 0: never; null where CONFIG may not be asked. */
  readonly idleTimeoutSeconds: number | null;
  /** Whether the last writes of append-only file and snapshot went well. */
  readonly persistenceErrors: readonly string[];
  /** From asking to the answer, of several in a row, ms. */
  readonly roundTrip: { readonly medianMs: number; readonly highestMs: number };
  /** How far the clock of Redis' machine is ahead of this one, ms; exact to half a round trip. */
  readonly clockOffsetMs: number;
}

/** Asks a server how it is. Reads only. */
export async function inspectServer(redis: Redis): Promise<ServerFacts> {
  const info = await redis.info();
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim();
  const number = (name: string): number => Number(field(name) ?? 0);
  const setting = async (name: string): Promise<string | null> => {
    // Managed services forbid CONFIG, and so may the rights of a user.
    const reply = (await redis.config('GET', name).catch(() => [])) as string[];
    return reply[1] ?? null;
  };
  const [appendfsync, timeout] = [await setting('appendfsync'), await setting('timeout')];
  const valkey = field('valkey_version');
  const isCluster = field('cluster_enabled') === '1';
  return {
    software: valkey === undefined ? 'redis' : 'valkey',
    version: valkey ?? field('redis_version') ?? '?',
    uptimeSeconds: number('uptime_in_seconds'),
    role: field('role') ?? '?',
    isCluster,
    clusterState: isCluster ? await clusterState(redis) : null,
    replicas: number('connected_slaves'),
    maxmemoryPolicy: field('maxmemory_policy') ?? null,
    usedBytes: number('used_memory'),
    maxBytes: number('maxmemory'),
    systemBytes: number('total_system_memory'),
    evictedKeys: number('evicted_keys'),
    connectedClients: number('connected_clients'),
    maxClients: number('maxclients'),
    hasAppendOnlyFile: field('aof_enabled') === '1',
    appendfsync,
    idleTimeoutSeconds: timeout === null ? null : Number(timeout),
    persistenceErrors: [
      'aof_last_write_status',
      'aof_last_bgrewrite_status',
      'rdb_last_bgsave_status',
    ].filter((name) => (field(name) ?? 'ok') !== 'ok'),
    ...(await measure(redis)),
  };
}

async function clusterState(redis: Redis): Promise<string> {
  const info = await redis.cluster('INFO');
  return /cluster_state:(\w+)/.exec(info)?.[1] ?? '?';
}

async function measure(redis: Redis): Promise<Pick<ServerFacts, 'roundTrip' | 'clockOffsetMs'>> {
  const looks: { ms: number; offsetMs: number }[] = [];
  for (let i = 0; i < LOOKS; i++) {
    const beforeMs = performance.now();
    const [seconds, micros] = await redis.time();
    const afterMs = performance.now();
    const theirMs = Number(seconds) * 1_000 + Number(micros) / 1_000;
    const ourMs = performance.timeOrigin + (beforeMs + afterMs) / 2;
    looks.push({ ms: afterMs - beforeMs, offsetMs: theirMs - ourMs });
  }
  looks.sort((a, b) => a.ms - b.ms);
  return {
    roundTrip: { medianMs: looks[Math.floor(LOOKS / 2)]!.ms, highestMs: looks.at(-1)!.ms },
    // The quickest look knows best.
    clockOffsetMs: looks[0]!.offsetMs,
  };
}
