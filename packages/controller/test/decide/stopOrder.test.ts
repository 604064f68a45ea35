import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stopOrder, type StopCandidate } from '../../src/decide/stopOrder.ts';

function pod(podNumber: number, over: Partial<StopCandidate> = {}): StopCandidate {
  return { podNumber, phase: 'Running', startMs: 1000, createdMs: 1000, restarts: 0, ...over };
}

function order(...pods: StopCandidate[]): number[] {
  return stopOrder(pods, pods.length).map((one) => one.podNumber);
}

describe('stopOrder', () => {
  test('pods without a worker go before those that run', () => {
    expect(order(pod(1), pod(2, { phase: 'Pending', startMs: 0 }))).toEqual([2, 1]);
  });

  test('pods that ran for a shorter time go before those that ran longer', () => {
    expect(order(pod(1, { startMs: 500 }), pod(2, { startMs: 900 }))).toEqual([2, 1]);
  });

  test('of equals the pod with more restarts goes first', () => {
    expect(order(pod(2, { restarts: 1 }), pod(1, { restarts: 4 }))).toEqual([1, 2]);
  });

  test('of equals the newer pod goes first', () => {
    expect(order(pod(2, { createdMs: 10 }), pod(1, { createdMs: 20 }))).toEqual([1, 2]);
  });

  test('of pods of one millisecond the higher number goes first', () => {
    expect(order(pod(1), pod(3), pod(2))).toEqual([3, 2, 1]);
  });

  test('pods that are stopping are not chosen again', () => {
    expect(order(pod(1, { phase: 'Stopping' }), pod(2))).toEqual([2]);
  });

  test('is a total order: the same choice from any order, never more than asked for', () => {
    const pods = fc.uniqueArray(
      fc.record({
        podNumber: fc.integer({ min: 1, max: 50 }),
        phase: fc.constantFrom('Pending' as const, 'Running' as const, 'Stopping' as const),
        startMs: fc.integer({ min: 0, max: 3 }),
        createdMs: fc.integer({ min: 0, max: 3 }),
        restarts: fc.integer({ min: 0, max: 3 }),
      }),
      { selector: (one) => one.podNumber },
    );
    fc.assert(
      fc.property(pods, fc.nat(20), (given, count) => {
        const chosen = stopOrder(given, count);
        const stoppable = given.filter((one) => one.phase !== 'Stopping').length;
        expect(chosen).toHaveLength(Math.min(count, stoppable));
        expect(stopOrder(given.toReversed(), count)).toEqual(chosen);
      }),
    );
  });
});
