import { setTimeout as delay } from 'node:timers/promises';

import { readItemLine, type LineFormat } from './itemLine.ts';
import { readLineBlocks, type LineBlock } from './lines.ts';
import type { LineSource } from './sources.ts';

/** Lines of a source that follow each other. */
export interface SourceBlock extends LineBlock {
  /** As the source is called in messages. */
  readonly name: string;
}

/** A line that can't be enqueued. */
export interface LineProblem {
  /** `items.ndjson:7`. */
  readonly at: string;
  /** Number of the line, from 1. */
  readonly line: number;
  readonly problem: string;
}

/** How a {@link ItemFeed} reads. */
export interface FeedOptions {
  readonly format: LineFormat;
  /** Goes on after a bad line; else it is the end. */
  readonly skipsInvalid: boolean;
  readonly onProblem: (problem: LineProblem) => void;
  /** The user asked to end. */
  readonly signal: AbortSignal;
}

/** A source that says nothing for so long has said what there was: it is sent. */
const IDLE_MS = 100;

/** The lines of all sources, one after the other. */
export async function* readSources(
  sources: readonly LineSource[],
  signal: AbortSignal,
): AsyncGenerator<SourceBlock> {
  let before = 0;
  for (const source of sources) {
    let bytesRead = 0;
    for await (const block of readLineBlocks(source.open(signal))) {
      bytesRead = block.bytesRead;
      yield { ...block, name: source.name, bytesRead: before + bytesRead };
    }
    before += bytesRead;
  }
}

/** Turns lines into items, as fast as they are asked for. */
export class ItemFeed {
  /** Items that were handed on. */
  items = 0;
  /** Lines that were passed over because they can't be enqueued. */
  skipped = 0;
  /** Bytes of the sources that were read. */
  bytesRead = 0;
  /** Nothing comes any more: the end, a bad line, or the user's wish. */
  isOver = false;
  readonly #blocks: AsyncGenerator<SourceBlock>;
  readonly #options: FeedOptions;
  #next: Promise<IteratorResult<SourceBlock, unknown>> | null = null;
  #block: SourceBlock | null = null;
  /** Lines of the block that were read. */
  #linesRead = 0;

  constructor(blocks: AsyncGenerator<SourceBlock>, options: FeedOptions) {
    this.#blocks = blocks;
    this.#options = options;
  }

  /**
   * The items until the source has nothing more for the moment. What comes slowly, as from `tail -f`, is
   * several bursts, so that nothing waits for a batch to fill.
   */
  burst(): AsyncIterable<unknown> {
    const itemsBefore = this.items;
    // An async generator would cost more per item than its line does.
    return { [Symbol.asyncIterator]: () => ({ next: () => this.#nextItem(itemsBefore) }) };
  }

  #nextItem(itemsBefore: number): Promise<IteratorResult<unknown>> {
    const item = this.#itemOfBlock();
    return item === null
      ? this.#itemOfNextBlock(itemsBefore)
      : Promise.resolve({ done: false, value: item.data });
  }

  async #itemOfNextBlock(itemsBefore: number): Promise<IteratorResult<unknown>> {
    while (!this.isOver) {
      this.#next ??= this.#blocks.next();
      if (this.items > itemsBefore && (await isIdle(this.#next))) break;
      this.#block = await this.#take(this.#next);
      this.#next = null;
      this.#linesRead = 0;
      if (this.#block === null) this.isOver = true;
      const item = this.#itemOfBlock();
      if (item !== null) return { done: false, value: item.data };
    }
    return { done: true, value: undefined };
  }

  async #take(next: Promise<IteratorResult<SourceBlock, unknown>>): Promise<SourceBlock | null> {
    try {
      const { done, value } = await next;
      return done === true ? null : value;
    } catch (error) {
      // A stream that was closed on us.
      if (this.#options.signal.aborted) return null;
      throw error;
    }
  }

  /** The next item of the block at hand; null when it has none. */
  #itemOfBlock(): { readonly data: unknown } | null {
    const block = this.#block;
    if (block === null) return null;
    const { format, skipsInvalid, onProblem, signal } = this.#options;
    while (this.#linesRead < block.lines.length) {
      if (signal.aborted) return this.#end();
      const line = block.lines[this.#linesRead] ?? '';
      const number = block.firstNumber + this.#linesRead;
      this.#linesRead += 1;
      const read = readItemLine(line, format);
      if (read === null) continue;
      if (!('problem' in read)) {
        this.items += 1;
        return read;
      }
      onProblem({ at: `${block.name}:${number}`, line: number, problem: read.problem });
      if (!skipsInvalid) return this.#end();
      this.skipped += 1;
    }
    this.bytesRead = block.bytesRead;
    return null;
  }

  #end(): null {
    this.isOver = true;
    this.#block = null;
    return null;
  }
}

async function isIdle(next: Promise<unknown>): Promise<boolean> {
  const timer = new AbortController();
  const idle = delay(IDLE_MS, true, { signal: timer.signal }).catch(() => false);
  // What goes wrong is told to who takes it.
  const came = next.then(
    () => false,
    () => false,
  );
  const answer = await Promise.race([came, idle]);
  timer.abort();
  return answer;
}
