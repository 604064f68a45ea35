import { performance } from 'node:perf_hooks';

import {
  type ItemEnd,
  MAX_SETTLED_ITEMS,
  type PodItems as PodItemEnds,
  type SettleAnswer,
  type SettleRequest,
} from '@drover/store';
import type { Logger } from 'pino';

import type { WorkerFigures } from '../figures.ts';

/** Scripts on their way at a time; a second one only when it is full, for a small one costs nearly as much as a large one. */
const MAX_IN_FLIGHT = 2;
/** Most bytes of results of one script, about. */
const MAX_BATCH_BYTES = 256 * 1024;
/** No answer for this long: the connection is taken for dead. */
const ANSWER_TIMEOUT_MS = 2_000;
const RETRY_BASE_MS = 50;
const RETRY_CAP_MS = 2_000;
/** Of the failures in a row, one of so many is a warning. */
const WARN_EVERY = 30;

/** The pod that says what became of its items. */
export interface ItemClaim {
  readonly jobUid: string;
  readonly slot: number;
  readonly podNumber: number;
  readonly session: string;
  /** So many items the pods of its Job settle in all, one each; null = any number. */
  readonly jobItems: number | null;
}

/** What became of an item's end; `unknown`: the worker was closed before there was an answer. */
export type Settled = SettleAnswer | 'unknown';

/** Who waits for the answer to an item's end. Called once, never from inside `push`. */
export type SettleSink = (answer: Settled) => void;

/** The settler's way to Redis. */
export interface SettleTransport {
  /** Sends one script; the request is not changed while it is on its way. */
  send(request: SettleRequest): Promise<SettleAnswer[]>;
  /** Number of the present connection. */
  readonly generation: number;
  /** Replaces the connection. */
  reconnect(): void;
}

interface Entry {
  readonly claim: ItemClaim;
  readonly end: ItemEnd;
  readonly sink: SettleSink;
}

interface Batch {
  readonly request: SettleRequest;
  readonly sinks: readonly SettleSink[];
  /** Sent more than once: what is settled already may be so by this very batch. */
  isResent: boolean;
  failures: number;
}

/**
 * Gathers the ends of the items of one work queue and settles them, a script or two in flight. What ends while
 * these are on their way goes together: the busier, the fewer scripts per item.
 *
 * A batch stays as it was until it is answered, for as long as that takes: pods wait for it before they end.
 */
export class ItemSettler {
  readonly #uid: string;
  readonly #transport: SettleTransport;
  readonly #figures: WorkerFigures;
  readonly #logger: Logger;
  #waiting: Entry[] = [];
  readonly #inFlight = new Set<Batch>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isPlanned = false;
  #isClosed = false;

  constructor(uid: string, transport: SettleTransport, figures: WorkerFigures, logger: Logger) {
    this.#uid = uid;
    this.#transport = transport;
    this.#figures = figures;
    this.#logger = logger;
  }

  /** Settles an item. */
  push(claim: ItemClaim, end: ItemEnd, sink: SettleSink): void {
    if (this.#isClosed) {
      process.nextTick(sink, 'unknown');
      return;
    }
    this.#waiting.push({ claim, end, sink });
    if (!this.#isPlanned && this.#maySend) this.#plan();
  }

  /** Gives up; whoever waits is told 'unknown'. */
  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    const sinks = [...this.#inFlight].flatMap((batch) => batch.sinks);
    sinks.push(...this.#waiting.map(({ sink }) => sink));
    this.#inFlight.clear();
    this.#waiting = [];
    process.nextTick(() => {
      for (const sink of sinks) sink('unknown');
    });
  }

  get #maySend(): boolean {
    const { length } = this.#waiting;
    if (this.#inFlight.size === 0) return length > 0;
    return length >= MAX_SETTLED_ITEMS && this.#inFlight.size < MAX_IN_FLIGHT;
  }

  #plan(): void {
    this.#isPlanned = true;
    // A tick runs when all settled promises were handled: what ends together goes together.
    process.nextTick(() => {
      this.#isPlanned = false;
      while (this.#maySend) this.#sendNext();
    });
  }

  #sendNext(): void {
    const entries = this.#takeEntries();
    const { jobUid, session, jobItems } = entries[0]!.claim;
    const pods = new Map<number, PodItemEnds & { readonly items: ItemEnd[] }>();
    const sinksOf = new Map<number, SettleSink[]>();
    for (const { claim, end, sink } of entries) {
      const { slot, podNumber } = claim;
      const pod = pods.get(podNumber);
      if (pod === undefined) {
        pods.set(podNumber, { slot, podNumber, items: [end] });
        sinksOf.set(podNumber, [sink]);
      } else {
        pod.items.push(end);
        sinksOf.get(podNumber)!.push(sink);
      }
    }
    const batch: Batch = {
      request: { uid: this.#uid, jobUid, session, jobItems, pods: [...pods.values()] },
      sinks: [...sinksOf.values()].flat(),
      isResent: false,
      failures: 0,
    };
    this.#inFlight.add(batch);
    this.#send(batch);
  }

  /** Takes what fits into one script: of one Job and session, which is nearly always all. */
  #takeEntries(): Entry[] {
    const { jobUid, session } = this.#waiting[0]!.claim;
    const taken: Entry[] = [];
    const left: Entry[] = [];
    let bytes = 0;
    for (const entry of this.#waiting) {
      const isOfThese = entry.claim.jobUid === jobUid && entry.claim.session === session;
      const isFull = taken.length === MAX_SETTLED_ITEMS || bytes > MAX_BATCH_BYTES;
      if (!isOfThese || isFull) {
        left.push(entry);
        continue;
      }
      bytes += entry.end.payload.length;
      taken.push(entry);
    }
    this.#waiting = left;
    return taken;
  }

  #send(batch: Batch): void {
    const { generation } = this.#transport;
    const sentAtMs = performance.now();
    let isOver = false;
    const over = (): boolean => {
      const wasOver = isOver || !this.#inFlight.has(batch);
      isOver = true;
      clearTimeout(timer);
      this.#timers.delete(timer);
      return wasOver;
    };
    const timer = setTimeout(() => {
      // After a blocked event loop timers come before sockets: the answer may already lie there.
      setImmediate(() => {
        if (over()) return;
        this.#logger.warn(
          { items: batch.sinks.length, waitedMs: Math.round(performance.now() - sentAtMs) },
          'no answer to what became of items; it is sent again over a new connection',
        );
        if (this.#transport.generation === generation) this.#transport.reconnect();
        batch.isResent = true;
        this.#send(batch);
      });
    }, ANSWER_TIMEOUT_MS);
    this.#timers.add(timer);
    this.#transport.send(batch.request).then(
      (answers) => {
        if (!over()) this.#answered(batch, answers);
      },
      (error: unknown) => {
        if (!over()) this.#refused(batch, error);
      },
    );
  }

  #answered(batch: Batch, answers: readonly SettleAnswer[]): void {
    this.#inFlight.delete(batch);
    const ends = batch.request.pods.flatMap(({ items }) => items);
    for (const [i, sink] of batch.sinks.entries()) {
      const answer = answers[i] ?? 'fenced';
      const isSettled = answer === 'settled' || (answer === 'already' && batch.isResent);
      if (isSettled) this.#figures.items[ends[i]!.outcome] += 1;
      sink(isSettled ? 'settled' : answer);
    }
    if (!this.#isPlanned && this.#maySend) this.#plan();
  }

  #refused(batch: Batch, error: unknown): void {
    batch.failures += 1;
    // It may have been done before the connection was cut.
    batch.isResent = true;
    const delayMs = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(batch.failures - 1, 10));
    const level = batch.failures % WARN_EVERY === 2 ? 'warn' : 'debug';
    this.#logger[level](
      { err: error, items: batch.sinks.length, delayMs },
      'what became of items was refused; it is sent again',
    );
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.#inFlight.has(batch)) this.#send(batch);
    }, delayMs);
    this.#timers.add(timer);
  }
}
