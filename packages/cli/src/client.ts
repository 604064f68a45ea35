import { Drover } from '@drover/sdk/client';

import { parseSelector } from '@drover/shared';

import { requireEngine } from './engine/address.ts';
import type { ObjectOptions } from './options.ts';

/** Opens a client for the engine that the options name, runs the command, closes it. */
export async function withClient<T>(
  options: ObjectOptions,
  command: (drover: Drover) => Promise<T>,
): Promise<T> {
  const { url, prefix } = await requireEngine(options);
  // No `using`: Node 22 runs this file as it is, and does not know it.
  const drover = new Drover({
    connection: url,
    ...(prefix === undefined ? {} : { prefix }),
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
