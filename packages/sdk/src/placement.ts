import { poolOf, runtimeOf, type Job } from '@drover/shared';

/** Why a pod of such a Job waits when no worker fits, in words. */
export function nobodyFits(job: Pick<Job, 'spec'>): string {
  const podSpec = job.spec.template.spec;
  const runtime = runtimeOf(podSpec) ?? 'process';
  const handler =
    runtime === 'handler' ? ` with handler '${podSpec.containers[0]?.image ?? ''}'` : '';
  return `no worker offers runtime '${runtime}'${handler} in pool '${poolOf(podSpec)}'`;
}
