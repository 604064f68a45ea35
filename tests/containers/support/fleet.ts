/** Redis, controllers and workers, each a container on one network. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Drover } from '@drover/sdk';
import { Store } from '@drover/store';
import { findFreePort, guardFolder, waitFor } from '@drover/testkit';
import { Redis } from 'ioredis';
import {
  GenericContainer,
  Network,
  type StartedNetwork,
  type StartedTestContainer,
  Wait,
} from 'testcontainers';

import { docker, lastLines, run } from '../../../scripts/containers/docker.ts';
import type { Installation } from '../../chaos/world.ts';
import { type Containers, DROVER_IMAGE, ROOT } from './containers.ts';

/** Pods of a worker at once, of each runtime. */
const MAX_PODS = 6;
/** Long enough for a worker that waits for its pods. */
const STOP_SECONDS = 60;

/** A start waits for a machine that does other things first. */
const START_TIMEOUT_MS = 180_000;

/** What a container runs. */
export type Role = 'controller' | 'worker';

/** A controller or a worker. */
export interface Member {
  readonly role: Role;
  readonly id: string;
}

/** See the top of the file. */
export class Fleet implements Installation {
  readonly store: Store;
  readonly drover: Drover;
  readonly recordFolder: string;
  readonly crashes: string[] = [];
  /** Those that should run. */
  readonly members: Member[] = [];
  /** Container of Redis. */
  readonly redisId: string;
  readonly #network: StartedNetwork;
  readonly #client: Redis;
  readonly #started: StartedTestContainer[];

  private constructor(parts: {
    network: StartedNetwork;
    redis: StartedTestContainer;
    client: Redis;
    store: Store;
    url: string;
    recordFolder: string;
  }) {
    this.#network = parts.network;
    this.#started = [parts.redis];
    this.#client = parts.client;
    this.redisId = parts.redis.getId();
    this.store = parts.store;
    this.recordFolder = parts.recordFolder;
    this.drover = new Drover({ connection: parts.url });
  }

  /** Starts Redis, and nobody who serves it. */
  static async start({ env }: Containers): Promise<Fleet> {
    const recordFolder = await mkdtemp(join(tmpdir(), 'drover-fleet-'));
    guardFolder(recordFolder);
    // The user of the containers writes there.
    await chmod(recordFolder, 0o777);
    const network = await new Network().start();
    // Chosen here, since Redis must be found there again after it was started anew.
    const port = await findFreePort();
    const redis = await new GenericContainer(env.DROVER_REDIS_IMAGE)
      .withNetwork(network)
      .withNetworkAliases('redis')
      .withExposedPorts({ container: 6379, host: port })
      .withCommand(['redis-server', '--requirepass', 'secret', '--appendonly', 'yes'])
      .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
      .start();
    const url = `redis://:secret@${redis.getHost()}:${port}`;
    const client = new Redis(url, { maxRetriesPerRequest: null });
    client.on('error', () => undefined);
    const store = await Store.open({ redis: client, prefix: 'drover' });
    const fleet = new Fleet({ network, redis, client, store, url, recordFolder });
    await fleet.drover.connect();
    return fleet;
  }

  /** Starts another one, until it serves. */
  async add(role: Role, image = DROVER_IMAGE): Promise<Member> {
    const flags = role === 'worker' ? ['--handlers', '/tests/containers/fixtures/handlers.ts'] : [];
    const container = await new GenericContainer(image)
      .withNetwork(this.#network)
      .withEnvironment({
        DROVER_REDIS_URL: 'redis://:secret@redis:6379',
        RECORDS: this.recordFolder,
        ...(role === 'worker' && {
          DROVER_MAX_PODS: String(MAX_PODS),
          DROVER_RUNTIME: 'process,handler',
        }),
      })
      .withBindMounts([
        // Programs know the folder by the path that it has outside.
        { source: this.recordFolder, target: this.recordFolder },
        { source: join(ROOT, 'tests'), target: '/tests', mode: 'ro' },
      ])
      .withCommand([role, ...flags])
      .withWaitStrategy(Wait.forLogMessage(role === 'worker' ? 'takes pods' : 'controller runs'))
      .withStartupTimeout(START_TIMEOUT_MS)
      .start();
    this.#started.push(container);
    const member = { role, id: container.getId() };
    this.members.push(member);
    return member;
  }

  /** One of the members. */
  one(role: Role, number: number): Member {
    const member = this.members.filter((other) => other.role === role)[number];
    if (member === undefined) throw new Error(`there is no ${role} ${number}`);
    return member;
  }

  /** Takes a container off the network, until {@link connect}. */
  async disconnect({ id }: Member): Promise<void> {
    await docker(['network', 'disconnect', this.#network.getId(), id]);
  }

  /** Puts it back. */
  async connect({ id }: Member): Promise<void> {
    await docker(['network', 'connect', this.#network.getId(), id]);
  }

  /** Stops one as its operator would, and answers its exit code. */
  async retire(member: Member): Promise<number> {
    this.members.splice(this.members.indexOf(member), 1);
    await docker(['stop', '--time', String(STOP_SECONDS), member.id]);
    return Number(await docker(['inspect', '--format', '{{.State.ExitCode}}', member.id]));
  }

  /** Waits until the number of sessions of workers is right; answers how long that took, ms. */
  async untilSessions(isRight: (count: number) => boolean, timeoutMs: number): Promise<number> {
    const startedAtMs = performance.now();
    let seen: string[] = [];
    const key = this.store.shards[0]?.keys.sessions ?? '';
    await waitFor(
      async () => {
        seen = await this.#client.zrange(key, '0', '-1');
        return isRight(seen.length);
      },
      { timeoutMs, describe: () => `the sessions of workers, of which there are ${seen.length}` },
    );
    return performance.now() - startedAtMs;
  }

  /** Notes those that do not run any more. */
  async noteCrashes(): Promise<void> {
    for (const { role, id } of this.members) {
      const state = await docker(['inspect', '--format', '{{.State.Status}}', id]);
      if (state === 'running') continue;
      const { stderr } = await run('docker', ['logs', id]);
      this.crashes.push(`${role} ${id} is ${state}: ${lastLines(stderr)}`);
    }
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    await this.drover.close();
    this.#client.disconnect();
    await Promise.all(this.#started.map((container) => container.stop({ timeout: 0 })));
    await this.#network.stop();
    await rm(this.recordFolder, { recursive: true, force: true });
  }
}
