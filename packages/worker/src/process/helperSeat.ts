import type { HelperLog } from './helperLog.ts';
import type { ContainerOwner, ContainerProcess } from './containerProcess.ts';
import { HelperClient } from './helperClient.ts';
import type { HelperProgram, HelperSource } from './helperProgram.ts';

/** A helper that lived shorter than this is not replaced before somebody needs one. */
const HEALTHY_AFTER_MS = 5_000;

/**
 * The place of one helper, and the containers that it runs. The helper is started by
 * {@link warmUp} or the first container, and kept; when it dies its containers are lost, and
 * another takes its place.
 */
export class HelperSeat implements ContainerOwner {
  readonly #sources: readonly HelperSource[];
  readonly #logger: HelperLog;
  readonly #containers = new Map<number, ContainerProcess>();
  #helper: Promise<HelperClient> | null = null;
  /** The helper once it can be used. */
  #client: HelperClient | null = null;
  #isClosed = false;

  constructor(sources: readonly HelperSource[], logger: HelperLog) {
    this.#sources = sources;
    this.#logger = logger;
  }

  /** Containers that have not ended. */
  get size(): number {
    return this.#containers.size;
  }

  /** The helper that is in use; null = there is none right now. */
  get program(): HelperProgram | null {
    return this.#client?.program ?? null;
  }

  /** Starts the helper and says which it is. @throws Error when that fails; a later start tries again. */
  async warmUp(): Promise<HelperProgram> {
    return (await this.#getHelper()).program;
  }

  /** Begins a container, as soon as there is a helper. */
  run(container: ContainerProcess): void {
    this.#containers.set(container.id, container);
    container.keptBy(this);
    if (this.#client === null) void this.#beginLater(container);
    else this.#begin(container, this.#client);
  }

  containerEnded(id: number): void {
    this.#containers.delete(id);
    if (this.#containers.size === 0) this.#client?.setBusy(false);
  }

  /** Kills every container; resolves with their ends. */
  async killAll(): Promise<void> {
    const ends = [...this.#containers.values()].map((container) => {
      container.kill();
      return container.exited;
    });
    await Promise.all(ends);
  }

  /** Stops the helper, and with it whatever it still runs; containers left then are lost. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const helper = this.#helper;
    this.#helper = null;
    this.#client = null;
    await helper?.then(
      (client) => client.close(),
      // It never started; whoever asked for it was told.
      () => {},
    );
    for (const container of this.#containers.values()) container.lose('the worker is closing');
  }

  async #beginLater(container: ContainerProcess): Promise<void> {
    try {
      this.#begin(container, await this.#getHelper());
    } catch (error) {
      container.failToStart(describeError(error));
    }
  }

  #begin(container: ContainerProcess, helper: HelperClient): void {
    helper.setBusy(true);
    try {
      container.begin(helper);
    } catch (error) {
      container.failToStart(describeError(error));
    }
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
