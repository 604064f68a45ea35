import { expect, test } from 'vitest';

import { RateMeter } from '../../src/run/rate.ts';

test('tells nothing before there is something to measure', () => {
  const meter = new RateMeter();
  expect([meter.perSecond(), meter.etaMs(10)]).toEqual([0, null]);
  meter.add(0, 0);
  expect([meter.perSecond(), meter.etaMs(10)]).toEqual([0, null]);
});

test('tells rate and time left', () => {
  const meter = new RateMeter();
  meter.add(0, 0);
  meter.add(2_000, 4);
  expect(meter.perSecond()).toBe(2);
  expect(meter.etaMs(10)).toBe(3_000);
});

test('forgets what is long ago', () => {
  const meter = new RateMeter();
  meter.add(0, 0);
  meter.add(1_000, 1_000);
  for (let atMs = 20_000; atMs <= 40_000; atMs += 1_000) meter.add(atMs, 1_000 + atMs / 1_000);
  expect(meter.perSecond()).toBeCloseTo(1, 5);
});
