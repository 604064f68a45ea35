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

/** Where a container's output goes. */
export interface ContainerLog {
  /** As in {@link PodLog}. */
  write(stream: 'stdout' | 'stderr', chunk: Buffer | string): void;
  /** The container is started again: what it writes from now on is of this run, 1 and more. */
  beginRun(run: number): void;
}

/** The log of a pod with several containers, or with restarts. By itself it is that of its first container. */
export interface ContainersLog extends PodLog, ContainerLog {
  /** The log of one container. */
  of(container: string): ContainerLog;
}

/** Opens the log of a pod; costs nothing in Redis until something is written. */
export type OpenPodLog = (plan: JobPlan, claim: Claim) => ContainersLog;

/** A pod's log in its Redis stream. */
export class StreamPodLog implements ContainersLog {
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

  of(container: string): ContainerLog {
    return {
      write: (stream, chunk) => this.#write(container, stream, chunk),
      beginRun: (run) => this.#open().beginRun(container, run),
    };
  }

  write(stream: 'stdout' | 'stderr', chunk: Buffer | string): void {
    this.#write(this.#container, stream, chunk);
  }

  beginRun(run: number): void {
    this.#open().beginRun(this.#container, run);
  }

  async end(): Promise<void> {
    await this.#writer?.close(END_TIMEOUT_MS);
  }

  #open(): PodLogWriter {
    return (this.#writer ??= this.#createWriter());
  }

  #write(container: string, stream: 'stdout' | 'stderr', chunk: Buffer | string): void {
    if (chunk.length === 0) return;
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    this.#open().write(container, stream, bytes);
  }
}
