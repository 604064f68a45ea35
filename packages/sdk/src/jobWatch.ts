import type { Job } from '@drover/shared';
import { WatchExpiredError, type Shard } from '@drover/store';

import type { Backend } from './backend.ts';
import type { JobEntry } from './sharedWatch.ts';

/** What happened to a Job. */
export interface JobEvent {
  /** `ADDED` also for each Job that was there when the watch began. */
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The Job as it is now; with DELETED as it was last seen. */
  readonly job: Job;
}

/** Says that everything which was there has been told; what follows are changes. */
export interface ListedNote {
  readonly type: 'LISTED';
}

/** What a watch reads with; the jobs client provides it. */
export interface JobReader {
  /** All Jobs that the watch is about. */
  list(shard: Shard): Promise<Job[]>;
  /** One Job, or null when it is gone. */
  read(shard: Shard, uid: string): Promise<Job | null>;
  /** Whether the watch is about this Job. */
  accepts(job: Job): boolean;
  /** Cheap test on an entry, before the Job is read. */
  concerns(entry: JobEntry): boolean;
}

/**
 * Watches the Jobs of one shard: first what is there, then what changes, in order and without
 * gaps. Nothing is polled. When changes may have been missed it lists again and tells the
 * differences.
 */
export async function* watchJobs(
  backend: Backend,
  shard: Shard,
  reader: JobReader,
  signal: AbortSignal,
): AsyncGenerator<JobEvent | ListedNote> {
  const known = new Map<string, Job>();
  while (!signal.aborted) {
    // Followed before it is listed, so that nothing happens unseen in between.
    const follower = await backend
      .sharedWatch(shard)
      .follow({ concerns: (entry) => reader.concerns(entry) }, signal);
    try {
      yield* differences(known, await backend.run(() => reader.list(shard)));
      yield { type: 'LISTED' };
      for (;;) {
        const uids = await follower.next();
        if (uids === null) return;
        yield* changes(backend, shard, reader, known, uids);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof WatchExpiredError)) throw await backend.translate(error);
    } finally {
      follower.close();
    }
  }
}

function* differences(known: Map<string, Job>, jobs: readonly Job[]): Generator<JobEvent> {
  const seen = new Set<string>();
  for (const job of jobs) {
    const { uid, resourceVersion } = job.metadata;
    seen.add(uid);
    const before = known.get(uid);
    known.set(uid, job);
    if (before === undefined) yield { type: 'ADDED', job };
    else if (before.metadata.resourceVersion !== resourceVersion) yield { type: 'MODIFIED', job };
  }
  for (const [uid, job] of known) {
    if (seen.has(uid)) continue;
    known.delete(uid);
    yield { type: 'DELETED', job };
  }
}

async function* changes(
  backend: Backend,
  shard: Shard,
  reader: JobReader,
  known: Map<string, Job>,
  uids: ReadonlySet<string>,
): AsyncGenerator<JobEvent> {
  for (const uid of uids) {
    const job = await backend.run(() => reader.read(shard, uid));
    const before = known.get(uid);
    if (job !== null && reader.accepts(job)) {
      known.set(uid, job);
      if (before === undefined) yield { type: 'ADDED', job };
      else if (before.metadata.resourceVersion !== job.metadata.resourceVersion) {
        yield { type: 'MODIFIED', job };
      }
    } else if (before !== undefined) {
      known.delete(uid);
      // A Job that does not match the selector any more is gone for this watch.
      yield { type: 'DELETED', job: job ?? before };
    }
  }
}
