import type { DecideSpec } from './decide/types.ts';

/** Jobs that a controller remembers at most. */
const MAX_JOBS = 20_000;

/**
 * What a controller remembers of a Job between looks. It only spares work: a controller that has
 * forgotten it all, or another one, does the same with a few commands more.
 */
export interface JobMemo {
  /** Generation of `spec`. */
  generation: number;
  spec: DecideSpec | null;
  /** Class that its pods name; '' = none. As of `generation`. */
  className: string;
  /** Slots that are known to be in the queue. */
  offered: Set<number>;
  /** When everything on offer was last added again, shard's clock. */
  offeredAtMs: number;
  /** Its selector is its user's. */
  selectsByHand: boolean;
  /** What its pods that are nobody's were shown to others with; '' = they were not. */
  shownPods: string;
  /** The work queue that it names was there. */
  hasWorkQueue: boolean;
  /** When status was last written by this controller, shard's clock. */
  statusAtMs: number;
  /** How many pods were told of as created; null = that is not known. */
  toldPods: number | null;
  /** When that was, shard's clock. */
  toldAtMs: number;
  /** How many pods were told of as deleted. */
  toldDeleted: number;
  /** It was told that no worker fits, and none has come since. */
  toldUnschedulable: boolean;
}

/** The memos of a shard's Jobs; the one that was not looked at for longest goes first. */
export class JobMemos {
  readonly #memos = new Map<string, JobMemo>();

  /** The memo of a Job, a new one if need be. */
  of(uid: string): JobMemo {
    const memo = this.#memos.get(uid) ?? {
      generation: 0,
      spec: null,
      className: '',
      offered: new Set<number>(),
      offeredAtMs: 0,
      selectsByHand: false,
      shownPods: '',
      hasWorkQueue: false,
      statusAtMs: 0,
      toldPods: null,
      toldAtMs: 0,
      toldDeleted: 0,
      toldUnschedulable: false,
    };
    this.#memos.delete(uid);
    this.#memos.set(uid, memo);
    if (this.#memos.size > MAX_JOBS) {
      for (const oldest of this.#memos.keys()) {
        this.#memos.delete(oldest);
        break;
      }
    }
    return memo;
  }

  /** Forgets a Job that is over. */
  forget(uid: string): void {
    this.#memos.delete(uid);
  }

  /** How many Jobs are remembered. */
  get size(): number {
    return this.#memos.size;
  }
}
