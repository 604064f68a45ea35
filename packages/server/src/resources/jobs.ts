import {
  completionsText,
  formatSelector,
  jobDurationText,
  jobStatusWord,
  selectorFromObject,
  type Job,
} from '@drover/shared';
import { composeJobs, JobsClient, type Backend } from '@drover/sdk/internals';

import type { DeleteOptions, Page, PageRequest } from '../api/resource.ts';
import { FeedWatch } from '../watch/feedWatch.ts';
import { ClientResource, type KindDefinition } from './base.ts';
import { AGE_COLUMN, NAME_COLUMN, templateColumns, textColumn } from './columns.ts';
import { liveJobs } from './liveJobs.ts';
import { checkPreconditions } from './preconditions.ts';

const JOB: KindDefinition<Job> = {
  apiVersion: 'batch/v1',
  kind: 'Job',
  plural: 'jobs',
  categories: ['all'],
  columns: [
    NAME_COLUMN,
    textColumn<Job>('Status', 'What it has come to.', jobStatusWord),
    textColumn<Job>('Completions', 'How many pods succeeded, of how many.', completionsText),
    textColumn<Job>('Duration', 'From its start to its completion, or to now.', jobDurationText),
    AGE_COLUMN,
    ...templateColumns<Job>(({ spec }) => spec.template.spec),
    textColumn<Job>('Selector', 'What its pods are selected by.', selectorText, 1),
  ],
  // Spelt so by Kubernetes.
  fields: { 'status.successful': ({ status }) => String(status.succeeded ?? 0) },
  hasStatus: true,
};

/** As in Kubernetes: kubectl always says what is to become of the pods, so it is never warned. */
const PODS_STAY =
  'child pods are preserved by default when jobs are deleted; propagationPolicy=Background removes them, propagationPolicy=Orphan is the same without this warning';

function selectorText({ spec }: Job): string {
  return formatSelector(selectorFromObject(spec.selector ?? {})) || '<none>';
}

/** Jobs, as `batch/v1` has them. */
export class JobsResource extends ClientResource<Job> {
  protected readonly watches: FeedWatch<Job>;
  readonly #jobs: JobsClient;

  constructor(backend: Backend) {
    const jobs = new JobsClient(backend, 'default');
    super(JOB, {
      get: (name, options) => jobs.get(name, options),
      create: (manifest, options) => jobs.create(manifest, options),
      change: (name, change, options) => jobs.update(name, change, options),
    });
    this.#jobs = jobs;
    this.watches = new FeedWatch(backend, {
      apiVersion: JOB.apiVersion,
      kind: JOB.kind,
      list: async (shard) => {
        const found: Job[] = [];
        let after: string | null = null;
        do {
          const from: { after?: string } = after === null ? {} : { after };
          const page = await shard.listJobs({ namespace: null, limit: 500, ...from });
          found.push(...(await composeJobs(shard, page.jobs)));
          after = page.next;
        } while (after !== null);
        return found;
      },
      read: async (shard, entries) => {
        const views = await Promise.all(entries.map(({ uid }) => shard.getJobByUid(uid)));
        return await composeJobs(
          shard,
          views.filter((view) => view !== null && !view.deleted).map((view) => view!),
        );
      },
      asNow: liveJobs,
      count: async (shard) => await shard.jobCount(),
    });
  }

  async list(request: PageRequest): Promise<Page> {
    return await this.watches.list(
      request,
      async (shard, { namespace, after, limit }) => {
        const from = after === null ? {} : { after };
        const { jobs, next } = await shard.listJobs({ namespace, limit, ...from });
        return { items: await composeJobs(shard, jobs), next };
      },
      async (shard, path) => {
        const view = await shard.getJob(path.namespace, path.name);
        return view === null ? null : ((await composeJobs(shard, [view]))[0] ?? null);
      },
    );
  }

  async delete(name: string, options: DeleteOptions): Promise<Job> {
    const { namespace, dryRun, propagationPolicy, onWarning } = options;
    const job = await this.#jobs.get(name, { namespace });
    checkPreconditions(job, options);
    if (propagationPolicy === null) onWarning(PODS_STAY);
    if (dryRun) return job;
    const version = options.resourceVersion;
    const isGone = await this.#jobs.delete(job, {
      propagationPolicy: propagationPolicy ?? 'Orphan',
      ...(version === null ? {} : { preconditions: { resourceVersion: version } }),
    });
    return isGone ? job : await this.#jobs.get(job).catch(() => job);
  }
}
