import { setTimeout as delay } from 'node:timers/promises';
import {
  type RedisClient,
  LogKind,
  MAX_LOG_ENTRIES_PER_CALL,
  type PodLogEntry,
  writePodLog,
} from '@drover/store';
import type { Logger } from 'pino';
import { within } from '../within.ts';
import { entryBytes, LogQueue, type LogEntry } from './logQueue.ts';
import { LogTail, type LogTrim } from './logTail.ts';

/** Kept per container unless told otherwise. */
export const DEFAULT_TAIL_BYTES = 256 * 1024;
/** Shortest time between two writes of a pod's log. */
const FLUSH_INTERVAL_MS = 100;
/** First and longest wait before a failed write is repeated. */
const RETRY_BASE_MS = 100;
const RETRY_CAP_MS = 1_000;
/** How long closing waits for Redis. */
const CLOSE_TIMEOUT_MS = 5_000;

/** Options of {@link PodLogWriter}. */
export interface PodLogWriterOptions {
  /** A connection that is not blocked by others. */
  readonly redis: RedisClient;
  /** The pod's stream, see podLogKey; whatever it holds is replaced by the first write. */
  readonly key: string;
  readonly logger: Logger;
  /** Bytes kept per container, 64 per entry included. Default 256 KiB. */
  readonly tailBytes?: number | undefined;
  /** The wall clock. Default Date.now. */
  readonly now?: (() => number) | undefined;
}

/** Entries with their ids and what must go for them; sent as often as it takes. */
interface Batch {
  readonly entries: readonly PodLogEntry[];
  readonly trim: LogTrim;
}

/**
 * Writes the log of one pod to its stream, as the only writer of it.
 *
 * Output is gathered and written at most every 100 ms, in one script with the trimming of what is
 * older than the tail. Entries carry ids made here, so a write that is repeated after a
 * lost answer adds nothing twice. When output comes faster than that, or while Redis is away,
 * the newest `tailBytes` per container are kept and the rest is counted in a marker.
 *
 * Nothing here ever throws into the pod, and nothing runs while nothing is written. A pod that
 * writes nothing has no stream.
 */
export class PodLogWriter {
  readonly #options: PodLogWriterOptions;
  readonly #queue: LogQueue;
  readonly #tail: LogTail;
  readonly #now: () => number;
  #hasOutput = false;
  #timer: NodeJS.Timeout | null = null;
  #sending: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  /** The stream was created. */
  #exists = false;
  /** Nothing more is written: closed, given up, or the stream was deleted with its pod. */
  #isOver = false;
  #lastIdMs = 0;
  #lastIdSequence = 0;

  constructor(options: PodLogWriterOptions) {
    const tailBytes = options.tailBytes ?? DEFAULT_TAIL_BYTES;
    this.#options = options;
    this.#queue = new LogQueue(tailBytes, FLUSH_INTERVAL_MS);
    this.#tail = new LogTail(tailBytes);
    this.#now = options.now ?? Date.now;
  }

  /** Something was written, so the pod has a log. */
  get hasOutput(): boolean {
    return this.#hasOutput;
  }

  /** A container is started again: what it writes from now on is of this run. */
  beginRun(container: string, run: number): void {
    this.#queue.beginRun(container, run);
  }

  /** Takes output of a container; the bytes are copied. After close it is ignored. */
  write(container: string, stream: 'stdout' | 'stderr', chunk: Buffer): void {
    if (chunk.length === 0 || this.#isOver || this.#closing !== null) return;
    this.#hasOutput = true;
    this.#queue.push(container, stream, chunk, this.#now());
    this.#schedule();
  }

  /**
   * Writes what is left and the end marker, if there was any output. Never throws; when Redis
   * does not take it in time the rest is given up, with one line in the worker's log.
   */
  close(timeoutMs: number = CLOSE_TIMEOUT_MS): Promise<void> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  /** Ends without writing anything more, since the pod is no longer this worker's. */
  abandon(): void {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #schedule(): void {
    if (this.#timer !== null || this.#sending !== null || this.#isOver) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#sending = this.#send(this.#queue.take(false)).finally(() => {
        this.#sending = null;
        if (!this.#queue.isEmpty && this.#closing === null) this.#schedule();
      });
    }, FLUSH_INTERVAL_MS);
  }

  async #close(timeoutMs: number): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#hasOutput && !this.#isOver) {
      if (!(await within(timeoutMs, this.#finish()))) {
        const { key, logger } = this.#options;
        logger.warn(
          { key, timeoutMs },
          'the end of a pod log was not written: Redis did not answer',
        );
      }
    }
    this.#isOver = true;
  }

  async #finish(): Promise<void> {
    await this.#sending;
    const data = Buffer.alloc(0);
    const end = { container: '', kind: LogKind.end, run: 0, timeMs: this.#now(), data };
    await this.#send([...this.#queue.take(true), end]);
  }

  async #send(entries: readonly LogEntry[]): Promise<void> {
    for (let from = 0; from < entries.length; from += MAX_LOG_ENTRIES_PER_CALL) {
      await this.#sendSome(entries.slice(from, from + MAX_LOG_ENTRIES_PER_CALL));
    }
  }

  /** Writes entries, again and again until Redis has them or the log is over. */
  async #sendSome(entries: readonly LogEntry[]): Promise<void> {
    const batch = this.#prepare(entries);
    for (let failures = 0; !this.#isOver; failures++) {
      try {
        await this.#write(batch);
        return;
      } catch (error) {
        if (failures === 0) {
          const { key, logger } = this.#options;
          logger.warn({ err: error, key }, 'pod log not written, trying again');
        }
        await delay(Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** failures));
      }
    }
  }

  #prepare(entries: readonly LogEntry[]): Batch {
    const numbered = entries.map((entry) => ({ ...entry, id: this.#nextId(entry.timeMs) }));
    const kept = numbered.map((entry) => ({
      id: entry.id,
      container: entry.container,
      bytes: entryBytes(entry),
    }));
    return { entries: numbered, trim: this.#tail.add(kept) };
  }

  /** Ids only grow, also when the clock is set back. */
  #nextId(timeMs: number): string {
    if (timeMs > this.#lastIdMs) {
      this.#lastIdMs = timeMs;
      this.#lastIdSequence = 0;
    } else {
      this.#lastIdSequence += 1;
    }
    return `${this.#lastIdMs}-${this.#lastIdSequence}`;
  }

  async #write({ entries, trim }: Batch): Promise<void> {
    const { redis, key, logger } = this.#options;
    const isFirst = !this.#exists;
    const change = { isFirst, minId: trim.minId, removedIds: trim.ids, entries };
    const result = await writePodLog(redis, key, change);
    if (result === 'deleted') {
      logger.debug({ key }, 'the pod log was deleted; nothing more is written to it');
      this.#isOver = true;
    }
    this.#exists = true;
  }
}
