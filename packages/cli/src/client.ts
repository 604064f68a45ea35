import { Drover } from '@drover/sdk/client';

import { CLIENT_ENV, parseSelector } from '@drover/shared';

import { requireEngine, type EngineAddress } from './engine/address.ts';
import type { ObjectOptions, SecretKeyOptions } from './options.ts';

/** Opens a client for the engine that the options name, runs the command, closes it. */
export async function withClient<T>(
  options: ObjectOptions & SecretKeyOptions,
  command: (drover: Drover) => Promise<T>,
): Promise<T> {
  const { url, prefix, secretKeyFile: ofDev } = await addressOf(options);
  // A `drover dev` has a key file of its own, whatever the environment says of others.
  const secretKeyFile = options.secretKeyFile ?? ofDev;
  // No `using`: Node 22 runs this file as it is, and does not know it.
  const drover = new Drover({
    ...(url === undefined ? {} : { connection: url }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(secretKeyFile === undefined ? {} : { secretKeyFile }),
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
  });
  try {
    return await command(drover);
  } finally {
    await drover.close();
  }
}

/** Without an address the client finds by itself that it runs in a pod, and to whom belongs what it creates. */
async function addressOf(
  options: ObjectOptions,
): Promise<Partial<Pick<EngineAddress, 'url' | 'prefix' | 'secretKeyFile'>>> {
  const isNamed = [options.redis, options.redisFile, process.env['DROVER_REDIS_URL']].some(
    (address) => address !== undefined && address !== '',
  );
  const isPodClient = (process.env[CLIENT_ENV.file] ?? '') !== '';
  return isPodClient && !isNamed ? { prefix: options.prefix } : await requireEngine(options);
}

/** Refuses a wrong selector before Redis is asked for. */
export function checkSelector(selector: string | undefined): void {
  if (selector !== undefined) parseSelector(selector);
}
