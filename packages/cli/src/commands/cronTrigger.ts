import { withClient } from '../client.ts';
import { EXIT } from '../exitCodes.ts';
import type { ObjectOptions } from '../options.ts';
import { changeObjects, type ChangedOutput } from '../print/changed.ts';

/** Options of `drover cron trigger`. */
export interface CronTriggerOptions extends ObjectOptions {
  jobName?: string;
  output?: ChangedOutput;
}

/** Makes a Job of a CronJob now. */
export async function cronTriggerCommand(
  name: string,
  { jobName, output, ...options }: CronTriggerOptions,
): Promise<number> {
  return await withClient(options, async (drover) => {
    const named = jobName === undefined ? {} : { name: jobName };
    await changeObjects([() => drover.cronJobs.trigger(name, named)], 'created', output);
    return EXIT.ok;
  });
}
