import { availableParallelism } from 'node:os';

import { Drover } from '@drover/sdk/client';

import type { EngineAddress } from '../engine/address.ts';
import type { EmbeddedEngine } from '../engine/embedded.ts';
import { EXIT } from '../exitCodes.ts';
import { createLogger } from '../logger.ts';
import type { RunEnd } from './follower.ts';
import type { RunOptions } from './options.ts';

/** Where the Job is run. */
export interface Engine {
  readonly drover: Drover;
  /** null: it was there before and stays. */
  readonly embedded: EmbeddedEngine | null;
}

/** Finds or starts an engine, and ends the one it started. */
export async function withEngine<End extends RunEnd>(
  address: EngineAddress | null,
  parallelism: number,
  options: RunOptions,
  follow: (engine: Engine) => Promise<End>,
): Promise<End> {
  const engine = address === null ? await embed(parallelism, options) : connect(address, options);
  let force = true;
  try {
    const end = await follow(engine);
    force = end.exitCode === EXIT.brokenPipe;
    return end;
  } finally {
    await engine.drover.close();
    await engine.embedded?.close({ force });
  }
}

function connect(address: EngineAddress, options: RunOptions): Engine {
  const drover = new Drover({
    connection: address.url,
    ...(address.prefix === undefined ? {} : { prefix: address.prefix }),
    ...namespaceOf(options),
  });
  return { drover, embedded: null };
}

async function embed(parallelism: number, options: RunOptions): Promise<Engine> {
  const { startEmbedded } = await import('../engine/embedded.ts');
  const embedded = await startEmbedded({
    maxPods: Math.min(parallelism, Math.max(256, availableParallelism())),
    logger: createLogger({ level: options.logLevel, name: 'drover' }),
  });
  return { drover: new Drover({ connection: embedded.url, ...namespaceOf(options) }), embedded };
}

function namespaceOf({ namespace }: RunOptions): { namespace?: string } {
  return namespace === undefined ? {} : { namespace };
}
