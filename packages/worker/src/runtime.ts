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
}

/** Who is told that a pod ended. */
export interface PodSink {
  /** Called once for each `start`, never after `spent` became true for another reason. */
  podEnded(end: PodEnd): void;
}

/** The slot whose pods a lane runs. */
export interface SlotRef {
  readonly uid: string;
  readonly shard: number;
  readonly slot: number;
  /** Session that holds the claims. */
  readonly session: string;
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

/** Room for the pods of one slot; called once, it gives the room back. */
export type Seat = () => void;

/** Of pods that need no more room than their lane. */
export const NO_SEAT: Seat = () => undefined;

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
