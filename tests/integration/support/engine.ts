import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Drover, type Job, type Pod } from '@drover/sdk';
import {
  aclPassword,
  aclUsers,
  Store,
  type AclRole,
  type InstallationSettings,
} from '@drover/store';
import {
  guardFolder,
  spawnNode,
  startRedis,
  uniquePrefix,
  waitFor,
  wantedTopology,
  type NodeProcess,
  type StartRedisOptions,
  type TestRedis,
} from '@drover/testkit';
import { onTestFailed } from 'vitest';

import type { ControllerConfig } from '../fixtures/controllerProcess.ts';
import type { WorkerConfig } from '../fixtures/workerProcess.ts';
import { PodRecords } from './records.ts';

/** Of this version of the project. */
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const CONTROLLER = fileURLToPath(new URL('../fixtures/controllerProcess.ts', import.meta.url));
const WORKER = fileURLToPath(new URL('../fixtures/workerProcess.ts', import.meta.url));
/** Compiled code is kept: most of these tests' time would go into starting processes. */
const COMPILE_CACHE = fileURLToPath(new URL('../../../node_modules/.cache/node', import.meta.url));
/** Starting a process takes most of a second; on a busy machine a few. */
const START_TIMEOUT_MS = 30_000;
/** Lines of each process that are shown when a test fails. */
const TAIL_LINES = 40;

/** Times short enough for a test, and long enough for a machine that has other things to do. */
export const QUICK: Partial<InstallationSettings> = {
  leaseTtlMs: 2_000,
  heartbeatMs: 400,
  slotLockMs: 3_000,
  slotStalledMs: 1_000,
  resyncMs: 5_000,
};

/** DROVER_TEST_ACL=1: each process logs in as the user of Redis that `drover acl` makes for it, and may do no more. */
const HAS_ACL = process.env['DROVER_TEST_ACL'] === '1';
const PASSWORD = 'not-in-any-log';

/** How an engine is set up. */
export interface EngineOptions {
  /** Whether each process has a user of its own in Redis. Default: what DROVER_TEST_ACL says. */
  readonly hasAcl?: boolean;
  /** How its Redis is started. With it, it is never one that others use too. */
  readonly redis?: StartRedisOptions;
  /** Of its keys; default: one that no other test uses. */
  readonly prefix?: string;
  /** What is to be in its Redis before it is opened. */
  readonly prepare?: (redis: TestRedis, prefix: string) => Promise<void>;
  /** Default {@link QUICK}; `{}` for those of a real installation. */
  readonly settings?: Partial<InstallationSettings>;
}

/** A worker process. */
export interface TestWorker {
  readonly name: string;
  readonly process: NodeProcess;
}

/** Redis, a client, and controllers and workers as real processes. */
export class Engine {
  readonly redis: TestRedis;
  readonly store: Store;
  readonly drover: Drover;
  readonly records: PodRecords;
  readonly prefix: string;
  readonly #hasAcl: boolean;
  readonly #processes: { readonly name: string; readonly process: NodeProcess }[] = [];
  #workerCount = 0;

  private constructor(parts: {
    redis: TestRedis;
    store: Store;
    prefix: string;
    folder: string;
    hasAcl: boolean;
  }) {
    this.#hasAcl = parts.hasAcl;
    this.redis = parts.redis;
    this.store = parts.store;
    this.prefix = parts.prefix;
    this.records = new PodRecords(parts.folder);
    this.drover = new Drover({ connection: this.urlOf('server'), prefix: parts.prefix });
  }

  /** Opens an installation; no process runs yet. */
  static async open(options: EngineOptions = {}): Promise<Engine> {
    const { prefix = uniquePrefix() } = options;
    const folder = mkdtempSync(join(tmpdir(), 'drover-pods-'));
    guardFolder(folder);
    const { hasAcl = HAS_ACL } = options;
    // In a file, so that the users are there when Redis is started again.
    const users = hasAcl ? writeUsers(prefix, folder) : null;
    const redis = await startRedis(
      users === null
        ? options.redis
        : { ...options.redis, config: { ...options.redis?.config, aclfile: users } },
    );
    await options.prepare?.(redis, prefix);
    const shards = wantedTopology() === 'cluster' ? { shardCount: 8 } : {};
    const settings = { ...shards, ...(options.settings ?? QUICK) };
    // The first to open an installation decides its settings.
    const store = await Store.open({ redis: redis.connect(), prefix, settings });
    return new Engine({ redis, store, prefix, folder, hasAcl });
  }

  /** Opens an installation for one test, which shows what the processes said when it fails. */
  static async forTest(options: EngineOptions = {}): Promise<Engine> {
    const engine = await Engine.open(options);
    onTestFailed(() => engine.show());
    return engine;
  }

  /** The address of Redis for a role: with its user, where processes have users. */
  urlOf(role: AclRole): string {
    const { url } = this.redis;
    if (!this.#hasAcl) return url;
    return url.replace('://', `://${this.prefix}-${role}:${PASSWORD}@`);
  }

  /** What users were refused, as `<user> <reason> <what>`. */
  async refusals(): Promise<string[]> {
    const entries = (await this.store.redis.call('ACL', 'LOG', '128')) as string[][];
    return entries.flatMap((entry) => {
      const field = (name: string): string => entry[entry.indexOf(name) + 1] ?? '';
      const text = `${field('username')} ${field('reason')} ${field('object')}`;
      return text.startsWith(`${this.prefix}-`) ? [text] : [];
    });
  }

  /**
   * Starts a controller; resolves when it serves.
   *
   * @param within - What starts it in its own place: on a host, say.
   * @param root - Folder of another version of the project, whose process it is to be.
   */
  async controller(
    options: Partial<ControllerConfig> = {},
    within: readonly string[] = [],
    root?: string,
  ): Promise<NodeProcess> {
    const config: ControllerConfig = {
      url: this.urlOf('controller'),
      prefix: this.prefix,
      ...options,
    };
    const process = this.#spawn('controller', inVersion(CONTROLLER, root), config, within);
    await process.waitForLine(/controller runs/, START_TIMEOUT_MS);
    return process;
  }

  /**
   * Starts a worker with all handlers and both runtimes; resolves when it takes pods.
   *
   * @param within - What starts it in its own place: on a host, say.
   * @param root - Folder of another version of the project, whose process it is to be.
   */
  async worker(
    options: Partial<WorkerConfig> = {},
    within: readonly string[] = [],
    root?: string,
  ): Promise<TestWorker> {
    this.#workerCount += 1;
    const name = `worker-${this.#workerCount}`;
    const config: WorkerConfig = {
      url: this.urlOf('worker'),
      prefix: this.prefix,
      name,
      folder: this.records.folder,
      runtimes: ['handler', 'process'],
      maxPods: 10,
      ...options,
    };
    const process = this.#spawn(name, inVersion(WORKER, root), config, within);
    await process.waitForLine(/worker is ready/, START_TIMEOUT_MS);
    return { name, process };
  }

  /** Reads a Job. */
  async job(name: string): Promise<Job> {
    return await this.drover.jobs.get(name);
  }

  /** Waits until a Job is Complete or Failed. */
  async finished(name: string, timeoutMs = 30_000): Promise<Job> {
    try {
      return await this.drover.jobs.wait(name, { for: 'finished', timeoutMs });
    } catch (error) {
      const job = await this.drover.jobs.get(name).catch(() => null);
      throw new Error(`${String(error)}: ${JSON.stringify(job?.status)}`, { cause: error });
    }
  }

  /** Waits until a Job is as it should be. */
  async until(name: string, isSo: (status: Status) => boolean, timeoutMs = 20_000): Promise<Job> {
    let last: Status | undefined;
    return await waitFor(
      async () => {
        const job = await this.job(name);
        last = job.status ?? {};
        return isSo(last) ? job : null;
      },
      { timeoutMs, describe: () => last },
    );
  }

  /** The pods of a Job. */
  async pods(job: string): Promise<Pod[]> {
    return await this.drover.pods.list({ job });
  }

  /** Writes what the processes said to the console. */
  show(): void {
    for (const { name, process } of this.#processes) {
      const lines = process.lines.slice(-TAIL_LINES).map(({ text }) => `    ${text}\n`);
      const state = process.isOver ? 'ended' : 'runs';
      // oxlint-disable-next-line no-console
      console.log(`${name} (${state}):\n${lines.join('')}`);
    }
  }

  /** Kills what runs and removes everything. */
  async close(): Promise<void> {
    // Of a Redis that is gone nothing can be asked.
    const refusals = this.#hasAcl ? await this.refusals().catch(() => []) : [];
    await Promise.all(this.#processes.map(({ process }) => process.kill('SIGKILL')));
    await this.drover.close();
    await this.redis.stop();
    await rm(this.records.folder, { recursive: true, force: true });
    if (refusals.length > 0) throw new Error(`Redis refused: ${refusals.join('; ')}`);
  }

  /** As {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #spawn(name: string, script: string, config: object, within: readonly string[]): NodeProcess {
    const env = { NODE_COMPILE_CACHE: COMPILE_CACHE };
    const process = spawnNode(script, [JSON.stringify(config)], { env, within });
    this.#processes.push({ name, process });
    return process;
  }
}

/** The same script in the folder of another version. */
function inVersion(script: string, root: string | undefined): string {
  return root === undefined ? script : join(root, relative(ROOT, script));
}

/** @returns The path of the file. */
function writeUsers(prefix: string, folder: string): string {
  const path = join(folder, 'users.acl');
  const lines = aclUsers(prefix).map(
    ({ name, rules }) => `user ${name} ${rules.join(' ')} ${aclPassword(PASSWORD)}\n`,
  );
  writeFileSync(path, lines.join(''));
  return path;
}

/** status of a Job. */
export type Status = NonNullable<Job['status']>;
