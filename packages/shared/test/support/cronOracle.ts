/**
 * Tells by other means than the code under test when a schedule is due: it knows nothing of the cron library, reads
 * expressions and the clock in its own way, and counts the minutes of each stretch between two changes of the clock.
 */

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
/** No offset lasts less, in the years that are tested. */
const STEP = 6 * DAY;

/** A stretch of time in which the clock goes on evenly. `wall` = as if it were UTC. */
interface Stretch {
  readonly startMs: number;
  readonly endMs: number;
  readonly offsetMs: number;
}

/** Policies of a CronJob at changes of the clock; false = as Kubernetes. */
export interface OracleOptions {
  readonly isRepeatedOnce?: boolean;
  readonly isSkippedOnce?: boolean;
}

const NAMES = [
  [],
  [],
  [],
  ['', 'jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
  ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'],
] as const;
const BOUNDS = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 6],
] as const;

const clocks = new Map<string, Intl.DateTimeFormat>();

function offsetAt(zone: string, atMs: number): number {
  let clock = clocks.get(zone);
  if (clock === undefined) {
    clock = new Intl.DateTimeFormat('sv-SE', {
      timeZone: zone,
      dateStyle: 'short',
      timeStyle: 'medium',
    });
    clocks.set(zone, clock);
  }
  return Date.parse(`${clock.format(atMs).replace(' ', 'T')}Z`) - atMs;
}

/** The stretches of a zone that cover an interval; whole minutes. */
export function stretchesOf(zone: string, fromMs: number, untilMs: number): Stretch[] {
  const stretches: Stretch[] = [];
  let startMs = fromMs;
  let offsetMs = offsetAt(zone, fromMs);
  for (let atMs = fromMs; atMs < untilMs;) {
    const nextMs = Math.min(atMs + STEP, untilMs);
    if (offsetAt(zone, nextMs) === offsetMs) {
      atMs = nextMs;
      continue;
    }
    let [same, other] = [atMs / MINUTE, nextMs / MINUTE];
    while (other - same > 1) {
      const middle = Math.floor((same + other) / 2);
      if (offsetAt(zone, middle * MINUTE) === offsetMs) same = middle;
      else other = middle;
    }
    const changeMs = other * MINUTE;
    stretches.push({ startMs, endMs: changeMs, offsetMs });
    [startMs, offsetMs, atMs] = [changeMs, offsetAt(zone, changeMs), changeMs];
  }
  stretches.push({ startMs, endMs: untilMs, offsetMs });
  return stretches;
}

interface Reading {
  readonly numbers: readonly number[];
  readonly isAny: boolean;
}

function readField(text: string, place: number): Reading {
  const [min, max] = BOUNDS[place] ?? [0, 0];
  const names: readonly string[] = NAMES[place] ?? [];
  const value = (word: string): number => {
    const at = names.indexOf(word.toLowerCase());
    return at < 0 ? Number(word) : at;
  };
  const wanted = new Set<number>();
  let isAny = false;
  for (const part of text.split(',')) {
    const [range = '', step] = part.split('/');
    const [low = '', high] = range.split('-');
    const isStar = low === '*' || low === '?';
    if (isStar && (step === undefined || step === '1')) isAny = true;
    const from = isStar ? min : value(low);
    let to = high === undefined ? from : value(high);
    if (isStar || (high === undefined && step !== undefined)) to = max;
    for (let number = from; number <= to; number += Number(step ?? 1)) wanted.add(number);
  }
  return { numbers: [...wanted].toSorted((a, b) => a - b), isAny };
}

/** Midnight of each day of the calendar with times, as if it were UTC, whose day overlaps `[fromMs, untilMs)`. */
function* daysOf(fields: readonly Reading[], fromMs: number, untilMs: number): Generator<number> {
  const [, , days, months, weekdays] = fields;
  for (let dayMs = Math.floor(fromMs / DAY) * DAY; dayMs < untilMs; dayMs += DAY) {
    const date = new Date(dayMs);
    if (months?.numbers.includes(date.getUTCMonth() + 1) !== true) continue;
    const isDay = days?.numbers.includes(date.getUTCDate()) === true;
    const isWeekday = weekdays?.numbers.includes(date.getUTCDay()) === true;
    const isEither = days?.isAny === false && weekdays?.isAny === false;
    if (isEither ? isDay || isWeekday : isDay && isWeekday) yield dayMs;
  }
}

/** The wall-clock times of a schedule in `[fromMs, untilMs)`, as if they were UTC, in order. */
function wallTimes(fields: readonly Reading[], fromMs: number, untilMs: number): number[] {
  const [minutes, hours] = fields;
  const times: number[] = [];
  for (const dayMs of daysOf(fields, fromMs, untilMs)) {
    for (const hour of hours?.numbers ?? []) {
      for (const minute of minutes?.numbers ?? []) {
        const atMs = dayMs + (hour * 60 + minute) * MINUTE;
        if (atMs >= fromMs && atMs < untilMs) times.push(atMs);
      }
    }
  }
  return times;
}

/** How often a schedule is due in an interval, but for changes of the clock. */
export function oracleCount(text: string, fromMs: number, untilMs: number): number {
  const fields = text.split(' ').map(readField);
  const perDay = (fields[0]?.numbers.length ?? 0) * (fields[1]?.numbers.length ?? 0);
  return [...daysOf(fields, fromMs, untilMs)].length * perDay;
}

/**
 * When Jobs are started: instants in `[fromMs, untilMs)`, in order.
 *
 * @param stretches - Of the zone, at least of the interval.
 */
export function oracleTimes(
  text: string,
  stretches: readonly Stretch[],
  [fromMs, untilMs]: readonly [number, number],
  { isRepeatedOnce = false, isSkippedOnce = false }: OracleOptions = {},
): number[] {
  const fields = text.split(' ').map(readField);
  const found: number[] = [];
  for (const [at, { startMs, endMs, offsetMs }] of stretches.entries()) {
    const [firstMs, lastMs] = [Math.max(startMs, fromMs), Math.min(endMs, untilMs)];
    if (firstMs >= lastMs) continue;
    const before = stretches[at - 1];
    // What the clock would have shown at the change, had it not been set.
    const wallBefore = before === undefined ? null : startMs + before.offsetMs;
    let isStart = false;
    if (isSkippedOnce && wallBefore !== null && firstMs === startMs) {
      isStart = wallTimes(fields, wallBefore, startMs + offsetMs).length > 0;
    }
    if (isStart) found.push(startMs);
    for (const wallMs of wallTimes(fields, firstMs + offsetMs, lastMs + offsetMs)) {
      if (isRepeatedOnce && wallBefore !== null && wallMs < wallBefore) continue;
      if (!isStart || wallMs - offsetMs !== startMs) found.push(wallMs - offsetMs);
    }
  }
  return found;
}
