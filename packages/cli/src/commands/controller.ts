import { createController } from '@drover/controller';
import { Drover } from '@drover/sdk/client';

import { requireEngine } from '../engine/address.ts';
import { createLogger } from '../logger.ts';
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

/** Runs a controller until a signal. */
export async function controllerCommand(
  options: ServiceOptions & ControllerSettings,
): Promise<number> {
  const { url, prefix } = await requireEngine(options);
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
  try {
    return await runService(controller, logger);
  } finally {
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
