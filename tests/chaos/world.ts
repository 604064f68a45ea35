/** The processes of a run: Redis, and controllers and workers, each behind a proxy of its own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Drover } from '@drover/sdk';
import { Store, type InstallationSettings } from '@drover/store';
import {
  spawnNode,
  startProxy,
  startRedis,
  type FaultProxy,
  type NodeProcess,
  type TestRedis,
} from '@drover/testkit';

import type { ControllerConfig } from '../integration/fixtures/controllerProcess.ts';
import type { ChaosWorkerConfig } from './processes/workerProcess.ts';

const CONTROLLER = pathOf('../integration/fixtures/controllerProcess.ts');
const WORKER = pathOf('./processes/workerProcess.ts');
const CLOCK = pathOf('./processes/clock.ts');
/** Compiled code is kept: starting processes would take most of a run. */
const COMPILE_CACHE = pathOf('../../node_modules/.cache/node');
/** A start waits for a Redis that is away, a network that is cut, and a machine that does other things first. */
const START_TIMEOUT_MS = 300_000;
/** Key prefix of a run's installation. */
const PREFIX = 'chaos';
/** Last lines that are told of a process that ended by itself. */
const CRASH_LINES = 20;
/** Lanes of a worker. */
const MAX_PODS = 6;

/** Leases short enough for faults to outlast them many times in a short run. */
const SETTINGS: Partial<InstallationSettings> = {
  leaseTtlMs: 2_000,
  heartbeatMs: 400,
  slotLockMs: 3_000,
  slotStalledMs: 1_000,
  resyncMs: 5_000,
};

/** A machine of the run: what runs on it, and its way to Redis. */
export interface Host {
  readonly name: string;
  readonly kind: 'controller' | 'worker';
  readonly proxy: FaultProxy;
  process: NodeProcess;
  /** Something is being done to it. */
  isBusy: boolean;
  /** Its process was told to end, or killed. */
  isEnding: boolean;
}

/** How many processes a run has. */
export interface WorldSize {
  readonly controllers: number;
  readonly workers: number;
}

/** What is worked with, and judged, of a world. */
export type Installation = Pick<World, 'store' | 'drover' | 'recordFolder' | 'crashes'>;

/** See the top of the file. */
export class World {
  readonly redis: TestRedis;
  readonly store: Store;
  readonly drover: Drover;
  readonly hosts: Host[] = [];
  /** Where pods write down what they do. */
  readonly recordFolder: string;
  /** Redis is being broken. */
  isRedisBusy = false;
  /** Processes that ended by themselves, with what they said last. */
  readonly crashes: string[] = [];
  readonly #folder: string;
  readonly #processes: { readonly name: string; readonly process: NodeProcess }[] = [];

  private constructor(folder: string, redis: TestRedis, store: Store) {
    this.#folder = folder;
    this.redis = redis;
    this.store = store;
    this.recordFolder = join(folder, 'records');
    this.drover = new Drover({ connection: redis.url, prefix: PREFIX });
  }

  /**
   * Starts all processes.
   *
   * @param folder - Exists and is empty; keeps Redis' data, logs and records.
   */
  static async open(
    folder: string,
    size: WorldSize,
    settings: Partial<InstallationSettings> = SETTINGS,
  ): Promise<World> {
    for (const name of ['redis', 'records', 'volumes', 'logs']) mkdirSync(join(folder, name));
    const redis = await startRedis({ appendOnly: true, folder: join(folder, 'redis') });
    const store = await Store.open({ redis: redis.connect(), prefix: PREFIX, settings });
    const world = new World(folder, redis, store);
    // The first connection of a client fails early, later ones wait.
    await world.drover.connect();
    const names = [
      ...Array.from({ length: size.controllers }, (_, i) => `controller-${i + 1}`),
      ...Array.from({ length: size.workers }, (_, i) => `worker-${i + 1}`),
    ];
    await Promise.all(names.map((name) => world.#addHost(name)));
    return world;
  }

  /** Starts the process of a host anew, until it serves. */
  async start(host: Host, clockOffsetMs: number): Promise<void> {
    do {
      host.process = this.#spawn(host, clockOffsetMs);
    } while (!(await this.#serves(host)));
  }

  /** Ends all processes; what they said is kept in the folder. */
  async close(): Promise<void> {
    for (const host of this.hosts) host.isEnding = true;
    for (const { process } of this.#processes) {
      process.signal('SIGCONT');
      process.signal('SIGKILL');
    }
    await Promise.all(this.#processes.map(({ process }) => process.exited));
    await this.drover.close();
    await Promise.all(this.hosts.map(({ proxy }) => proxy.stop()));
    await this.redis.stop();
    for (const [i, { name, process }] of this.#processes.entries()) {
      const file = `${name}.${String(i).padStart(3, '0')}.log`;
      writeFileSync(join(this.#folder, 'logs', file), process.output());
    }
  }

  async #addHost(name: string): Promise<void> {
    const proxy = await startProxy({ target: { port: this.redis.port } });
    const kind = name.startsWith('worker') ? 'worker' : 'controller';
    const process = this.#spawn({ name, proxy }, 0);
    const host: Host = { name, kind, proxy, process, isBusy: false, isEnding: false };
    this.hosts.push(host);
    if (!(await this.#serves(host))) await this.start(host, 0);
  }

  /** Waits until a process serves; false: it could not begin without Redis, said so and ended. */
  async #serves(host: Host): Promise<boolean> {
    const { process } = host;
    host.isEnding = false;
    try {
      await process.waitForLine(/controller runs|worker is ready/, START_TIMEOUT_MS);
    } catch (error) {
      if (process.output().includes('ConnectionError')) return false;
      throw error;
    }
    void process.exited.then(() => {
      if (!host.isEnding) this.#noteCrash(host.name, process);
    });
    return true;
  }

  #noteCrash(name: string, process: NodeProcess): void {
    const last = process.lines.slice(-CRASH_LINES).map(({ text }) => text);
    this.crashes.push(`${name} ended by itself: ${last.join('\n')}`);
  }

  #spawn({ name, proxy }: Pick<Host, 'name' | 'proxy'>, clockOffsetMs: number): NodeProcess {
    const address = { url: `redis://127.0.0.1:${proxy.port}`, prefix: PREFIX };
    const worker: ChaosWorkerConfig = {
      ...address,
      name,
      folder: this.recordFolder,
      maxPods: MAX_PODS,
      volumeDirectory: join(this.#folder, 'volumes'),
    };
    const controller: ControllerConfig = { ...address, backoffBaseMs: 20, backoffCapMs: 200 };
    const [script, config] = name.startsWith('worker')
      ? [WORKER, worker]
      : [CONTROLLER, controller];
    const process = spawnNode(script, [JSON.stringify(config)], {
      env: { NODE_COMPILE_CACHE: COMPILE_CACHE, CHAOS_CLOCK_MS: String(clockOffsetMs) },
      execArgv: [
        '--disable-warning=ExperimentalWarning',
        '--import',
        CLOCK,
        // What keeps a process that does not end: `Faults` asks.
        '--report-on-signal',
        `--report-directory=${join(this.#folder, 'logs')}`,
      ],
    });
    this.#processes.push({ name, process });
    return process;
  }
}

function pathOf(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}
