import assert from 'node:assert/strict';
// As a whole: an old Node can not load a module that names what it does not have, and so not say so.
import * as nodeModule from 'node:module';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';

import { MAX_ITEM_RESULT_BYTES } from '@drover/shared';
import type { Claim } from '@drover/store';

import type { PodItemsEnd } from '../../items/podItems.ts';
import type { JobPlan } from '../../jobPlan.ts';
import type { PodEnd } from '../../runtime.ts';
import { describeThrown, failedEnd, KILLED_EXIT_CODE } from '../handlerEnd.ts';
import type { HandlerModule } from '../handlerModule.ts';
import { INPUT_ANNOTATION } from '../input.ts';
import type { Progress } from '../podProgress.ts';
import type { ItemMessage, ItemRequest, SentItem } from './itemMessages.ts';
import { heapLimitMiB, MemoryWatch } from './memoryWatch.ts';
import { SHARED, type FromThread, type ThreadStart, type ToThread } from './threadMessages.ts';

/** Options of {@link PodThread}. */
export interface PodThreadOptions {
  readonly modules: readonly HandlerModule[];
  /** Most memory, heap and buffers, MiB. */
  readonly memoryMiB: number;
}

/** One call of a handler. */
export interface ThreadCall {
  readonly handler: string;
  readonly plan: JobPlan;
  readonly claim: Claim;
  /** The pod's one item; null: it has none. */
  readonly item: SentItem | null;
  readonly onOutput: (stream: 'stdout' | 'stderr', text: string) => void;
  readonly onProgress: (progress: Progress) => void;
  /** The handler wants something of its items; the answer comes by `tellItems`. */
  readonly onItemRequest: (number: number, request: ItemRequest) => void;
}

/** How a call ended. */
export interface ThreadCallEnd {
  readonly end: PodEnd;
  /** The same for the items that the handler still had. */
  readonly how: PodItemsEnd;
}

/** An {@link ItemMessage} of the run that is under way. */
export type ItemNews = ItemMessage extends infer Message
  ? Message extends unknown
    ? Omit<Message, 'run'>
    : never
  : never;

/**
 * The compile cache before anything else: a thread does not take it over from the main thread, though it
 * loads what that has loaded. With it a thread starts several times as fast, and takes half the memory.
 * A text, since a file would itself be compiled, or its types stripped, without the cache.
 */
const BOOT = `
const { compileCacheDir, main } = require('node:worker_threads').workerData;
if (compileCacheDir !== null) require('node:module').enableCompileCache(compileCacheDir);
import(main);
`;
/** Plans that a thread is trusted to know; a lane has one, and a thread serves one lane after the other. */
const MAX_PLANS = 8;
/** A module that takes longer to load in a thread, though the main thread has loaded it, waits for something. */
const LOAD_TIMEOUT_MS = 60_000;

/**
 * A thread that runs handlers, one pod at a time. Whatever ends the thread ends the call that it is at,
 * with the reason in words; then another thread is needed.
 */
export class PodThread {
  /** Resolves when it can run pods; rejects when a module can't be loaded. */
  readonly loaded: Promise<void>;
  /** Resolves when nothing of it runs any more. */
  readonly gone: Promise<void>;
  /** Names of the handlers that it found. */
  handlers: readonly string[] = [];
  readonly #worker: Worker;
  readonly #memoryMiB: number;
  readonly #memory: MemoryWatch;
  readonly #shared = new Int32Array(new SharedArrayBuffer(SHARED.words * 4));
  readonly #plans = new Map<JobPlan, number>();
  readonly #load = Promise.withResolvers<void>();
  #lastPlanId = 0;
  #run = 0;
  #call: ThreadCall | null = null;
  #settle: ((end: ThreadCallEnd | null) => void) | null = null;
  #fault: unknown = undefined;
  #isDead = false;

  constructor({ modules, memoryMiB }: PodThreadOptions) {
    this.#memoryMiB = memoryMiB;
    const workerData: ThreadStart = {
      modules,
      shared: this.#shared.buffer,
      compileCacheDir: compileCacheOfProcess(),
      main: mainUrl(),
      maxItemResultBytes: MAX_ITEM_RESULT_BYTES,
    };
    this.#worker = new Worker(BOOT, {
      eval: true,
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: heapLimitMiB(memoryMiB) },
      // What is to be told of experimental features, the main thread told.
      execArgv: [...process.execArgv, '--disable-warning=ExperimentalWarning'],
    });
    this.#memory = new MemoryWatch(this.#worker, memoryMiB, () =>
      this.#killFor(threwEnd(memoryEnd(memoryMiB))),
    );
    this.loaded = this.#load.promise;
    this.loaded.catch(() => undefined);
    this.gone = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    this.#worker.on('message', (message: FromThread) => this.#take(message));
    this.#worker.on('error', (error: unknown) => {
      this.#isDead = true;
      this.#fault = error;
    });
    this.#worker.once('exit', (code) => this.#onExit(code));
    this.#limitLoading();
  }

  /** It can run no pod any more. */
  get isDead(): boolean {
    return this.#isDead;
  }

  /** The error that ended it, if one did. */
  get fault(): unknown {
    return this.#fault;
  }

  /**
   * Runs a pod; the thread must be loaded and idle. Never rejects.
   *
   * @returns How the pod ended; null when the thread ended, by what was left behind in it, before the pod began.
   */
  call(call: ThreadCall): Promise<ThreadCallEnd | null> {
    assert(this.#settle === null && !this.#isDead, 'a thread runs one pod at a time');
    // An Int32 in the shared words, above 0.
    this.#run = (this.#run % 0x7fff_ffff) + 1;
    this.#call = call;
    const { handler, plan, claim, item } = call;
    this.#post({
      type: 'run',
      run: this.#run,
      handler,
      ...this.#introduce(plan),
      claim,
      podName: plan.podName(claim),
      podUid: plan.podUid(claim),
      index: plan.indexOf(claim),
      invocation: plan.invocation(claim),
      item,
    });
    this.#memory.watch();
    return new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Fires the AbortSignal of the pod that runs. */
  stop(): void {
    if (this.#settle === null) return;
    Atomics.store(this.#shared, SHARED.stopRun, this.#run);
    this.#post({ type: 'stop', run: this.#run });
  }

  /** Tells the handler something about its items. */
  tellItems(news: ItemNews): void {
    if (this.#settle !== null) this.#post({ ...news, run: this.#run });
  }

  /** Ends the thread by force; the pod that runs, if any, ends like this. At once, even if native code keeps the thread. */
  kill(end: PodEnd): void {
    this.#killFor({ end, how: { type: 'stopped' } });
  }

  #killFor(end: ThreadCallEnd): void {
    this.#isDead = true;
    this.#settleWith(end);
    void this.#worker.terminate();
  }

  #post(message: ToThread): void {
    // oxlint-disable-next-line require-post-message-target-origin -- a thread has no origin
    this.#worker.postMessage(message);
  }

  /** The number of a plan in this thread, with the plan itself the first time. */
  #introduce(plan: JobPlan) {
    const known = this.#plans.get(plan);
    if (known !== undefined) return { planId: known, plan: null, forgetPlanId: 0 };
    let forgetPlanId = 0;
    if (this.#plans.size === MAX_PLANS) {
      const [oldest, id] = [...this.#plans][0]!;
      this.#plans.delete(oldest);
      forgetPlanId = id;
    }
    this.#lastPlanId += 1;
    this.#plans.set(plan, this.#lastPlanId);
    const { facts, completions, client } = plan;
    const inputText = plan.annotations[INPUT_ANNOTATION];
    return {
      planId: this.#lastPlanId,
      plan: { facts, completions, client, inputText },
      forgetPlanId,
    };
  }

  #take(message: FromThread): void {
    switch (message.type) {
      case 'loaded':
        this.handlers = message.handlers;
        this.#load.resolve();
        return;
      case 'loadFailed':
        this.#load.reject(new Error(message.message));
        void this.#worker.terminate();
        return;
      case 'output': {
        const { run, stream, text } = message;
        if (run === this.#run) this.#call?.onOutput(stream, text);
        Atomics.sub(this.#shared, SHARED.unreadOutput, text.length);
        Atomics.notify(this.#shared, SHARED.unreadOutput);
        return;
      }
      case 'progress':
        if (message.run === this.#run) this.#call?.onProgress(message.progress);
        return;
      case 'itemRequest':
        if (message.run === this.#run) this.#call?.onItemRequest(message.number, message.request);
        return;
      case 'end': {
        const { run, end, threw } = message;
        const how: PodItemsEnd =
          threw === null ? { type: 'returned' } : { type: 'threw', error: threw };
        // Of a pod that was given up, and whose thread is being ended.
        if (run === this.#run) this.#settleWith({ end, how });
        return;
      }
    }
  }

  #settleWith(end: ThreadCallEnd | null): void {
    const settle = this.#settle;
    this.#settle = null;
    this.#call = null;
    this.#memory.pause();
    settle?.(end);
  }

  #onExit(code: number): void {
    this.#isDead = true;
    this.#memory.stop();
    const end = this.#fault === undefined ? exitEnd(code) : faultEnd(this.#fault, this.#memoryMiB);
    this.#load.reject(
      new Error(`the thread ended while it was being loaded: ${end.overlay?.message}`),
    );
    if (Atomics.load(this.#shared, SHARED.begunRun) !== this.#run) {
      this.#settleWith(null);
      return;
    }
    // The status has the message; where it came from is for the log.
    if (this.#fault instanceof Error && this.#fault.stack !== undefined) {
      this.#call?.onOutput('stderr', `${this.#fault.stack}\n`);
    }
    this.#settleWith(threwEnd(end));
  }

  #limitLoading(): void {
    const timer = setTimeout(() => {
      this.#load.reject(
        new Error(`the modules of its handlers were not loaded in ${LOAD_TIMEOUT_MS / 1000} s`),
      );
      void this.#worker.terminate();
    }, LOAD_TIMEOUT_MS);
    const clear = (): void => clearTimeout(timer);
    this.loaded.then(clear, clear);
  }
}

/** The handler's own doing: what it had in hand failed with it. */
function threwEnd(end: PodEnd): ThreadCallEnd {
  return { end, how: { type: 'threw', error: end.overlay?.message ?? '' } };
}

/** The thread ended without an error: only process.exit does that. */
function exitEnd(code: number): PodEnd {
  const message = `the handler ended its thread with process.exit(${code})`;
  // A pod that failed has no exit code 0.
  return failedEnd(message, 'Error', (code & 0xff) === 0 ? 1 : code & 0xff);
}

function memoryEnd(memoryMiB: number): PodEnd {
  const message = `the handler needed more than the ${memoryMiB} MiB of memory that its thread may have`;
  return failedEnd(message, 'OOMKilled', KILLED_EXIT_CODE);
}

function faultEnd(fault: unknown, memoryMiB: number): PodEnd {
  const code = (fault as NodeJS.ErrnoException | null)?.code;
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return memoryEnd(memoryMiB);
  const message = `an error outside of the handler's promise ended its thread: ${describeThrown(fault)}`;
  return failedEnd(message, 'Error', 1);
}

/** The directory as it was given: Node adds one for its version. */
function compileCacheOfProcess(): string | null {
  const dir = nodeModule.getCompileCacheDir();
  return dir === undefined ? null : dirname(dir);
}

function mainUrl(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new URL(`./threadMain.${extension}`, import.meta.url).href;
}
