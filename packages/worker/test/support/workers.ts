import type { InstallationSettings } from '@drover/store';
import { startRedis, type StartRedisOptions, type TestRedis } from '@drover/testkit';

import { createWorker, type DroverWorker, type WorkerOptions } from '../../src/index.ts';
import { TestEngine } from './engine.ts';

/** A Redis with installations and workers on it, all ended by `clear` and `stop`. */
export class Workers {
  readonly server: TestRedis;
  readonly #workers: DroverWorker[] = [];
  readonly #engines: TestEngine[] = [];

  private constructor(server: TestRedis) {
    this.server = server;
  }

  static async start(options?: StartRedisOptions): Promise<Workers> {
    return new Workers(await startRedis(options));
  }

  /** An installation of its own, with quick leases. */
  async engine(settings: Partial<InstallationSettings> = {}): Promise<TestEngine> {
    const engine = await TestEngine.open(this.server, {
      heartbeatMs: 200,
      leaseTtlMs: 2_000,
      ...settings,
    });
    this.#engines.push(engine);
    return engine;
  }

  /** A worker that takes pods. */
  async worker(engine: TestEngine, options: Partial<WorkerOptions>): Promise<DroverWorker> {
    const worker = createWorker({ connection: this.server.url, prefix: engine.prefix, ...options });
    this.#workers.push(worker);
    // Its failure, if any, shows in ready().
    worker.run().catch(() => {});
    await worker.ready();
    return worker;
  }

  /** Ends all workers by force and closes the installations. */
  async clear(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.close({ force: true })));
    await Promise.all(this.#engines.splice(0).map((engine) => engine.close()));
  }

  async stop(): Promise<void> {
    await this.server.stop();
  }
}

/** Resolves when `open` was called. */
export class Gate {
  readonly #opened = Promise.withResolvers<void>();

  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  open(): void {
    this.#opened.resolve();
  }
}

/** Resolves when the signal was aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
