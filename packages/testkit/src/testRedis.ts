import type { Redis } from 'ioredis';

import type { CertificateFiles } from './certificates.ts';
/** What a Redis of a test consists of. */
export type Topology = 'server' | 'cluster' | 'sentinel';

/** How `startRedis` starts a server. */
export interface StartRedisOptions {
  /** Keep an append-only file, so that data survives `kill()` and `restart()`. Default false. */
  readonly appendOnly?: boolean;
  /** Listen on a unix socket only; faster than TCP, for simulations. Default false. */
  readonly unixSocket?: boolean;
  /** Speak TLS only. */
  readonly tls?: RedisTls;
  /** Where its data lies; exists, and stays. Default: a temporary folder that goes with it. */
  readonly folder?: string;
  /**
   * One server, a cluster of three, or a master with a replica and Sentinels. Default: what `DROVER_TEST_REDIS` says,
   * except with a unix socket, else one server.
   */
  readonly topology?: Topology;
  /** Of a cluster: each master has a replica, which takes its place when it dies. Default false. */
  readonly replicas?: boolean;
  /** Of one server: what starts it in its own place, such as `['nsenter', '--net=...']`. */
  readonly within?: readonly string[];
  /** With the topology `sentinel`: how many Sentinels there are, 1 or 3. Default 1. */
  readonly sentinels?: number;
  /** More settings as in redis.conf, such as `{ maxmemory: '20mb' }`. */
  readonly config?: Readonly<Record<string, string>>;
}

/** Files for a server that speaks TLS. */
export interface RedisTls extends CertificateFiles {
  /** Whose certificates it accepts of clients. */
  readonly cacert: string;
  /** A certificate that `connect()` shows, so that the server asks for one; without it, it does not. */
  readonly client?: CertificateFiles;
}

/** A Redis for one test file. */
export interface TestRedis {
  /** Where it is: `redis://127.0.0.1:PORT`, `rediss://...`, `unix:///PATH`, `redis+cluster://...` or `redis+sentinel://...`. */
  readonly url: string;
  /** TCP port on 127.0.0.1, of several servers that of the first; 0 with a unix socket. */
  readonly port: number;
  /** Path of the unix socket; null with TCP. */
  readonly socketPath: string | null;
  /** Process id of the server; null when it is not a process of ours. */
  readonly pid: number | null;
  /** A new connection, closed by `stop()` if it still is open. To a cluster it is ioredis' client for that, which has the same commands. */
  connect(): Redis;
  /** SIGKILL; data that is not in the append-only file is lost. Until `restart()`. */
  kill(): Promise<void>;
  /** Stops the server in an orderly way if it runs, and starts it again, same address and data. */
  restart(): Promise<void>;
  /** Closes the connections, ends the server and removes its data. */
  stop(): Promise<void>;
}

/** The connections that a test opened on one server. */
export class Clients {
  readonly #make: () => Redis;
  readonly #open: Redis[] = [];

  /** @param make - Opens one connection. */
  constructor(make: () => Redis) {
    this.#make = make;
  }

  /** Opens a connection. */
  connect(): Redis {
    const client = this.#make();
    // Tests kill servers: ioredis reconnects, and without a listener it would write to the console.
    client.on('error', () => {});
    this.#open.push(client);
    return client;
  }

  /** Closes all of them. */
  close(): void {
    for (const client of this.#open) client.disconnect();
  }
}
