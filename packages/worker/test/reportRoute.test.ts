import type { ReportAnswer, ReportEntry } from '@drover/store';
import { expect, test } from 'vitest';
import { ReportRoute } from '../src/reportRoute.ts';

const NEXT: ReportAnswer = {
  type: 'next',
  claim: { podNumber: 2, index: 1, createdMs: 1, startMs: 1, restarts: 0 },
};
const RELEASED: ReportAnswer = { type: 'released' };

function entry(uid: string, over: Partial<ReportEntry> = {}): ReportEntry {
  return {
    uid,
    queue: 'q',
    slot: 1,
    attemptsStarted: 1,
    podNumber: 1,
    outcome: 'Succeeded',
    exitCode: 0,
    reason: 'Completed',
    hasLog: false,
    leave: false,
    quantumOver: false,
    overlay: null,
    ...over,
  };
}

/** Notes what is sent where: `long u1 u2`, `short u1`. */
class FakePort {
  readonly sent: string[] = [];
  /** Jobs that the short way refuses. */
  readonly refused = new Set<string>();
  longAnswer: ReportAnswer = NEXT;

  async report(_session: string, entries: readonly ReportEntry[]): Promise<ReportAnswer[]> {
    this.sent.push(`long ${entries.map(({ uid }) => uid).join(' ')}`);
    return entries.map(() => this.longAnswer);
  }

  async reportSuccesses(
    _session: string,
    entries: readonly ReportEntry[],
  ): Promise<(ReportAnswer | null)[]> {
    this.sent.push(`short ${entries.map(({ uid }) => uid).join(' ')}`);
    return entries.map(({ uid }) => (this.refused.has(uid) ? null : NEXT));
  }
}

test('a Job goes the short way once a report had a next pod for each of its slots', async () => {
  const port = new FakePort();
  const route = new ReportRoute(port);
  port.longAnswer = RELEASED;
  await route.send('s', [entry('u1')]);
  port.longAnswer = NEXT;
  await route.send('s', [entry('u1'), entry('u2')]);
  expect(await route.send('s', [entry('u2'), entry('u1')])).toEqual([NEXT, NEXT]);
  expect(port.sent).toEqual(['long u1', 'long u1 u2', 'short u2 u1']);
});

test.each<Partial<ReportEntry>>([{ outcome: 'Failed' }, { leave: true }, { overlay: {} }])(
  'a batch with %o goes the long way',
  async (over) => {
    const port = new FakePort();
    const route = new ReportRoute(port);
    await route.send('s', [entry('u1')]);
    await route.send('s', [entry('u1'), entry('u1', over)]);
    expect(port.sent).toEqual(['long u1', 'long u1 u1']);
  },
);

test('what is refused goes the long way, and so do the next reports of its Job', async () => {
  const port = new FakePort();
  const route = new ReportRoute(port);
  await route.send('s', [entry('u1'), entry('u2')]);
  port.refused.add('u2');
  port.longAnswer = { type: 'yield' };
  expect(await route.send('s', [entry('u2'), entry('u1')])).toEqual([{ type: 'yield' }, NEXT]);
  // Its slot may be taken by another worker now: nothing is remembered of it.
  expect(port.sent.splice(0)).toEqual(['long u1 u2', 'short u2 u1', 'long u2']);

  port.longAnswer = NEXT;
  await route.send('s', [entry('u2')]);
  for (let i = 0; i < 16; i += 1) await route.send('s', [entry('u2')]);
  const pause = Array.from({ length: 16 }, () => 'long u2');
  expect(port.sent.splice(0)).toEqual(['long u2', 'short u2', ...pause]);
  port.refused.clear();
  await route.send('s', [entry('u2')]);
  expect(port.sent).toEqual(['short u2']);
});
