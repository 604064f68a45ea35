import { describe, expect, test, vi } from 'vitest';

import { Reservations, type Reservation } from '../../src/slots/reservations.ts';

const cpus = (count: number, memoryBytes = 0) => ({ cpuMilli: count * 1_000, memoryBytes });

function taken(reservations: Reservations, count: number): Reservation[] {
  return Array.from({ length: count }, () => {
    const reservation = reservations.take(cpus(1));
    if (reservation === null || reservation instanceof Promise) throw new Error('no room');
    return reservation;
  });
}

/** All that was begun has run as far as it can. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('Reservations', () => {
  test('never reserve more than there is, of either resource', () => {
    const reservations = new Reservations({ cpuMilli: 10_000, memoryBytes: 100 });
    expect(reservations.take(cpus(1, 60))).not.toBeNull();
    expect(reservations.take(cpus(1, 41))).toBeInstanceOf(Promise);
    expect(reservations.free).toEqual({ cpuMilli: 9_000, memoryBytes: 40 });
    reservations.close();
  });

  test('give what became free to those that wait here, as far as it goes', async () => {
    const reservations = new Reservations(cpus(8));
    const [first, second, third] = taken(reservations, 8);
    const two = reservations.take(cpus(2));
    const one = reservations.take(cpus(1));
    // Two of eight may wait.
    expect(reservations.take(cpus(1))).toBeNull();
    first?.leave();
    first?.leave();
    expect(await one).not.toBeNull();
    second?.leave();
    third?.leave();
    expect(await two).not.toBeNull();
    expect(reservations.free).toEqual(cpus(0));
  });

  test('do not let wait for ever', async () => {
    vi.useFakeTimers();
    try {
      const reservations = new Reservations(cpus(1));
      taken(reservations, 1);
      const waiting = reservations.take(cpus(1));
      await vi.advanceTimersByTimeAsync(1_000);
      expect(await waiting).toBeNull();
    } finally {
      vi.useRealTimers();
    }
  });

  test('call for as many slots that were put back as there is room for', async () => {
    const reservations = new Reservations(cpus(4));
    const [first, second] = taken(reservations, 4);
    const woken: string[] = [];
    const wake = (slot: string, isThere: boolean) => async (): Promise<boolean> => {
      woken.push(slot);
      await settled();
      return isThere;
    };
    reservations.putBack('gone', cpus(1), wake('gone', false));
    reservations.putBack('back', cpus(1), wake('back', true));
    reservations.putBack('a', cpus(1), wake('a', true));
    reservations.putBack('too large now', cpus(2), wake('too large now', true));
    reservations.putBack('never', cpus(5), wake('never', true));
    reservations.putBack('b', cpus(1), wake('b', true));
    reservations.isBack('back');
    first?.leave();
    // While the first are called for.
    second?.leave();
    await vi.waitFor(() => expect(woken).toEqual(['gone', 'a', 'b']));
  });

  test('call at once for one for which there is room by now', async () => {
    const reservations = new Reservations(cpus(1));
    const wake = vi.fn<() => Promise<boolean>>(() => Promise.resolve(true));
    reservations.putBack('a', cpus(1), wake);
    await settled();
    expect(wake).toHaveBeenCalledOnce();
  });

  test('have nothing for anybody once they are closed', async () => {
    const reservations = new Reservations(cpus(1));
    taken(reservations, 1);
    const waiting = reservations.take(cpus(1));
    reservations.close();
    expect(await waiting).toBeNull();
    expect(reservations.take(cpus(1))).toBeNull();
  });
});
