import { createController } from '@drover/controller';
import { Drover } from '@drover/sdk/client';
import { Store } from '@drover/store';
import { startRedis, type TestRedis } from '@drover/testkit';
import { createWorker, type DroverWorker } from '@drover/worker';

import { LAUNCHER } from '../src/launcher.ts';

/** A Redis with a controller and a worker for programs in the test's own process, with quick leases and back-offs. */
export class LocalEngine {
  readonly redis: TestRedis;
  readonly drover: Drover;
  readonly #controller: ReturnType<typeof createController>;
  readonly #worker: DroverWorker;
  readonly #running: Promise<unknown>[];

  private constructor(redis: TestRedis) {
    this.redis = redis;
    const connection = redis.url;
    this.drover = new Drover({ connection });
    this.#controller = createController({ connection, backoffBaseMs: 50, backoffCapMs: 50 });
    this.#worker = createWorker({
      connection,
      runtimes: ['process'],
      maxPods: 4,
      launcher: LAUNCHER,
    });
    this.#running = [this.#controller.run(), this.#worker.run()];
  }

  static async start(): Promise<LocalEngine> {
    const redis = await startRedis();
    const settings = { leaseTtlMs: 1_500, heartbeatMs: 200, slotLockMs: 1_500, slotStalledMs: 300 };
    await Store.open({ redis: redis.connect(), prefix: 'drover', settings });
    const engine = new LocalEngine(redis);
    await engine.#worker.ready();
    return engine;
  }

  async stop(): Promise<void> {
    await this.#worker.close({ force: true });
    await this.#controller.close();
    await Promise.all(this.#running);
    await this.drover.close();
    await this.redis.stop();
  }
}
