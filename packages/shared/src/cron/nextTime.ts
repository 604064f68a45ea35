import { Cron } from 'croner';

import type { CronSchedule } from './schedule.ts';
import { nextOffsetChange, zoneOffsetMs } from './timeZone.ts';

/** How far ahead a time is looked for: what is not due in these years counts as never. */
const MAX_YEARS_AHEAD = 5;

/** Patterns as the cron library holds them. */
const patterns = new Map<string, Cron>();

/** Beyond so many, those held are forgotten: an installation has few, a test may have thousands. */
const MAX_PATTERNS = 1_000;

/**
 * The next time at which a schedule is due.
 *
 * The wall clock of the zone counts: a time in an hour that is skipped does not come, one in an hour that is
 * repeated comes twice, as in Kubernetes.
 *
 * @param zone - Name of a time zone that exists; of no account for `@every`.
 * @param afterMs - ms since the epoch; for `@every`, the last time (or that of creation).
 * @returns ms since the epoch, a whole second, > `afterMs`; null = not within five years.
 */
export function nextCronTime(schedule: CronSchedule, zone: string, afterMs: number): number | null {
  if (schedule.type === 'every') return Math.floor(afterMs / 1000) * 1000 + schedule.everyMs;
  const cron = patternOf(schedule.pattern);
  const endMs = new Date(afterMs).setUTCFullYear(
    new Date(afterMs).getUTCFullYear() + MAX_YEARS_AHEAD,
  );
  let startMs = Math.floor(afterMs / 1000) * 1000 + 1000;
  while (startMs <= endMs) {
    // While the offset stays, the clock on the wall goes on as that of UTC does.
    const offsetMs = zoneOffsetMs(zone, startMs);
    const wall = cron.nextRun(new Date(startMs + offsetMs - 1000));
    const dueMs = Math.min(
      wall === null ? Number.POSITIVE_INFINITY : wall.getTime() - offsetMs,
      endMs + 1,
    );
    const changeMs = nextOffsetChange(zone, startMs, dueMs);
    if (changeMs === null) return dueMs <= endMs ? dueMs : null;
    startMs = changeMs;
  }
  return null;
}

function patternOf(pattern: string): Cron {
  let cron = patterns.get(pattern);
  if (cron === undefined) {
    if (patterns.size >= MAX_PATTERNS) patterns.clear();
    cron = new Cron(pattern, { paused: true, utcOffset: 0, mode: '5-part' });
    patterns.set(pattern, cron);
  }
  return cron;
}
