/**
 * A batch/v1 CronJob: makes Jobs on a schedule.
 *
 * When it is due is not decided here: `cron/firings.ts` is the calendar. It tells of a CronJob (its schedule, zone and the
 * annotations `drover.dev/...` about clock changes, jitter and exclusion) the next firing after an instant; the controller
 * and every preview ask it alone.
 */
import * as z from 'zod';

import { cronJobChangeIssues, cronJobIssues, cronJobWarnings } from './cronJobRules.ts';
import { suggestCronJobField } from './cronJobFields.ts';
import { isSemanticallyEqual } from './equality.ts';
import { JobSpecFields } from './jobSpec.ts';
import { ObjectMeta } from './meta.ts';
import type { ObjectKind } from './objectKind.ts';

/** What a CronJob does when a Job of it still runs at the time of the next one. */
export const CONCURRENCY_POLICIES = ['Allow', 'Forbid', 'Replace'] as const;

/** Metadata of a template: of what only an object has it says nothing, if its user does not. */
const TemplateMeta = ObjectMeta.extend({
  /** No effect: Jobs get names of their own. */
  name: z.string().optional(),
  /** No effect: Jobs lie where the CronJob does. */
  namespace: z.string().optional(),
  /** No effect. */
  uid: z.string().optional(),
});

/** What the Jobs of a CronJob look like. */
export const JobTemplateSpec = z.strictObject({
  /** Labels and annotations of the Jobs; their names and owners are the CronJob's to give. */
  metadata: TemplateMeta.prefault({}),
  /** The spec of the Jobs. */
  spec: JobSpecFields,
});
/** What the Jobs of a CronJob look like. */
export type JobTemplateSpec = z.output<typeof JobTemplateSpec>;

/** What a user asks for. Names, defaults and meaning are those of batch/v1 CronJobSpec. */
export const CronJobSpec = z.strictObject({
  /** When: five fields (minute, hour, day of month, month, day of week), a macro such as `@daily`, or `@every 90s`. May change. */
  schedule: z.string().default(''),
  /** Zone whose clock counts, such as `Europe/Berlin`. Default UTC. May change. */
  timeZone: z.string().optional(),
  /** How late a Job may start at most, in seconds, >= 0; later it is missed. Default: however late. May change. */
  startingDeadlineSeconds: z.int().optional(),
  /** While a Job of it still runs: start another, skip, or replace it. Default Allow. May change. */
  concurrencyPolicy: z.enum(CONCURRENCY_POLICIES).default('Allow'),
  /** Starts no Job while true; those that run go on. Default false. May change. */
  suspend: z.boolean().default(false),
  /** What its Jobs look like; a change is for those made later. May change. */
  jobTemplate: JobTemplateSpec,
  /** How many Jobs that succeeded are kept, >= 0. Default 3. May change. */
  successfulJobsHistoryLimit: z.int32().default(3),
  /** How many Jobs that failed are kept, >= 0. Default 1. May change. */
  failedJobsHistoryLimit: z.int32().default(1),
});
/** What a user asks for, with every default filled in. */
export type CronJobSpec = z.output<typeof CronJobSpec>;

/** Names a Job of a CronJob. */
export const ActiveJob = z.strictObject({
  /** `batch/v1`. */
  apiVersion: z.string().optional(),
  /** `Job`. */
  kind: z.string().optional(),
  /** Namespace of the Job, which is that of the CronJob. */
  namespace: z.string().optional(),
  /** Name of the Job. */
  name: z.string(),
  /** Uid of the Job. */
  uid: z.string(),
  /** Its version when it was made. */
  resourceVersion: z.string().optional(),
});
/** Names a Job of a CronJob. */
export type ActiveJob = z.output<typeof ActiveJob>;

/** How it is. Set by the controller. */
export const CronJobStatus = z.strictObject({
  /** The Jobs of the schedule that run. */
  active: z.array(ActiveJob).optional(),
  /** The last time for which a Job was made: when it was to start, not when it did. RFC 3339, seconds. */
  lastScheduleTime: z.string().optional(),
  /** When a Job of it last succeeded. RFC 3339, seconds. */
  lastSuccessfulTime: z.string().optional(),
});
/** How it is. Set by the controller. */
export type CronJobStatus = z.output<typeof CronJobStatus>;

/** A batch/v1 CronJob. */
export const CronJob = z.strictObject({
  /** `batch/v1`. */
  apiVersion: z.literal('batch/v1').default('batch/v1'),
  /** `CronJob`. */
  kind: z.literal('CronJob').default('CronJob'),
  /** Name, labels and the like. */
  metadata: ObjectMeta.prefault({}),
  /** What is asked for. */
  spec: CronJobSpec,
  /** How it is. Users do not write it. */
  status: CronJobStatus.prefault({}),
});
/** A batch/v1 CronJob with every default filled in. */
export type CronJob = z.output<typeof CronJob>;

/** A CronJob as its user writes it. Its status, if any, is ignored. */
export type CronJobInput = Omit<z.input<typeof CronJob>, 'status'> & { readonly status?: unknown };

/** CronJobs as a kind. */
export const CRON_JOB_KIND: ObjectKind<CronJob> = {
  kind: 'CronJob',
  apiVersion: 'batch/v1',
  resource: 'cronjobs.batch',
  schema: CronJob,
  issues: cronJobIssues,
  changeIssues: cronJobChangeIssues,
  warnings: cronJobWarnings,
  suggest: suggestCronJobField,
  settle: settled,
  hidden: [],
};

/** The parts of a CronJob that are not its user's to say. */
function settled(cronJob: CronJob, stored: CronJob | null): CronJob {
  const { generation = 1 } = stored?.metadata ?? {};
  const isChanged = stored !== null && !isSemanticallyEqual(stored.spec, cronJob.spec);
  return {
    ...cronJob,
    metadata: { ...cronJob.metadata, generation: generation + (isChanged ? 1 : 0) },
    status: stored?.status ?? {},
  };
}
