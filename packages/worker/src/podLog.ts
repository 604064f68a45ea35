import type { Claim } from '@drover/store';

import type { JobPlan } from './jobPlan.ts';
import type { PodLogWriter } from './logs/podLogWriter.ts';

/** How long the news of a pod's end waits for the rest of its log. */
const END_TIMEOUT_MS = 2_000;

/** Where a pod's output goes. */
export interface PodLog {
  /** Takes output; never throws and never waits. */
  write(stream: 'stdout' | 'stderr', chunk: Buffer | string): void;
  /** Something was written. */
  readonly written: boolean;
  /** The pod ended: resolves when what was written can be read, or when that takes too long. Never rejects. */
  end(): Promise<void>;
}

/** Opens the log of a pod; costs nothing in Redis until something is written. */
export type OpenPodLog = (plan: JobPlan, claim: Claim) => PodLog;

/** A pod's log in its Redis stream. */
export class StreamPodLog implements PodLog {
  readonly #container: string;
  readonly #createWriter: () => PodLogWriter;
  #writer: PodLogWriter | null = null;

  constructor(container: string, createWriter: () => PodLogWriter) {
    this.#container = container;
    this.#createWriter = createWriter;
  }

  get written(): boolean {
    return this.#writer?.hasOutput ?? false;
  }

  write(stream: 'stdout' | 'stderr', chunk: Buffer | string): void {
    if (chunk.length === 0) return;
    this.#writer ??= this.#createWriter();
    this.#writer.write(
      this.#container,
      stream,
      typeof chunk === 'string' ? Buffer.from(chunk) : chunk,
    );
  }

  async end(): Promise<void> {
    await this.#writer?.close(END_TIMEOUT_MS);
  }
}
