import type { CronJob, Job } from '@drover/shared';

import { withClient } from '../client.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import type { ObjectOptions } from '../options.ts';
import { changeObjects, type ChangedOutput } from '../print/changed.ts';
import { parseThings } from '../things.ts';

/** Options of `drover suspend` and `drover resume`. */
export interface SuspendOptions extends ObjectOptions {
  output?: ChangedOutput;
}

/** Suspends or resumes Jobs and CronJobs. */
export async function suspendCommand(
  verb: 'suspend' | 'resume',
  words: readonly string[],
  options: SuspendOptions,
): Promise<number> {
  const { things } = parseThings(words, 'job');
  if (things.length === 0 || things.some(({ kind }) => kind !== 'job' && kind !== 'cronjob')) {
    throw badInput(`which job? drover ${verb} job/NAME or cronjob/NAME`);
  }
  return await withClient(options, async (drover) => {
    const changes = things.map(
      ({ kind, name }) =>
        async (): Promise<Job | CronJob> =>
          await (kind === 'job' ? drover.jobs : drover.cronJobs)[verb](name),
    );
    await changeObjects(changes, `${verb}${verb === 'suspend' ? 'ed' : 'd'}`, options.output);
    return EXIT.ok;
  });
}
