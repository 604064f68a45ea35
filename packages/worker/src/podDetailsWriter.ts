import type { PodDetails } from '@drover/store';
import type { Logger } from 'pino';

import type { SlotId } from './runtime.ts';
import type { DetailsPort } from './shardPort.ts';

/** Shortest time between two writes. */
const WRITE_INTERVAL_MS = 100;
/** How long details are kept without another word. */
const TTL_MS = 3_600_000;
/** When they are written again although nothing has changed. */
const REFRESH_MS = TTL_MS / 2;
/** How long those of a pod that ended may be read: then its record says the same. */
const END_TTL_MS = 10_000;

/** Options of {@link PodDetailsWriter}. */
export interface PodDetailsWriterOptions {
  readonly port: DetailsPort;
  readonly slot: SlotId;
  readonly podNumber: number;
  /** How the pod is now. */
  readonly read: () => PodDetails;
  readonly logger: Logger;
}

/**
 * Tells those who look how the containers of a running pod are: at most every 100 ms, one write at a
 * time, and nothing while nothing changes. Figures for people: what can not be written is left out.
 */
export class PodDetailsWriter {
  readonly #options: PodDetailsWriterOptions;
  #timer: NodeJS.Timeout | null = null;
  #isRefresh = false;
  #isWriting = false;
  #hasChanged = false;
  #hasWritten = false;
  #isOver = false;

  constructor(options: PodDetailsWriterOptions) {
    this.#options = options;
  }

  /** The details are others. */
  changed(): void {
    if (this.#isOver) return;
    this.#hasChanged = true;
    if (!this.#isWriting) this.#schedule(WRITE_INTERVAL_MS);
  }

  /** The pod ended. Waits for nothing. */
  end(): void {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#hasWritten) void this.#write(END_TTL_MS);
  }

  #schedule(inMs: number): void {
    if (this.#timer !== null) {
      // The one that waits is as soon, unless it is for a refresh.
      if (!this.#isRefresh) return;
      clearTimeout(this.#timer);
    }
    this.#isRefresh = inMs === REFRESH_MS;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#writeAndGoOn();
    }, inMs);
    this.#timer.unref();
  }

  async #writeAndGoOn(): Promise<void> {
    this.#isWriting = true;
    this.#hasChanged = false;
    this.#hasWritten = true;
    await this.#write(TTL_MS);
    this.#isWriting = false;
    if (!this.#isOver) this.#schedule(this.#hasChanged ? WRITE_INTERVAL_MS : REFRESH_MS);
  }

  async #write(ttlMs: number): Promise<void> {
    const { port, slot, podNumber, read, logger } = this.#options;
    const { uid, session } = slot;
    try {
      const note = { uid, slot: slot.slot, podNumber, session, details: read(), ttlMs };
      await port.writeContainers(note);
    } catch (error) {
      logger.debug({ err: error, jobUid: uid }, 'how the containers of a pod are was not written');
    }
  }
}
