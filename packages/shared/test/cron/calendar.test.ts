/**
 * Calendars against an oracle that was written by another way. With DROVER_CRON_SWEEP each time of the ten years is
 * looked at instead of samples, for so many schedules (200: hours), and each minute around the changes of the clock.
 */

import { describe, expect, test } from 'vitest';

import { readCronPolicy } from '../../src/cron/annotations.ts';
import { cronSlots, latestFirings, nextFiring, type CronCalendar } from '../../src/cron/firings.ts';
import { readCronSchedule } from '../../src/cron/schedule.ts';
import {
  oracleCount,
  oracleTimes,
  stretchesOf,
  type OracleOptions,
} from '../support/cronOracle.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const FROM = Date.UTC(2024, 0, 1);
const UNTIL = Date.UTC(2034, 0, 1);
const SWEEP = Number(process.env['DROVER_CRON_SWEEP'] ?? 0);
const SEED = Number(process.env['DROVER_TEST_SEED'] ?? 20_261_130);
const ZONES = Intl.supportedValuesOf('timeZone');

function calendarOf(text: string, timeZone: string, options: OracleOptions = {}): CronCalendar {
  const schedule = readCronSchedule(text);
  const policy = readCronPolicy({
    'drover.dev/cron-repeated-hour': options.isRepeatedOnce === true ? 'once' : 'twice',
    'drover.dev/cron-skipped-hour': options.isSkippedOnce === true ? 'once' : 'skip',
  });
  if (!schedule.ok || !policy.ok) throw new Error(`bad: ${text}`);
  return {
    namespace: 'default',
    name: 'any',
    schedule: schedule.schedule,
    timeZone,
    policy: policy.policy,
    everyFromMs: FROM,
  };
}

/** What a controller would start in `[fromMs, untilMs)`: one after the other, each from the one before. */
function started(calendar: CronCalendar, fromMs: number, untilMs: number): number[] {
  const times: number[] = [];
  for (let next = nextFiring(calendar, fromMs - 1); next !== undefined;) {
    if (next.nominalMs >= untilMs) break;
    times.push(next.nominalMs);
    next = nextFiring(calendar, next.nominalMs);
  }
  return times;
}

/** What a preview would print. */
function previewed(calendar: CronCalendar, fromMs: number, untilMs: number): number[] {
  const times: number[] = [];
  for (const slot of cronSlots(calendar, fromMs - 1)) {
    if (slot.nominalMs >= untilMs) break;
    if (slot.type === 'fires') times.push(slot.nominalMs);
  }
  return times;
}

function isoTexts(times: readonly number[]): string[] {
  return times.map((atMs) => new Date(atMs).toISOString());
}

/** A source of numbers that is the same for a seed (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** An expression of all that the grammar has; some of them are due often, some hardly ever. */
function randomExpression(random: (below: number) => number): string {
  const bounds = [
    [0, 59],
    [0, 23],
    [1, 28],
    [1, 12],
    [0, 6],
  ] as const;
  const shapes = [3, 4, 6, 6, 5];
  return bounds
    .map(([min, max], place) => {
      const number = (): number => min + random(max - min + 1);
      const [low, high] = [number(), number()].toSorted((a, b) => a - b);
      const step = 1 + random(Math.ceil((max - min) / 2));
      const few = [`${number()}`, `${number()},${number()}`, `${low}-${high}`, `*/${step}`];
      const many = [...few, `${low}/${step}`, `${low}-${high}/${step},${number()}`];
      // The days and months are mostly left open, the minute hardly ever.
      return random(6) < (shapes[place] ?? 0) - 1 && place > 0
        ? '*'
        : (many[random(many.length)] ?? '*');
    })
    .join(' ')
    .replace(/ 3 (?=\S+$)/, ' mar ');
}

describe('two hundred schedules in zones of the whole world, over ten years', () => {
  const random = randomFrom(SEED);
  const pairs = Array.from({ length: 200 }, () => ({
    text: randomExpression(random),
    zone: ZONES[random(ZONES.length)] ?? 'UTC',
    options: { isRepeatedOnce: random(2) === 1, isSkippedOnce: random(2) === 1 },
  }));

  /** Intervals to look at: with few times all of it, else some beginnings and some changes of the clock. */
  function* samples(text: string, changes: readonly number[]): Generator<[number, number]> {
    const count = oracleCount(text, FROM, UNTIL);
    if (SWEEP > 0) {
      for (let fromMs = FROM; fromMs < UNTIL; fromMs += 366 * DAY) {
        yield [fromMs, Math.min(fromMs + 366 * DAY, UNTIL)];
      }
    } else if (count <= 60) {
      yield [FROM, UNTIL];
    } else {
      const lengthMs = Math.ceil((UNTIL - FROM) / count / MINUTE) * 15 * MINUTE;
      for (let sample = 0; sample < 2; sample++) {
        const fromMs = FROM + Math.floor(random(UNTIL - lengthMs - FROM) / MINUTE) * MINUTE;
        yield [fromMs, fromMs + lengthMs];
      }
      const changeMs = changes[random(changes.length)];
      if (changeMs !== undefined) yield [changeMs - HOUR, changeMs + HOUR];
    }
  }

  const timeout = SWEEP > 0 ? 8 * HOUR : 60_000;
  test(`each time comes exactly once, and a preview says so (seed ${SEED})`, { timeout }, () => {
    for (const { text, zone, options } of SWEEP > 0 ? pairs.slice(0, SWEEP) : pairs) {
      const stretches = stretchesOf(zone, FROM - DAY, UNTIL + DAY);
      const calendar = calendarOf(text, zone, options);
      const what = `${text} in ${zone} ${JSON.stringify(options)}`;
      const changes = stretches.slice(1).map(({ startMs }) => startMs);
      for (const [fromMs, untilMs] of samples(text, changes)) {
        const times = oracleTimes(text, stretches, [fromMs, untilMs], options);
        expect(isoTexts(started(calendar, fromMs, untilMs)), what).toEqual(isoTexts(times));
        expect(isoTexts(previewed(calendar, fromMs, untilMs)), what).toEqual(isoTexts(times));
        const bounds = { afterMs: fromMs - 1, untilMs: untilMs - 1 };
        const latest = latestFirings(calendar, { ...bounds, count: 2 });
        const latestMs = latest.map(({ nominalMs }) => nominalMs);
        expect(isoTexts(latestMs), what).toEqual(isoTexts(times.slice(-2)));
      }
    }
  });
});

describe('every change of the clock of every zone, over ten years', () => {
  test('has the same times as by looking at each minute', { timeout: 60_000 }, () => {
    const text = SWEEP > 0 ? '* * * * *' : '30 0-2,23 * * *';
    let changes = 0;
    for (const zone of ZONES) {
      const stretches = stretchesOf(zone, FROM, UNTIL);
      for (const [at, { startMs }] of stretches.entries()) {
        if (at === 0) continue;
        changes += 1;
        // Odd ones as in Kubernetes: neighbours are of different kinds, and so it is in the next zone.
        const isOnce = (changes + ZONES.indexOf(zone)) % 2 === 0;
        const options = { isRepeatedOnce: isOnce, isSkippedOnce: isOnce };
        const [fromMs, untilMs] = [startMs - HOUR, startMs + HOUR];
        const times = oracleTimes(
          text,
          stretches.slice(at - 1, at + 1),
          [fromMs, untilMs],
          options,
        );
        expect(
          isoTexts(started(calendarOf(text, zone, options), fromMs, untilMs)),
          `${text} in ${zone} at ${new Date(startMs).toISOString()} ${JSON.stringify(options)}`,
        ).toEqual(isoTexts(times));
      }
    }
    expect(ZONES.length).toBeGreaterThan(400);
    expect(changes).toBeGreaterThan(1_000);
  });
});
