import type { ClientSettings } from '@drover/shared';
import type { Claim } from '@drover/store';

import type { ItemOfHandler } from '../../items/item.ts';
import type { JobFacts, PodInvocation } from '../../jobPlan.ts';
import type { PodLog } from '../../podLog.ts';
import type { PodEnd } from '../../runtime.ts';
import {
  PodContext,
  type ContextHost,
  type ContextPlan,
  type ContextProgress,
} from '../context.ts';
import type { HandlerDefinition } from '../defineHandler.ts';
import {
  describeThrown,
  endWithResult,
  failedEnd,
  PodStoppedError,
  thrownEnd,
} from '../handlerEnd.ts';
import type { HandlerInput } from '../input.ts';
import { checkProgress, type Progress } from '../podProgress.ts';
import type { ItemMessage } from './itemMessages.ts';
import { createPolledAbort } from './polledAbort.ts';
import { ThreadItems } from './threadItems.ts';
import { MAX_UNREAD_OUTPUT, SHARED, type FromThread, type RunMessage } from './threadMessages.ts';

/** Between two messages with a pod's progress: the main thread writes it once a second. */
const PROGRESS_INTERVAL_MS = 200;

/** Options of {@link ThreadPod}. */
export interface ThreadPodOptions {
  readonly message: RunMessage;
  readonly facts: JobFacts;
  readonly completions: number | null;
  readonly client: ClientSettings | null;
  readonly shared: Int32Array;
  /** Most bytes of an item's result. */
  readonly maxItemResultBytes: number;
  readonly send: (message: FromThread) => void;
}

/** How a call ended; `threw`: what the handler threw, in words. */
export interface ThreadPodEnd {
  readonly end: PodEnd;
  readonly threw: string | null;
}

/** One call of a handler in a thread: what its context needs comes from the message and goes by messages. */
export class ThreadPod implements ContextHost, ContextPlan {
  readonly facts: JobFacts;
  readonly completions: number | null;
  readonly client: ClientSettings | null;
  input: unknown = undefined;
  readonly item: ItemOfHandler<never> | null;
  readonly #options: ThreadPodOptions;
  readonly #context: PodContext;
  #items: ThreadItems | null = null;

  constructor(options: ThreadPodOptions) {
    this.#options = options;
    this.facts = options.facts;
    this.completions = options.completions;
    this.client = options.client;
    const { claim, item } = options.message;
    this.#context = new PodContext(this, claim);
    this.item = item === null ? null : this.openItems().hand(item);
  }

  get plan(): ContextPlan {
    return this;
  }

  /** Calls the handler. Never rejects. */
  async run(handler: HandlerDefinition, input: HandlerInput): Promise<ThreadPodEnd> {
    if (input.type === 'invalid') {
      return { end: failedEnd(input.message, 'StartError', 128), threw: input.message };
    }
    this.input = input.value;
    try {
      return { end: endWithResult(await handler.run(this.#context)), threw: null };
    } catch (error) {
      // The status has the message; where it came from is for the log.
      if (error instanceof Error && error.stack !== undefined) {
        this.openLog().write('stderr', `${error.stack}\n`);
      }
      return { end: thrownEnd(error), threw: describeThrown(error) };
    } finally {
      this.#context.openedProgress?.end();
      void this.#items?.end();
    }
  }

  /** Fires the AbortSignal. */
  stop(): void {
    const reason = new PodStoppedError();
    this.#context.abort(reason);
    this.#items?.stop(reason);
  }

  /** The main thread says something about items. */
  takeItemMessage(message: ItemMessage): void {
    this.#items?.take(message);
  }

  podName(): string {
    return this.#options.message.podName;
  }

  podUid(): string {
    return this.#options.message.podUid;
  }

  indexOf(): number | null {
    return this.#options.message.index;
  }

  invocation(): PodInvocation {
    return this.#options.message.invocation;
  }

  openLog(_claim?: Claim): PodLog {
    return new SentLog(this.#options);
  }

  openProgress(): ContextProgress {
    const { send, message } = this.#options;
    return new SentProgress((progress) => send({ type: 'progress', run: message.run, progress }));
  }

  openItems(): ThreadItems {
    const { send, message, maxItemResultBytes } = this.#options;
    this.#items = new ThreadItems({
      maxResultBytes: maxItemResultBytes,
      ask: (number, request) => send({ type: 'itemRequest', run: message.run, number, request }),
      createAbort: () => this.createAbort(),
      showProgress: (progress) => this.#context.progress(progress),
    });
    const { signal } = this.#context;
    if (signal.aborted) this.#items.stop(signal.reason as Error);
    return this.#items;
  }

  createAbort(): AbortController {
    const { shared, message } = this.#options;
    return createPolledAbort(() => Atomics.load(shared, SHARED.stopRun) === message.run);
  }
}

/** A pod's log that goes to the main thread as it is written: a handler may compute long after. */
class SentLog implements PodLog {
  readonly #options: ThreadPodOptions;
  written = false;

  constructor(options: ThreadPodOptions) {
    this.#options = options;
  }

  write(stream: 'stdout' | 'stderr', chunk: Buffer | string): void {
    const { shared, send, message } = this.#options;
    const text = chunk.toString();
    if (text === '') return;
    this.written = true;
    let unread = Atomics.add(shared, SHARED.unreadOutput, text.length) + text.length;
    send({ type: 'output', run: message.run, stream, text });
    while (unread > MAX_UNREAD_OUTPUT) {
      Atomics.wait(shared, SHARED.unreadOutput, unread);
      unread = Atomics.load(shared, SHARED.unreadOutput);
    }
  }

  async end(): Promise<void> {
    // Its reader has it.
  }
}

/** Progress as messages, not more of them than are looked at. By the clock: timers don't fire while a handler computes. */
class SentProgress implements ContextProgress {
  readonly #send: (progress: Progress) => void;
  #sentMs = -Infinity;
  #timer: NodeJS.Timeout | null = null;
  #ended = false;

  constructor(send: (progress: Progress) => void) {
    this.#send = send;
  }

  show(progress: Progress): void {
    checkProgress(progress);
    if (this.#ended) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const waitMs = this.#sentMs + PROGRESS_INTERVAL_MS - performance.now();
    if (waitMs <= 0) this.#sendNow(progress);
    else this.#timer = setTimeout(() => this.#sendNow(progress), waitMs);
  }

  end(): void {
    this.#ended = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #sendNow(progress: Progress): void {
    this.#timer = null;
    this.#sentMs = performance.now();
    // Only the figures: whatever else the object has may not be cloneable.
    this.#send(
      typeof progress === 'number' ? progress : { done: progress.done, total: progress.total },
    );
  }
}
