import {
  completionsText,
  formatSelector,
  jobDurationText,
  jobStatusWord,
  selectorFromObject,
  type Job,
} from '@drover/shared';
import { fieldsOf } from '@drover/shared/explain';
import { composeJobs, JobsClient, type Backend } from '@drover/sdk/internals';

import type {
  DeleteOptions,
  Page,
  PageRequest,
  Resource,
  WatchEvent,
  WatchRequest,
  WriteOptions,
} from '../api/resource.ts';
import type { SelectableFields } from '../api/selection.ts';
import { NAME_COLUMN, type TableDefinition } from '../api/table.ts';
import type { ApiObject } from '../api/object.ts';
import { FeedWatch } from '../watch/feedWatch.ts';
import { AGE_COLUMN, templateColumns, textColumn } from './columns.ts';
import { liveJobs } from './liveJobs.ts';
import { checkPreconditions } from './preconditions.ts';

const TABLE: TableDefinition<Job> = {
  columns: [
    NAME_COLUMN,
    textColumn<Job>('Status', 'What it has come to.', jobStatusWord),
    textColumn<Job>('Completions', 'How many pods succeeded, of how many.', completionsText),
    textColumn<Job>('Duration', 'From its start to its completion, or to now.', jobDurationText),
    AGE_COLUMN,
    ...templateColumns<Job>(({ spec }) => spec.template.spec),
    textColumn<Job>('Selector', 'What its pods are selected by.', selectorText, 1),
  ],
};

/** As in Kubernetes: kubectl always says what is to become of the pods, so it is never warned. */
const PODS_STAY =
  'child pods are preserved by default when jobs are deleted; propagationPolicy=Background removes them, propagationPolicy=Orphan is the same without this warning';

function selectorText({ spec }: Job): string {
  return formatSelector(selectorFromObject(spec.selector ?? {})) || '<none>';
}

const FIELDS: SelectableFields<Job> = {
  // Spelt so by Kubernetes.
  'status.successful': ({ status }) => String(status.succeeded ?? 0),
};

/** Jobs, as `batch/v1` has them. */
export class JobsResource implements Resource {
  readonly group = 'batch';
  readonly version = 'v1';
  readonly plural = 'jobs';
  readonly singular = 'job';
  readonly kind = 'Job';
  readonly isNamespaced = true;
  readonly shortNames = [];
  readonly categories = ['all'];
  readonly explained = fieldsOf('Job');
  readonly table = TABLE;
  readonly fields = FIELDS;
  readonly hasStatus = true;
  readonly #jobs: JobsClient;
  readonly #watch: FeedWatch<Job>;

  constructor(backend: Backend) {
    this.#jobs = new JobsClient(backend, 'default');
    this.#watch = new FeedWatch(backend, {
      apiVersion: 'batch/v1',
      kind: 'Job',
      list: async (shard) => {
        const jobs: Job[] = [];
        let after: string | null = null;
        do {
          const from: { after?: string } = after === null ? {} : { after };
          const page = await shard.listJobs({ namespace: null, limit: 500, ...from });
          jobs.push(...(await composeJobs(shard, page.jobs)));
          after = page.next;
        } while (after !== null);
        return jobs;
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

  async get(name: string, namespace: string): Promise<Job> {
    return await this.#jobs.get(name, { namespace });
  }

  async list(request: PageRequest): Promise<Page> {
    return await this.#watch.list(
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

  watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    return this.#watch.watch(request);
  }

  async create(input: unknown, { namespace, dryRun, onWarning }: WriteOptions): Promise<Job> {
    return await this.#jobs.create(input as Record<string, unknown>, {
      namespace,
      dryRun,
      onWarning,
    });
  }

  async update(
    name: string,
    change: (stored: ApiObject) => unknown,
    { namespace, dryRun, onWarning }: WriteOptions,
  ): Promise<Job> {
    return await this.#jobs.update(name, change, { namespace, dryRun, onWarning });
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

  /** Ends all watches. */
  close(): void {
    this.#watch.close();
  }
}
