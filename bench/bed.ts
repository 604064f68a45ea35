import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Drover, DroverOptions } from '@drover/sdk';
import {
  type NodeProcess,
  spawnNode,
  startRedis,
  type TestRedis,
  uniquePrefix,
} from '@drover/testkit';

/** What of the SDK of some checkout is used here. */
interface Sdk {
  readonly Drover: new (options: DroverOptions) => Drover;
}

/** This checkout. */
export const OWN_DIRECTORY = fileURLToPath(new URL('..', import.meta.url));

/** One Redis and what runs on it during a benchmark. */
export class Bed {
  readonly redis: TestRedis;
  readonly prefix = uniquePrefix();
  readonly drover: Drover;
  readonly #directory: string;
  readonly #processes: NodeProcess[] = [];

  private constructor(directory: string, redis: TestRedis, Client: Sdk['Drover']) {
    this.#directory = directory;
    this.redis = redis;
    this.drover = new Client({ connection: redis.url, prefix: this.prefix });
  }

  /**
   * Starts a Redis of its own without persistence.
   *
   * @param directory - A checkout of Drover, set up: client, controller and workers are those of this one.
   */
  static async open(directory = OWN_DIRECTORY): Promise<Bed> {
    const entry = pathToFileURL(join(directory, 'packages/sdk/src/index.ts')).href;
    const { Drover: Client } = (await import(entry)) as Sdk;
    return new Bed(directory, await startRedis(), Client);
  }

  /** Starts a process of `bench/processes` and waits until it is ready. */
  start(name: string, ...args: (string | number)[]): Promise<NodeProcess> {
    return this.#start(name, args, {});
  }

  async #start(
    name: string,
    args: readonly (string | number)[],
    env: Readonly<Record<string, string>>,
  ): Promise<NodeProcess> {
    const script = join(this.#directory, `bench/processes/${name}.ts`);
    const child = spawnNode(script, [this.redis.url, ...args.map(String)], { env });
    this.#processes.push(child);
    await child.waitForLine(/^ready$/, 30_000);
    return child;
  }

  /** A controller of Drover. */
  startController(): Promise<NodeProcess> {
    return this.start('controller', this.prefix);
  }

  /** A worker of Drover; `env` is added to its environment. */
  startWorker(lanes: number, env: Readonly<Record<string, string>> = {}): Promise<NodeProcess> {
    return this.#start('worker', [this.prefix, lanes], env);
  }

  /** Stops a process and waits for its end. */
  async stop(child: NodeProcess): Promise<void> {
    await child.kill('SIGTERM');
  }

  /** Bytes that Redis has allocated for data. */
  async usedMemory(): Promise<number> {
    const info = await this.redis.connect().info('memory');
    return Number(/^used_memory:(\d+)/m.exec(info)![1]);
  }

  /** Commands that Redis has processed. */
  async commandCount(): Promise<number> {
    const info = await this.redis.connect().info('stats');
    return Number(/^total_commands_processed:(\d+)/m.exec(info)![1]);
  }

  /** Ends everything. */
  async close(): Promise<void> {
    for (const child of this.#processes) if (!child.isOver) await child.kill('SIGKILL');
    await this.drover.close();
    await this.redis.stop();
  }
}

/** Resident memory of a process now and at its highest, MB. Linux only; NaN elsewhere. */
export function residentMegabytes(pid: number): { now: number; peak: number } {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const field = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)![1]) / 1024;
    return { now: field('VmRSS'), peak: field('VmHWM') };
  } catch {
    return { now: Number.NaN, peak: Number.NaN };
  }
}

/** CPU time that the threads of a process have used which still run, s. Linux only; NaN elsewhere. */
export function cpuSeconds(pid: number): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const nanoseconds = threads.map((thread) =>
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
    );
    return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e9;
  } catch {
    return Number.NaN;
  }
}

/** The middle value; of an even number the lower of the two. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which a share of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
