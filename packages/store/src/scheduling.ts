import {
  parseFittingKey,
  podsThatFit,
  poolOf,
  runtimeOf,
  type ComputeResources,
  type Job,
} from '@drover/shared';
import type { HotCounters, SessionCapacity } from './api.ts';
import type { ShardReader } from './shardReader.ts';

/** What of a worker is not enough for one more pod. */
type Lack = 'Insufficient cpu' | 'Insufficient memory' | 'Too many pods';

const NO_REQUESTS: ComputeResources = { cpuMilli: 0, memoryBytes: 0 };
const WITHHELD = 'node(s) were unschedulable';
const OTHER_POOL = "node(s) didn't match Pod's node affinity/selector";

/**
 * Why no worker has room for a pod of a Job, in the words of Kubernetes' scheduler; null when one has. Pure.
 *
 * @param capacities - The workers that could run such a pod, were there room.
 * @param nodeCount - All live workers.
 * @param withheldCount - Those of them that take no pods.
 */
export function roomMessage(
  requests: ComputeResources,
  capacities: readonly SessionCapacity[],
  nodeCount: number,
  withheldCount: number,
): string | null {
  const counts = new Map<string, number>();
  for (const capacity of capacities) {
    const lacks = lacksOf(capacity, requests);
    if (lacks.length === 0) return null;
    for (const lack of lacks) counts.set(lack, (counts.get(lack) ?? 0) + 1);
  }
  if (withheldCount > 0) counts.set(WITHHELD, withheldCount);
  const others = nodeCount - capacities.length - withheldCount;
  if (others > 0) counts.set(OTHER_POOL, others);
  const parts = [...counts].map(([lack, count]) => `${count} ${lack}`).toSorted();
  return `0/${nodeCount} nodes are available: ${parts.join(', ')}.`;
}

function lacksOf(capacity: SessionCapacity, requests: ComputeResources): Lack[] {
  const { resources, taken, lanes, podCount } = capacity;
  const free = {
    cpuMilli: resources.cpuMilli - taken.cpuMilli,
    memoryBytes: resources.memoryBytes - taken.memoryBytes,
  };
  const lacks: Lack[] = [];
  if (podsThatFit(free, { ...requests, memoryBytes: 0 }) < 1) lacks.push('Insufficient cpu');
  if (podsThatFit(free, { ...requests, cpuMilli: 0 }) < 1) lacks.push('Insufficient memory');
  if (podCount >= lanes) lacks.push('Too many pods');
  return lacks;
}

/** Why the Pending pods of a Job wait, as far as workers are the reason; null = for a lane, as it seems. */
export async function unschedulableMessage(
  shard: Pick<ShardReader, 'fittingLanes' | 'capacities' | 'sessions'>,
  view: {
    readonly counters: Pick<HotCounters, 'active' | 'running'>;
    readonly fittingKey: string;
  },
  job: Pick<Job, 'spec'>,
): Promise<string | null> {
  const { lanes, requests } = parseFittingKey(view.fittingKey);
  const isOffered = (await shard.fittingLanes(lanes)) > 0;
  const { active, running } = view.counters;
  if (isOffered && (requests === null || active <= running)) return null;
  const [capacities, sessions] = await Promise.all([
    isOffered ? shard.capacities(view.fittingKey) : [],
    shard.sessions(),
  ]);
  const withheldCount = sessions.filter(({ isWithheld }) => isWithheld).length;
  if (!isOffered && withheldCount === 0) return nobodyFits(job);
  return roomMessage(requests ?? NO_REQUESTS, capacities, sessions.length, withheldCount);
}

/** Why a pod of such a Job waits when no worker fits, in words. */
export function nobodyFits(job: Pick<Job, 'spec'>): string {
  const podSpec = job.spec.template.spec;
  const runtime = runtimeOf(podSpec) ?? 'process';
  const handler =
    runtime === 'handler' ? ` with handler '${podSpec.containers[0]?.image ?? ''}'` : '';
  return `no worker offers runtime '${runtime}'${handler} in pool '${poolOf(podSpec)}'`;
}
