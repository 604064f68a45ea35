import { describe, expect, test } from 'vitest';

import { nextCronTime } from '../../src/cron/nextTime.ts';
import { readCronSchedule, type CronSchedule } from '../../src/cron/schedule.ts';
import { isTimeZone, zoneOffsetMs } from '../../src/cron/timeZone.ts';

const MINUTE = 60_000;

function scheduleOf(text: string): CronSchedule {
  const reading = readCronSchedule(text);
  if (!reading.ok) throw new Error(reading.problems[0]?.reason);
  return reading.schedule;
}

/** The times in `(after, until]`, as ISO texts of UTC without what is always zero. */
function times(text: string, zone: string, after: string, until: string): string[] {
  const found: string[] = [];
  let atMs: number | null = Date.parse(after);
  for (;;) {
    atMs = nextCronTime(scheduleOf(text), zone, atMs);
    if (atMs === null || atMs > Date.parse(until)) return found;
    found.push(new Date(atMs).toISOString().replace(':00.000Z', 'Z'));
  }
}

describe('the next time', () => {
  test('is after, never at, the time given', () => {
    expect(times('0 0 * * *', 'UTC', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z')).toEqual([
      '2026-01-02T00:00Z',
    ]);
    expect(times('0 0 * * *', 'UTC', '2025-12-31T23:59:59.999Z', '2026-01-01T12:00Z')).toEqual([
      '2026-01-01T00:00Z',
    ]);
  });

  test('is on either day when both days are chosen, and on both else', () => {
    const month = ['2026-02-28T23:59Z', '2026-03-31T23:59Z'] as const;
    expect(times('0 0 13 * 5', 'UTC', ...month)).toEqual([
      '2026-03-06T00:00Z',
      '2026-03-13T00:00Z',
      '2026-03-20T00:00Z',
      '2026-03-27T00:00Z',
    ]);
    expect(times('0 0 10 * 5', 'UTC', ...month)).toContain('2026-03-10T00:00Z');
    expect(times('0 0 * * 1', 'UTC', ...month)).toHaveLength(5);
    expect(times('0 0 */1 * 1', 'UTC', ...month)).toHaveLength(5);
    expect(times('0 0 */16 * 1', 'UTC', ...month)).toHaveLength(7);
  });

  test('does not come in an hour that is skipped', () => {
    const days = ['2026-03-28T12:00Z', '2026-03-30T12:00Z'] as const;
    expect(times('30 2 * * *', 'Europe/Berlin', ...days)).toEqual(['2026-03-30T00:30Z']);
    expect(times('0,30 1-3 29 * *', 'Europe/Berlin', ...days)).toEqual([
      '2026-03-29T00:00Z',
      '2026-03-29T00:30Z',
      '2026-03-29T01:00Z',
      '2026-03-29T01:30Z',
    ]);
  });

  test('comes twice in an hour that is repeated, however far away one asks', () => {
    const day = ['2026-10-24T12:00Z', '2026-10-25T12:00Z'] as const;
    const twice = ['2026-10-25T00:30Z', '2026-10-25T01:30Z'];
    expect(times('30 2 * * *', 'Europe/Berlin', ...day)).toEqual(twice);
    expect(times('30 2 25 10 *', 'Europe/Berlin', '2026-01-01T00:00Z', day[1])).toEqual(twice);
  });

  test('counts the first minute of a new offset', () => {
    const days = ['2026-03-29T00:59Z', '2026-03-29T12:00Z'] as const;
    expect(times('0 3 * * *', 'Europe/Berlin', ...days)).toEqual(['2026-03-29T01:00Z']);
  });

  test('is found where midnight is skipped, where half an hour is, and where a whole day is', () => {
    expect(times('0 0 * * *', 'Asia/Beirut', '2026-03-27T23:00Z', '2026-03-30T00:00Z')).toEqual([
      '2026-03-29T21:00Z',
    ]);
    const change = ['2026-10-03T12:00Z', '2026-10-04T12:00Z'] as const;
    expect(times('15,45 2 * * *', 'Australia/Lord_Howe', ...change)).toEqual(['2026-10-03T15:45Z']);
    // Samoa had no 30 December 2011.
    expect(
      times('0 12 29-31 12 *', 'Pacific/Apia', '2011-12-28T12:00Z', '2012-01-01T12:00Z'),
    ).toEqual(['2011-12-29T22:00Z', '2011-12-30T22:00Z']);
  });

  test('is none where the calendar has none', () => {
    expect(nextCronTime(scheduleOf('59 23 31 2 *'), 'UTC', 0)).toBeNull();
    expect(nextCronTime(scheduleOf('0 0 29 2 *'), 'UTC', Date.parse('2096-03-01'))).toBeNull();
  });

  test('of @every is counted from the last one, in whole seconds', () => {
    expect(nextCronTime(scheduleOf('@every 90s'), 'UTC', 10_500)).toBe(100_000);
  });
});

describe('a time zone', () => {
  test('is a name of the IANA database', () => {
    for (const zone of ['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Etc/GMT+5']) {
      expect(isTimeZone(zone), zone).toBe(true);
    }
    for (const zone of ['', 'Berlin', 'Europe/Nowhere', '+01:00', 'Europe/Berlin ']) {
      expect(isTimeZone(zone), zone).toBe(false);
    }
  });

  test('is so far ahead of UTC', () => {
    expect(zoneOffsetMs('Asia/Kathmandu', 0)).toBe(5.5 * 60 * MINUTE);
    expect(zoneOffsetMs('America/New_York', Date.parse('1800-01-01'))).toBe(
      -(4 * 3600 + 56 * 60 + 2) * 1000,
    );
    expect(zoneOffsetMs('UTC', -62_198_755_200_000)).toBe(0);
  });
});
