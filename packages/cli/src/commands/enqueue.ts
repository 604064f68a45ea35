import type { Drover } from '@drover/sdk/client';
import { NotFoundError, parseItemOptions, SealedError, type ItemOptions } from '@drover/shared';

import { withDrover } from '../client.ts';
import { parseKeyRule } from '../enqueue/itemKey.ts';
import type { LineFormat } from '../enqueue/itemLine.ts';
import { checkInput, type Input } from '../enqueue/pump.ts';
import { EnqueueRun } from '../enqueue/run.ts';
import { findLineSources, findPaths } from '../enqueue/sources.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { onInterrupt } from '../interrupt.ts';
import type { ObjectOptions } from '../options.ts';
import { checkQueueName } from '../queues.ts';
import type { ProgressStyle } from '../run/view.ts';

/** Options of items that `enqueue` and `queue retry` have. */
export type ItemFlags = Partial<Pick<ItemOptions, 'priority' | 'delay' | 'attempts' | 'backoff'>>;

/** Options of `drover enqueue`. */
export interface EnqueueCommandOptions extends ObjectOptions, ItemFlags {
  lines?: boolean;
  glob?: string[];
  key?: string;
  seal?: boolean;
  skipInvalid?: boolean;
  bar?: boolean;
  json?: boolean;
}

/** Puts the lines of files, or the paths of files, into a work queue. */
export async function enqueueCommand(
  queue: string,
  files: readonly string[],
  options: EnqueueCommandOptions,
): Promise<number> {
  checkQueueName(queue);
  const itemOptions = itemFlags(options, queue);
  const format = lineFormat(files, options);
  const input = await findInput(files, options);
  const interrupt = new AbortController();
  const release = onInterrupt(() => interrupt.abort());
  const { signal } = interrupt;
  const skipsInvalid = options.skipInvalid === true;
  const style = progressStyle(options);
  try {
    const itemCount = skipsInvalid ? null : await checkInput(input, format, style, signal);
    if (signal.aborted) {
      process.stderr.write('interrupted. Nothing was enqueued.\n');
      return EXIT.interrupted;
    }
    return await withDrover(options, async (drover) => {
      await refuseSealed(drover, queue);
      const run = new EnqueueRun(drover, {
        queue,
        input,
        format,
        itemOptions,
        itemCount,
        skipsInvalid,
        seals: options.seal === true,
        asJson: options.json === true,
        progressStyle: style,
      });
      return await run.run(signal);
    });
  } finally {
    release();
  }
}

/** The options of items that were given, checked. @throws InvalidSpecError */
export function itemFlags(options: ItemFlags, queue: string): ItemFlags {
  const { priority, delay, attempts, backoff } = options;
  const flags = {
    ...(priority === undefined ? {} : { priority }),
    ...(delay === undefined ? {} : { delay }),
    ...(attempts === undefined ? {} : { attempts }),
    ...(backoff === undefined ? {} : { backoff }),
  };
  parseItemOptions(flags, queue);
  return flags;
}

function lineFormat(files: readonly string[], options: EnqueueCommandOptions): LineFormat {
  const { lines = false, glob, key } = options;
  if (glob !== undefined && files.length > 0) {
    throw badInput('--glob makes paths into items, FILE its lines: give one of them');
  }
  if (glob !== undefined && lines) throw badInput('--lines is about lines, and --glob has none');
  if (glob === undefined && files.length === 0) {
    throw badInput('nothing to enqueue: name a FILE, - for standard input, or --glob PATTERN');
  }
  const isText = lines || glob !== undefined;
  const rule = key === undefined ? null : parseKeyRule(key);
  if (isText && rule?.type === 'field') {
    throw badInput(`--key ${key}: a text has no fields; --key . takes the whole of it`);
  }
  return { isText, key: rule };
}

async function findInput(
  files: readonly string[],
  { glob }: EnqueueCommandOptions,
): Promise<Input> {
  if (glob !== undefined) return { type: 'paths', paths: await findPaths(glob) };
  return { type: 'lines', sources: await findLineSources(files) };
}

function progressStyle({ bar }: EnqueueCommandOptions): ProgressStyle {
  if (bar === undefined) return process.stderr.isTTY ? 'bar' : 'lines';
  return bar ? 'bar' : 'none';
}

/** Told before anything is sent. */
async function refuseSealed(drover: Drover, queue: string): Promise<void> {
  try {
    const { status } = await drover.workQueues.get(queue);
    if (status?.sealedTime !== undefined) throw new SealedError(queue);
  } catch (error) {
    // It is created with the first item.
    if (!(error instanceof NotFoundError)) throw error;
  }
}
