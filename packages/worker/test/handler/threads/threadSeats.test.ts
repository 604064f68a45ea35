import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { ThreadSeats } from '../../../src/handler/threads/threadSeats.ts';
import type { Seat } from '../../../src/runtime.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A seat that is free at once. */
function sit(seats: ThreadSeats): Seat {
  const seat = seats.take();
  if (seat === null || seat instanceof Promise) throw new Error('no seat is free');
  return seat;
}

test('there are as many seats as said, and as many may wait for one; the others soon get none', async () => {
  const seats = new ThreadSeats(2);
  sit(seats);
  const seat = sit(seats);
  const answers = [seats.take(), seats.take(), seats.take()];
  await vi.advanceTimersByTimeAsync(100);
  expect(await answers[2]).toBeNull();
  seat.leave();
  expect(await answers[0]).toHaveProperty('leave');
});

test('a seat that is given back goes to who has waited longest', async () => {
  const seats = new ThreadSeats(2);
  const [one, other] = [sit(seats), sit(seats)];
  const [first, second] = [seats.take(), seats.take()];
  one.leave();
  const seat = await first;
  expect(seat).toHaveProperty('leave');
  other.leave();
  expect(await second).toHaveProperty('leave');
  expect(seats.take()).toBeInstanceOf(Promise);
  seat?.leave();
});

test('who has waited for a second gets none, and its place to wait is free again', async () => {
  const seats = new ThreadSeats(1);
  const seat = sit(seats);
  const waiting = seats.take();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await waiting).toBeNull();
  const next = seats.take();
  seat.leave();
  expect(await next).toHaveProperty('leave');
});

test('closed, there are none any more', async () => {
  const seats = new ThreadSeats(1);
  const seat = sit(seats);
  const waiting = seats.take();
  seats.close();
  expect(await waiting).toBeNull();
  seat.leave();
  expect(seats.take()).toBeNull();
});

test('a seat is lent to who waits, and taken back from nobody: as many as there are seats may be', async () => {
  const seats = new ThreadSeats(1);
  const seat = sit(seats);
  const waiting = seats.take();
  expect(seat.lend()).toBe(true);
  const other = await waiting;
  expect(other?.lend()).toBe(false);
  seat.takeBack();
  const next = seats.take();
  other?.leave();
  seat.leave();
  expect(await next).toHaveProperty('leave');
});
