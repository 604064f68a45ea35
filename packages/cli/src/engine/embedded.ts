import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createController } from '@drover/controller';
import { createWorker, type DroverWorker } from '@drover/worker';
import type { Logger } from 'pino';

import { LAUNCHER } from '../launcher.ts';
import { makeService } from '../services.ts';
import { startRedisServer } from './redisServer.ts';

/** An engine within this process, for as long as one command runs. */
export interface EmbeddedEngine {
  /** Path of its Redis' unix socket. */
  readonly url: string;
  /** Resolves when a controller and a worker serve. */
  readonly ready: Promise<void>;
  /** Ends all of it; its data goes with it. With `force` pods are not waited for. */
  close(options: { readonly force: boolean }): Promise<void>;
}

/** Options of {@link startEmbedded}. */
export interface EmbeddedOptions {
  /** Pods at once. */
  readonly maxPods: number;
  readonly logger: Logger;
}

/** A log lives as long as the engine, and its output goes on to a terminal or file: keep more than 256 KiB. */
const LOG_TAIL_BYTES = 16 * 1024 * 1024;

/** A person waits for the outcome: back off as Kubernetes does, but from 1 s, not 10 s. */
const BACKOFF = { backoffBaseMs: 1_000, backoffCapMs: 60_000 };

/**
 * Starts a private Redis on a unix socket in a directory of its own, a controller and a worker for
 * processes. All of it ends with this process, kill -9 included.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedEngine> {
  const { logger } = options;
  const dataDir = await mkdtemp(join(tmpdir(), 'drover-'));
  const url = join(dataDir, 'redis.sock');
  let worker: DroverWorker;
  try {
    worker = makeService(() =>
      createWorker({
        connection: url,
        name: 'embedded',
        runtimes: ['process'],
        maxPods: options.maxPods,
        logTailBytes: LOG_TAIL_BYTES,
        launcher: LAUNCHER,
        logger,
      }),
    );
  } catch (error) {
    await rmdir(dataDir);
    throw error;
  }
  const server = await startRedisServer({
    dataDir,
    persistent: false,
    port: null,
    socketPath: url,
    password: null,
    removeDataDir: true,
  });
  const controller = createController({ connection: url, logger, ...BACKOFF });
  const running = [controller.run(), worker.run()];
  // An error of theirs is told through `ready`; later ones are in the log.
  for (const promise of running) {
    promise.catch((error: unknown) => logger.error({ err: error }, 'the engine failed'));
  }
  return {
    url,
    ready: worker.ready(),
    close: async ({ force }) => {
      await worker.close({ force });
      await controller.close();
      await Promise.allSettled(running);
      await server.stop();
    },
  };
}
