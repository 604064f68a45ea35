import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { clientTls, tlsSettings } from './redisTls.ts';
import { findFreePort, spawnRedisServer, untilItSays } from './serverProcess.ts';
import { Clients, type StartRedisOptions, type TestRedis } from './testRedis.ts';
import { guardFolder } from './watchdog.ts';

/** A `redis-server` process of this test process. */
export class RedisProcess implements TestRedis {
  port = 0;
  socketPath: string | null = null;
  readonly #options: StartRedisOptions;
  readonly #folder: string;
  readonly #clients: Clients;
  #child: ChildProcess | null = null;

  private constructor(options: StartRedisOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
    this.#clients = new Clients(() => this.#makeClient());
  }

  static async start(options: StartRedisOptions): Promise<RedisProcess> {
    const folder = options.folder ?? (await makeFolder());
    const redis = new RedisProcess(options, folder);
    if (options.unixSocket === true) redis.socketPath = join(redis.#folder, 'redis.sock');
    try {
      await redis.#startOnFreePort();
    } catch (error) {
      await redis.stop();
      throw error;
    }
    return redis;
  }

  get url(): string {
    const scheme = this.#options.tls === undefined ? 'redis' : 'rediss';
    return this.socketPath === null
      ? `${scheme}://127.0.0.1:${this.port}`
      : `unix://${this.socketPath}`;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  connect(): Redis {
    return this.#clients.connect();
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.#end('SIGTERM');
    await this.#launch();
  }

  async stop(): Promise<void> {
    this.#clients.close();
    await this.#end('SIGKILL');
    if (this.#options.folder === undefined) {
      await rm(this.#folder, { recursive: true, force: true });
    }
  }

  #makeClient(): Redis {
    const { tls } = this.#options;
    const options = {
      maxRetriesPerRequest: null,
      retryStrategy: () => 20,
      ...(tls !== undefined && { tls: clientTls(tls) }),
    };
    return this.socketPath === null
      ? new Redis({ ...options, host: '127.0.0.1', port: this.port })
      : new Redis({ ...options, path: this.socketPath });
  }

  async #startOnFreePort(): Promise<void> {
    // Somebody else may take the port between our look and the start.
    for (let attempt = 1; ; attempt += 1) {
      if (this.socketPath === null) this.port = await findFreePort();
      try {
        return await this.#launch();
      } catch (error) {
        if (attempt === 5 || this.socketPath !== null) throw error;
      }
    }
  }

  async #launch(): Promise<void> {
    assert(this.#child === null, 'the server runs already');
    const child = spawnRedisServer(this.#arguments(), this.#options.within);
    this.#child = child;
    try {
      await untilItSays(child, /ready to accept connections/i);
    } catch (error) {
      this.#child = null;
      throw error;
    }
    child.once('exit', () => {
      if (this.#child === child) this.#child = null;
    });
    if (child.exitCode !== null) this.#child = null;
  }

  #arguments(): string[] {
    const { appendOnly = false, config = {}, tls } = this.#options;
    const settings: Record<string, string> = {
      bind: '127.0.0.1',
      port: String(this.port),
      dir: this.#folder,
      save: '',
      appendonly: appendOnly ? 'yes' : 'no',
      // A test that kills the server expects what was acknowledged.
      appendfsync: 'always',
      daemonize: 'no',
      ...(this.socketPath === null ? {} : { unixsocket: this.socketPath }),
      ...(tls !== undefined && tlsSettings(tls, this.port)),
      ...config,
    };
    return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#child = null;
    const ended = once(child, 'exit');
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await ended;
  }
}

async function makeFolder(): Promise<string> {
  // Short, since the path of a unix socket has 107 bytes at most.
  const folder = await mkdtemp(join(tmpdir(), 'drover-redis-'));
  guardFolder(folder);
  return folder;
}
