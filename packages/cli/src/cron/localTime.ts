import { parseTime, zoneOffsetMs } from '@drover/shared';

import { badInput } from '../errors.ts';

/** `2026-03-29T03:00:00+02:00`. */
export function localTime(zone: string, atMs: number): string {
  const offsetMs = zoneOffsetMs(zone, atMs);
  const wall = new Date(atMs + offsetMs).toISOString().slice(0, -'.000Z'.length);
  const minutes = Math.floor(Math.abs(offsetMs) / 60_000);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${wall}${offsetMs < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** A time of an option, ms since the epoch. @throws CliError */
export function readTime(option: string, text: string): number {
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const timeMs = isTime ? parseTime(text) : null;
  if (timeMs !== null) return timeMs;
  throw badInput(
    `${option} ${text}: a time such as 2026-03-29T01:00:00Z, or a date (from midnight UTC), is expected`,
  );
}
