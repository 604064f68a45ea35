import type { BackfilledTime } from '@drover/sdk/client';

import { withDrover } from '../client.ts';
import { readTime } from '../cron/localTime.ts';
import { EXIT } from '../exitCodes.ts';
import type { ObjectOptions } from '../options.ts';
import { formatTable } from '../text/table.ts';

/** Options of `drover cron backfill`. */
export interface CronBackfillOptions extends ObjectOptions {
  from: string;
  to: string;
  dryRun?: boolean;
  json?: boolean;
}

const TEXTS: Readonly<Record<BackfilledTime['outcome'], string>> = {
  created: 'created',
  ran: 'ran already',
  nameTaken: 'not created: another Job has the name',
  quota: 'not created: quota allows no more Jobs',
  wouldCreate: 'would be created (dry run)',
};

/** Makes the Jobs for past times of a CronJob that had none. */
export async function cronBackfillCommand(
  name: string,
  { from, to, dryRun = false, json, ...options }: CronBackfillOptions,
): Promise<number> {
  const range = { from: new Date(readTime('--from', from)), to: new Date(readTime('--to', to)) };
  const times = await withDrover(options, async (drover) => {
    return await drover.cronJobs.backfill(name, { ...range, dryRun });
  });
  if (json === true) {
    process.stdout.write(`${JSON.stringify(times, null, 2)}\n`);
  } else if (times.length === 0) {
    process.stderr.write('No time of it lies there.\n');
  } else {
    const rows = times.map(({ time, job, outcome }) => [time, job, TEXTS[outcome]]);
    process.stdout.write(`${formatTable(['utc', 'job', 'result'], rows).join('\n')}\n`);
  }
  return times.some(({ outcome }) => outcome === 'nameTaken' || outcome === 'quota')
    ? EXIT.failed
    : EXIT.ok;
}
