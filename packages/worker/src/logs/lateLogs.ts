import { FOREGROUND_FINALIZER } from '@drover/shared';
import type { StoredJob } from '@drover/store';

/**
 * Whether nobody will ever remove a log that a pod wrote which does not count: its Job, and all that is kept of its pods,
 * is gone or just going; what was removed is not looked at again. Pure.
 *
 * @param job - null = it is gone.
 */
export function isLeftBehind(
  job: Pick<StoredJob, 'deleted' | 'orphaned' | 'finalizers' | 'deletionMs' | 'hasFreePods'> | null,
): boolean {
  if (job === null) return true;
  // What outlives its Job is looked after until it goes, log and all.
  if (job.orphaned || job.hasFreePods) return false;
  return job.deleted || (job.deletionMs !== null && job.finalizers.includes(FOREGROUND_FINALIZER));
}
