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

  constructor(blocks: AsyncGenerator<SourceBlock>, options: FeedOptions) {
    this.#blocks = blocks;
    this.#options = options;
  }

  /**
   * The items until the source has nothing more for the moment. What comes slowly, as from `tail -f`, is
   * several bursts, so that nothing waits for a batch to fill.
   */
  async *burst(): AsyncGenerator {
    const itemsBefore = this.items;
    while (!this.isOver) {
      this.#next ??= this.#blocks.next();
      if (this.items > itemsBefore && (await isIdle(this.#next))) return;
      const block = await this.#take(this.#next);
      this.#next = null;
      if (block === null) {
        this.isOver = true;
        return;
      }
      yield* this.#itemsOf(block);
    }
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

  *#itemsOf({ name, firstNumber, lines, bytesRead }: SourceBlock): Generator {
    const { format, skipsInvalid, onProblem, signal } = this.#options;
    for (const [i, line] of lines.entries()) {
      const read = readItemLine(line, format);
      if (read === null) continue;
      if ('problem' in read) {
        const number = firstNumber + i;
        onProblem({ at: `${name}:${number}`, line: number, problem: read.problem });
        if (skipsInvalid) {
          this.skipped += 1;
          continue;
        }
        this.isOver = true;
        return;
      }
      this.items += 1;
      yield read.data;
      if (signal.aborted) {
        this.isOver = true;
        return;
      }
    }
    this.bytesRead = bytesRead;
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
