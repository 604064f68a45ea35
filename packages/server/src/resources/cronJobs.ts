import { CRON_JOB_KIND, cronJobSuspendText, lastScheduleText, type CronJob } from '@drover/shared';
import { CronJobsClient, JobsClient, type Backend } from '@drover/sdk/internals';

import type { DeleteOptions } from '../api/resource.ts';
import { AGE_COLUMN, NAME_COLUMN, numberColumn, templateColumns, textColumn } from './columns.ts';
import { KeptResource } from './kept.ts';
import { checkPreconditions } from './preconditions.ts';

const COLUMNS = [
  NAME_COLUMN,
  textColumn<CronJob>('Schedule', 'When it makes Jobs.', ({ spec }) => spec.schedule),
  textColumn<CronJob>(
    'Timezone',
    'Zone whose clock counts; UTC when none is given.',
    ({ spec }) => spec.timeZone ?? '<none>',
  ),
  textColumn<CronJob>('Suspend', 'Whether it makes no Jobs.', cronJobSuspendText),
  numberColumn<CronJob>(
    'Active',
    'How many Jobs of its schedule run.',
    ({ status }) => status.active?.length ?? 0,
  ),
  textColumn<CronJob>(
    'Last Schedule',
    'How long ago the last time was for which it made a Job.',
    lastScheduleText,
  ),
  AGE_COLUMN,
  ...templateColumns<CronJob>(({ spec }) => spec.jobTemplate.spec.template.spec),
  textColumn<CronJob>('Selector', 'Jobs get theirs when they are made.', () => '<none>', 1),
];

/** CronJobs, as `batch/v1` has them. */
export class CronJobsResource extends KeptResource<CronJob> {
  readonly #cronJobs: CronJobsClient;

  constructor(backend: Backend) {
    const client = new CronJobsClient(backend, 'default', new JobsClient(backend, 'default'));
    super(backend, {
      kind: CRON_JOB_KIND,
      client,
      shortNames: ['cj'],
      categories: ['all'],
      columns: COLUMNS,
      hasStatus: true,
    });
    this.#cronJobs = client;
  }

  override async delete(name: string, options: DeleteOptions): Promise<CronJob> {
    const { namespace, dryRun, propagationPolicy, resourceVersion } = options;
    const cronJob = await this.#cronJobs.get(name, { namespace });
    checkPreconditions(cronJob, options);
    if (dryRun) return cronJob;
    const isGone = await this.#cronJobs.delete(cronJob, {
      // Unlike Jobs', its dependents go with it unless it is asked for otherwise.
      propagationPolicy: propagationPolicy ?? 'Background',
      ...(resourceVersion === null ? {} : { preconditions: { resourceVersion } }),
    });
    return isGone ? cronJob : await this.#cronJobs.get(cronJob).catch(() => cronJob);
  }
}
