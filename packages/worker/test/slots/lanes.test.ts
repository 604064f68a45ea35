import { describe, expect, test } from 'vitest';

import { Lanes, type HeldLane } from '../../src/slots/lanes.ts';

function setUp(size: number) {
  const limits: number[] = [];
  const lanes = new Lanes(size, (limit) => limits.push(limit));
  const held = Array.from({ length: size }, () => lanes.take());
  return { lanes, held, limits };
}

const nothing = (): void => undefined;

describe('lanes', () => {
  test('one that is lent lets another slot be held, until it is taken back', () => {
    const { held, limits } = setUp(2);
    const [lane] = held as [HeldLane];
    expect(lane.lend(nothing)).toBe(true);
    expect(lane.lend(nothing)).toBe(true);
    expect(limits).toEqual([3]);
    lane.takeBack();
    lane.takeBack();
    expect(limits).toEqual([3, 2]);
  });

  test('taken back while another pod runs, one of them leaves between two pods, and only one', () => {
    const { lanes, held } = setUp(2);
    const [lane, other] = held as [HeldLane, HeldLane];
    lane.lend(nothing);
    const third = lanes.take();
    expect(third.isOneTooMany).toBe(false);
    lane.takeBack();
    expect([lane, other, third].map((one) => one.isOneTooMany)).toEqual([true, true, true]);
    other.free();
    expect([lane, other, third].map((one) => one.isOneTooMany)).toEqual([false, false, false]);
  });

  test('those that waited may come back until twice as many as lanes are at work; then they are told of room', () => {
    const { lanes, held } = setUp(1);
    const [first] = held as [HeldLane];
    const told: string[] = [];
    first.lend(() => told.push('first'));
    const second = lanes.take();
    second.lend(() => told.push('second'));
    const third = lanes.take();
    second.takeBack();
    expect(first.mayTakeBack).toBe(false);
    // Whoever must, can: its pod is told to stop.
    third.free();
    expect(told).toEqual(['first']);
    expect(first.mayTakeBack).toBe(true);
  });

  test('no more than eight are lent for each lane', () => {
    const { lanes, held } = setUp(1);
    const lent = [
      held[0]!.lend(nothing),
      ...Array.from({ length: 8 }, () => lanes.take().lend(nothing)),
    ];
    expect(lent).toEqual([...Array.from({ length: 8 }, () => true), false]);
  });

  test('one that is left while it is lent is free', () => {
    const { lanes, held, limits } = setUp(1);
    const [lane] = held as [HeldLane];
    lane.lend(nothing);
    lane.free();
    lane.free();
    expect(limits).toEqual([2, 1]);
    const next = lanes.take();
    expect(next.isOneTooMany).toBe(false);
    expect(lane.isFree).toBe(true);
  });
});
