import { setTimeout as delay } from 'node:timers/promises';

import type { Drover, LogPiece, OutputTail } from '@drover/sdk/client';
import type { Job } from '@drover/shared';

import { tagLines, type EndedItem } from './listPrinter.ts';
import type { ListItem } from './listPlan.ts';
import type { RunView } from './view.ts';

/** Workers write logs at most so often. */
const INTERVAL_MS = 100;

/** The beginnings of lines of a run, by stream. */
type Open = Record<'stdout' | 'stderr', Buffer>;

/** Prints what runs write while they run, in whole lines. */
export class LinePrinter {
  readonly #tail: OutputTail;
  readonly #view: RunView;
  readonly #items: readonly ListItem[];
  readonly #tagOf: (item: ListItem) => string;
  readonly #open = new Map<number, Open>();
  readonly #ended = new Set<number>();
  /** One read at a time, so that a run's pieces stay in order. */
  #queue: Promise<void> = Promise.resolve();

  constructor(options: {
    readonly drover: Drover;
    readonly job: Job;
    readonly view: RunView;
    readonly items: readonly ListItem[];
    readonly tagOf: (item: ListItem) => string;
  }) {
    this.#tail = options.drover.pods.tail(options.job);
    this.#view = options.view;
    this.#items = options.items;
    this.#tagOf = options.tagOf;
  }

  /** Prints until the signal. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#inTurn(async () => {
        for (const { podNumber, index, pieces } of await this.#tail.next()) {
          if (!this.#ended.has(podNumber)) this.#print(podNumber, this.#items[index], pieces);
        }
        await this.#view.drained();
      });
      await delay(INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Prints the rest of runs that ended. */
  async take(ended: readonly EndedItem[]): Promise<void> {
    await this.#inTurn(async () => {
      for (const { item, end } of ended) {
        if (end.hasLog) this.#print(end.podNumber, item, await this.#tail.rest(end.podNumber));
        this.#ended.add(end.podNumber);
        this.#flush(end.podNumber, item);
      }
    });
  }

  async #inTurn(task: () => Promise<void>): Promise<void> {
    const turn = this.#queue.then(task);
    this.#queue = turn.catch(() => undefined);
    await turn;
  }

  #print(podNumber: number, item: ListItem | undefined, pieces: readonly LogPiece[]): void {
    if (item === undefined) return;
    let open = this.#open.get(podNumber);
    if (open === undefined) {
      open = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
      this.#open.set(podNumber, open);
    }
    for (const piece of pieces) {
      if (piece.stream === 'dropped') {
        this.#view.note(`[${piece.bytes} bytes of the output of number ${item.seq} were dropped]`);
        continue;
      }
      const text = Buffer.concat([open[piece.stream], piece.data]);
      const end = text.lastIndexOf(0x0a) + 1;
      open[piece.stream] = text.subarray(end);
      if (end > 0) this.#write(piece.stream, item, text.subarray(0, end));
    }
  }

  #flush(podNumber: number, item: ListItem): void {
    const open = this.#open.get(podNumber);
    this.#open.delete(podNumber);
    if (open === undefined) return;
    for (const stream of ['stdout', 'stderr'] as const) {
      if (open[stream].length > 0) this.#write(stream, item, open[stream]);
    }
  }

  #write(stream: 'stdout' | 'stderr', item: ListItem, text: Buffer): void {
    this.#view.output(stream, tagLines(text, Buffer.from(this.#tagOf(item))));
  }
}
