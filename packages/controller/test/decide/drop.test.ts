import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { afterDrop, nextDrop, type Drop, type KeptPods } from '../../src/decide/drop.ts';

describe('which pods are removed to make room', () => {
  const cases: { name: string; pods: Partial<KeptPods>; limit: number; want: Drop | null }[] = [
    { name: 'none below the limit', pods: { kept: 9 }, limit: 10, want: null },
    { name: 'none at the limit', pods: { kept: 10 }, limit: 10, want: null },
    {
      name: 'the oldest that succeeded, as many as are too many',
      pods: { kept: 13 },
      limit: 10,
      want: { from: 1, most: 3, failed: false },
    },
    {
      name: 'it goes on where it was',
      pods: { kept: 13, droppedTo: 40 },
      limit: 10,
      want: { from: 41, most: 3, failed: false },
    },
    {
      name: 'failed ones when no other is left',
      pods: { kept: 13, droppedTo: 100, failedDroppedTo: 7 },
      limit: 10,
      want: { from: 8, most: 3, failed: true },
    },
    {
      name: 'from the beginning when pods that were passed over have ended',
      pods: { kept: 13, droppedTo: 100, failedDroppedTo: 100 },
      limit: 10,
      want: { from: 1, most: 3, failed: false },
    },
    {
      name: 'all when none is to be kept',
      pods: { kept: 1 },
      limit: 0,
      want: { from: 1, most: 1, failed: false },
    },
  ];
  test.each(cases)('$name', ({ pods, limit, want }) => {
    const all = { kept: 0, podCount: 100, droppedTo: 0, failedDroppedTo: 0, ...pods };
    expect(nextDrop(all, limit)).toEqual(want);
  });

  test('whatever ended, and however the numbers stand, it comes down to the limit', () => {
    const ended = fc.array(fc.constantFrom('succeeded', 'failed', 'runs'), { maxLength: 60 });
    const limits = fc.record({
      limit: fc.nat(20),
      droppedTo: fc.nat(60),
      failedDroppedTo: fc.nat(60),
    });
    fc.assert(
      fc.property(ended, limits, (ends, { limit, ...cursors }) => {
        const left = new Map<number, string>(ends.map((end, i) => [i + 1, end]));
        for (const [number, end] of left) if (end === 'runs') left.delete(number);
        const failedBefore = [...left.values()].filter((end) => end === 'failed').length;
        let pods: KeptPods = {
          kept: left.size,
          podCount: ends.length,
          droppedTo: Math.min(cursors.droppedTo, ends.length),
          failedDroppedTo: Math.min(cursors.failedDroppedTo, ends.length),
        };
        let passes = 0;
        for (let drop = nextDrop(pods, limit); drop !== null; drop = nextDrop(pods, limit)) {
          let removed = 0;
          for (const [number, end] of left) {
            if (number < drop.from || removed === drop.most) continue;
            if (end === 'failed' && !drop.failed) continue;
            left.delete(number);
            removed++;
          }
          pods = afterDrop(pods, drop, removed, ends.length + 1);
          if (++passes > 6) throw new Error('it comes to no end');
        }
        expect(left.size).toBeLessThanOrEqual(limit);
        expect([...left.values()].filter((end) => end === 'failed').length).toBeLessThanOrEqual(
          failedBefore,
        );
      }),
    );
  });
});
