import assert from 'node:assert';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ContainerProcess } from './containerProcess.ts';
import { HelperClient } from './helperClient.ts';
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
  #helper: Promise<HelperClient> | null = null;
  #lastId = 0;
  #isClosed = false;

  constructor(options: ProcessRunnerOptions) {
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
    void this.#begin(id, container);
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
    await helper?.then(
      (client) => client.close(),
      // It never started; whoever asked for it was told.
      () => {},
    );
    for (const container of this.#containers.values()) container.lose('the worker is closing');
    await Promise.all(ends);
  }

  async #begin(id: number, container: ContainerProcess): Promise<void> {
    let helper: HelperClient | null = null;
    try {
      helper = await this.#getHelper();
      helper.setBusy(true);
      await container.begin(helper);
    } catch (error) {
      container.failToStart(describeError(error));
    }
    await container.exited;
    this.#containers.delete(id);
    if (this.#containers.size === 0) helper?.setBusy(false);
  }

  #getHelper(): Promise<HelperClient> {
    if (this.#helper !== null) return this.#helper;
    const launchedAtMs = performance.now();
    const launched = HelperClient.launch(this.#logger, {
      onFrame: (frame) => this.#containers.get(frame.id)?.onFrame(frame),
      onLost: (reason) => {
        if (this.#helper === launched) this.#helper = null;
        this.#loseContainers(reason);
        const wasHealthy = performance.now() - launchedAtMs >= HEALTHY_AFTER_MS;
        if (wasHealthy && !this.#isClosed) void this.#getHelper().catch(() => {});
      },
    });
    this.#helper = launched;
    launched.catch((error: unknown) => {
      this.#logger.error({ err: error }, 'process helper not started');
      if (this.#helper === launched) this.#helper = null;
    });
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
