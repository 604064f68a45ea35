import { waitFor } from '@drover/testkit';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';

import { LockRenewer, type LockHolder } from '../../src/slots/lockRenewer.ts';

const logger = pino({ level: 'silent' });
const LOCK_MS = 60;
const renewers: LockRenewer[] = [];

afterEach(() => {
  for (const renewer of renewers.splice(0)) renewer.close();
});

class Holder implements LockHolder {
  readonly queueJobId: string;
  readonly attemptsStarted: number;
  lost = false;

  constructor(queueJobId: string, attemptsStarted: number) {
    this.queueJobId = queueJobId;
    this.attemptsStarted = attemptsStarted;
  }

  get token(): string {
    return `token-${this.attemptsStarted}`;
  }

  lockWasLost(): void {
    this.lost = true;
  }
}

/** BullMQ as the renewer sees it: the given locks are gone. */
function setUp(gone: (token: string) => boolean): { renewer: LockRenewer; renewed: string[][] } {
  const renewed: string[][] = [];
  const renewer = new LockRenewer({
    lockMs: LOCK_MS,
    logger,
    extend: async (ids, tokens, durationMs) => {
      expect(durationMs).toBe(LOCK_MS);
      renewed.push(ids.map((id, index) => `${id} ${tokens[index]!}`));
      return ids.filter((_id, index) => gone(tokens[index]!));
    },
  });
  renewers.push(renewer);
  return { renewer, renewed };
}

describe('LockRenewer', () => {
  test('renews what is held, again and again, and nothing after it was given up', async () => {
    const { renewer, renewed } = setUp(() => false);
    const [a, b] = [new Holder('a', 1), new Holder('b', 1)];
    renewer.add(a);
    renewer.add(b);
    await waitFor(() => renewed.length === 2);
    expect(renewed[1]).toEqual(['a token-1', 'b token-1']);
    renewer.remove(a);
    await waitFor(() => renewed.at(-1)!.length === 1);
    expect(renewed.at(-1)).toEqual(['b token-1']);
    expect([a.lost, b.lost]).toEqual([false, false]);
  });

  test('tells a holder whose lock is gone, once, and leaves the others', async () => {
    const { renewer, renewed } = setUp((token) => token === 'token-7');
    const [a, b] = [new Holder('a', 7), new Holder('b', 1)];
    renewer.add(a);
    renewer.add(b);
    await waitFor(() => a.lost);
    expect(b.lost).toBe(false);
    const before = renewed.length;
    await waitFor(() => renewed.length > before);
    expect(renewed.at(-1)).toEqual(['b token-1']);
  });

  test('a later delivery of the same slot goes on being renewed when the earlier one ends', async () => {
    const { renewer, renewed } = setUp(() => false);
    const [earlier, later] = [new Holder('a', 1), new Holder('a', 2)];
    renewer.add(earlier);
    renewer.add(later);
    expect([earlier.lost, later.lost]).toEqual([true, false]);
    renewer.remove(earlier);
    expect(renewer.size).toBe(1);
    await waitFor(() => renewed.length === 2);
    expect(renewed.at(-1)).toEqual(['a token-2']);
  });

  test('an earlier delivery that is noticed late has lost its lock already', () => {
    const { renewer } = setUp(() => false);
    const [earlier, later] = [new Holder('a', 1), new Holder('a', 2)];
    renewer.add(later);
    renewer.add(earlier);
    expect([earlier.lost, later.lost]).toEqual([true, false]);
  });

  test('a renewal that is never answered does not end the renewals', async () => {
    let calls = 0;
    const renewer = new LockRenewer({
      lockMs: LOCK_MS,
      logger,
      extend: () => {
        calls += 1;
        return calls === 1 ? new Promise(() => {}) : Promise.resolve([]);
      },
    });
    renewers.push(renewer);
    renewer.add(new Holder('a', 1));
    await waitFor(() => calls >= 3);
  });
});
