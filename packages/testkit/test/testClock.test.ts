import { expect, test } from 'vitest';
import { TestClock } from '../src/index.ts';

test('a test clock moves only when it is moved', () => {
  const clock = new TestClock(1000);
  const { now } = clock;
  expect(now()).toBe(1000);
  clock.advance(500);
  expect(now()).toBe(1500);
  clock.set(200);
  expect(now()).toBe(200);
});

test('sleepers of a test clock wake in the order of their times, and not before', async () => {
  const clock = new TestClock(0);
  const woken: string[] = [];
  const long = clock.sleep(20).then(() => woken.push('long'));
  const short = clock.sleep(10).then(() => woken.push('short'));
  clock.advance(9);
  await Promise.resolve();
  expect(woken).toEqual([]);
  expect(clock.sleeperCount).toBe(2);
  clock.advance(11);
  await Promise.all([long, short]);
  expect(woken).toEqual(['short', 'long']);
  expect(clock.sleeperCount).toBe(0);
});

test('advance of a test clock refuses to go back', () => {
  expect(() => new TestClock().advance(-1)).toThrow(/does not go back/);
});
