import type { CronRun } from '@drover/sdk/client';
import {
  cronJobJobName,
  DEFAULT_TIME_ZONE,
  formatTime,
  humanDuration,
  jobStatusWord,
  NotFoundError,
} from '@drover/shared';

import { withClient, type Client } from '../client.ts';
import { localTime } from '../cron/localTime.ts';
import { EXIT } from '../exitCodes.ts';
import type { ObjectOptions } from '../options.ts';
import { formatTable } from '../text/table.ts';

/** Options of `drover cron history`. */
export interface CronHistoryOptions extends ObjectOptions {
  limit?: number;
  json?: boolean;
}

/** A past time of a CronJob as it is told. */
interface HistoryRow {
  /** The time by the schedule, of a run by hand when it was; RFC 3339. */
  readonly time: string;
  /** The same by the clock of the CronJob's zone. */
  readonly localTime: string;
  readonly result: CronRun['type'];
  /** Name of the Job; null when there was none. */
  readonly job: string | null;
  /** How the Job is; null when there is none any more. */
  readonly status: string | null;
  /** How long after its time the Job was made, ms; null when there was none, or no time. */
  readonly delayMs: number | null;
  /** Why there was no Job; null when there was one. */
  readonly reason: string | null;
}

type SkipReason = Extract<CronRun, { type: 'skipped' }>['reason'];

const REASONS: Readonly<Record<SkipReason, string>> = {
  suspended: 'it was suspended',
  forbidden: 'a Job of it ran still, and concurrencyPolicy is Forbid',
  deadline: 'startingDeadlineSeconds had passed',
  missed: 'it was missed, and not made up for',
  nameTaken: 'another Job had the name',
  invalid: 'its Job would not be valid',
  excludedDate: 'the date is excluded',
  repeatedHour: 'its hour came for the second time',
  skippedHour: 'its hour did not come',
  quota: 'the quota of the namespace allowed no more Jobs',
};

/** Lists the past times of a CronJob, those without a Job too. */
export async function cronHistoryCommand(
  name: string,
  options: CronHistoryOptions,
): Promise<number> {
  const rows = await withClient(options, async (client) => {
    const { spec } = await client.cronJobs.get(name);
    const runs = await client.cronJobs.history(name);
    const zone = spec.timeZone ?? DEFAULT_TIME_ZONE;
    const wanted = options.limit === undefined ? runs : runs.slice(-options.limit);
    return await Promise.all(wanted.map((run) => rowOf(client, { name, zone }, run)));
  });
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  } else if (rows.length === 0) {
    process.stderr.write('No time of it has come yet.\n');
  } else {
    process.stdout.write(`${tableOf(rows).join('\n')}\n`);
  }
  return EXIT.ok;
}

async function rowOf(
  client: Client,
  { name, zone }: { readonly name: string; readonly zone: string },
  run: CronRun,
): Promise<HistoryRow> {
  const { slotMs } = run;
  const times = { time: formatTime(slotMs), localTime: localTime(zone, slotMs), result: run.type };
  if (run.type === 'skipped') {
    return { ...times, job: null, status: null, delayMs: null, reason: REASONS[run.reason] };
  }
  const job = run.type === 'manual' ? run.job : cronJobJobName(name, slotMs);
  const delayMs = run.type === 'manual' ? null : run.atMs - slotMs;
  return { ...times, job, status: await statusOf(client, job), delayMs, reason: null };
}

/** null: the Job is gone, as those beyond the history limits are. */
async function statusOf(client: Client, job: string): Promise<string | null> {
  try {
    return jobStatusWord(await client.jobs.get(job));
  } catch (error) {
    if (error instanceof NotFoundError) return null;
    throw error;
  }
}

function tableOf(rows: readonly HistoryRow[]): string[] {
  return formatTable(
    ['local time', 'utc', 'result', 'job', 'status', 'note'],
    rows.map(({ time, localTime: local, result, job, status, delayMs, reason }) => [
      local.replace('T', ' '),
      time,
      result,
      job ?? '-',
      job === null ? '-' : (status ?? 'removed'),
      reason ?? lateText(delayMs),
    ]),
  );
}

/** Of a Job that was made within a second nothing is to be told. */
function lateText(delayMs: number | null): string {
  return delayMs === null || delayMs < 1000 ? '' : `${humanDuration(delayMs)} after its time`;
}
