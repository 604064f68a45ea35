import { createController } from '@drover/controller';
import { Drover } from '@drover/sdk/client';

import { requireEngine } from '../engine/address.ts';
import { createLogger } from '../logger.ts';
import type { ServiceOptions } from '../options.ts';
import { keepHealthFile, makeService, runService } from '../services.ts';

/** Options of a controller's back-off. */
export interface BackoffOptions {
  /** Milliseconds. */
  backoffBase?: number;
  /** Milliseconds. */
  backoffCap?: number;
}

/** Runs a controller until a signal. */
export async function controllerCommand(options: ServiceOptions & BackoffOptions): Promise<number> {
  const { url, prefix } = await requireEngine(options);
  await checkRedis(url, prefix);
  const logger = createLogger({ level: options.logLevel, name: 'controller' });
  const controller = makeService(() =>
    createController({
      connection: url,
      logger,
      ...(prefix === undefined ? {} : { prefix }),
      ...backoffSettings(options),
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

/** The options of a back-off as the controller takes them. */
export function backoffSettings({ backoffBase, backoffCap }: BackoffOptions) {
  return {
    ...(backoffBase === undefined ? {} : { backoffBaseMs: backoffBase }),
    ...(backoffCap === undefined ? {} : { backoffCapMs: backoffCap }),
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
