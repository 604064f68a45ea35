import { CronJobsClient, JobsClient, WorkQueueHandle, type Backend } from '@drover/sdk/internals';

import type { Resource } from '../api/resource.ts';
import type { Context } from '../http/context.ts';
import type { Subresource } from '../http/routes.ts';

/**
 * What Drover tells of objects beside what Kubernetes has, for `drover --server`: parts of resources that
 * discovery does not show.
 */
export function particulars(
  backend: Backend,
  { jobs, cronJobs, workQueues }: Readonly<Record<'jobs' | 'cronJobs' | 'workQueues', Resource>>,
): Subresource[] {
  const jobsClient = new JobsClient(backend, 'default');
  const cronJobsClient = new CronJobsClient(backend, 'default', jobsClient);
  const part = (
    resource: Resource,
    name: string,
    read: (name: string, namespace: string) => Promise<object>,
  ): Subresource => ({
    resource,
    name,
    handlers: {
      GET: async (context: Context) =>
        await context.send(200, await read(context.name, context.namespace ?? '')),
    },
    isHidden: true,
  });
  return [
    part(jobs, 'waitreasons', async (name, namespace) => ({
      items: await jobsClient.whyWaiting(name, { namespace }),
    })),
    part(cronJobs, 'history', async (name, namespace) => ({
      items: await cronJobsClient.history(name, { namespace }),
    })),
    part(
      workQueues,
      'stats',
      async (name, namespace) =>
        await new WorkQueueHandle(backend, name, { namespace, schema: null }).stats(),
    ),
  ];
}
