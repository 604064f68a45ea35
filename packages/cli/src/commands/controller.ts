import { createController } from '@drover/controller';
import { Drover } from '@drover/sdk/client';
import { Connection } from '@drover/sdk/internals';
import { Store } from '@drover/store';

import { requireEngine } from '../engine/address.ts';
import { createLogger } from '../logger.ts';
import { serveMetrics } from '../metrics/serve.ts';
import type { ServiceOptions } from '../options.ts';
import { keepHealthFile, makeService, runService } from '../services.ts';

/** Options of a controller beside its engine. */
export interface ControllerSettings {
  /** Milliseconds. */
  backoffBase?: number;
  /** Milliseconds. */
  backoffCap?: number;
  keptPodsPerJob?: number;
  keptPods?: number;
  /** Milliseconds. */
  eventTtl?: number;
}

/** Options of `drover controller`. */
export interface ControllerOptions extends ServiceOptions, ControllerSettings {
  /** How many shards a new installation gets. */
  shards?: number;
}

/** Runs a controller until a signal. */
export async function controllerCommand(options: ControllerOptions): Promise<number> {
  const { url, prefix } = await requireEngine(options);
  // Before anybody else opens it: the first one decides.
  if (options.shards !== undefined) await openInstallation(url, prefix, options.shards);
  await checkRedis(url, prefix);
  const logger = createLogger({ level: options.logLevel, name: 'controller' });
  const controller = makeService(() =>
    createController({
      connection: url,
      logger,
      ...(prefix === undefined ? {} : { prefix }),
      ...controllerSettings(options),
    }),
  );
  const endHealth = await keepHealthFile(options.healthFile, { url, prefix }, async (drover) => {
    await drover.jobs.list({ limit: 1 });
    return 'Redis answers';
  });
  const endMetrics = await serveMetrics(
    options,
    { url, prefix },
    {
      role: 'controller',
      hindrance: () => controller.hindrance,
      registry: async (watched) => {
        const { controllerMetrics } = await import('../metrics/controllerMetrics.ts');
        return controllerMetrics(watched, controller.figures);
      },
    },
    logger,
  );
  try {
    return await runService(controller, logger);
  } finally {
    await endMetrics();
    await endHealth();
  }
}

/** The options as `createController` takes them. */
export function controllerSettings({
  backoffBase,
  backoffCap,
  keptPodsPerJob,
  keptPods,
  eventTtl,
}: ControllerSettings) {
  return {
    ...(backoffBase === undefined ? {} : { backoffBaseMs: backoffBase }),
    ...(backoffCap === undefined ? {} : { backoffCapMs: backoffCap }),
    ...(keptPodsPerJob === undefined ? {} : { keptPodsPerJob }),
    ...(keptPods === undefined ? {} : { keptPods }),
    ...(eventTtl === undefined ? {} : { eventTtlMs: eventTtl }),
  };
}

async function openInstallation(
  url: string,
  prefix: string | undefined,
  shardCount: number,
): Promise<void> {
  const connection = new Connection(url);
  try {
    await connection.connect();
    const { redis } = connection;
    const settings = { shardCount };
    await connection.guard(() =>
      Store.open({ redis, settings, ...(prefix === undefined ? {} : { prefix }) }),
    );
  } finally {
    connection.close();
  }
}

/** Fails early, in words, when Redis can't be used. A service that runs would try for ever. */
export async function checkRedis(url: string, prefix: string | undefined): Promise<void> {
  const drover = new Drover({
    connection: url,
    ...(prefix === undefined ? {} : { prefix }),
  });
  try {
    await drover.connect();
  } finally {
    await drover.close();
  }
}
