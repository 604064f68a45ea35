import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

import type { ComputeResources } from '@drover/shared';
import { newSessionId, type StopOrder } from '@drover/store';
import type { Logger } from 'pino';

import type { Reporter } from './reporter.ts';
import type { ControlPort } from './shardPort.ts';

/** One start of this worker in one shard: what its claims are compared with. */
export interface Session {
  /** 16 hex digits, random. */
  readonly id: string;
  /** Where the holders of this session report the ends of their pods. */
  readonly reporter: Reporter;
  /** A script said that the session was ended: its claims are void for ever. */
  ended: boolean;
}

/** Options of {@link SessionKeeper}. */
export interface SessionKeeperOptions {
  /** The shard, over the connection for heartbeats. */
  readonly port: ControlPort;
  /** Drops the connection of `port` and opens another; what waits on the old one fails. */
  readonly reconnect: () => void;
  readonly node: string;
  /** Lanes by fitting key, as in `SessionInfo`. */
  readonly lanes: Readonly<Record<string, number>>;
  /** What its pods may request together. */
  readonly resources: ComputeResources;
  readonly leaseTtlMs: number;
  readonly heartbeatMs: number;
  readonly logger: Logger;
  readonly createReporter: (session: string) => Reporter;
  /** A session begins: listen for its wake-ups. */
  readonly onRegistered: (session: Session) => void;
  /** Pods of the session to stop. The same order comes with every heartbeat until its pod ended. */
  readonly onOrders: (session: Session, orders: readonly StopOrder[]) => void;
  /** So many pods of the session run, as far as Redis knows. */
  readonly onClaims: (session: Session, count: number) => void;
  /** All pods of the session run without a claim: stop them. */
  readonly onEnded: (session: Session) => void;
}

/** Figures of a keeper since its start. */
export interface SessionStats {
  /** Sessions that were ended by somebody else. */
  sessionsEnded: number;
  /** Times that no renewal was answered for longer than the lease. */
  leaseLapses: number;
}

/** First wait after a failed call; doubles up to the cap. */
const RETRY_BASE_MS = 50;
const RETRY_CAP_MS = 1_000;

/**
 * Keeps one session alive in one shard, and begins a new one when it was ended.
 *
 * ```text
 *   start -> registered -> heartbeat every heartbeatMs --'ended'--> stop its pods -> registered (new id) ...
 *                             |                                                        close -> endSession
 *                             '-- orders to the holders
 * ```
 *
 * A lapsed lease alone ends nothing here: somebody has to have *ended* the session, and only Redis
 * can tell. So an outage of Redis costs no pod, while a pod that was taken away is stopped
 * with the first heartbeat that gets through.
 */
export class SessionKeeper {
  readonly stats: SessionStats = { sessionsEnded: 0, leaseLapses: 0 };
  readonly #options: SessionKeeperOptions;
  readonly #logger: Logger;
  #session: Session | null = null;
  #starting: Promise<Session> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #beating = false;
  #beatAgain = false;
  /** Monotonic time at which the last renewal that was answered had been sent. */
  #renewedAtMs = 0;
  #lapseKnown = false;
  #failures = 0;
  #closed = false;

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
    this.#logger = options.logger;
  }

  /** Registers the first session; resolves when it is. */
  async start(): Promise<Session> {
    return this.#begin();
  }

  /** There is a session whose lease was renewed in time. */
  get isLive(): boolean {
    const { leaseTtlMs } = this.#options;
    return this.#session !== null && performance.now() - this.#renewedAtMs < leaseTtlMs;
  }

  /** The session to claim with; waits while a new one is being registered. */
  current(): Session | Promise<Session> {
    return this.#session ?? this.#begin();
  }

  /** Told by an acquire that the session was ended. */
  noticeEnded(session: Session): void {
    if (session !== this.#session || this.#closed) return;
    this.#session = null;
    session.ended = true;
    this.stats.sessionsEnded += 1;
    this.#logger.warn({ session: session.id }, 'the session was ended; its pods are stopped');
    this.#options.onEnded(session);
    session.reporter.close();
    this.#begin().catch((error: unknown) => {
      this.#logger.debug({ err: error }, 'no new session: the worker was closed');
    });
  }

  /** There may be orders: ask now rather than with the next heartbeat. */
  wake(): void {
    if (this.#closed || this.#session === null) return;
    if (this.#beating) this.#beatAgain = true;
    else this.#beat();
  }

  /** Stops the heartbeat. With `end`, the session is ended too, so that nothing waits for its lease. */
  async close(end: boolean): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const session = this.#session;
    this.#session = null;
    if (session === null) return;
    session.reporter.close();
    if (end && !session.ended) await this.#options.port.endSession(session.id);
  }

  #begin(): Promise<Session> {
    this.#starting ??= this.#register().finally(() => {
      this.#starting = null;
    });
    return this.#starting;
  }

  async #register(): Promise<Session> {
    const { node, lanes, resources, leaseTtlMs, port } = this.#options;
    const id = newSessionId();
    for (let failures = 0; ; failures += 1) {
      if (this.#closed) throw new Error('the worker was closed');
      const sentAtMs = performance.now();
      try {
        // One id for all tries: a registration that only lost its answer is replayed.
        await this.#answerInTime(port.registerSession({ id, node, lanes, resources, leaseTtlMs }));
        this.#renewedAtMs = sentAtMs;
        break;
      } catch (error) {
        if (failures === 1)
          this.#logger.warn({ err: error }, 'the session could not be registered yet');
        await delay(retryDelayMs(failures));
      }
    }
    const session = { id, reporter: this.#options.createReporter(id), ended: false };
    this.#session = session;
    this.#lapseKnown = false;
    this.#logger.info({ session: id }, 'session registered');
    this.#options.onRegistered(session);
    this.#plan(this.#options.heartbeatMs);
    return session;
  }

  #plan(delayMs: number): void {
    if (this.#closed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#beat();
    }, delayMs);
  }

  #beat(): void {
    const session = this.#session;
    if (session === null || this.#beating) return;
    this.#beating = true;
    this.#beatAgain = false;
    this.#heartbeat(session)
      .then(
        () => {
          this.#failures = 0;
          return this.#beatAgain ? 0 : this.#options.heartbeatMs;
        },
        (error: unknown) => {
          this.#failures += 1;
          if (this.#failures === 2) this.#logger.warn({ err: error }, 'heartbeat failed');
          return Math.min(retryDelayMs(this.#failures), this.#options.heartbeatMs);
        },
      )
      .then((delayMs) => {
        this.#beating = false;
        if (this.#session !== null) this.#plan(delayMs);
      })
      .catch((error: unknown) => this.#logger.error({ err: error }, 'heartbeat is broken'));
  }

  async #heartbeat(session: Session): Promise<void> {
    const sentAtMs = performance.now();
    this.#noticeLapse(session, sentAtMs);
    const reply = await this.#answerInTime(this.#options.port.heartbeat(session.id));
    if (session !== this.#session) return;
    if (reply.type === 'ended') {
      this.noticeEnded(session);
      return;
    }
    // Not the time of the answer: the lease began at the latest when the renewal was sent.
    this.#renewedAtMs = sentAtMs;
    if (this.#lapseKnown) {
      this.#lapseKnown = false;
      this.#logger.info(
        { session: session.id },
        'the lease is renewed; nobody had ended the session',
      );
    }
    this.#options.onClaims(session, reply.claims);
    if (reply.orders.length > 0) this.#options.onOrders(session, reply.orders);
  }

  #noticeLapse(session: Session, nowMs: number): void {
    if (this.#lapseKnown || nowMs - this.#renewedAtMs < this.#options.leaseTtlMs) return;
    this.#lapseKnown = true;
    this.stats.leaseLapses += 1;
    this.#logger.warn(
      { session: session.id, sinceMs: Math.round(nowMs - this.#renewedAtMs) },
      'the lease may have lapsed; pods go on until the session is known to be ended',
    );
  }

  /** Fails, over a new connection from then on, when no answer comes within one heartbeat. */
  async #answerInTime<T>(answer: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | null = null;
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        // The answer may lie in the socket when only this process was slow.
        setImmediate(() => reject(new AnswerTimeoutError()));
      }, this.#options.heartbeatMs);
    });
    try {
      return await Promise.race([answer, timeout]);
    } catch (error) {
      answer.catch(() => undefined);
      if (error instanceof AnswerTimeoutError) this.#options.reconnect();
      throw error;
    } finally {
      if (timer !== null) clearTimeout(timer);
    }
  }
}

class AnswerTimeoutError extends Error {
  constructor() {
    super('Redis did not answer in time');
  }
}

function retryDelayMs(failures: number): number {
  return Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(failures, 6));
}
