import assert from 'node:assert/strict';

/** A sleeper of a `TestClock`. */
interface Sleeper {
  readonly wakeAtMs: number;
  readonly wake: () => void;
}

/** A clock that moves only when a test moves it. */
export class TestClock {
  #nowMs: number;
  #sleepers: Sleeper[] = [];

  /** @param startMs - First time of the clock, ms since the epoch. */
  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  /** The time, ms since the epoch. Bound, so that it can be handed on as a function. */
  readonly now = (): number => this.#nowMs;

  /** How many callers of `sleep` wait. */
  get sleeperCount(): number {
    return this.#sleepers.length;
  }

  /** Moves the clock forward, ms >= 0, and wakes who is due, earliest first. */
  advance(ms: number): void {
    assert(ms >= 0, 'time does not go back with advance(); use set()');
    this.set(this.#nowMs + ms);
  }

  /** Sets the clock; a time before the present is allowed, for tests of clock skew. */
  set(nowMs: number): void {
    this.#nowMs = nowMs;
    const due = this.#sleepers.filter((sleeper) => sleeper.wakeAtMs <= nowMs);
    this.#sleepers = this.#sleepers.filter((sleeper) => sleeper.wakeAtMs > nowMs);
    due.sort((a, b) => a.wakeAtMs - b.wakeAtMs);
    for (const sleeper of due) sleeper.wake();
  }

  /** Resolves once the clock has moved on by `ms`. */
  async sleep(ms: number): Promise<void> {
    if (ms <= 0) return;
    await new Promise<void>((wake) => {
      this.#sleepers.push({ wakeAtMs: this.#nowMs + ms, wake });
    });
  }
}
