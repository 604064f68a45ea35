import type { Backend } from '@drover/sdk/internals';

import type { Resource } from '../api/resource.ts';
import type { Admission } from '../http/context.ts';
import type { Subresource } from '../http/routes.ts';
import { configMaps, secrets } from './configs.ts';
import { CronJobsResource } from './cronJobs.ts';
import { EventsResource } from './events.ts';
import { JobsResource } from './jobs.ts';
import { NamespacesResource } from './namespaces.ts';
import { NodesResource } from './nodes.ts';
import { notOffered } from './notOffered.ts';
import { particulars } from './particulars.ts';
import { podEviction } from './podEviction.ts';
import { podLog } from './podLog.ts';
import { PodsResource } from './pods.ts';
import { priorityClasses } from './priorityClasses.ts';
import { resourceQuotas } from './resourceQuotas.ts';
import {
  selfSubjectAccessReviews,
  selfSubjectReviews,
  selfSubjectRulesReviews,
} from './reviews.ts';
import { ServiceAccountsResource } from './serviceAccounts.ts';
import { WorkQueuesResource } from './workQueues.ts';

/** Everything that the API serves. */
export interface Resources {
  readonly resources: readonly Resource[];
  readonly subresources: readonly Subresource[];
  /** Says what may come into which namespace. */
  readonly admission: Admission;
  /** Ends all watches. */
  readonly close: () => void;
}

/**
 * Makes the resources of an installation.
 *
 * @param secretKeyFile - The key file for Secrets; default: what the environment says.
 */
export function makeResources(backend: Backend, secretKeyFile: string | undefined): Resources {
  const pods = new PodsResource(backend);
  const jobs = new JobsResource(backend);
  const cronJobs = new CronJobsResource(backend);
  const kept = [
    configMaps(backend),
    secrets(backend, secretKeyFile),
    resourceQuotas(backend),
    new ServiceAccountsResource(backend),
  ];
  const keptKinds = [cronJobs, ...kept].map(({ kind }) => kind);
  const workQueues = new WorkQueuesResource(backend);
  const namespaces = new NamespacesResource(backend, keptKinds);
  const watched = [
    jobs,
    cronJobs,
    pods,
    new NodesResource(backend),
    namespaces,
    ...EventsResource.both(backend),
    ...kept,
    priorityClasses(backend),
    workQueues,
  ];
  return {
    resources: [...watched, selfSubjectAccessReviews, selfSubjectRulesReviews, selfSubjectReviews],
    subresources: [
      podLog(backend, pods),
      podEviction(pods),
      ...particulars(backend, { jobs, cronJobs, workQueues }),
      ...notOffered(pods, 'pods'),
      ...notOffered(jobs, 'jobs'),
    ],
    admission: namespaces.admit,
    close: () => {
      for (const resource of watched) resource.close();
    },
  };
}
