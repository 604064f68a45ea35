import { resolve } from 'node:path';

import type { EngineAddress } from '../engine/address.ts';
import type { LogLevel } from '../logLevels.ts';
import type { ObjectOptions } from '../options.ts';
import type { ItemsOptions } from './itemsRequest.ts';
import type { RunShape } from './manifest.ts';
import type { ListOptions } from './request.ts';
import { presetStyle, type ProgressStyle } from './view.ts';

/** Options of `drover run`. */
export interface RunOptions extends ObjectOptions, ListOptions, ItemsOptions {
  indexed?: boolean;
  name?: string;
  env?: Record<string, string>;
  /** Milliseconds. */
  timeout?: number;
  cwd?: string;
  pool?: string;
  output: boolean;
  json?: boolean;
  bar?: boolean;
  dryRun?: boolean;
  logLevel: LogLevel;
}

/**
 * On this machine a program starts where the user is, as in a shell; a worker elsewhere may not
 * have that directory.
 */
export function shapeOf(
  options: RunOptions,
  address: EngineAddress | null,
): Omit<RunShape, 'completions' | 'parallelism'> {
  const isLocal = address === null || address.source === 'dev';
  const here = isLocal ? process.cwd() : null;
  return {
    indexed: options.indexed ?? false,
    name: options.name ?? null,
    retries: options.retries ?? null,
    env: options.env ?? {},
    timeoutMs: options.timeout ?? null,
    workingDir: options.cwd === undefined ? here : resolve(options.cwd),
    pool: options.pool ?? null,
  };
}

/** How progress is shown. */
export function styleOf({ bar }: RunOptions): ProgressStyle {
  if (bar === undefined) return presetStyle();
  if (!bar) return 'none';
  return process.stderr.isTTY ? 'bar' : 'lines';
}
