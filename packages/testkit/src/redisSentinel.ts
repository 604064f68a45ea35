import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { RedisProcess } from './redisProcess.ts';
import { clientTls, tlsSettings } from './redisTls.ts';
import {
  findFreePort,
  type ServerProcess,
  spawnRedisServer,
  untilItSays,
} from './serverProcess.ts';
import { Clients, type RedisTls, type StartRedisOptions, type TestRedis } from './testRedis.ts';
import { waitFor } from './waitFor.ts';
import { guardFolder } from './watchdog.ts';

/** What the Sentinels call the master. */
const MASTER_NAME = 'drover';
/** How long a master may be silent until a Sentinel takes it for dead, ms. */
const DOWN_AFTER_MS = 2_000;

/** A master with a replica, and Sentinels that let the replica take over: processes of this test process. */
export class RedisSentinelProcesses implements TestRedis {
  /** The master at the start. */
  readonly master: RedisProcess;
  /** Its replica. */
  readonly replica: RedisProcess;
  readonly socketPath = null;
  readonly #sentinels: Sentinel[] = [];
  readonly #tls: RedisTls | undefined;
  readonly #clients: Clients;

  private constructor(master: RedisProcess, replica: RedisProcess, tls: RedisTls | undefined) {
    this.master = master;
    this.replica = replica;
    this.#tls = tls;
    this.#clients = new Clients(
      () =>
        new Redis({
          sentinels: this.#sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
          name: MASTER_NAME,
          maxRetriesPerRequest: null,
          retryStrategy: () => 50,
          sentinelRetryStrategy: () => 50,
          reconnectOnError: ({ message }) => (message.startsWith('READONLY') ? 2 : false),
          ...(tls !== undefined && {
            tls: clientTls(tls),
            sentinelTLS: clientTls(tls),
            enableTLSForSentinelMode: true,
          }),
        }),
    );
  }

  static async start(options: StartRedisOptions = {}): Promise<RedisSentinelProcesses> {
    // One has to agree with nobody: it is there soonest.
    const { topology: _sentinel, sentinels: count = 1, ...common } = options;
    const master = await RedisProcess.start(common);
    const replica = await RedisProcess.start({
      ...common,
      config: {
        ...common.config,
        replicaof: `127.0.0.1 ${master.port}`,
        'repl-diskless-load': 'swapdb',
      },
    });
    const set = new RedisSentinelProcesses(master, replica, options.tls);
    try {
      await set.untilReplicated();
      for (let i = 0; i < count; i++) {
        set.#sentinels.push(await Sentinel.start(master.port, count, options.tls));
      }
      await Promise.all(set.#sentinels.map((sentinel) => sentinel.untilItKnowsAll(count)));
      return set;
    } catch (error) {
      await set.stop();
      throw error;
    }
  }

  get url(): string {
    const hosts = this.#sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',');
    const scheme = this.#tls === undefined ? 'redis' : 'rediss';
    return `${scheme}+sentinel://${hosts}?name=${MASTER_NAME}`;
  }

  get port(): number {
    return this.master.port;
  }

  get pid(): number | null {
    return this.master.pid;
  }

  connect(): Redis {
    return this.#clients.connect();
  }

  /** Kills the first master; the replica takes its place. */
  async kill(): Promise<void> {
    await this.master.kill();
  }

  /** Starts the first master again: as a replica, if the other one took its place meanwhile. */
  async restart(): Promise<void> {
    await this.master.restart();
  }

  async stop(): Promise<void> {
    this.#clients.close();
    await Promise.all(this.#sentinels.map((sentinel) => sentinel.stop()));
    await Promise.all([this.master.stop(), this.replica.stop()]);
  }

  /** Waits until the replica has what the master has. */
  async untilReplicated(): Promise<void> {
    const client = this.replica.connect();
    await waitFor(async () => /master_link_status:up/.test(await client.info('replication')));
    client.disconnect();
  }

  /** The replica gets nothing any more of what the master is told. */
  async cutReplication(): Promise<void> {
    const client = this.master.connect();
    // It would connect again at once.
    await client.call('ACL', 'SETUSER', 'default', '-psync', '-sync');
    await client.call('CLIENT', 'KILL', 'TYPE', 'replica');
    client.disconnect();
  }

  /** A connection to each Sentinel. */
  connectToSentinels(): Redis[] {
    return this.#sentinels.map((sentinel) => sentinel.connect());
  }

  /** Lets the replica take over at once, whatever the master says. */
  async failOver(): Promise<void> {
    const [sentinel, ...others] = this.connectToSentinels();
    for (const other of others) other.disconnect();
    try {
      // Until it has seen that the replica is good enough.
      await waitFor(async () => {
        const answer = await sentinel!.call('SENTINEL', 'FAILOVER', MASTER_NAME).catch(String);
        return answer === 'OK';
      });
    } finally {
      sentinel!.disconnect();
    }
    await this.untilPromoted();
  }

  /** Waits until the replica took the place of the master. */
  async untilPromoted(): Promise<void> {
    const client = this.replica.connect();
    // A Sentinel that was not run for two seconds does nothing for thirty.
    await waitFor(async () => /role:master/.test(await client.info('replication')), {
      timeoutMs: 90_000,
    });
    client.disconnect();
  }
}

class Sentinel {
  readonly port: number;
  readonly #child: ServerProcess;
  readonly #folder: string;
  readonly #tls: RedisTls | undefined;

  private constructor(
    port: number,
    child: ServerProcess,
    folder: string,
    tls: RedisTls | undefined,
  ) {
    this.port = port;
    this.#child = child;
    this.#folder = folder;
    this.#tls = tls;
  }

  /** @param count - How many there are of them; most have to agree. */
  static async start(
    masterPort: number,
    count: number,
    tls: RedisTls | undefined,
  ): Promise<Sentinel> {
    const folder = await mkdtemp(join(tmpdir(), 'drover-sentinel-'));
    guardFolder(folder);
    const port = await findFreePort();
    const path = join(folder, 'sentinel.conf');
    const lines = [
      'bind 127.0.0.1',
      ...Object.entries(tls === undefined ? { port } : tlsSettings(tls, port)).map(
        ([name, value]) => `${name} ${value}`,
      ),
      `dir ${folder}`,
      `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${masterPort} ${Math.floor(count / 2) + 1}`,
      `sentinel down-after-milliseconds ${MASTER_NAME} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${MASTER_NAME} 5000`,
    ];
    // It writes what it learns into this file.
    await writeFile(path, `${lines.join('\n')}\n`);
    const child = spawnRedisServer([path, '--sentinel']);
    await untilItSays(child, /\+monitor/);
    return new Sentinel(port, child, folder, tls);
  }

  connect(): Redis {
    const tls = this.#tls === undefined ? {} : { tls: clientTls(this.#tls) };
    const client = new Redis({
      host: '127.0.0.1',
      port: this.port,
      retryStrategy: () => 50,
      ...tls,
    });
    client.on('error', () => {});
    return client;
  }

  /** Waits until it has heard of the replica and of the other Sentinels. */
  async untilItKnowsAll(count: number): Promise<void> {
    const client = this.connect();
    try {
      await waitFor(async () => {
        const facts = JSON.stringify(await client.call('SENTINEL', 'MASTER', MASTER_NAME));
        return (
          facts.includes('"num-slaves","1"') &&
          facts.includes(`"num-other-sentinels","${count - 1}"`)
        );
      });
    } finally {
      client.disconnect();
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}
