import assert from 'node:assert/strict';

import type { Place } from '../runtime.ts';

/** Pods that lent their lanes, for each lane: a pod that waits costs memory, so they are not any number. */
const LENT_PER_LANE = 8;
/** Pods at work at most, for each lane: those that come back from waiting need not wait for a free lane. */
const MAX_OVERLOAD = 2;

/** What became of a lane since it was taken. */
type LaneState = 'used' | 'lent' | 'free';

/**
 * The lanes of a worker for the slots of one queue: so many pods are at work at a time.
 *
 * A pod that waits for items, with nothing in hand, lends its lane: another slot is taken, so that what waits never
 * keeps from running what it waits for. When its item comes it goes on at once, though the worker then has more
 * pods at work than lanes: at most {@link MAX_OVERLOAD} times as many, and no further slot is taken and holders leave
 * between two pods until that is over.
 */
export class Lanes {
  readonly #size: number;
  readonly #onLimit: (limit: number) => void;
  readonly #lent = new Map<HeldLane, () => void>();
  #held = 0;

  /**
   * @param size - Lanes, at least 1.
   * @param onLimit - Told how many slots may be held from now on: those of pods at work and of those that wait.
   */
  constructor(size: number, onLimit: (limit: number) => void) {
    this.#size = size;
    this.#onLimit = onLimit;
  }

  /** Pods that may be at work at a time. */
  get size(): number {
    return this.#size;
  }

  /** Pods that are at work. */
  get used(): number {
    return this.#held - this.#lent.size;
  }

  /** Pods that wait for items, and lent their lanes. */
  get lentCount(): number {
    return this.#lent.size;
  }

  /** More pods are at work than there are lanes. */
  get isOverfull(): boolean {
    return this.used > this.#size;
  }

  /** There is room for the pod of a lane that was lent. */
  get mayTakeBack(): boolean {
    return this.used < MAX_OVERLOAD * this.#size;
  }

  /** A slot is held from now on. */
  take(): HeldLane {
    this.#held += 1;
    return new HeldLane(this);
  }

  /** For {@link HeldLane}: false when too many are lent. */
  lend(lane: HeldLane, onRoom: () => void): boolean {
    if (this.#lent.size >= LENT_PER_LANE * this.#size) return false;
    this.#less(() => this.#lent.set(lane, onRoom));
    this.#onLimit(this.#size + this.#lent.size);
    return true;
  }

  /** For {@link HeldLane}. */
  takeBack(lane: HeldLane): void {
    assert(this.#lent.delete(lane), 'only a lane that was lent is taken back');
    this.#onLimit(this.#size + this.#lent.size);
  }

  /** For {@link HeldLane}. */
  free(): void {
    this.#less(() => (this.#held -= 1));
  }

  /** One pod less is at work: those that wait for that are told. */
  #less(change: () => void): void {
    const wasFull = !this.mayTakeBack;
    change();
    if (wasFull) for (const onRoom of this.#lent.values()) onRoom();
  }
}

/** The lane of one slot that is held. */
export class HeldLane implements Place {
  readonly #lanes: Lanes;
  #state: LaneState = 'used';

  constructor(lanes: Lanes) {
    this.#lanes = lanes;
  }

  get mayTakeBack(): boolean {
    return this.#lanes.mayTakeBack;
  }

  /** More pods are at work than there are lanes: between two pods this one is the one to leave. */
  get isOneTooMany(): boolean {
    return this.#state === 'used' && this.#lanes.isOverfull;
  }

  lend(onRoom: () => void): boolean {
    if (this.#state === 'used' && this.#lanes.lend(this, onRoom)) this.#state = 'lent';
    return this.#state === 'lent';
  }

  takeBack(): void {
    if (this.#state !== 'lent') return;
    this.#state = 'used';
    this.#lanes.takeBack(this);
  }

  /** No pod runs in it any more. */
  get isFree(): boolean {
    return this.#state === 'free';
  }

  /** No further pod will run in it. */
  free(): void {
    this.takeBack();
    if (this.#state === 'free') return;
    this.#state = 'free';
    this.#lanes.free();
  }
}
