import assert from 'node:assert/strict';
import { inspect } from 'node:util';

import type { Claim, PodOverlay } from '@drover/store';
import type { Logger } from 'pino';

import type { JobPlan } from '../jobPlan.ts';
import type { PodLog } from '../podLog.ts';
import type { PodRestarts } from '../podRestarts.ts';
import { SUCCEEDED, type PodEnd, type PodLane, type PodSink } from '../runtime.ts';
import { clipBytes, MAX_MESSAGE_BYTES } from '../text.ts';
import { PodContext, type ContextHost } from './context.ts';
import type { HandlerDefinition } from './defineHandler.ts';
import type { HandlerInput } from './input.ts';
import type { PodProgress } from './podProgress.ts';

/** Most bytes of a handler's return value as JSON. */
export const MAX_RESULT_BYTES = 64 * 1024;
/** Exit code of a handler that went on after its grace period: as if ended by SIGKILL. */
const GIVEN_UP_EXIT_CODE = 137;

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
    context.abort(new PodStoppedError());
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
      this.#fail(failed(this.#fault, 'StartError', 128));
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
    if (this.#context === null || this.spent) return;
    const end = value === undefined ? SUCCEEDED : endWithResult(value);
    if (end.outcome === 'Failed') this.#fail(end);
    else this.#end(end);
  }

  #threw(error: unknown): void {
    if (this.#context === null || this.spent) return;
    // The status has the message; where it came from is for the log.
    if (error instanceof Error && error.stack !== undefined) {
      this.#context.podLog.write('stderr', `${error.stack}\n`);
    }
    this.#fail(failed(describe(error), 'Error', 1));
  }

  #fail(end: PodEnd): void {
    const isStopping = this.#graceEndMs !== Infinity;
    if (this.plan.restartPolicy === 'Never' || isStopping) this.#end(end);
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
    const message = `the handler did not end within ${graceMs / 1000} s after it was told to stop, and was given up`;
    this.#options.logger.warn(
      { jobUid: this.plan.uid, podUid: context.pod.uid, handler: this.#options.handler.name },
      message,
    );
    this.#end(failed(message, 'HandlerTimeout', GIVEN_UP_EXIT_CODE));
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

/** Why the AbortSignal of a pod fired. */
class PodStoppedError extends Error {
  override readonly name = 'AbortError';

  constructor() {
    super('the pod was told to stop');
  }
}

function endWithResult(value: unknown): PodEnd {
  let result: string | undefined;
  try {
    result = JSON.stringify(value);
  } catch (error) {
    return failed(
      `the handler's return value is not JSON: ${(error as Error).message}`,
      'Error',
      1,
    );
  }
  // A function or a symbol: nothing that could be kept.
  if (result === undefined) return SUCCEEDED;
  const bytes = Buffer.byteLength(result);
  if (bytes > MAX_RESULT_BYTES) {
    const message = `the handler's return value has ${bytes} bytes as JSON; at most ${MAX_RESULT_BYTES} are kept: store it elsewhere and return where`;
    return failed(message, 'Error', 1);
  }
  return { ...SUCCEEDED, overlay: { result } };
}

function failed(message: string, reason: PodEnd['reason'], exitCode: number): PodEnd {
  const overlay: PodOverlay = { message: clipBytes(message, MAX_MESSAGE_BYTES) };
  return { outcome: 'Failed', exitCode, reason, hasLog: false, overlay };
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return `the handler threw ${inspect(error, { depth: 1 })}`;
  const text = error.message === '' ? error.name : `${error.name}: ${error.message}`;
  return error.cause instanceof Error ? `${text} (cause: ${error.cause.message})` : text;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}
