import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';

import { Drover } from '@drover/sdk/client';
import { parseJob } from '@drover/shared';

import { findEngine } from '../engine/address.ts';
import type { EmbeddedEngine } from '../engine/embedded.ts';
import { createLogger, type LogLevel } from '../logger.ts';
import type { ObjectOptions } from '../options.ts';
import { RunFollower } from '../run/follower.ts';
import { runManifest, type RunShape } from '../run/manifest.ts';
import { createView } from '../run/view.ts';

/** Options of `drover run`. */
export interface RunOptions extends ObjectOptions {
  completions: number;
  parallelism: number;
  indexed?: boolean;
  name?: string;
  retries?: number;
  env?: Record<string, string>;
  /** Milliseconds. */
  timeout?: number;
  cwd?: string;
  pool?: string;
  output: boolean;
  json?: boolean;
  logLevel: LogLevel;
}

/** Printing the output of more pods than this costs more than it is worth. */
const MAX_PRINTED_PODS = 10_000;

/** Where the Job is run. */
interface Engine {
  readonly drover: Drover;
  /** null: it was there before and stays. */
  readonly embedded: EmbeddedEngine | null;
}

/** Runs a program as a Job and follows it to its end. */
export async function runCommand(words: readonly string[], options: RunOptions): Promise<number> {
  const address = await findEngine(options);
  const isLocal = address === null || address.source === 'dev';
  const manifest = runManifest(words, shapeOf(options, isLocal));
  // What is wrong with the options is told before anything is started.
  parseJob(manifest, { namespace: options.namespace ?? 'default' });

  const { drover, embedded } = address === null ? await embed(options) : connect(address, options);
  let force = true;
  try {
    const job = await drover.jobs.create(manifest);
    const output = outputOf(options);
    const bar = options.completions > 1 || options.parallelism > 1 || options.json === true;
    const view = createView({ title: `job/${job.metadata.name}`, bar });
    const follower = new RunFollower(drover, job, view, {
      output,
      timeoutMs: options.timeout ?? null,
      engineEnds: embedded !== null,
    });
    const end = await follower.follow();
    if (options.json === true) process.stdout.write(`${JSON.stringify(end.job, null, 2)}\n`);
    force = false;
    return end.exitCode;
  } finally {
    await drover.close();
    await embedded?.close({ force });
  }
}

function connect(
  address: { readonly url: string; readonly prefix: string | undefined },
  options: RunOptions,
): Engine {
  const drover = new Drover({
    connection: address.url,
    ...(address.prefix === undefined ? {} : { prefix: address.prefix }),
    ...namespaceOf(options),
  });
  return { drover, embedded: null };
}

async function embed(options: RunOptions): Promise<Engine> {
  const { startEmbedded } = await import('../engine/embedded.ts');
  const embedded = await startEmbedded({
    maxPods: Math.min(options.parallelism, Math.max(256, availableParallelism())),
    logger: createLogger({ level: options.logLevel, name: 'drover' }),
  });
  return { drover: new Drover({ connection: embedded.url, ...namespaceOf(options) }), embedded };
}

function namespaceOf({ namespace }: RunOptions): { namespace?: string } {
  return namespace === undefined ? {} : { namespace };
}

/**
 * On this machine a program starts where the user is, as in a shell; a worker elsewhere may not
 * have that directory.
 */
function shapeOf(options: RunOptions, isLocal: boolean): RunShape {
  const here = isLocal ? process.cwd() : null;
  return {
    completions: options.completions,
    parallelism: options.parallelism,
    indexed: options.indexed ?? false,
    name: options.name ?? null,
    retries: options.retries ?? null,
    env: options.env ?? {},
    timeoutMs: options.timeout ?? null,
    workingDir: options.cwd === undefined ? here : resolve(options.cwd),
    pool: options.pool ?? null,
  };
}

function outputOf(options: RunOptions): 'stream' | 'grouped' | 'none' {
  if (!options.output || options.json === true) return 'none';
  if (options.completions === 1 && options.parallelism === 1) return 'stream';
  return options.completions <= MAX_PRINTED_PODS ? 'grouped' : 'none';
}
