import type { Drover, EnqueueOptions } from '@drover/sdk/client';
import type { ItemOptions } from '@drover/shared';

import { badInput, type CliError } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { queueText } from '../queues.ts';
import type { ProgressStyle } from '../run/view.ts';
import { hintsFor, MAX_TOLD_PROBLEMS } from './check.ts';
import { ItemFeed, readSources, type LineProblem, type SourceBlock } from './feed.ts';
import { findKey, type KeyRule } from './itemKey.ts';
import type { LineFormat } from './itemLine.ts';
import { createProgress, type EnqueueProgress } from './progress.ts';
import type { LineSource } from './sources.ts';

/** Where items come from: files and streams with lines, or paths that are items themselves. */
export type Input =
  | { readonly type: 'lines'; readonly sources: readonly LineSource[] }
  | { readonly type: 'paths'; readonly paths: readonly string[] };

/** What is to be enqueued, and how. */
export interface EnqueuePlan {
  readonly queue: string;
  readonly input: Input;
  readonly format: LineFormat;
  readonly itemOptions: Partial<ItemOptions>;
  /** How many items there are, where they were counted. */
  readonly itemCount: number | null;
  /** Passes over what can't be enqueued; else the first of it is the end. */
  readonly skipsInvalid: boolean;
  /** Seals the work queue at the end. */
  readonly seals: boolean;
  readonly asJson: boolean;
  readonly progressStyle: ProgressStyle;
}

/** What was done. */
interface Summary {
  enqueued: number;
  duplicates: number;
  skipped: number;
  sealed: boolean;
}

/** Puts items into a work queue, and tells how far it is and what it did. */
export class EnqueueRun {
  readonly #drover: Drover;
  readonly #plan: EnqueuePlan;
  readonly #progress: EnqueueProgress;
  readonly #summary: Summary = { enqueued: 0, duplicates: 0, skipped: 0, sealed: false };
  readonly #startedMs = performance.now();
  /** The line that ended it. */
  #badLine: LineProblem | null = null;
  #told = 0;

  constructor(drover: Drover, plan: EnqueuePlan) {
    this.#drover = drover;
    this.#plan = plan;
    this.#progress = createProgress(plan.queue, plan.progressStyle);
  }

  /** @returns the exit code. */
  async run(signal: AbortSignal): Promise<number> {
    try {
      return await this.#run(signal);
    } finally {
      this.#progress.close();
    }
  }

  async #run(signal: AbortSignal): Promise<number> {
    const { input, format, skipsInvalid, queue } = this.#plan;
    const feed = new ItemFeed(blocksOf(input, signal), {
      format,
      skipsInvalid,
      signal,
      onProblem: (problem) => this.#onProblem(problem),
    });
    while (!feed.isOver && !signal.aborted) await this.#send(feed);
    this.#summary.skipped = feed.skipped;
    if (!signal.aborted) this.#progress.show({ items: feed.items, fraction: 1 });
    this.#progress.close();
    if (this.#badLine !== null) throw this.#brokenOff(this.#badLine);
    if (signal.aborted) {
      process.stderr.write(`interrupted. ${this.#soFar()}\n`);
      return EXIT.interrupted;
    }
    if (this.#plan.seals) {
      await this.#drover.workQueue(queue).seal();
      this.#summary.sealed = true;
    }
    this.#print();
    return EXIT.ok;
  }

  async #send(feed: ItemFeed): Promise<void> {
    const { queue, format, itemOptions, input, itemCount } = this.#plan;
    const { key } = format;
    const before = this.#summary.enqueued;
    const show = (enqueued: number): void => {
      this.#summary.enqueued = before + enqueued;
      const { items, bytesRead } = feed;
      this.#progress.show({ items, fraction: fractionOf(input, itemCount, items, bytesRead) });
    };
    const options: EnqueueOptions<unknown> = {
      ...itemOptions,
      ...(key === null ? {} : { key: (item: unknown) => keyOf(key, item) }),
      onProgress: show,
    };
    try {
      const done = await this.#drover.workQueue(queue).enqueue(feed.burst(), options);
      this.#summary.enqueued = before + done.enqueued;
      this.#summary.duplicates += done.duplicates;
    } catch (error) {
      this.#progress.close();
      // At least: what was on its way may have come.
      if (this.#summary.enqueued > 0) process.stderr.write(`broken off. ${this.#soFar()}\n`);
      throw error;
    }
  }

  #onProblem(problem: LineProblem): void {
    if (!this.#plan.skipsInvalid) {
      this.#badLine = problem;
      return;
    }
    this.#told += 1;
    if (this.#told > MAX_TOLD_PROBLEMS) return;
    this.#progress.note(`skipped ${problem.at}: ${problem.problem}`);
  }

  #brokenOff(badLine: LineProblem): CliError {
    const { at, problem } = badLine;
    return badInput(`${at}: ${problem}`, [
      this.#soFar(),
      'Lines after it were not looked at. --skip-invalid passes over bad lines.',
      ...hintsFor(badLine, this.#plan.format),
    ]);
  }

  /** What is in the queue of an enqueue that did not come to its end. */
  #soFar(): string {
    const { enqueued, duplicates } = this.#summary;
    if (enqueued === 0) return `Nothing ${duplicates > 0 ? 'new ' : ''}was enqueued.`;
    const again =
      this.#plan.format.key === null
        ? 'the same again would enqueue them twice (--key prevents that)'
        : 'the same again adds the rest';
    return `${countText(enqueued, 'item')} ${enqueued === 1 ? 'is' : 'are'} enqueued: ${again}.`;
  }

  #print(): void {
    const { enqueued, duplicates, skipped, sealed } = this.#summary;
    const seconds = (performance.now() - this.#startedMs) / 1000;
    if (skipped > MAX_TOLD_PROBLEMS) {
      process.stderr.write(`and ${skipped - MAX_TOLD_PROBLEMS} more lines were skipped\n`);
    }
    if (this.#plan.asJson) {
      const { namespace } = this.#drover;
      const summary = {
        workQueue: this.#plan.queue,
        namespace,
        enqueued,
        duplicates,
        skipped,
        sealed,
      };
      const rounded = Math.round(seconds * 1000) / 1000;
      process.stdout.write(`${JSON.stringify({ ...summary, seconds: rounded }, null, 2)}\n`);
      return;
    }
    const rate = enqueued >= 1000 ? ` (${Math.round(enqueued / seconds)}/s)` : '';
    const parts = [
      `${countText(enqueued, 'item')} enqueued in ${seconds.toFixed(1)} s${rate}`,
      ...(duplicates > 0 ? [`${duplicates} had been enqueued before`] : []),
      ...(skipped > 0 ? [`${countText(skipped, 'line')} skipped`] : []),
      ...(sealed ? ['sealed'] : []),
    ];
    process.stdout.write(`${queueText(this.#plan.queue)}: ${parts.join(', ')}\n`);
  }
}

/** How much of it is done; null where that can't be known. */
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
export function sizeOf(sources: readonly LineSource[]): number | null {
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

function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
