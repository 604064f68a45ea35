import type { Drover } from '@drover/sdk/client';
import { NotFoundError, type Pod } from '@drover/shared';

import type { RunView } from './view.ts';

/** How long a stream may take to its end once the pod has ended. */
const LAST_OUTPUT_MS = 3_000;

/** Prints what pods write: one as it comes, or each as a whole, never mixed. */
export class OutputPrinter {
  readonly #drover: Drover;
  readonly #view: RunView;
  /** Everything that was asked for so far, in order. */
  #queue: Promise<void> = Promise.resolve();
  readonly #streams = new Map<string, { ended: Promise<void>; stop: AbortController; pod: Pod }>();

  constructor(drover: Drover, view: RunView) {
    this.#drover = drover;
    this.#view = view;
  }

  /** Prints what a pod writes as it comes, if that was not asked for before. */
  stream(pod: Pod): void {
    if (this.#streams.has(pod.metadata.uid)) return;
    const stop = new AbortController();
    const ended = this.#copy(pod, { follow: true, signal: stop.signal });
    this.#streams.set(pod.metadata.uid, { ended, stop, pod });
  }

  /** Prints what a pod wrote, after what was asked for before. */
  print(pod: Pod): void {
    this.#enqueue(() => this.#copy(pod, {}));
  }

  /** Prints a line, with the end of what the pod wrote below it. */
  note(line: string, pod: Pod, tailLines: number): void {
    this.#enqueue(async () => {
      const tail: string[] = [];
      if (tailLines > 0) {
        for await (const text of this.#drover.pods.logs(pod, { tailLines })) tail.push(text);
      }
      const lines = tail.join('').trimEnd();
      this.#view.note(lines === '' ? line : `${line}\n${lines.replace(/^/gm, '  | ')}`);
    });
  }

  /** Resolves when everything was printed. Call it when the pods have ended. */
  async close(): Promise<void> {
    await this.#queue;
    for (const { ended, stop, pod } of this.#streams.values()) {
      // What a pod wrote is in its log before its end is known; nothing there means nothing comes.
      if (!(await this.#wrote(pod))) stop.abort();
      const timer = setTimeout(() => stop.abort(), LAST_OUTPUT_MS);
      await ended;
      clearTimeout(timer);
    }
  }

  async #wrote(pod: Pod): Promise<boolean> {
    try {
      for await (const _ of this.#drover.pods.logLines(pod, { tailLines: 1 })) return true;
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
    return false;
  }

  #enqueue(task: () => Promise<void>): void {
    this.#queue = this.#queue.then(task).catch((error: unknown) => {
      this.#view.note(`output was not read: ${error instanceof Error ? error.message : ''}`);
    });
  }

  async #copy(pod: Pod, options: { follow?: boolean; signal?: AbortSignal }): Promise<void> {
    try {
      for await (const line of this.#drover.pods.logLines(pod, options)) {
        if (line.droppedBytes > 0) {
          this.#view.note(`[${line.droppedBytes} bytes of output were dropped here]`);
        } else this.#view.output(line.stream, line.text);
      }
    } catch (error) {
      // A pod that is stopped for good goes together with its log.
      if (!(error instanceof NotFoundError)) throw error;
    }
  }
}
