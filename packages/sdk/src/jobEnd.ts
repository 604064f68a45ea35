import type { Job } from '@drover/shared';
import { composeJob, WatchExpiredError, type Shard } from '@drover/store';

import type { Backend } from './backend.ts';
import type { ObjectEntry } from './sharedWatch.ts';

/** What became of a Job that was waited for. */
export type JobEnd =
  | { readonly type: 'finished'; readonly job: Job }
  /** It was deleted, or there was none. */
  | { readonly type: 'gone' }
  /** The signal ended the wait. */
  | { readonly type: 'aborted' };

/**
 * Waits until a Job is Complete or Failed. Of what changes on the way nothing is read: a wait costs
 * two reads, and those of many that wait go together.
 */
export async function untilFinished(
  backend: Backend,
  shard: Shard,
  uid: string,
  signal: AbortSignal,
): Promise<JobEnd> {
  while (!signal.aborted) {
    // Followed before it is read, so that its end can not be missed in between.
    const follower = await backend
      .sharedWatch(shard)
      .follow({ kind: 'Job', uid, concerns: isEnd }, signal);
    try {
      do {
        const view = await backend.run(() => shard.getJobByUid(uid));
        if (view === null || view.deleted) return { type: 'gone' };
        if (view.finished) {
          const job = composeJob({ stored: view, counters: view.counters, done: null });
          return { type: 'finished', job };
        }
      } while ((await follower.next()) !== null);
    } catch (error) {
      // Changes may have been missed: read it again.
      if (!signal.aborted && !(error instanceof WatchExpiredError)) {
        throw await backend.translate(error);
      }
    } finally {
      follower.close();
    }
  }
  return { type: 'aborted' };
}

function isEnd({ type }: ObjectEntry): boolean {
  return type === 'FINISHED' || type === 'DELETED';
}
