import { readCronPolicy } from './cron/annotations.ts';
import { DEFAULT_TIME_ZONE, type CronCalendar } from './cron/firings.ts';
import { readCronSchedule } from './cron/schedule.ts';
import { isTimeZone } from './cron/timeZone.ts';
import type { CronJob } from './cronJob.ts';
import { parseTime } from './time.ts';

/** What came of reading the calendar of a CronJob. Of one that was checked it is wrong only when this machine knows fewer zones. */
export type CronCalendarReading =
  | { readonly ok: true; readonly calendar: CronCalendar }
  | {
      readonly ok: false;
      readonly wrong: 'schedule' | 'timeZone' | 'annotations';
      /** In words. */
      readonly why: string;
    };

/**
 * The calendar of a CronJob: when it starts Jobs.
 *
 * @param cronJob - As it is stored; of its status the lastScheduleTime counts, and else its creation.
 */
export function cronCalendarOf({ metadata, spec, status }: CronJob): CronCalendarReading {
  const { namespace, name } = metadata;
  const reading = readCronSchedule(spec.schedule);
  if (!reading.ok) {
    const why = reading.problems.map(({ reason }) => reason).join('; ');
    return { ok: false, wrong: 'schedule', why };
  }
  const timeZone = spec.timeZone ?? DEFAULT_TIME_ZONE;
  if (!isTimeZone(timeZone)) {
    return { ok: false, wrong: 'timeZone', why: `unknown time zone ${timeZone}` };
  }
  const policy = readCronPolicy(metadata.annotations);
  if (!policy.ok) {
    const why = policy.issues.map(({ path, detail }) => `${path}: ${detail}`).join('; ');
    return { ok: false, wrong: 'annotations', why };
  }
  const everyFromMs =
    parseTime(status.lastScheduleTime) ?? parseTime(metadata.creationTimestamp) ?? 0;
  return {
    ok: true,
    calendar: {
      namespace,
      name,
      schedule: reading.schedule,
      timeZone,
      policy: policy.policy,
      everyFromMs,
    },
  };
}
