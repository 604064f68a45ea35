import { describe, expect, test, vi } from 'vitest';

import { readCronPolicy } from '../../src/cron/annotations.ts';
import {
  cronJitterMs,
  cronSlots,
  latestFirings,
  nextFiring,
  type CronCalendar,
  type CronSlot,
} from '../../src/cron/firings.ts';
import { readCronSchedule } from '../../src/cron/schedule.ts';

const PREFIX = 'drover.dev/cron-';

/** A calendar in Berlin; annotations are named without their prefix. */
function calendar(
  text: string,
  annotations: Record<string, string> = {},
  over: Partial<CronCalendar> = {},
): CronCalendar {
  const schedule = readCronSchedule(text);
  const named = Object.entries(annotations).map(([name, value]) => [`${PREFIX}${name}`, value]);
  const policy = readCronPolicy(Object.fromEntries(named));
  if (!schedule.ok || !policy.ok) throw new Error('bad schedule or annotation');
  return {
    namespace: 'default',
    name: 'nightly',
    schedule: schedule.schedule,
    timeZone: 'Europe/Berlin',
    policy: policy.policy,
    everyFromMs: 0,
    ...over,
  };
}

/** `2026-03-29T01:00Z skipped`: when, and why there is a Job or none. */
function textOf(slot: CronSlot): string {
  const time = new Date(slot.nominalMs).toISOString().replace(':00.000Z', 'Z');
  if (slot.type === 'passes') return `${time} no Job: ${slot.reason}`;
  return slot.clock === null ? time : `${time} ${slot.clock}`;
}

function slots(of: CronCalendar, after: string, count: number): string[] {
  return cronSlots(of, Date.parse(after)).take(count).map(textOf).toArray();
}

describe('the calendar of a CronJob', () => {
  const spring = '2026-03-28T12:00Z';
  const autumn = '2026-10-24T12:00Z';

  test('is as in Kubernetes at changes of the clock', () => {
    expect(slots(calendar('30 2 * * *'), spring, 2)).toEqual([
      '2026-03-29T01:00Z no Job: skippedHour',
      '2026-03-30T00:30Z',
    ]);
    expect(slots(calendar('30 2 * * *'), autumn, 3)).toEqual([
      '2026-10-25T00:30Z repeatedFirst',
      '2026-10-25T01:30Z repeatedSecond',
      '2026-10-26T01:30Z',
    ]);
  });

  test('has nothing special just before and just after such an hour', () => {
    expect(slots(calendar('0 3 * * *'), spring, 1)).toEqual(['2026-03-29T01:00Z']);
    const once = calendar('59 1 * * *', { 'repeated-hour': 'once' });
    expect(slots(once, spring, 1)).toEqual(['2026-03-29T00:59Z']);
    expect(slots(once, autumn, 1)).toEqual(['2026-10-24T23:59Z']);
    const after = calendar('0 3 * * *', { 'repeated-hour': 'once' });
    expect(slots(after, autumn, 1)).toEqual(['2026-10-25T02:00Z']);
  });

  test('has one time in place of an hour that is skipped, if wanted', () => {
    const once = { 'skipped-hour': 'once' };
    expect(slots(calendar('*/20 2 * * *', once), spring, 2)).toEqual([
      '2026-03-29T01:00Z skipped',
      '2026-03-30T00:00Z',
    ]);
    // Not a second one where the schedule has the moment of the change anyway.
    expect(slots(calendar('0,30 2-3 * * *', once), spring, 2)).toEqual([
      '2026-03-29T01:00Z skipped',
      '2026-03-29T01:30Z',
    ]);
    expect(slots(calendar('0 4 * * *', once), spring, 1)).toEqual(['2026-03-29T02:00Z']);
  });

  test('has each time of an hour that is repeated once, if wanted', () => {
    expect(slots(calendar('0,30 2 * * *', { 'repeated-hour': 'once' }), autumn, 5)).toEqual([
      '2026-10-25T00:00Z repeatedFirst',
      '2026-10-25T00:30Z repeatedFirst',
      '2026-10-25T01:00Z no Job: repeatedHour',
      '2026-10-25T01:30Z no Job: repeatedHour',
      '2026-10-26T01:00Z',
    ]);
  });

  test('leaves out dates of its zone', () => {
    const without = { 'exclude-dates': '2026-10-25..2026-10-26,2027-01-01' };
    // Berlin's 25 October has 25 hours: from 22:00Z of the day before to 23:00Z of the day after.
    expect(slots(calendar('0 * * * *', without), '2026-10-24T20:00Z', 3)).toEqual([
      '2026-10-24T21:00Z',
      '2026-10-24T22:00Z no Job: excludedDate',
      '2026-10-26T23:00Z',
    ]);
    const everyFromMs = Date.parse('2026-10-23T12:00Z');
    const every = calendar('@every 36h', without, { everyFromMs });
    expect(slots(every, '2026-10-23T12:00Z', 3)).toEqual([
      '2026-10-25T00:00Z no Job: excludedDate',
      '2026-10-28T00:00Z',
      '2026-10-29T12:00Z',
    ]);
    const never = calendar('* * * * *', { 'exclude-dates': '2020-01-01..2099-12-31' });
    expect(nextFiring(never, Date.parse(spring))).toBeUndefined();
  });

  test('looks no further than five years ahead for the end of what is excluded', () => {
    const forEver = { 'exclude-dates': '2026-03-29..9999-12-31' };
    // A zone of which no clock is ever changed again.
    const of = calendar('0 0 * * *', forEver, { timeZone: 'Asia/Kathmandu' });
    const years = vi.spyOn(Date, 'UTC');
    expect(slots(of, spring, 9)).toEqual(['2026-03-28T18:15Z no Job: excludedDate']);
    expect(Math.max(...years.mock.calls.map(([year]) => year))).toBeLessThan(2033);
    years.mockRestore();
  });

  test('leaves out the time in place of a skipped hour of an excluded date', () => {
    const of = calendar('30 2 * * *', { 'skipped-hour': 'once', 'exclude-dates': '2026-03-29' });
    expect(slots(of, spring, 2)).toEqual([
      '2026-03-29T01:00Z no Job: excludedDate',
      '2026-03-30T00:30Z',
    ]);
  });

  test('counts @every from the last time, however long ago', () => {
    const of = calendar('@every 90s', {}, { everyFromMs: 10_500 });
    expect(nextFiring(of, 10_500)?.nominalMs).toBe(100_000);
    expect(nextFiring(of, 100_000)?.nominalMs).toBe(190_000);
    expect(nextFiring(of, 99_999)?.nominalMs).toBe(100_000);
    expect(nextFiring(of, 100_000 + 90_000 * 1e6 + 1)?.nominalMs).toBe(190_000 + 90_000 * 1e6);
  });

  test('starts a CronJob always so long after its times, and each by another length', () => {
    const jitters = Array.from({ length: 600 }, (_, at) =>
      cronJitterMs(calendar('0 0 * * *', { 'jitter-seconds': '59' }, { name: `backup-${at}` })),
    );
    expect(new Set(jitters).size).toBe(60);
    expect([Math.min(...jitters), Math.max(...jitters)]).toEqual([0, 59_000]);
    // Ten each would be even; more than thrice that is not.
    for (const jitter of jitters) {
      expect(jitters.filter((other) => other === jitter).length).toBeLessThan(30);
    }
    const of = calendar('0 0 * * *', { 'jitter-seconds': '3600' });
    const [first, second] = [0, 86_400_000].map((afterMs) => nextFiring(of, afterMs));
    expect(first?.fireAtMs).toBe((first?.nominalMs ?? 0) + cronJitterMs(of));
    expect(second?.fireAtMs).toBe((first?.fireAtMs ?? 0) + 86_400_000);
  });
});

describe('the latest times', () => {
  test.each([
    ['*/20 1-3 * * *', '2026-03-27T00:00Z', '2026-04-01T00:00Z'],
    ['0 0 29 2 *', '2015-01-01T00:00Z', '2026-04-01T00:00Z'],
    ['* * 1 * *', '2026-01-31T22:57Z', '2026-03-20T07:12:34Z'],
    ['@every 7s', '2026-03-27T00:00:03Z', '2026-03-27T00:01:00Z'],
    ['0 0 * * *', '2026-03-27T00:00Z', '2026-03-27T01:00Z'],
  ])('of %s are the last of all', (text, after, until) => {
    const of = calendar(text, { 'skipped-hour': 'once' });
    const [afterMs, untilMs] = [Date.parse(after), Date.parse(until)];
    const all = [];
    for (let next = nextFiring(of, afterMs); next !== undefined && next.nominalMs <= untilMs;) {
      all.push(next);
      next = nextFiring(of, next.nominalMs);
    }
    for (const count of [1, 7, 1000]) {
      expect(latestFirings(of, { afterMs, untilMs, count })).toEqual(all.slice(-count));
    }
  });
});
