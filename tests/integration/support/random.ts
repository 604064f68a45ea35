import assert from 'node:assert/strict';

/** Random choices that a seed repeats. */
export interface Random {
  /** An integer in [from, to]. */
  integer(from: number, to: number): number;
  pick<T>(choices: readonly T[]): T;
}

/** Makes a source of random choices: mulberry32, good enough to choose what to break. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1));
  return {
    integer,
    pick: (choices) => {
      assert(choices.length > 0);
      return choices[integer(0, choices.length - 1)]!;
    },
  };
}
