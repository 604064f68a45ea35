import { Cluster, type Redis } from 'ioredis';
import { RedisProcess } from './redisProcess.ts';
import { clientTls } from './redisTls.ts';
import { findFreePort } from './serverProcess.ts';
import { Clients, type RedisTls, type StartRedisOptions, type TestRedis } from './testRedis.ts';
import { waitFor } from './waitFor.ts';

const MASTERS = 3;
const HASH_SLOTS = 16_384;
/** How long a node may be silent until the others take it for dead, ms. */
const NODE_TIMEOUT_MS = 1_500;

/** A Redis Cluster of three masters: processes of this test process. */
export class RedisClusterProcesses implements TestRedis {
  /** The masters at the start, each with its part of the hash slots, in their order. */
  readonly masters: readonly RedisProcess[];
  /** The replica of each, in the same order. */
  readonly replicas: readonly RedisProcess[];
  readonly socketPath = null;
  readonly pid = null;
  readonly #tls: RedisTls | undefined;
  readonly #clients: Clients;

  private constructor(
    masters: readonly RedisProcess[],
    replicas: readonly RedisProcess[],
    tls: RedisTls | undefined,
  ) {
    this.masters = masters;
    this.#tls = tls;
    this.replicas = replicas;
    this.#clients = new Clients(() => {
      const nodes = this.#all.map(({ port }) => ({ host: '127.0.0.1', port }));
      const redisOptions = {
        maxRetriesPerRequest: null,
        ...(tls !== undefined && { tls: clientTls(tls) }),
      };
      // It has the commands of a Redis, which is all that tests ask of a connection.
      return new Cluster(nodes, {
        redisOptions,
        maxRedirections: 1_000,
        clusterRetryStrategy: () => 50,
      }) as unknown as Redis;
    });
  }

  static async start(options: StartRedisOptions = {}): Promise<RedisClusterProcesses> {
    const { replicas = false, topology: _cluster, ...common } = options;
    const count = replicas ? 2 * MASTERS : MASTERS;
    const nodes = await Promise.all(Array.from({ length: count }, () => startNode(common)));
    const cluster = new RedisClusterProcesses(
      nodes.slice(0, MASTERS),
      nodes.slice(MASTERS),
      options.tls,
    );
    try {
      await cluster.#form();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get url(): string {
    const scheme = this.#tls === undefined ? 'redis' : 'rediss';
    return `${scheme}+cluster://${this.#all.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
  }

  get port(): number {
    return this.masters[0]!.port;
  }

  get #all(): readonly RedisProcess[] {
    return [...this.masters, ...this.replicas];
  }

  connect(): Redis {
    return this.#clients.connect();
  }

  /** Kills all nodes. */
  async kill(): Promise<void> {
    await Promise.all(this.#all.map((node) => node.kill()));
  }

  async restart(): Promise<void> {
    await Promise.all(this.#all.map((node) => node.restart()));
    await this.#untilOk();
  }

  async stop(): Promise<void> {
    this.#clients.close();
    await Promise.all(this.#all.map((node) => node.stop()));
  }

  /** Waits until all nodes see a whole cluster. */
  async #untilOk(): Promise<void> {
    await Promise.all(
      this.#all.map(async (node) => {
        const client = node.connect();
        await waitFor(async () => /cluster_state:ok/.test(await client.cluster('INFO')));
        client.disconnect();
      }),
    );
  }

  /** Makes one cluster of the nodes. */
  async #form(): Promise<void> {
    const clients = this.#all.map((node) => node.connect());
    const bound = (i: number): number => Math.floor((i * HASH_SLOTS) / MASTERS);
    await Promise.all(
      clients.slice(0, MASTERS).map(async (client, i) => {
        await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1));
        await client.call('CLUSTER', 'ADDSLOTSRANGE', String(bound(i)), String(bound(i + 1) - 1));
      }),
    );
    const [first, ...others] = clients;
    for (const [i] of others.entries()) {
      const { port } = this.#all[i + 1]!;
      const bus = await busPortOf(others[i]!);
      await first!.call('CLUSTER', 'MEET', '127.0.0.1', String(port), bus);
    }
    await waitFor(async () => {
      const known = await Promise.all(clients.map((client) => client.cluster('INFO')));
      return known.every((info) => info.includes(`cluster_known_nodes:${clients.length}\r\n`));
    });
    for (const [i, client] of clients.slice(MASTERS).entries()) {
      const master = await clients[i]!.cluster('MYID');
      await waitFor(async () => (await client.cluster('REPLICATE', master)) === 'OK');
    }
    for (const client of clients) client.disconnect();
    await this.#untilOk();
    await this.#untilReplicated();
  }

  /** Waits until each replica has what its master has. */
  async #untilReplicated(): Promise<void> {
    for (const replica of this.replicas) {
      const client = replica.connect();
      await waitFor(async () => /master_link_status:up/.test(await client.info('replication')));
      client.disconnect();
    }
  }
}

async function startNode(options: StartRedisOptions): Promise<RedisProcess> {
  return await RedisProcess.start({
    ...options,
    config: {
      'cluster-enabled': 'yes',
      'cluster-config-file': 'nodes.conf',
      'cluster-node-timeout': String(NODE_TIMEOUT_MS),
      // Its default is 10,000 above the port, which may be taken or too high.
      'cluster-port': String(await findFreePort()),
      ...(options.tls !== undefined && { 'tls-cluster': 'yes' }),
      ...options.config,
    },
  });
}

async function busPortOf(client: Redis): Promise<string> {
  const reply = await client.config('GET', 'cluster-port');
  return reply[1]!;
}
