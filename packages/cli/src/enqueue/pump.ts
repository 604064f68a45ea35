import type { Drover, EnqueueOptions } from '@drover/sdk/client';
import type { ItemOptions } from '@drover/shared';

import type { ProgressStyle } from '../run/view.ts';
import { checkFiles } from './check.ts';
import { ItemFeed, readSources, type LineProblem, type SourceBlock } from './feed.ts';
import { findKey, type KeyRule } from './itemKey.ts';
import type { LineFormat } from './itemLine.ts';
import { createProgress } from './progress.ts';
import type { LineSource } from './sources.ts';

/** Where items come from: files and streams with lines, or paths that are items themselves. */
export type Input =
  | { readonly type: 'lines'; readonly sources: readonly LineSource[] }
  | { readonly type: 'paths'; readonly paths: readonly string[] };

/** What is put into a work queue, and how. */
export interface PumpPlan {
  readonly queue: string;
  readonly input: Input;
  readonly format: LineFormat;
  readonly itemOptions: Partial<ItemOptions>;
  /** How many items there are, where they were counted. */
  readonly itemCount: number | null;
  /** Passes over what can't be enqueued; else the first of it is the end. */
  readonly skipsInvalid: boolean;
}

/** How a pump came to its end. */
export interface PumpEnd {
  /** The line that ended it; null = there was none. */
  readonly badLine: LineProblem | null;
  /** Lines that were passed over. */
  readonly skipped: number;
}

/** What is told while items are put into a work queue. */
export interface PumpEvents {
  /** A line was passed over. */
  readonly onSkipped: (problem: LineProblem) => void;
  /** @param fraction - How much is done, 0 to 1; null where that can't be known. */
  readonly onProgress: (done: { items: number; fraction: number | null }) => void;
}

/** Puts items into a work queue, as fast as it takes them. */
export class ItemPump {
  /** New items so far; when it breaks off, at least so many. */
  enqueued = 0;
  /** Items whose key was known. */
  duplicates = 0;
  readonly #drover: Drover;
  readonly #plan: PumpPlan;
  readonly #events: PumpEvents;

  constructor(drover: Drover, plan: PumpPlan, events: PumpEvents) {
    this.#drover = drover;
    this.#plan = plan;
    this.#events = events;
  }

  /** Resolves at the end of the input, at a bad line, or soon after the signal. */
  async run(signal: AbortSignal): Promise<PumpEnd> {
    const { input, format, skipsInvalid } = this.#plan;
    let badLine: LineProblem | null = null;
    const feed = new ItemFeed(blocksOf(input, signal), {
      format,
      skipsInvalid,
      signal,
      onProblem: (problem) => {
        if (skipsInvalid) this.#events.onSkipped(problem);
        else badLine = problem;
      },
    });
    while (!feed.isOver && !signal.aborted) await this.#send(feed);
    if (!signal.aborted) this.#events.onProgress({ items: feed.items, fraction: 1 });
    return { badLine, skipped: feed.skipped };
  }

  async #send(feed: ItemFeed): Promise<void> {
    const { queue, format, itemOptions, input, itemCount } = this.#plan;
    const { key } = format;
    const before = this.enqueued;
    const options: EnqueueOptions<unknown> = {
      ...itemOptions,
      ...(key === null ? {} : { key: (item: unknown) => keyOf(key, item) }),
      onProgress: (enqueued) => {
        this.enqueued = before + enqueued;
        const { items, bytesRead } = feed;
        const fraction = fractionOf(input, itemCount, items, bytesRead);
        this.#events.onProgress({ items, fraction });
      },
    };
    const done = await this.#drover.workQueue(queue).enqueue(feed.burst(), options);
    this.enqueued = before + done.enqueued;
    this.duplicates += done.duplicates;
  }
}

/**
 * Reads files before anything of them is enqueued.
 *
 * @returns how many items there are, if that can be known.
 * @throws CliError with the bad lines.
 */
export async function checkInput(
  input: Input,
  format: LineFormat,
  style: ProgressStyle,
  signal: AbortSignal,
): Promise<number | null> {
  if (input.type === 'paths') return input.paths.length;
  const files = input.sources.filter(({ isFile }) => isFile);
  if (files.length === 0) return null;
  const sizeBytes = sizeOf(files) ?? 0;
  // Only a terminal can be cleared of it.
  const isShown = style !== 'bar' || process.stderr.isTTY;
  const progress = createProgress('checking', isShown ? style : 'none');
  try {
    const count = await checkFiles(files, format, {
      signal,
      onProgress: ({ items, bytesRead }) =>
        progress.show({ items, fraction: sizeBytes === 0 ? 1 : bytesRead / sizeBytes }),
    });
    return files.length === input.sources.length ? count : null;
  } finally {
    progress.close(true);
  }
}

function fractionOf(
  input: Input,
  itemCount: number | null,
  itemsRead: number,
  bytesRead: number,
): number | null {
  if (itemCount !== null && itemCount > 0) return itemsRead / itemCount;
  const bytes = input.type === 'paths' ? null : sizeOf(input.sources);
  return bytes !== null && bytes > 0 ? bytesRead / bytes : null;
}

/** Bytes of all sources; null where they can't be known of one. */
function sizeOf(sources: readonly LineSource[]): number | null {
  let sum = 0;
  for (const { sizeBytes } of sources) {
    if (sizeBytes === null) return null;
    sum += sizeBytes;
  }
  return sum;
}

function blocksOf(input: Input, signal: AbortSignal): AsyncGenerator<SourceBlock> {
  return input.type === 'lines' ? readSources(input.sources, signal) : pathBlock(input.paths);
}

async function* pathBlock(paths: readonly string[]): AsyncGenerator<SourceBlock> {
  yield { name: 'path', firstNumber: 1, lines: paths, bytesRead: 0 };
}

/** Asked only of items that were found to have one. */
function keyOf(rule: KeyRule, item: unknown): string {
  const found = findKey(rule, item);
  return 'key' in found ? found.key : '';
}
