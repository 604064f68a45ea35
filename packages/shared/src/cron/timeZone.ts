/** Formatters that tell the offset of a zone, kept: making one takes longer than using it. */
const clocks = new Map<string, Intl.DateTimeFormat>();

/** Beyond so many, those held are forgotten: there are fewer zones, but each name in any mixture of cases. */
const MAX_CLOCKS = 1_000;

function clockOf(zone: string): Intl.DateTimeFormat {
  let clock = clocks.get(zone);
  if (clock === undefined) {
    clock = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' });
    if (clocks.size >= MAX_CLOCKS) clocks.clear();
    clocks.set(zone, clock);
  }
  return clock;
}

/** Whether there is a time zone of this name (IANA, such as `Europe/Berlin`). */
export function isTimeZone(zone: string): boolean {
  // `Intl` also takes offsets such as +01:00, which are no zones.
  if (!/^[A-Za-z]/.test(zone)) return false;
  try {
    clockOf(zone);
    return true;
  } catch {
    return false;
  }
}

/**
 * How far the wall clock of a zone is ahead of UTC.
 *
 * @param zone - A name for which {@link isTimeZone} holds.
 * @param atMs - An instant, ms since the epoch.
 * @returns Milliseconds, a multiple of 1000; negative west of Greenwich.
 * @throws RangeError for a zone that does not exist.
 */
export function zoneOffsetMs(zone: string, atMs: number): number {
  // As in `1/1/2026, GMT+05:30`; UTC is `GMT`, and before there were zones it has seconds.
  const text = clockOf(zone).format(atMs);
  const [sign = '', hours, minutes, seconds = '0'] = text
    .slice(text.lastIndexOf('GMT') + 'GMT'.length)
    .split(/(?<=[+-])|:/);
  if (sign === '') return 0;
  const offsetMs = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
  return sign === '-' ? -offsetMs : offsetMs;
}

/** Since 1970 no offset of any zone lasted for less than a week; before that, a short one may be passed over. */
const STEP_MS = 5 * 24 * 3_600_000;

/** Changes of the years that were asked for, by zone and year: finding them takes long. */
const changesOfYears = new Map<string, readonly number[]>();

/** Beyond so many, those held are forgotten. */
const MAX_YEARS_HELD = 5_000;

/**
 * The first instant in `(fromMs, untilMs]` at which the offset of a zone changes.
 *
 * @returns ms since the epoch, a multiple of 1000; null = there is none.
 */
export function nextOffsetChange(zone: string, fromMs: number, untilMs: number): number | null {
  const lastYear = new Date(untilMs).getUTCFullYear();
  for (let year = new Date(fromMs).getUTCFullYear(); year <= lastYear; year++) {
    const change = changesOf(zone, year).find((atMs) => atMs > fromMs);
    if (change !== undefined) return change <= untilMs ? change : null;
  }
  return null;
}

/** The instants of a year (of UTC) at which the offset is another than a second before. */
function changesOf(zone: string, year: number): readonly number[] {
  const key = `${zone} ${year}`;
  const held = changesOfYears.get(key);
  if (held !== undefined) return held;
  const changes: number[] = [];
  const endMs = Date.UTC(year + 1, 0, 1) - 1_000;
  for (let sameMs = Date.UTC(year, 0, 1) - 1_000; sameMs < endMs; sameMs += STEP_MS) {
    const otherMs = Math.min(sameMs + STEP_MS, endMs);
    const offsetMs = zoneOffsetMs(zone, sameMs);
    if (zoneOffsetMs(zone, otherMs) !== offsetMs)
      changes.push(bisect(zone, offsetMs, sameMs, otherMs));
  }
  if (changesOfYears.size >= MAX_YEARS_HELD) changesOfYears.clear();
  changesOfYears.set(key, changes);
  return changes;
}

function bisect(zone: string, offsetMs: number, sameMs: number, otherMs: number): number {
  let [same, other] = [sameMs / 1000, otherMs / 1000];
  while (other - same > 1) {
    const middle = Math.floor((same + other) / 2);
    if (zoneOffsetMs(zone, middle * 1000) === offsetMs) same = middle;
    else other = middle;
  }
  return other * 1000;
}
