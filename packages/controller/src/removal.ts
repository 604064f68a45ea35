/** What remains to be done for a Job whose deletion was asked for. */
import type { ObservedJob, Shard, StoredJob } from '@drover/store';
import { type AdoptionShard, releaseAdopted, removeAdopted } from './adoption.ts';
import {
  deleteDependents,
  deleteDependentsOfPods,
  releaseDependents,
  type GarbageShard,
} from './garbage.ts';

/** Steps of removing what is kept of pods in one go; each frees a few thousand records. */
export const MAX_PURGE_STEPS = 20;

/** What the removal of Jobs needs of a shard. */
export type RemovalShard = GarbageShard &
  AdoptionShard &
  Pick<Shard, 'finalizeJob' | 'purgePods' | 'purgeJob'>;

/** How far a removal came. */
export type RemovalStep =
  | 'done'
  /** There is more to do, at once. */
  | 'more'
  /** Something else has to end first; its end makes the Job due. */
  | 'waiting';

/** Deleted in Foreground, and none of its pods runs: removes what is kept of them, what belongs to it, and then itself. */
export async function dismantle(shard: RemovalShard, look: ObservedJob): Promise<RemovalStep> {
  const { uid } = look.job;
  await removeAdopted(shard, look.job);
  for (let step = 0; step < MAX_PURGE_STEPS; step++) {
    if ((await shard.purgePods(uid, look.counters.podCount)) === 'more') continue;
    await deleteDependents(shard, uid);
    await deleteDependentsOfPods(shard, uid);
    const outcome = await shard.finalizeJob(uid, 'foregroundDeletion');
    return outcome === 'blocked' ? 'waiting' : 'done';
  }
  return 'more';
}

/** Deleted with the policy Orphan: lets everything go that belongs to it, and then itself. */
export async function orphan(shard: RemovalShard, look: ObservedJob): Promise<void> {
  await releaseDependents(shard, look.job.uid);
  await releaseAdopted(shard, look.job);
  await shard.finalizeJob(look.job.uid, 'orphan');
}

/** Removes what is left of a deleted Job. */
export async function purge(shard: RemovalShard, job: StoredJob): Promise<RemovalStep> {
  const { uid } = job;
  await removeAdopted(shard, job);
  for (let step = 0; step < MAX_PURGE_STEPS; step++) {
    const outcome = await shard.purgeJob(uid);
    // What is left are pods that the Job had released: they are looked at anew, as those that Orphan left.
    if (outcome === 'left') return 'more';
    if (outcome !== 'more') return outcome === 'purged' ? 'done' : 'waiting';
  }
  return 'more';
}
