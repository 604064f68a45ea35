import { performance } from 'node:perf_hooks';

import type { Distribution } from '@drover/shared';
import type { ReportAnswer, ReportEntry } from '@drover/store';
import type { Logger } from 'pino';

/** Most entries in one report script: bounds how long it may block Redis. */
export const MAX_BATCH_ENTRIES = 256;
/** Most bytes of one report script's argument; a single entry may be larger. */
export const MAX_BATCH_BYTES = 64 * 1024;
/** No answer for this long: the connection is taken for dead. */
const ANSWER_TIMEOUT_MS = 2_000;
/** First wait after Redis refused a batch; doubles up to the cap. */
const RETRY_BASE_MS = 50;
const RETRY_CAP_MS = 2_000;
/** Of the failures in a row, one of so many is a warning. */
const WARN_EVERY = 30;
/** Upper bound of what one entry takes beside its texts. */
const ENTRY_BYTES = 96;

const STALE: ReportAnswer = { type: 'stale' };

/** Where the answer to an entry goes. Called once per pushed entry, never from inside `push`. */
export interface ReportSink {
  reportAnswered(answer: ReportAnswer): void;
}

/** The reporter's way to Redis: a connection of its own. */
export interface ReportTransport {
  /** Sends one report script. Entries are not changed while it is on its way. */
  send(session: string, entries: readonly ReportEntry[]): Promise<ReportAnswer[]>;
  /** Replaces the connection; what is still on its way over the old one is forgotten. */
  reconnect(): void;
}

/** Options of {@link Reporter}. */
export interface ReporterOptions {
  readonly session: string;
  readonly transport: ReportTransport;
  readonly logger: Logger;
  /** Notes how many entries each batch has. Default: nobody does. */
  readonly batches?: Distribution;
  /** ms without an answer until the batch is sent again over a new connection. Default 2000. */
  readonly answerTimeoutMs?: number;
}

/**
 * Gathers the ends of pods and reports them, at most one script in flight.
 *
 * ```text
 *   push --> waiting --(nothing in flight)--> in flight --answer--> sinks, then the next batch
 *                                               |  ^
 *                                  no answer, error: same entries again
 * ```
 *
 * A batch stays exactly as it was until it is answered: the scripts recognise a repeated entry,
 * not a repeated batch, but only the holder's one outstanding entry may be repeated at all.
 * A sink and its entry belong together and are kept in two arrays, because this is the path of
 * every pod: nothing is allocated for an entry here.
 */
export class Reporter {
  readonly #session: string;
  readonly #transport: ReportTransport;
  readonly #logger: Logger;
  readonly #answerTimeoutMs: number;
  readonly #batches: Distribution | null;

  #waitingEntries: ReportEntry[] = [];
  #waitingSinks: ReportSink[] = [];
  #sentEntries: ReportEntry[] = [];
  #sentSinks: ReportSink[] = [];
  #inFlight = false;
  #pumpPlanned = false;
  /** Set while texts (messages, results) wait: only then sizes are looked at. */
  #waitingTexts = false;
  /** Number of the present sending; an answer of an earlier one is ignored. */
  #attempt = 0;
  #failures = 0;
  #sentAtMs = 0;
  #watchdog: NodeJS.Timeout | null = null;
  #retry: NodeJS.Timeout | null = null;
  #closed = false;
  readonly #pump = (): void => {
    this.#pumpPlanned = false;
    this.#sendNext();
  };

  constructor(options: ReporterOptions) {
    this.#session = options.session;
    this.#transport = options.transport;
    this.#logger = options.logger;
    this.#batches = options.batches ?? null;
    this.#answerTimeoutMs = options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS;
  }

  /** Entries that have no answer yet. */
  get outstanding(): number {
    return this.#waitingEntries.length + this.#sentEntries.length;
  }

  /** Reports an ended pod. The entry must stay as it is until the sink has its answer. */
  push(entry: ReportEntry, sink: ReportSink): void {
    if (this.#closed) {
      process.nextTick(() => sink.reportAnswered(STALE));
      return;
    }
    this.#waitingEntries.push(entry);
    this.#waitingSinks.push(sink);
    if (entry.overlay !== null) this.#waitingTexts = true;
    if (!this.#inFlight) this.#plan();
  }

  /**
   * Gives up. Whoever waits for an answer is told 'stale': the session is over, so the holder has
   * to ask anew who runs the slot.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#attempt += 1;
    const sinks = [...this.#sentSinks, ...this.#waitingSinks];
    this.#waitingEntries = [];
    this.#waitingSinks = [];
    this.#sentEntries = [];
    this.#sentSinks = [];
    if (this.#watchdog !== null) clearTimeout(this.#watchdog);
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#watchdog = null;
    this.#retry = null;
    process.nextTick(() => {
      for (const sink of sinks) sink.reportAnswered(STALE);
    });
  }

  #plan(): void {
    if (this.#pumpPlanned) return;
    this.#pumpPlanned = true;
    // A tick runs when all settled promises were handled, so pods that end together go together.
    process.nextTick(this.#pump);
  }

  #sendNext(): void {
    if (this.#inFlight || this.#closed || this.#waitingEntries.length === 0) return;
    const count = this.#batchSize();
    this.#batches?.note(count);
    if (count === this.#waitingEntries.length) {
      this.#sentEntries = this.#waitingEntries;
      this.#sentSinks = this.#waitingSinks;
      this.#waitingEntries = [];
      this.#waitingSinks = [];
      this.#waitingTexts = false;
    } else {
      this.#sentEntries = this.#waitingEntries.splice(0, count);
      this.#sentSinks = this.#waitingSinks.splice(0, count);
    }
    this.#inFlight = true;
    this.#send();
  }

  /** How many of the waiting entries fit into one script; at least one. */
  #batchSize(): number {
    const most = Math.min(this.#waitingEntries.length, MAX_BATCH_ENTRIES);
    if (!this.#waitingTexts) return most;
    let bytes = 0;
    for (let index = 0; index < most; index += 1) {
      bytes += entryBytes(this.#waitingEntries[index]!);
      if (bytes > MAX_BATCH_BYTES && index > 0) return index;
    }
    return most;
  }

  #send(): void {
    const attempt = ++this.#attempt;
    this.#sentAtMs = performance.now();
    this.#armWatchdog();
    this.#transport.send(this.#session, this.#sentEntries).then(
      (answers) => {
        if (attempt === this.#attempt) this.#answered(answers);
      },
      (error: unknown) => {
        if (attempt === this.#attempt) this.#refused(error);
      },
    );
  }

  #answered(answers: readonly ReportAnswer[]): void {
    const sinks = this.#sentSinks;
    if (answers.length !== sinks.length) {
      this.#refused(new Error(`report of ${sinks.length} pods got ${answers.length} answers`));
      return;
    }
    this.#attempt += 1;
    this.#failures = 0;
    this.#inFlight = false;
    this.#sentEntries = [];
    this.#sentSinks = [];
    for (let index = 0; index < sinks.length; index += 1) {
      sinks[index]!.reportAnswered(answers[index]!);
    }
    if (this.#waitingEntries.length > 0) this.#plan();
  }

  #refused(error: unknown): void {
    this.#attempt += 1;
    this.#failures += 1;
    const delayMs = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(this.#failures - 1, 10));
    // The first time it may be a cut connection, which ends by itself; later a line now and then is enough.
    const level = this.#failures % WARN_EVERY === 2 ? 'warn' : 'debug';
    this.#logger[level](
      { err: error, entries: this.#sentEntries.length, delayMs },
      'a report was refused; it is sent again',
    );
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#resend();
    }, delayMs);
  }

  #resend(): void {
    if (this.#closed || !this.#inFlight) return;
    this.#transport.reconnect();
    this.#send();
  }

  /** One timer for all batches: it looks at when the present one was sent. */
  #armWatchdog(): void {
    this.#watchdog ??= setTimeout(() => this.#watch(), this.#answerTimeoutMs);
  }

  #watch(): void {
    this.#watchdog = null;
    if (this.#closed || !this.#inFlight) return;
    const attempt = this.#attempt;
    const waitedMs = performance.now() - this.#sentAtMs;
    if (waitedMs < this.#answerTimeoutMs) {
      this.#watchdog = setTimeout(() => this.#watch(), this.#answerTimeoutMs - waitedMs + 1);
      return;
    }
    // After a blocked event loop timers come before sockets: the answer may already lie there.
    setImmediate(() => {
      if (this.#closed || !this.#inFlight || attempt !== this.#attempt || this.#retry !== null) {
        if (this.#inFlight && !this.#closed) this.#armWatchdog();
        return;
      }
      this.#logger.warn(
        { entries: this.#sentEntries.length, waitedMs: Math.round(waitedMs) },
        'no answer to a report; it is sent again over a new connection',
      );
      this.#resend();
    });
  }
}

function entryBytes(entry: ReportEntry): number {
  const overlay = entry.overlay;
  if (overlay === null) return ENTRY_BYTES;
  return ENTRY_BYTES + (overlay.message?.length ?? 0) * 2 + (overlay.result?.length ?? 0) * 2;
}
