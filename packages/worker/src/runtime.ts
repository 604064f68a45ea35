import type { Claim, PodOutcome, PodOverlay, PodReason } from '@drover/store';

import type { JobPlan } from './jobPlan.ts';

/** How a pod ended, as its runtime saw it. */
export interface PodEnd {
  readonly outcome: PodOutcome;
  /** 0..255. */
  readonly exitCode: number;
  readonly reason: PodReason;
  /** Something was written to the pod's log. */
  readonly hasLog: boolean;
  readonly overlay: PodOverlay | null;
  /** The item that it was for is not tried again, however many attempts it has left. Default false. */
  readonly isFinal?: boolean;
}

/** Who is told that a pod ended. */
export interface PodSink {
  /** Called once for each `start`, never after `spent` became true for another reason. */
  podEnded(end: PodEnd): void;
}

/** A slot that this worker holds. */
export interface SlotId {
  readonly uid: string;
  readonly shard: number;
  readonly slot: number;
  /** Session that holds the claims. */
  readonly session: string;
}

/** The slot whose pods a lane runs. */
export interface SlotRef extends SlotId {
  /** Where its pods run. */
  readonly place: Place;
  /** Takes what people are to be told of its pod. */
  readonly tell: (news: PodNews) => void;
}

/** What happened to a container of a pod that runs. */
export type PodNews =
  /** It waits for its next start. */
  | { readonly type: 'backOff'; readonly container: string }
  /** It did not answer as it should. */
  | {
      readonly type: 'probeFailed';
      readonly container: string;
      readonly probe: 'Startup' | 'Liveness';
      readonly problem: string;
    }
  /** What was to be done after its start, or before its end, failed. */
  | {
      readonly type: 'hookFailed';
      readonly container: string;
      readonly hook: 'PostStart' | 'PreStop';
      readonly problem: string;
    };

/** A place among those that a worker has for pods. A pod that only waits may lend it to another one. */
export interface Place {
  /**
   * Another pod may run instead, until {@link takeBack}.
   *
   * @param onRoom - Called whenever {@link mayTakeBack} becomes true.
   * @returns false when it can not be lent.
   */
  lend(onRoom: () => void): boolean;
  /** The pod that lent it may go on now. */
  readonly mayTakeBack: boolean;
  /** The pod goes on. Does nothing when it is not lent. */
  takeBack(): void;
}

/** Runs the pods of one slot, one after the other. */
export interface PodLane {
  /** Runs a pod; its end is told to the sink, at the earliest from inside this call. */
  start(claim: Claim): void;
  /**
   * Asks the running pod to end: SIGTERM or the AbortSignal, and the end by force after
   * `graceMs`. The pod's end is told to the sink in any case. Nothing happens when no pod runs.
   */
  stop(graceMs: number): void;
  /** A pod that could not be ended still runs in here: take another lane for the next one. */
  readonly spent: boolean;
}

/** What the pods of one slot need beside a lane. */
export interface Seat {
  /** Others may have it, until {@link takeBack}; false when it can not be lent. */
  lend(): boolean;
  /** Takes it back though somebody may have it; only after {@link lend}. */
  takeBack(): void;
  /** Gives it up for good. */
  leave(): void;
}

/** Of pods that need no more than their lane. */
export const NO_SEAT: Seat = {
  lend: () => true,
  takeBack: () => undefined,
  leave: () => undefined,
};

/** A way to run pods. */
export interface Runtime {
  /** As in `runtimeClassName`. */
  readonly name: RuntimeName;
  /** What of it this worker can run, and how many pods at a time: `SessionInfo.lanes`. */
  fittingLanes(pool: string): Readonly<Record<string, number>>;
  /** Gets ready, so that the first pod need not wait. Rejects when no pod could ever be run. */
  warmUp(): Promise<void>;
  /**
   * Makes room for the pods of a slot before it is claimed; null when there is none, so that another
   * worker should have it. The seat is given back when the slot is left.
   *
   * @param fittingKey - What the pods need of this runtime, one of the keys of `fittingLanes`.
   */
  takeSeat(fittingKey: string): Seat | Promise<Seat | null> | null;
  createLane(plan: JobPlan, slot: SlotRef, sink: PodSink): PodLane;
  /** Ends whatever still runs, by force. */
  close(): Promise<void>;
}

/** The runtimes of this version. */
export type RuntimeName = 'process' | 'handler';

/** End of a pod that did all it should and left nothing to keep. */
export const SUCCEEDED: PodEnd = {
  outcome: 'Succeeded',
  exitCode: 0,
  reason: 'Completed',
  hasLog: false,
  overlay: null,
};
