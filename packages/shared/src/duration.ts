import { parseTime } from './time.ts';

const SECOND_MS = 1000;
const MINUTES = 60;
const HOURS = 60 * MINUTES;
const DAYS = 24 * HOURS;
const YEARS = 365 * DAYS;

/**
 * Writes a duration as kubectl does in its AGE and DURATION columns: `90s`, `5m30s`, `3h5m`, `7d2h`.
 * The longer it is, the coarser; a part that is zero is left out.
 *
 * @param durationMs - Negative when a clock is behind: up to two seconds it is `0s`, beyond that
 *   `<invalid>`.
 * @see apimachinery, pkg/util/duration, HumanDuration
 */
export function humanDuration(durationMs: number): string {
  const seconds = Math.trunc(durationMs / SECOND_MS);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 2 * MINUTES) return `${seconds}s`;
  if (seconds < 10 * MINUTES) return twoParts(seconds, MINUTES, 'm', 1, 's');
  if (seconds < 3 * HOURS) return `${Math.floor(seconds / MINUTES)}m`;
  if (seconds < 8 * HOURS) return twoParts(seconds, HOURS, 'h', MINUTES, 'm');
  if (seconds < 2 * DAYS) return `${Math.floor(seconds / HOURS)}h`;
  if (seconds < 8 * DAYS) return twoParts(seconds, DAYS, 'd', HOURS, 'h');
  if (seconds < 2 * YEARS) return `${Math.floor(seconds / DAYS)}d`;
  if (seconds < 8 * YEARS) return twoParts(seconds, YEARS, 'y', DAYS, 'd');
  return `${Math.floor(seconds / YEARS)}y`;
}

/** The AGE column: how long ago an RFC 3339 time was; `<unknown>` when there is none. */
export function ageText(time: string | undefined, nowMs: number): string {
  const sinceMs = parseTime(time);
  return sinceMs === null ? '<unknown>' : humanDuration(nowMs - sinceMs);
}

function twoParts(
  seconds: number,
  large: number,
  largeUnit: string,
  small: number,
  smallUnit: string,
): string {
  const rest = Math.floor((seconds % large) / small);
  const whole = `${Math.floor(seconds / large)}${largeUnit}`;
  return rest === 0 ? whole : `${whole}${rest}${smallUnit}`;
}
