import { describe, expect, test } from 'vitest';

import { UnfitSlots } from '../../src/slots/unfitSlots.ts';

function delays(slots: UnfitSlots, queueJobId: string, count: number): number[] {
  return Array.from({ length: count }, () => slots.delayMs(queueJobId));
}

describe('UnfitSlots', () => {
  test('passes a slot on three times, then lets it rest, longer each time', () => {
    const slots = new UnfitSlots(() => 0.5);
    expect(delays(slots, 'a', 12)).toEqual([0, 0, 0, 20, 0, 0, 0, 40, 0, 0, 0, 80]);
  });

  test('counts each slot by itself', () => {
    const slots = new UnfitSlots(() => 0.5);
    delays(slots, 'a', 4);
    expect(delays(slots, 'b', 4)).toEqual([0, 0, 0, 20]);
  });

  test('rests for 5 s at most, give or take a half', () => {
    expect(Math.max(...delays(new UnfitSlots(() => 0), 'a', 100))).toBe(2_500);
    expect(Math.max(...delays(new UnfitSlots(() => 1), 'a', 100))).toBe(7_500);
  });
});
