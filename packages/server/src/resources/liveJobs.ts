import { isSemanticallyEqual, terminalCondition, type Job } from '@drover/shared';
import { decodeHot, liveStatus, type Shard } from '@drover/store';

/** A Job with the figures of a moment. */
interface Live {
  /** The hot state of that moment. */
  readonly packed: string;
  readonly job: Job;
}

/** By the Job as it was composed for its version. */
const KNOWN = new WeakMap<Job, Live>();

/** Jobs with the figures of this moment; one whose figures did not move is the same object as before. */
export async function liveJobs(shard: Shard, jobs: readonly Job[]): Promise<readonly Job[]> {
  const moving = jobs.filter(({ status }) => terminalCondition(status.conditions) === null);
  const hots = await shard.packedHots(moving.map(({ metadata }) => metadata.uid));
  const found = await Promise.all(
    moving.map(async (job, i): Promise<readonly [Job, Job]> => {
      const packed = hots[i] ?? null;
      return [job, packed === null ? job : await withFigures(shard, job, packed)];
    }),
  );
  const live = new Map(found);
  return jobs.map((job) => live.get(job) ?? job);
}

async function withFigures(shard: Shard, job: Job, hot: Buffer): Promise<Job> {
  const packed = hot.toString('latin1');
  const known = KNOWN.get(job);
  if (known !== undefined && known.packed === packed) return known.job;
  const { metadata, spec, status } = job;
  const isIndexed = spec.completionMode === 'Indexed';
  const [done, failed] = await Promise.all([
    isIndexed ? shard.doneBitmap(metadata.uid) : null,
    isIndexed && spec.backoffLimitPerIndex !== undefined ? shard.failedBitmap(metadata.uid) : null,
  ]);
  const { counters } = decodeHot(hot);
  const now = liveStatus(status, counters, spec, { done, failed });
  // Its text has most often been made.
  const live = isSemanticallyEqual(now, status) ? job : { ...job, status: now };
  KNOWN.set(job, { packed, job: live });
  return live;
}
