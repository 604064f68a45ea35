import { fittingKey, poolOf, runtimeOf, type Job } from '@drover/shared';
import { slotQueueName } from '@drover/store';

/** Where the pods of a Job go. */
export interface Placement {
  /** Queue that its slots are offered on. */
  readonly queue: string;
  /** Key of the lanes that fit. */
  readonly fittingKey: string;
}

/** Reads the placement from a validated Job. */
export function placementOf(job: Pick<Job, 'spec'>): Placement {
  const podSpec = job.spec.template.spec;
  const runtime = runtimeOf(podSpec) ?? 'process';
  return { queue: slotQueueName(poolOf(podSpec), runtime), fittingKey: fittingKey(podSpec) };
}

/** Why a pod of such a Job waits when no worker fits, in words. */
export function nobodyFits(job: Pick<Job, 'spec'>): string {
  const podSpec = job.spec.template.spec;
  const runtime = runtimeOf(podSpec) ?? 'process';
  const handler =
    runtime === 'handler' ? ` with handler '${podSpec.containers[0]?.image ?? ''}'` : '';
  return `no worker offers runtime '${runtime}'${handler} in pool '${poolOf(podSpec)}'`;
}
