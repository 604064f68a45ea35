import type { ClientSettings } from '@drover/shared';
import type { Claim } from '@drover/store';

import type { JobFacts, PodInvocation } from '../../jobPlan.ts';
import type { PodEnd } from '../../runtime.ts';
import type { HandlerModule } from '../handlerModule.ts';
import type { Progress } from '../podProgress.ts';
import type { ItemMessage, ItemRequestMessage, SentItem } from './itemMessages.ts';

/** What a thread is given when it starts. */
export interface ThreadStart {
  /** Modules to load handlers from. */
  readonly modules: readonly HandlerModule[];
  readonly shared: SharedArrayBuffer;
  /** Where compiled code is kept between starts; null = nowhere. */
  readonly compileCacheDir: string | null;
  /** URL of the module that runs in the thread. */
  readonly main: string;
  /** Most bytes of an item's result. */
  readonly maxItemResultBytes: number;
}

/**
 * Int32 words of {@link ThreadStart.shared}: what has to get through although one side computes and reads
 * no messages.
 */
export const SHARED = {
  /** Number of the run that is told to stop; 0 = none. */
  stopRun: 0,
  /** Characters of output that were sent and not yet taken. */
  unreadOutput: 1,
  /** Number of the run that the thread began last. */
  begunRun: 2,
  words: 3,
} as const;

/** A thread that has so many characters of output unread waits, as a program does that writes into a full pipe. */
export const MAX_UNREAD_OUTPUT = 1024 * 1024;

/** What the pods of a Job have in common; told to a thread once. */
export interface ThreadPlan {
  readonly facts: JobFacts;
  readonly completions: number | null;
  readonly client: ClientSettings | null;
  /** Text of the annotation with the input. */
  readonly inputText: string | undefined;
}

/** Run a pod. */
export interface RunMessage {
  readonly type: 'run';
  /** Above 0, another one for each call of a handler. */
  readonly run: number;
  readonly handler: string;
  readonly planId: number;
  /** Only when the thread does not know it yet. */
  readonly plan: ThreadPlan | null;
  /** A plan that is not needed any more; 0 = none. */
  readonly forgetPlanId: number;
  readonly claim: Claim;
  readonly podName: string;
  readonly podUid: string;
  readonly index: number | null;
  readonly invocation: PodInvocation;
  /** The pod's one item; null: it has none. */
  readonly item: SentItem | null;
}

/** To a thread. */
export type ToThread =
  | RunMessage
  | ItemMessage
  /** The pod is to end; the flag says so, too. */
  | { readonly type: 'stop'; readonly run: number };

/** From a thread. */
export type FromThread =
  /** All modules are loaded; these handlers are in them. */
  | { readonly type: 'loaded'; readonly handlers: readonly string[] }
  | { readonly type: 'loadFailed'; readonly message: string }
  | {
      readonly type: 'output';
      readonly run: number;
      readonly stream: 'stdout' | 'stderr';
      readonly text: string;
    }
  | { readonly type: 'progress'; readonly run: number; readonly progress: Progress }
  | ItemRequestMessage
  /** `threw`: what the handler threw, in words; null = it returned. */
  | {
      readonly type: 'end';
      readonly run: number;
      readonly end: PodEnd;
      readonly threw: string | null;
    };
