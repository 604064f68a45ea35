import { setTimeout as delay } from 'node:timers/promises';

import type { Drover, LogPiece, OutputTail, PodEnd } from '@drover/sdk/client';
import type { Job } from '@drover/shared';

import { tagLines } from './listPrinter.ts';
import type { RunView } from './view.ts';

/** Workers write logs at most so often. */
const INTERVAL_MS = 100;

/** The beginnings of lines of a run, by stream. */
type Open = Record<'stdout' | 'stderr', Buffer>;

/** A pod that writes, as the user is to see it. */
export interface LineSource {
  /** Stands before each line; '' = nothing. */
  readonly tag: string;
  /** Names it in notes. */
  readonly name: string;
}

/** A pod of a Job. */
export type PodPlace = Pick<PodEnd, 'podNumber' | 'index'>;

/** Prints what pods write while they run, in whole lines. */
export class LinePrinter {
  readonly #tail: OutputTail;
  readonly #view: RunView;
  readonly #sourceOf: (pod: PodPlace) => LineSource | null;
  readonly #open = new Map<number, Open>();
  readonly #ended = new Set<number>();
  /** One read at a time, so that a run's pieces stay in order. */
  #queue: Promise<void> = Promise.resolve();

  constructor(options: {
    readonly drover: Drover;
    readonly job: Job;
    readonly view: RunView;
    /** null: nothing of it is printed. */
    readonly sourceOf: (pod: PodPlace) => LineSource | null;
  }) {
    this.#tail = options.drover.pods.tail(options.job);
    this.#view = options.view;
    this.#sourceOf = options.sourceOf;
  }

  /** Prints until the signal. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#inTurn(async () => {
        for (const { pieces, ...pod } of await this.#tail.next()) {
          if (!this.#ended.has(pod.podNumber)) this.#print(pod, pieces);
        }
        await this.#view.drained();
      });
      await delay(INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Prints the rest of pods that ended. */
  async take(ended: readonly PodEnd[]): Promise<void> {
    await this.#inTurn(async () => {
      for (const end of ended) {
        if (end.hasLog) this.#print(end, await this.#tail.rest(end.podNumber));
        this.#ended.add(end.podNumber);
        this.#flush(end);
      }
    });
  }

  async #inTurn(task: () => Promise<void>): Promise<void> {
    const turn = this.#queue.then(task);
    this.#queue = turn.catch(() => undefined);
    await turn;
  }

  #print(pod: PodPlace, pieces: readonly LogPiece[]): void {
    const source = this.#sourceOf(pod);
    if (source === null) return;
    let open = this.#open.get(pod.podNumber);
    if (open === undefined) {
      open = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
      this.#open.set(pod.podNumber, open);
    }
    for (const piece of pieces) {
      if (piece.stream === 'dropped') {
        this.#view.note(`[${piece.bytes} bytes of the output of ${source.name} were dropped]`);
        continue;
      }
      const text = Buffer.concat([open[piece.stream], piece.data]);
      const end = text.lastIndexOf(0x0a) + 1;
      open[piece.stream] = text.subarray(end);
      if (end > 0) this.#write(piece.stream, source, text.subarray(0, end));
    }
  }

  #flush(pod: PodPlace): void {
    const source = this.#sourceOf(pod);
    const open = this.#open.get(pod.podNumber);
    this.#open.delete(pod.podNumber);
    if (open === undefined || source === null) return;
    for (const stream of ['stdout', 'stderr'] as const) {
      if (open[stream].length > 0) this.#write(stream, source, open[stream]);
    }
  }

  #write(stream: 'stdout' | 'stderr', { tag }: LineSource, text: Buffer): void {
    this.#view.output(stream, tagLines(text, Buffer.from(tag)));
  }
}
