/** When a CronJob starts Jobs: its schedule, its zone and its annotations together. */

import type { CronPolicy } from './annotations.ts';
import { nextCronTime } from './nextTime.ts';
import type { CronSchedule } from './schedule.ts';
import { nextOffsetChange, zoneOffsetMs } from './timeZone.ts';

/** The zone of a CronJob that names none: the same for all controllers, wherever they run. */
export const DEFAULT_TIME_ZONE = 'UTC';

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
/** The clock of no zone was ever set by more than this. */
const MAX_CHANGE_MS = 25 * 3_600_000;
/** How far ahead a time is looked for: what is not due in these years counts as never. */
const MAX_AHEAD_MS = 5 * 366 * DAY_MS;

/** All that decides when a CronJob starts Jobs. */
export interface CronCalendar {
  /** Its namespace; with the name, what decides about the jitter. */
  readonly namespace: string;
  /** Its name. */
  readonly name: string;
  /** Its schedule. */
  readonly schedule: CronSchedule;
  /** Name of a time zone that exists. */
  readonly timeZone: string;
  /** What its annotations say. */
  readonly policy: CronPolicy;
  /** What `@every` counts from: the last nominal time, else the creation. ms since the epoch; of no account for others. */
  readonly everyFromMs: number;
}

/** A time at which a Job is started. */
export interface CronFiring {
  /** The time by the schedule, which names the Job. ms since the epoch. */
  readonly nominalMs: number;
  /** When the Job is started: the same and the jitter. */
  readonly fireAtMs: number;
}

/** What a change of the clock has to do with a time. */
export type ClockChange =
  /** Its hour comes twice, and this is the first one. */
  | 'repeatedFirst'
  /** Its hour comes twice, and this is the second one. */
  | 'repeatedSecond'
  /** It stands for times in an hour that does not come, and is the moment of the change. */
  | 'skipped';

/** A time of a calendar, or times that have no Job for a common reason. */
export type CronSlot =
  | (CronFiring & {
      readonly type: 'fires';
      /** null: no change of the clock is near. */
      readonly clock: ClockChange | null;
    })
  | {
      readonly type: 'passes';
      /**
       * Why there is no Job. `repeatedHour`: the hour comes for the second time. `skippedHour`: it does not come, for
       * this time and all others in it. `excludedDate`: for this time and all others of the dates.
       */
      readonly reason: 'repeatedHour' | 'skippedHour' | 'excludedDate';
      /** The time; of a skipped hour, the moment of the change. ms since the epoch. */
      readonly nominalMs: number;
    };

/** How far the starts of a CronJob are behind its times, in ms: 0 to that of its jitter, evenly spread. */
export function cronJitterMs({
  namespace,
  name,
  policy,
}: Pick<CronCalendar, 'namespace' | 'name' | 'policy'>): number {
  return (hashOf(`${namespace}/${name}`) % (policy.jitterSeconds + 1)) * SECOND_MS;
}

/**
 * The next start of a Job.
 *
 * @param afterMs - The nominal time of the last one, or any instant, ms since the epoch.
 * @returns The first one with a nominal time > `afterMs`; undefined = there is none within five years.
 */
export function nextFiring(calendar: CronCalendar, afterMs: number): CronFiring | undefined {
  for (const slot of cronSlots(calendar, afterMs)) {
    if (slot.type === 'fires') return { nominalMs: slot.nominalMs, fireAtMs: slot.fireAtMs };
  }
  return undefined;
}

/**
 * The latest starts with nominal times in `(afterMs, untilMs]`, in order.
 *
 * Takes time by their number, not by the length of the interval.
 *
 * @param count - At most so many, an integer >= 1.
 */
export function latestFirings(
  calendar: CronCalendar,
  { afterMs, untilMs, count }: { afterMs: number; untilMs: number; count: number },
): CronFiring[] {
  const firings: CronFiring[] = [];
  let endMs = untilMs;
  let guessMs = SECOND_MS;
  while (firings.length < count) {
    const last = lastFiring(calendar, afterMs, endMs, guessMs);
    if (last === undefined) break;
    firings.unshift(last);
    guessMs = Math.max(guessMs, endMs - last.nominalMs + 1);
    endMs = last.nominalMs - 1;
  }
  return firings;
}

/** The last start in `(afterMs, untilMs]`; `guessMs` is how far back it may be. */
function lastFiring(
  calendar: CronCalendar,
  afterMs: number,
  untilMs: number,
  guessMs: number,
): CronFiring | undefined {
  const firstAfter = (fromMs: number): CronFiring | undefined => {
    const firing = nextFiring(calendar, fromMs);
    return firing === undefined || firing.nominalMs > untilMs ? undefined : firing;
  };
  let found: CronFiring | undefined;
  let noneAfterMs = untilMs;
  for (let backMs = guessMs; found === undefined; backMs *= 2) {
    if (noneAfterMs <= afterMs) return undefined;
    const fromMs = Math.max(afterMs, untilMs - backMs);
    found = firstAfter(fromMs);
    if (found === undefined) noneAfterMs = fromMs;
  }
  // Between two times there is a second at least.
  while (noneAfterMs - found.nominalMs >= SECOND_MS) {
    const middleMs = Math.floor((found.nominalMs + noneAfterMs) / 2);
    const later = firstAfter(middleMs);
    if (later === undefined) noneAfterMs = middleMs;
    else found = later;
  }
  return found;
}

/**
 * The times of a calendar after an instant, in order, those without a Job among them, on and on. It ends when none
 * comes within five years.
 */
export function* cronSlots(calendar: CronCalendar, afterMs: number): Generator<CronSlot, void> {
  const { policy } = calendar;
  const jitterMs = cronJitterMs(calendar);
  let fromMs = afterMs;
  let untilMs = afterMs + MAX_AHEAD_MS;
  // A change at which nothing is started in place of what it skips is told once.
  let toldMs = afterMs;
  while (fromMs < untilMs) {
    const regularMs = nextRegular(calendar, fromMs, untilMs);
    const skippedMs = nextSkipped(calendar, Math.max(fromMs, toldMs), regularMs ?? untilMs);
    const nominalMs = skippedMs ?? regularMs;
    if (nominalMs === null) return;
    const endMs = excludedUntil(calendar, nominalMs, untilMs);
    if (endMs !== null) {
      yield { type: 'passes', reason: 'excludedDate', nominalMs };
      fromMs = pastExcluded(calendar, endMs, untilMs);
      continue;
    }
    untilMs = nominalMs + MAX_AHEAD_MS;
    if (skippedMs !== null && policy.skippedHour === 'skip') {
      yield { type: 'passes', reason: 'skippedHour', nominalMs };
      toldMs = skippedMs;
      continue;
    }
    fromMs = nominalMs;
    const clock = skippedMs === null ? repetitionOf(calendar, nominalMs) : 'skipped';
    if (clock === 'repeatedSecond' && policy.repeatedHour === 'once') {
      yield { type: 'passes', reason: 'repeatedHour', nominalMs };
    } else {
      yield { type: 'fires', nominalMs, fireAtMs: nominalMs + jitterMs, clock };
    }
  }
}

/** The first time in `(fromMs, untilMs]` that the clock shows. */
function nextRegular(calendar: CronCalendar, fromMs: number, untilMs: number): number | null {
  const { schedule, timeZone, everyFromMs } = calendar;
  let nextMs: number | null;
  if (schedule.type === 'every') {
    const firstMs = nextCronTime(schedule, timeZone, everyFromMs) ?? 0;
    const steps = Math.floor((fromMs - firstMs) / schedule.everyMs) + 1;
    nextMs = firstMs + Math.max(0, steps) * schedule.everyMs;
  } else {
    nextMs = nextCronTime(schedule, timeZone, fromMs);
  }
  return nextMs === null || nextMs > untilMs ? null : nextMs;
}

/** The first change of the clock in `(fromMs, untilMs]` that skips a time of the schedule. */
function nextSkipped(
  { schedule, timeZone }: CronCalendar,
  fromMs: number,
  untilMs: number,
): number | null {
  if (schedule.type === 'every') return null;
  for (const { atMs, beforeMs, afterMs } of changesIn(timeZone, fromMs, untilMs)) {
    if (afterMs <= beforeMs) continue;
    const wallMs = nextCronTime(schedule, 'UTC', atMs + beforeMs - SECOND_MS);
    if (wallMs !== null && wallMs < atMs + afterMs) return atMs;
  }
  return null;
}

function repetitionOf(
  { schedule, timeZone }: CronCalendar,
  nominalMs: number,
): 'repeatedFirst' | 'repeatedSecond' | null {
  if (schedule.type === 'every') return null;
  const [fromMs, untilMs] = [nominalMs - MAX_CHANGE_MS, nominalMs + MAX_CHANGE_MS];
  for (const { atMs, beforeMs, afterMs } of changesIn(timeZone, fromMs, untilMs)) {
    const backMs = beforeMs - afterMs;
    if (nominalMs >= atMs && nominalMs < atMs + backMs) return 'repeatedSecond';
    if (nominalMs < atMs && nominalMs >= atMs - backMs) return 'repeatedFirst';
  }
  return null;
}

/** A change of the clock, and how far it was ahead of UTC before and after it. */
interface OffsetChange {
  readonly atMs: number;
  readonly beforeMs: number;
  readonly afterMs: number;
}

function* changesIn(zone: string, fromMs: number, untilMs: number): Generator<OffsetChange, void> {
  let atMs = nextOffsetChange(zone, fromMs, untilMs);
  while (atMs !== null) {
    const [beforeMs, afterMs] = [zoneOffsetMs(zone, atMs - SECOND_MS), zoneOffsetMs(zone, atMs)];
    yield { atMs, beforeMs, afterMs };
    atMs = nextOffsetChange(zone, atMs, untilMs);
  }
}

/**
 * Whether the date of an instant is excluded.
 *
 * @param untilMs - What is beyond is of no interest, not before the instant.
 * @returns null = no; else an instant after it: all in between are excluded too.
 */
function excludedUntil(
  { policy: { excludedDates }, timeZone }: CronCalendar,
  nominalMs: number,
  untilMs: number,
): number | null {
  if (excludedDates.length === 0) return null;
  const offsetMs = zoneOffsetMs(timeZone, nominalMs);
  const date = new Date(nominalMs + offsetMs).toISOString().slice(0, 'yyyy-mm-dd'.length);
  const range = excludedDates.find(({ from, to }) => from <= date && date <= to);
  if (range === undefined) return null;
  // Some dates are excluded for ever, and thousands of years have many changes of the clock to be looked for.
  const endMs = Math.min(Date.parse(range.to) + DAY_MS - offsetMs, untilMs + 1);
  // Beyond a change of the clock, midnight is at another instant.
  return nextOffsetChange(timeZone, nominalMs, endMs) ?? endMs;
}

/** Goes on, while the date is still excluded, to the last instant of it. */
function pastExcluded(calendar: CronCalendar, endMs: number, untilMs: number): number {
  let pastMs = endMs;
  for (;;) {
    const nextMs = pastMs > untilMs ? null : excludedUntil(calendar, pastMs, untilMs);
    if (nextMs === null) return pastMs - 1;
    pastMs = nextMs;
  }
}

/** FNV-1a, and at the end a mixing of all bits: names that differ in one digit are far apart. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
