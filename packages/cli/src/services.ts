import { Drover } from '@drover/sdk/client';
import type { Logger } from 'pino';

import type { EngineAddress } from './engine/address.ts';
import { badInput } from './errors.ts';
import { EXIT } from './exitCodes.ts';
import { HealthFile } from './health.ts';
import { onInterrupt } from './interrupt.ts';

/** A controller or a worker: runs until it is closed. */
export interface Service {
  run(): Promise<void>;
  close(options?: { readonly force?: boolean }): Promise<void>;
}

/**
 * Runs a service until a signal asks it to end; a second signal does not wait for what runs.
 *
 * @returns The exit code.
 */
export async function runService(service: Service, logger: Logger): Promise<number> {
  let signals = 0;
  const release = onInterrupt((signal) => {
    signals += 1;
    logger.info({ signal }, signals === 1 ? 'stopping' : 'stopping at once');
    void service.close({ force: signals > 1 });
  });
  try {
    await service.run();
    return EXIT.ok;
  } finally {
    release();
  }
}

/** Makes a service; options that it refuses are the user's mistake. */
export function makeService<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw badInput(error.message);
    throw error;
  }
}

/**
 * Keeps the file of `--health-file`, if there is one.
 *
 * @param check - Resolves to what the service does, as seen in Redis; rejects with what is wrong.
 * @returns Ends it.
 */
export async function keepHealthFile(
  path: string | undefined,
  { url, prefix }: Pick<EngineAddress, 'url' | 'prefix'>,
  check: (drover: Drover) => Promise<string>,
): Promise<() => Promise<void>> {
  if (path === undefined) return async () => undefined;
  const drover = new Drover({ connection: url, ...(prefix === undefined ? {} : { prefix }) });
  const file = await HealthFile.start({ path, check: () => check(drover) });
  return async () => {
    await file.close();
    await drover.close();
  };
}
