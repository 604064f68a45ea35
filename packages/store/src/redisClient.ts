import { Cluster, Redis, type ClusterOptions, type RedisOptions } from 'ioredis';
import { MasterConnector } from './masterConnector.ts';
import { type ClusterConnectionOptions, type HostPort, parseAddress } from './redisAddress.ts';
import { splitTls } from './redisTls.ts';

/** A connection to a Redis, or the connections to the nodes of a Redis Cluster, which take the same commands. */
export type RedisClient = Redis | Cluster;

/**
 * Where Redis is: an address (`redis://`, `rediss://`, `redis+sentinel://`, `redis+cluster://`, the path of a socket),
 * options of ioredis, such options with the nodes of a cluster, or a client of ioredis.
 */
export type RedisConnection = string | RedisOptions | ClusterConnectionOptions | RedisClient;

/** How a connection behaves, whatever Redis it leads to. */
export interface ClientOptions {
  /** Connect with the first command. Default false. */
  readonly lazyConnect?: boolean;
  /** Over how many reconnections a command waits; null: until Redis is back. */
  readonly maxRetriesPerRequest?: number | null;
  /** How long a connection may take, ms. */
  readonly connectTimeout?: number;
  /** A connection that is silent for so long while an answer is awaited is broken, ms. */
  readonly socketTimeout?: number;
  /** From when on the system probes a silent connection, ms. */
  readonly keepAlive?: number;
  /** Pause before the next try to connect, ms. */
  readonly retryStrategy?: (times: number) => number;
}

/** Pause before a command is sent again that a node of a cluster could not take, ms. */
const CLUSTER_RETRY_MS = 100;
/** How long nodes of a cluster may take to say which slots they have, ms. */
const SLOTS_TIMEOUT_MS = 5_000;

/** A client of its own to the Redis that `connection` names; one that is given is copied. */
export function openClient(connection: RedisConnection, options: ClientOptions = {}): RedisClient {
  if (isClient(connection)) return duplicateClient(connection, options);
  if (typeof connection === 'string') {
    const address = connection.replace(/^unix:(\/\/)?(?=\/)/, '');
    const { address: plain, tls } = splitTls(address) ?? { address, tls: undefined };
    const parsed = parseAddress(plain, tls);
    if (parsed !== null) return openClient(parsed, options);
    return new Redis(plain, { ...options, ...RECONNECT, ...(tls === undefined ? {} : { tls }) });
  }
  if (isCluster(connection)) {
    const { cluster, ...node } = connection;
    return new Cluster([...cluster], clusterOptions(options, node));
  }
  return new Redis({ ...connection, ...options, ...reconnectFor(connection), ...LEGACY });
}

/** Another client to the same Redis; what is not said stays as in the first. */
export function duplicateClient(client: RedisClient, options: ClientOptions = {}): RedisClient {
  if (client instanceof Cluster) {
    return client.duplicate([], clusterOptions(options, client.options.redisOptions));
  }
  return client.duplicate({ ...options, ...reconnectFor(client.options), ...LEGACY });
}

/**
 * A connection for pub/sub. Of a cluster any node passes the messages of all on: it is a plain connection to one of
 * them, and to another when that one is lost, so that it says `ready` whenever messages may have been missed.
 */
export function openSubscriberClient(client: RedisClient, options: ClientOptions = {}): Redis {
  if (!(client instanceof Cluster)) return duplicateClient(client, options) as Redis;
  let turn = 0;
  const next = (): HostPort => {
    const nodes = knownNodes(client);
    turn += 1;
    return nodes[turn % nodes.length]!;
  };
  const { clusterRetryStrategy, redisOptions } = client.options;
  const pause = options.retryStrategy ?? clusterRetryStrategy;
  const redis: Redis = new Redis({
    ...redisOptions,
    ...options,
    ...next(),
    ...LEGACY,
    retryStrategy: (times: number) => {
      Object.assign(redis.options, next());
      return pause?.(times);
    },
  });
  return redis;
}

/** Nodes of a cluster: those that are known by now, or that it was started with. */
export function knownNodes(cluster: Cluster): HostPort[] {
  const nodes = cluster
    .nodes()
    .map(({ options: { host, port } }) => ({ host: host!, port: port! }));
  if (nodes.length > 0) return nodes;
  // Not public, but nothing else tells before the first connection.
  const startup = Reflect.get(cluster, 'startupNodes') as readonly (HostPort | number | string)[];
  return startup.map((node) => {
    if (typeof node === 'object') return node;
    const url = new URL(typeof node === 'number' ? `redis://127.0.0.1:${node}` : node);
    return { host: url.hostname, port: Number(url.port || 6_379) };
  });
}

/** The servers that hold the data: one, or the masters of a cluster. */
export async function serversOf(client: RedisClient): Promise<readonly Redis[]> {
  if (!(client instanceof Cluster)) return [client];
  // The first answer comes after the slots are known.
  if (client.status !== 'ready') await client.time();
  return client.nodes('master');
}

/** Where a client leads, for messages; never a password. */
export function addressOf(client: RedisClient): string {
  const text = ({ host, port }: { host?: string | undefined; port?: number | undefined }): string =>
    `${host ?? 'localhost'}:${port ?? 6_379}`;
  if (client instanceof Cluster) return `${knownNodes(client).map(text).join(',')} (cluster)`;
  const { path, sentinels, name } = client.options;
  if (path !== undefined) return path;
  // ioredis has null there when there are none.
  return Array.isArray(sentinels)
    ? `${name} of the Sentinels ${sentinels.map(text).join(',')}`
    : text(client.options);
}

/** Whether it is a client of ioredis. */
export function isClient(connection: RedisConnection): connection is RedisClient {
  return connection instanceof Redis || connection instanceof Cluster;
}

function isCluster(
  options: RedisOptions | ClusterConnectionOptions,
): options is ClusterConnectionOptions {
  return 'cluster' in options;
}

/** The mapping of replies is ours to choose: the store reads the classic one. */
const LEGACY = { replyMapping: 'legacy' } as const;

/** A server that takes no writes any more is left: somebody else is the master now. */
const RECONNECT = {
  reconnectOnError: ({ message }: Error) => message.startsWith('READONLY'),
} satisfies RedisOptions;

/** As {@link RECONNECT}; where Sentinels say who is the master, the command goes to that one at once. */
function reconnectFor({ sentinels }: RedisOptions): RedisOptions {
  if (!Array.isArray(sentinels)) return RECONNECT;
  return {
    reconnectOnError: ({ message }) => (message.startsWith('READONLY') ? 2 : false),
    Connector: MasterConnector as NonNullable<RedisOptions['Connector']>,
  };
}

function clusterOptions(
  { lazyConnect, retryStrategy, ...node }: ClientOptions,
  given: ClusterOptions['redisOptions'],
): ClusterOptions & { readonly redisOptions: { readonly replyMapping: 'legacy' } } {
  const { maxRetriesPerRequest: retries } = node;
  return {
    redisOptions: { ...given, ...node, ...LEGACY },
    // Asked for when an answer says that they changed: idle clients ask for nothing.
    slotsRefreshInterval: 0,
    slotsRefreshTimeout: SLOTS_TIMEOUT_MS,
    retryDelayOnFailover: CLUSTER_RETRY_MS,
    retryDelayOnClusterDown: CLUSTER_RETRY_MS,
    ...(lazyConnect !== undefined && { lazyConnect }),
    ...(retryStrategy !== undefined && { clusterRetryStrategy: retryStrategy }),
    // A node that is lost is a closed connection again and again, until a replica takes its place.
    ...(retries !== undefined && {
      maxRedirections: retries === null ? Number.POSITIVE_INFINITY : retries * 8,
    }),
  };
}
