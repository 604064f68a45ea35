/**
 * Bounds what is kept of pods that ended, of each Job and of all finished Jobs of a shard together.
 * What a Job counted never depends on it.
 */
import { keptPodsOf, type Job } from '@drover/shared';
import type { JobView, ObservedJob, Shard, StoredJob } from '@drover/store';
import type { Logger } from 'pino';
import { afterDrop, nextDrop, type KeptPods } from './decide/drop.ts';

/** Pods that a Job keeps at most, unless it says otherwise. */
export const DEFAULT_KEPT_PODS_PER_JOB = 100_000;
/** Pods of finished Jobs that an installation keeps at most. */
export const DEFAULT_KEPT_PODS = 1_000_000;
/** Chunks of records that are looked at in one go. */
const MAX_STEPS = 64;
/** Jobs that are looked at in one go. */
const MAX_JOBS = 20;
/** When there are too many, so many per cent are left, so that not every Job that ends removes some. */
const LEFT_PERCENT = 90;
/** Jobs that end within this time are reckoned up together, ms. */
const RECKON_EVERY_MS = 1_000;

/** The member of the due set under which a shard's finished Jobs are reckoned up. */
const MEMBER = 'kept:all';

/** What this needs of a shard. */
export type KeptPodsShard = Pick<
  Shard,
  | 'dropPods'
  | 'deleteJob'
  | 'forgetKept'
  | 'getJobByUid'
  | 'keepForFailures'
  | 'keptTotal'
  | 'oldestKept'
  | 'trigger'
>;

/** How many pods that ended are kept. */
export interface KeptPodsLimits {
  /** Of one Job that does not say otherwise. */
  readonly perJob: number;
  /** Of all finished Jobs of the shard. */
  readonly ofShard: number;
}

/** Removes what is too much in one shard. */
export class KeptPodsKeeper {
  readonly #shard: KeptPodsShard;
  readonly #limits: KeptPodsLimits;
  readonly #logger: Logger;
  /** When the finished Jobs are reckoned up next, shard's clock, ms. */
  #reckonAtMs = 0;

  constructor(shard: KeptPodsShard, limits: KeptPodsLimits, logger: Logger) {
    this.#shard = shard;
    this.#limits = limits;
    this.#logger = logger;
  }

  /** Brings a Job down to its limit. Answers whether there is more to do, at once. */
  async trim({ job, counters }: ObservedJob): Promise<boolean> {
    // Most Jobs are far from any limit, and their objects need not be read for it.
    if (counters.kept === 0 || job.deleted) return false;
    const limit = limitOf(job) ?? this.#limits.perJob;
    return await this.#drop(job, counters, limit);
  }

  /** A Job has finished: all of them may have become too many. */
  async finished(nowMs: number): Promise<void> {
    if (nowMs < this.#reckonAtMs) return;
    this.#reckonAtMs = nowMs + RECKON_EVERY_MS;
    await this.#shard.trigger(MEMBER, this.#reckonAtMs);
  }

  /**
   * Removes pods of the Jobs that finished first until not too many are left: those that succeeded
   * of all Jobs before those that failed of any.
   *
   * @returns When to look again, ms by the shard's clock; null = when more Jobs have finished.
   */
  async reckon(): Promise<number | null> {
    const { ofShard } = this.#limits;
    let tooMany = (await this.#shard.keptTotal()) - ofShard;
    if (tooMany <= 0) return null;
    tooMany += ofShard - Math.floor((ofShard * LEFT_PERCENT) / 100);
    for (let count = 0; count < MAX_JOBS && tooMany > 0; count++) {
      const oldest = await this.#shard.oldestKept();
      if (oldest === null) return null;
      const before = await this.#shard.getJobByUid(oldest.uid);
      if (before === null) {
        // It was removed while another controller noted that only failed ones are left of it.
        await this.#shard.forgetKept(oldest.uid);
        return 0;
      }
      const left = await this.#dropOf(before, oldest, tooMany);
      this.#logger.info(
        { jobUid: oldest.uid, dropped: before.counters.kept - left },
        'removed pods that ended, to make room',
      );
      tooMany -= before.counters.kept - left;
    }
    // 0 is in the past of any clock: at once, but after what else is due.
    return tooMany > 0 ? 0 : null;
  }

  /** Answers how many pods of the Job are left. */
  async #dropOf(
    job: JobView,
    { uid, finishedMs, failed }: { uid: string; finishedMs: number; failed: boolean },
    tooMany: number,
  ): Promise<number> {
    const { counters } = job;
    const most = counters.kept - Math.max(0, counters.kept - tooMany);
    let left = counters.kept;
    const to = counters.podCount;
    for (let from = 1; from <= to && counters.kept - left < most;) {
      const drop = { from, to, most: most - (counters.kept - left), failed };
      const { removed, next } = await this.#shard.dropPods(uid, drop);
      left -= removed;
      from = next;
    }
    // A pod without a Job is gone with what is kept of it.
    if (left === 0 && job.bare) await this.#shard.deleteJob(uid);
    else if (left > 0 && counters.kept - left < most) {
      // Of those that are counted there are no more: after a failover a count may be wrong.
      if (failed) await this.#shard.forgetKept(uid);
      else await this.#shard.keepForFailures(uid, finishedMs);
    }
    return left;
  }

  /** Answers whether there is more to do. */
  async #drop(
    job: StoredJob,
    counters: { readonly kept: number; readonly podCount: number },
    limit: number,
  ): Promise<boolean> {
    let pods: KeptPods = { ...counters, ...cursorsOf(job) };
    for (let step = 0; step < MAX_STEPS; step++) {
      const drop = nextDrop(pods, limit);
      if (drop === null) return false;
      const { removed, next } = await this.#shard.dropPods(job.uid, { ...drop, to: pods.podCount });
      // Failed pods that wait for their verdicts stay for now.
      if (next === drop.from) return false;
      pods = afterDrop(pods, drop, removed, next);
    }
    return true;
  }
}

function cursorsOf({ droppedTo, failedDroppedTo }: StoredJob): Omit<KeptPods, 'kept' | 'podCount'> {
  return { droppedTo, failedDroppedTo };
}

function limitOf(job: StoredJob): number | null {
  if (!job.object.includes('kept-pods')) return null;
  const { metadata } = JSON.parse(job.object) as Pick<Job, 'metadata'>;
  return keptPodsOf(metadata.annotations);
}
