import { expect, test } from 'vitest';

import { levelOf } from './steadyVerdict.ts';

const LOAD_MS = 1_000;
const MIB = 2 ** 20;

const level = (bytesAt: (part: number) => number) =>
  levelOf(
    {
      name: 'x',
      noiseBytes: MIB,
      samples: Array.from({ length: 100 }, (_, i) => ({ atMs: i * 10, bytes: bytesAt(i / 100) })),
    },
    LOAD_MS,
  );

test.each<[string, (part: number) => number, boolean]>([
  ['the same all the time', () => 50 * MIB, true],
  ['that grew only in the first half', (part) => Math.min(part, 0.5) * 100 * MIB, true],
  ['that goes up and down', (part) => (50 + 10 * Math.sin(part * 200)) * MIB, true],
  ['that grows by less than a twentieth', (part) => (100 + part * 15) * MIB, true],
  ['that grows by more', (part) => (100 + part * 40) * MIB, false],
  ['that is small and grows by less than its noise', (part) => (1 + part * 3) * MIB, true],
  ['that shrinks', (part) => (100 - part * 50) * MIB, true],
])('a level %s', (_, bytesAt, isFlat) => {
  expect(level(bytesAt).isFlat).toBe(isFlat);
});

test('nothing is said of what was not measured', () => {
  expect(() => levelOf({ name: 'x', samples: [], noiseBytes: 1 }, LOAD_MS)).toThrow(RangeError);
});
