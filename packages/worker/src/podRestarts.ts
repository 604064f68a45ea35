import { setTimeout as delay } from 'node:timers/promises';

import type { Logger } from 'pino';

import { crashLoopDelayMs, crashLoopRestarts, type CrashLoopPolicy } from './process/crashLoop.ts';
import type { SlotId } from './runtime.ts';
import type { ControlPort } from './shardPort.ts';

/** Options of {@link PodRestarts}. */
export interface PodRestartsOptions {
  readonly policy: CrashLoopPolicy;
  readonly port: Pick<ControlPort, 'recordRestart'>;
  readonly slot: SlotId;
  readonly podNumber: number;
  /** Restarts of the container before: above 0 only when the pod's acquire was answered again. */
  readonly restarts: number;
  /** Restarts of all containers of the pod, shared by them. Default: there is but this container. */
  readonly total?: RestartTotal;
  /** Told when a restart has to wait. */
  readonly onBackOff: () => void;
  readonly logger: Logger;
}

/** How often containers of a pod were restarted, all together. */
export interface RestartTotal {
  count: number;
}

/** Wait before a restart is recorded again when Redis did not take it. */
const RECORD_RETRY_MS = 200;

/**
 * The restarts of one container in its pod (restartPolicy OnFailure, and sidecars): wait the crash-loop delay, record the
 * restart, start. Recorded before it happens, so that no restart is missing in the sum that
 * backoffLimit is compared with.
 */
export class PodRestarts {
  readonly #options: PodRestartsOptions;
  readonly #total: RestartTotal;
  #count: number;
  /** Restarts since the container was last healthy. */
  #inARow = 0;
  readonly #stopping = new AbortController();

  constructor(options: PodRestartsOptions) {
    this.#options = options;
    this.#count = options.restarts;
    this.#total = options.total ?? { count: options.restarts };
  }

  /** Restarts of the container so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Prepares a restart after a run that failed.
   *
   * @param ranForMs - How long the container ran.
   * @returns Whether it may be started again: the pod was not told to stop, and is still this worker's.
   */
  async next(ranForMs: number): Promise<boolean> {
    const { policy } = this.#options;
    this.#inARow = crashLoopRestarts(this.#inARow, ranForMs, policy);
    if (!this.#isStopped) this.#options.onBackOff();
    await this.#wait(crashLoopDelayMs(this.#inARow, policy));
    if (this.#isStopped) return false;
    this.#total.count += 1;
    if (!(await this.#record(this.#total.count))) return false;
    this.#inARow += 1;
    this.#count += 1;
    return !this.#isStopped;
  }

  /** How long the next restart will wait when the container ran for `ranForMs`. */
  delayMs(ranForMs: number): number {
    const { policy } = this.#options;
    return crashLoopDelayMs(crashLoopRestarts(this.#inARow, ranForMs, policy), policy);
  }

  /** The pod is to end: no restart from now on. */
  stop(): void {
    this.#stopping.abort();
  }

  async #record(restarts: number): Promise<boolean> {
    const { port, slot, podNumber, logger } = this.#options;
    const { uid, session } = slot;
    while (!this.#isStopped) {
      try {
        const restart = { uid, slot: slot.slot, podNumber, session, restarts };
        const reply = await port.recordRestart(restart);
        return reply === 'recorded' || reply === 'replayed';
      } catch (error) {
        logger.debug({ err: error, jobUid: uid }, 'a restart was not recorded; trying again');
      }
      await this.#wait(RECORD_RETRY_MS);
    }
    return false;
  }

  get #isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Waits, or not so long when it is stopped. */
  async #wait(ms: number): Promise<void> {
    const { signal } = this.#stopping;
    await delay(ms, undefined, { signal }).catch(() => undefined);
  }
}
