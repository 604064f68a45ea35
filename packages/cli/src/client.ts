import { Drover } from '@drover/sdk/client';

import { parseSelector } from '@drover/shared';

import { requireEngine } from './engine/address.ts';
import type { ObjectOptions, SecretKeyOptions } from './options.ts';

/** Opens a client for the engine that the options name, runs the command, closes it. */
export async function withClient<T>(
  options: ObjectOptions & SecretKeyOptions,
  command: (drover: Drover) => Promise<T>,
): Promise<T> {
  const { url, prefix, secretKeyFile: ofDev } = await requireEngine(options);
  // A `drover dev` has a key file of its own, whatever the environment says of others.
  const secretKeyFile = options.secretKeyFile ?? ofDev;
  // No `using`: Node 22 runs this file as it is, and does not know it.
  const drover = new Drover({
    connection: url,
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

/** Refuses a wrong selector before Redis is asked for. */
export function checkSelector(selector: string | undefined): void {
  if (selector !== undefined) parseSelector(selector);
}
