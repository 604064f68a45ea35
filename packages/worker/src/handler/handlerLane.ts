import assert from 'node:assert/strict';

import type { Claim } from '@drover/store';
import type { Logger } from 'pino';

import type { ItemOfHandler } from '../items/item.ts';
import type { PodItemsEnd } from '../items/podItems.ts';
import type { JobPlan } from '../jobPlan.ts';
import type { PodLog } from '../podLog.ts';
import type { PodRestarts } from '../podRestarts.ts';
import type { PodEnd, PodLane, PodSink } from '../runtime.ts';
import { PodContext, type ContextHost, type ContextItems } from './context.ts';
import type { HandlerDefinition } from './defineHandler.ts';
import {
  endWithResult,
  failedEnd,
  isThenable,
  KILLED_EXIT_CODE,
  PodStoppedError,
  thrownEnd,
} from './handlerEnd.ts';
import type { HandlerInput } from './input.ts';
import type { PodProgress } from './podProgress.ts';

/** Options of {@link HandlerLane}. */
export interface HandlerLaneOptions {
  readonly handler: HandlerDefinition;
  readonly plan: JobPlan;
  readonly sink: PodSink;
  readonly logger: Logger;
  readonly input: HandlerInput | Promise<HandlerInput>;
  readonly openLog: (claim: Claim) => PodLog;
  readonly openProgress: (claim: Claim) => PodProgress;
  readonly createRestarts: (claim: Claim) => PodRestarts;
  readonly openItems: (claim: Claim, context: PodContext) => ContextItems;
  /** The one item of the pod that runs; null: it has none. */
  readonly item: () => ItemOfHandler<never> | null;
}

/**
 * Calls a handler for one pod after the other.
 *
 * The two callbacks are made once, not for each pod. They can't tell which pod they belong to, so
 * a lane whose function was given up is `spent`: its late end must not be taken for another pod's.
 *
 * With `restartPolicy: OnFailure` a handler that failed is called again for the same pod, see
 * {@link PodRestarts}.
 */
export class HandlerLane implements PodLane, ContextHost {
  readonly plan: JobPlan;
  input: unknown = undefined;
  spent = false;
  readonly #options: HandlerLaneOptions;
  #context: PodContext | null = null;
  #graceTimer: NodeJS.Timeout | null = null;
  #graceEndMs = Infinity;
  #claim: Claim | null = null;
  /** When the handler was last called; only with restartPolicy OnFailure. */
  #calledMs = 0;
  /** Of the present pod; null until it failed once. */
  #restarts: PodRestarts | null = null;
  /** A reason why no pod of this Job can be run. */
  #fault: string | null = null;
  #isReady = false;
  readonly #onReturn = (value: unknown): void => this.#returned(value);
  readonly #onThrow = (error: unknown): void => this.#threw(error);

  constructor(options: HandlerLaneOptions) {
    this.#options = options;
    this.plan = options.plan;
    if (!(options.input instanceof Promise)) this.#takeInput(options.input);
  }

  get item(): ItemOfHandler<never> | null {
    return this.#options.item();
  }

  start(claim: Claim): void {
    const context = new PodContext(this, claim);
    this.#context = context;
    this.#claim = claim;
    if (this.#isReady) this.#call(context);
    else void this.#callWhenReady(context);
  }

  stop(graceMs: number): void {
    const context = this.#context;
    if (context === null || this.spent) return;
    const reason = new PodStoppedError();
    context.abort(reason);
    context.openedItems?.stop(reason);
    const endMs = performance.now() + graceMs;
    if (this.#context !== context || endMs >= this.#graceEndMs) return;
    this.#graceEndMs = endMs;
    if (this.#graceTimer !== null) clearTimeout(this.#graceTimer);
    this.#graceTimer = setTimeout(() => this.#giveUp(graceMs), graceMs);
    // Last: a pod that waits for its restart ends with this.
    this.#restarts?.stop();
  }

  openLog(claim: Claim): PodLog {
    return this.#options.openLog(claim);
  }

  openProgress(claim: Claim): PodProgress {
    return this.#options.openProgress(claim);
  }

  createAbort(): AbortController {
    return new AbortController();
  }

  openItems(claim: Claim, context: PodContext): ContextItems {
    const items = this.#options.openItems(claim, context);
    // Told to stop before it asked for the first.
    if (context.signal.aborted) items.stop(context.signal.reason as Error);
    return items;
  }

  #takeInput(input: HandlerInput): void {
    this.#isReady = true;
    if (input.type === 'valid') this.input = input.value;
    else this.#fault = input.message;
  }

  async #callWhenReady(context: PodContext): Promise<void> {
    this.#takeInput(await this.#options.input);
    if (this.#context === context) this.#call(context);
  }

  #call(context: PodContext): void {
    if (this.plan.restartPolicy === 'OnFailure') this.#calledMs = performance.now();
    if (this.#fault !== null) {
      this.#fail(failedEnd(this.#fault, 'StartError', 128));
      return;
    }
    let result: unknown;
    try {
      result = this.#options.handler.run(context);
    } catch (error) {
      this.#threw(error);
      return;
    }
    if (isThenable(result)) result.then(this.#onReturn, this.#onThrow);
    else this.#returned(result);
  }

  #returned(value: unknown): void {
    const context = this.#context;
    if (context === null || this.spent) return;
    const end = endWithResult(value);
    if (context.openedItems !== null) void this.#endItems(context, end, { type: 'returned' });
    else if (end.outcome === 'Failed') this.#fail(end);
    else this.#end(end);
  }

  #threw(error: unknown): void {
    const context = this.#context;
    if (context === null || this.spent) return;
    // The status has the message; where it came from is for the log.
    if (error instanceof Error && error.stack !== undefined) {
      context.podLog.write('stderr', `${error.stack}\n`);
    }
    const end = thrownEnd(error);
    if (context.openedItems !== null) void this.#endItems(context, end, { type: 'threw', error });
    else this.#fail(end);
  }

  /** First its items, while the pod still may speak for them, then the pod. */
  async #endItems(context: PodContext, end: PodEnd, how: PodItemsEnd): Promise<void> {
    await context.openedItems?.end(how);
    // Its grace period was over before Redis answered.
    if (this.#context !== context) return;
    context.forgetItems();
    if (end.outcome === 'Failed') this.#fail(end);
    else this.#end(end);
  }

  #fail(end: PodEnd): void {
    const isStopping = this.#graceEndMs !== Infinity;
    const isOver = this.plan.restartPolicy === 'Never' || isStopping || end.isFinal === true;
    if (isOver) this.#end(end);
    else void this.#restart(end);
  }

  async #restart(end: PodEnd): Promise<void> {
    const context = this.#context;
    assert(context !== null && this.#claim !== null, 'only a pod that runs is restarted');
    this.#restarts ??= this.#options.createRestarts(this.#claim);
    const mayRestart = await this.#restarts.next(performance.now() - this.#calledMs);
    // Its grace period was over before Redis answered.
    if (this.#context !== context) return;
    if (mayRestart) this.#call(context);
    else this.#end(end);
  }

  #giveUp(graceMs: number): void {
    const context = this.#context;
    if (context === null) return;
    this.spent = true;
    void context.openedItems?.end({ type: 'stopped' });
    const message = `the handler did not end within ${graceMs / 1000} s after it was told to stop, and was given up`;
    this.#options.logger.warn(
      { jobUid: this.plan.uid, podUid: context.pod.uid, handler: this.#options.handler.name },
      message,
    );
    this.#end(failedEnd(message, 'HandlerTimeout', KILLED_EXIT_CODE));
  }

  #end(end: PodEnd): void {
    const log = this.#context?.openedLog ?? null;
    this.#context?.openedProgress?.end();
    const restarts = this.#restarts?.count ?? 0;
    this.#context = null;
    this.#restarts = null;
    if (this.#graceTimer !== null) {
      clearTimeout(this.#graceTimer);
      this.#graceTimer = null;
    }
    this.#graceEndMs = Infinity;
    const full = restarts === 0 ? end : { ...end, overlay: { ...end.overlay, restarts } };
    if (log === null || !log.written) {
      this.#options.sink.podEnded(full);
      return;
    }
    // First the log, then the news: who waits for the pod and then reads its log shall find all of it.
    void log.end().then(() => this.#options.sink.podEnded({ ...full, hasLog: true }));
  }
}
