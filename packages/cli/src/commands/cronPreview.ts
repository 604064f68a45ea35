import { cronCalendarOf, cronJitterMs, type CronCalendar } from '@drover/shared';

import { withClient } from '../client.ts';
import { calendarOfExpression, checkedZone, isExpression } from '../cron/expression.ts';
import { readTime } from '../cron/localTime.ts';
import { previewLines, previewRows } from '../cron/preview.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import type { ObjectOptions } from '../options.ts';

/** Options of `drover cron preview`. */
export interface CronPreviewOptions extends ObjectOptions {
  timeZone?: string;
  from?: string;
  count: number;
  json?: boolean;
}

/** What is previewed. */
interface Subject {
  readonly schedule: string;
  readonly calendar: CronCalendar;
  readonly isSuspended: boolean;
}

/** Prints when a CronJob, or an expression, is due next. */
export async function cronPreviewCommand(
  what: string,
  options: CronPreviewOptions,
): Promise<number> {
  const fromMs = options.from === undefined ? Date.now() : readTime('--from', options.from);
  const { schedule, calendar, isSuspended } = isExpression(what)
    ? {
        schedule: what,
        calendar: calendarOfExpression(what, options.timeZone, fromMs),
        isSuspended: false,
      }
    : await readCronJob(what, options);
  const rows = previewRows(calendar, fromMs, options.count);
  const jitterMs = cronJitterMs(calendar);
  if (options.json === true) {
    const { timeZone } = calendar;
    const data = { schedule, timeZone, jitterSeconds: jitterMs / 1000, times: rows };
    process.stdout.write(`${JSON.stringify(data, null, 2)}\n`);
    return EXIT.ok;
  }
  if (isSuspended) process.stderr.write('It is suspended: until it is resumed nothing starts.\n');
  if (rows.length > 0) process.stdout.write(`${previewLines(rows, jitterMs).join('\n')}\n`);
  if (rows.some(({ fires }) => fires)) return EXIT.ok;
  process.stderr.write('It is never due: not within five years.\n');
  return EXIT.failed;
}

async function readCronJob(name: string, options: CronPreviewOptions): Promise<Subject> {
  const zone = options.timeZone === undefined ? null : checkedZone(options.timeZone);
  return await withClient(options, async (client) => {
    const cronJob = await client.cronJobs.get(name);
    const reading = cronCalendarOf(cronJob);
    if (!reading.ok) throw badInput(`${reading.wrong} of cronjob.batch/${name}: ${reading.why}`);
    const { schedule, suspend } = cronJob.spec;
    const calendar = { ...reading.calendar, ...(zone !== null && { timeZone: zone }) };
    return { schedule, calendar, isSuspended: suspend };
  });
}
