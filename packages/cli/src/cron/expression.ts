import {
  DEFAULT_TIME_ZONE,
  isTimeZone,
  readCronPolicy,
  readCronSchedule,
  type CronCalendar,
  type CronSchedule,
} from '@drover/shared';

import { badInput } from '../errors.ts';

/** Whether a word is an expression and not the name of a CronJob, which has neither spaces nor an @. */
export function isExpression(text: string): boolean {
  return /[\s@*]/.test(text);
}

/** A calendar of an expression alone. @throws CliError that points to each problem. */
export function calendarOfExpression(
  text: string,
  timeZone: string | undefined,
  fromMs: number,
): CronCalendar {
  const policy = readCronPolicy({});
  if (!policy.ok) throw new Error('assertion failed: no annotations are right');
  return {
    namespace: '',
    name: '',
    schedule: parseSchedule(text),
    timeZone: checkedZone(timeZone ?? DEFAULT_TIME_ZONE),
    policy: policy.policy,
    everyFromMs: fromMs,
  };
}

function parseSchedule(text: string): CronSchedule {
  const reading = readCronSchedule(text);
  if (reading.ok) return reading.schedule;
  const lines = reading.problems.map(
    ({ reason, field, offset }) =>
      `  ${' '.repeat(offset)}^ ${field === null ? '' : `${field}: `}${reason}`,
  );
  throw badInput('this is no schedule:', [`  ${text}`, ...lines]);
}

/** A zone that exists. @throws CliError that says which one may be meant. */
export function checkedZone(zone: string): string {
  if (isTimeZone(zone)) return zone;
  const word = zone.toLowerCase().replaceAll(' ', '_');
  const near = Intl.supportedValuesOf('timeZone').filter(
    (known) => word !== '' && known.toLowerCase().split('/').includes(word),
  );
  const hint = near.length === 0 ? 'a name such as Europe/Berlin is expected' : near.join(', ');
  throw badInput(
    `unknown time zone ${JSON.stringify(zone)}: ${near.length > 0 ? `did you mean ${hint}?` : hint}`,
  );
}
