import { startRedis, type TestRedis } from '@drover/testkit';
import { pino } from 'pino';

import {
  createController,
  createWorker,
  Drover,
  type Controller,
  type DroverWorker,
  type HandlerDefinition,
} from '../src/index.ts';

/** Redis, a controller, a worker and a client, all in the test's process. */
export class Engine {
  readonly redis: TestRedis;
  readonly drover: Drover;
  readonly #services: (Controller | DroverWorker)[] = [];
  readonly #running: Promise<void>[] = [];

  private constructor(redis: TestRedis, connection: string) {
    this.redis = redis;
    this.drover = new Drover({ connection });
  }

  /**
   * Without handlers it has no worker: pods stay Pending.
   *
   * @param redis - One of its own, which ends with the engine, and its address. Default: a server.
   */
  static async start(
    handlers: readonly HandlerDefinition[] = [],
    redis?: { readonly server: TestRedis; readonly url: string },
  ): Promise<Engine> {
    const server = redis?.server ?? (await startRedis({ config: {} }));
    const connection = redis?.url ?? server.url;
    const engine = new Engine(server, connection);
    const logger = pino({ level: 'silent' });
    const controller = createController({ connection, logger, backoffBaseMs: 50 });
    engine.#add(controller);
    if (handlers.length > 0) {
      const worker = createWorker({
        connection,
        logger,
        handlers,
        runtimes: ['handler', 'process'],
        name: 'test-worker',
      });
      engine.#add(worker);
      await worker.ready();
    }
    return engine;
  }

  /** Ends all of it. */
  async stop(): Promise<void> {
    await this.drover.close();
    for (const service of this.#services.toReversed()) await service.close({ force: true });
    await Promise.allSettled(this.#running);
    await this.redis.stop();
  }

  #add(service: Controller | DroverWorker): void {
    this.#services.push(service);
    const running = service.run();
    running.catch(() => undefined);
    this.#running.push(running);
  }
}

/** A manifest whose pods call a handler. */
export function handlerJob(name: string, handler: string, spec: object = {}) {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      ...spec,
      template: {
        metadata: { labels: { app: name } },
        spec: {
          restartPolicy: 'Never',
          runtimeClassName: 'handler',
          containers: [{ name: 'main', image: handler }],
        },
      },
    },
  };
}
