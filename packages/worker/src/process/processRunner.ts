import assert from 'node:assert';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ContainerProcess } from './containerProcess.ts';
import { HelperClient } from './helperClient.ts';
import { helperSources, type HelperChoice, type HelperSource } from './helperProgram.ts';
import type { OutputSink, ProcessPodSpec, RunningProcess } from './runningProcess.ts';

/** A helper that lived shorter than this is not replaced before somebody needs one. */
const HEALTHY_AFTER_MS = 5_000;
/** How long killed containers may take to end when the runner closes. */
const CLOSE_TIMEOUT_MS = 2_000;

/** Options of {@link ProcessRunner}. */
export interface ProcessRunnerOptions {
  readonly logger: Logger;
  /** Where containers without a workingDir start. Default: the worker's own directory. */
  readonly workingDir?: string | undefined;
  /**
   * Which helper, or where to look for one. Default: what the environment variable
   * DROVER_PROCESS_HELPER says, else `auto`.
   */
  readonly helper?: HelperChoice | readonly HelperSource[] | undefined;
}

/**
 * Runs containers as child processes, by way of a helper that kills them when the worker dies.
 *
 * The helper is started by {@link warmUp} or the first start, and kept. When it dies its
 * containers end as lost (`ContainerStatusUnknown`) and another is started.
 */
export class ProcessRunner {
  readonly #logger: Logger;
  readonly #workingDir: string;
  readonly #containers = new Map<number, ContainerProcess>();
  readonly #sources: readonly HelperSource[];
  #helper: Promise<HelperClient> | null = null;
  /** The helper once it can be used. */
  #client: HelperClient | null = null;
  #lastId = 0;
  #isClosed = false;

  /** @throws TypeError when DROVER_PROCESS_HELPER has a wrong value. */
  constructor(options: ProcessRunnerOptions) {
    const { helper } = options;
    this.#sources = typeof helper === 'object' ? helper : helperSources(helper);
    this.#logger = options.logger;
    this.#workingDir = options.workingDir ?? process.cwd();
  }

  /**
   * Starts the helper, so that the first container need not wait for it.
   *
   * @throws Error when that fails; a later start tries again.
   */
  async warmUp(): Promise<void> {
    await this.#getHelper();
  }

  /** Runs a container. */
  start(spec: ProcessPodSpec, sink: OutputSink): RunningProcess {
    assert(!this.#isClosed, 'the process runner is closed');
    this.#lastId += 1;
    const id = this.#lastId;
    const container = new ContainerProcess(id, spec, this.#workingDir, sink);
    this.#containers.set(id, container);
    if (this.#client === null) void this.#beginLater(id, container);
    else this.#begin(id, container, this.#client);
    return container;
  }

  /** Kills every container, waits for their ends and stops the helper. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const ends = [...this.#containers.values()].map((container) => {
      container.kill();
      return container.exited;
    });
    // A process that hangs in the kernel must not hold up the worker.
    await Promise.race([Promise.all(ends), delay(CLOSE_TIMEOUT_MS, null, { ref: false })]);
    const helper = this.#helper;
    this.#helper = null;
    this.#client = null;
    await helper?.then(
      (client) => client.close(),
      // It never started; whoever asked for it was told.
      () => {},
    );
    for (const container of this.#containers.values()) container.lose('the worker is closing');
    await Promise.all(ends);
  }

  async #beginLater(id: number, container: ContainerProcess): Promise<void> {
    try {
      this.#begin(id, container, await this.#getHelper());
    } catch (error) {
      container.failToStart(describeError(error));
      this.#containers.delete(id);
    }
  }

  #begin(id: number, container: ContainerProcess, helper: HelperClient): void {
    helper.setBusy(true);
    try {
      container.begin(helper);
    } catch (error) {
      container.failToStart(describeError(error));
    }
    void container.exited.then(() => {
      this.#containers.delete(id);
      if (this.#containers.size === 0) helper.setBusy(false);
    });
  }

  #getHelper(): Promise<HelperClient> {
    if (this.#helper !== null) return this.#helper;
    const launchedAtMs = performance.now();
    const launched = HelperClient.launch(this.#sources, this.#logger, {
      onFrame: (frame) => this.#containers.get(frame.id)?.onFrame(frame),
      onOutput: (id, stream, bytes) => this.#containers.get(id)?.onOutput(stream, bytes),
      onLost: (reason) => {
        if (this.#helper === launched) this.#helper = this.#client = null;
        this.#loseContainers(reason);
        const wasHealthy = performance.now() - launchedAtMs >= HEALTHY_AFTER_MS;
        if (wasHealthy && !this.#isClosed) void this.#getHelper().catch(() => {});
      },
    });
    this.#helper = launched;
    launched.then(
      (client) => {
        if (this.#helper === launched) this.#client = client;
      },
      (error: unknown) => {
        this.#logger.error({ err: error }, 'process helper not started');
        if (this.#helper === launched) this.#helper = null;
      },
    );
    return launched;
  }

  #loseContainers(reason: string): void {
    const count = this.#containers.size;
    this.#logger.error({ reason, containers: count }, 'process helper died; its pods are lost');
    for (const container of this.#containers.values()) {
      container.lose(`the process helper of the worker died: ${reason}`);
    }
  }
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
