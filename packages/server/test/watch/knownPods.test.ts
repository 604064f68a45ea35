import { expect, test } from 'vitest';

import { KnownPods } from '../../src/watch/knownPods.ts';

test('knows index and selection of each pod, however many there are', () => {
  const pods = new KnownPods();
  pods.set(1, 0, true);
  pods.set(2, 100_000_000, false);
  pods.set(1_000_000, 7, true);
  expect(pods.get(1)).toEqual({ index: 0, isSelected: true });
  expect(pods.get(2)).toEqual({ index: 100_000_000, isSelected: false });
  expect(pods.get(3)).toBeNull();
  expect(pods.get(2_000_000)).toBeNull();
  expect([...pods.numbers(2, Number.POSITIVE_INFINITY)]).toEqual([2, 1_000_000]);
  pods.delete(2);
  expect([...pods.numbers(1, 10)]).toEqual([1]);
});
