import type { Backend } from '@drover/sdk/internals';

import type { Resource } from '../api/resource.ts';
import type { Subresource } from '../http/routes.ts';
import { JobsResource } from './jobs.ts';
import { NodesResource } from './nodes.ts';
import { podEviction } from './podEviction.ts';
import { podLog } from './podLog.ts';
import { PodsResource } from './pods.ts';
import { selfSubjectAccessReviews, selfSubjectReviews } from './reviews.ts';

/** Everything that the API serves. */
export interface Resources {
  readonly resources: readonly Resource[];
  readonly subresources: readonly Subresource[];
  /** Ends all watches. */
  readonly close: () => void;
}

/** Makes the resources of an installation. */
export function makeResources(backend: Backend): Resources {
  const jobs = new JobsResource(backend);
  const pods = new PodsResource(backend);
  const nodes = new NodesResource(backend);
  const watched = [jobs, pods, nodes];
  return {
    resources: [...watched, selfSubjectAccessReviews, selfSubjectReviews],
    subresources: [podLog(backend, pods), podEviction(pods)],
    close: () => {
      for (const resource of watched) resource.close();
    },
  };
}
