/** The Jobs of a simulation: what users ask for and change, and how each must end. */
import { isDeepStrictEqual } from 'node:util';
import { formatIndexIntervals, parseIndexIntervals, type JobStatus } from '@drover/shared';
import type { JobView, PodRecord, Shard } from '@drover/store';
import type { Ledger } from './ledger.ts';
import type { Random } from './random.ts';
import { type Behaviour, LANE, QUEUE } from './workerActor.ts';

/** The part of a spec that a simulation varies. */
export interface SimSpec {
  readonly parallelism: number;
  readonly completions: number | null;
  readonly indexed: boolean;
  readonly backoffLimit: number;
  readonly backoffLimitPerIndex: number | null;
  readonly maxFailedIndexes: number | null;
  readonly activeDeadlineSeconds: number | null;
  readonly suspend: boolean;
  readonly restartPolicy: 'Never' | 'OnFailure';
  readonly podReplacementPolicy: (typeof REPLACEMENT)[number];
}

const REPLACEMENT = ['TerminatingOrFailed', 'Failed'] as const;

/** A Job of a simulation. */
export interface SimJob {
  readonly uid: string;
  readonly first: SimSpec;
  readonly behaviour: Behaviour;
  /** Its user may change its podReplacementPolicy. */
  readonly changesPolicy: boolean;
}

/** Default of a Job with limits for each index. */
const NO_LIMIT = 2 ** 31 - 1;

/** Any Job that the engine can run. */
export function randomJob(random: Random, number: number): SimJob {
  const completions = random.chance(0.2) ? null : random.between(0, random.pick([3, 40, 200]));
  const indexed = completions !== null && random.chance(0.5);
  const perIndex = indexed && random.chance(0.5);
  const restartPolicy = random.chance(0.25) ? 'OnFailure' : 'Never';
  return {
    uid: `job${number}`,
    changesPolicy: random.chance(0.3),
    first: {
      parallelism: random.between(1, 6),
      completions,
      indexed,
      backoffLimit: perIndex && random.chance(0.8) ? NO_LIMIT : random.pick([0, 2, 6, 50, 500]),
      backoffLimitPerIndex: perIndex ? random.between(0, 2) : null,
      maxFailedIndexes:
        perIndex && random.chance(0.4) ? random.between(0, Math.min(5, completions)) : null,
      activeDeadlineSeconds: random.chance(0.15) ? random.between(1, 20) : null,
      suspend: random.chance(0.15),
      restartPolicy,
      podReplacementPolicy: random.pick(REPLACEMENT),
    },
    behaviour: {
      failRate: random.pick([0, 0.02, 0.1, 0.3, 1]),
      longestMs: random.pick([1, 50, 400, 4_000]),
      restarts: restartPolicy === 'OnFailure',
    },
  };
}

/** The stored object of a spec. */
export function objectOf(spec: SimSpec): string {
  const { completions, indexed, restartPolicy, ...rest } = spec;
  return JSON.stringify({
    metadata: {},
    spec: {
      ...rest,
      completionMode: indexed ? 'Indexed' : 'NonIndexed',
      ...(completions !== null && { completions }),
      template: { spec: { restartPolicy, containers: [] } },
    },
  });
}

const CHANGING = ['parallelism', 'suspend', 'podReplacementPolicy'] as const;

/** The spec that is stored now. */
export function specOf(job: JobView, first: SimSpec): SimSpec {
  const { spec } = JSON.parse(job.object) as { spec: Pick<SimSpec, (typeof CHANGING)[number]> };
  const changed = CHANGING.map((field) => [field, spec[field]]);
  return { ...first, ...(Object.fromEntries(changed) as typeof spec) };
}

/** Creates a Job as a user does. */
export async function createJob(shard: Shard, { uid, first }: SimJob): Promise<void> {
  await shard.createJob({
    uid,
    namespace: 'default',
    name: uid,
    object: objectOf(first),
    status: '{}',
    completions: first.completions,
    queue: QUEUE,
    fittingKey: LANE,
    indexed: first.indexed,
  });
}

/** Something that a user does with a Job; answers what. */
export async function actAsUser(
  shard: Shard,
  { uid, first, changesPolicy }: SimJob,
  random: Random,
): Promise<string> {
  const job = await shard.getJobByUid(uid);
  if (job === null || job.deleted) return 'nothing';
  const spec = specOf(job, first);
  const kind = random.between(0, 9);
  if (kind === 0 && random.chance(0.4)) {
    await shard.deleteJob(uid);
    return 'deletes';
  }
  if (kind <= 3) {
    const slots = await shard.allSlots(uid);
    if (slots.length === 0) return 'nothing';
    const pod = random.pick(slots);
    await shard.stopPods({ uid, guard: null, pods: [pod], countAs: 'unjudged' });
    return `deletes pod ${pod.podNumber} of`;
  }
  const change =
    kind <= 5
      ? { suspend: !spec.suspend }
      : kind === 6 && changesPolicy
        ? { podReplacementPolicy: random.pick(REPLACEMENT) }
        : { parallelism: random.between(0, 5) };
  if (job.finished) return 'nothing';
  const reply = await shard.updateJob({
    uid,
    expectedResourceVersion: job.resourceVersion,
    object: objectOf({ ...spec, ...change }),
    specChanged: true,
    completions: spec.completions,
    queue: QUEUE,
    fittingKey: LANE,
  });
  return `${JSON.stringify(change)} ${reply} for`;
}

/** Whether nothing more will happen to a Job by itself. */
export function isAtRest(job: JobView | null, first: SimSpec): boolean {
  if (job === null) return true;
  if (job.deleted) return false;
  if (job.finished) return true;
  const { active, terminating, unjudged } = job.counters;
  const { suspend, parallelism } = specOf(job, first);
  return (suspend || parallelism === 0) && active + terminating + unjudged === 0;
}

/** What is wrong with a Job at the end, when no fault happened for long. */
export async function wrongAtEnd(shard: Shard, job: SimJob, ledger: Ledger): Promise<string[]> {
  const view = await shard.getJobByUid(job.uid);
  if (view === null) return [];
  const { counters } = view;
  const status = JSON.parse(view.status) as JobStatus;
  const spec = specOf(view, job.first);
  const wrong: string[] = [];
  const expectEqual = (what: string, is: unknown, should: unknown): void => {
    if (!isDeepStrictEqual(is, should))
      wrong.push(`${what} is ${JSON.stringify(is)}, should be ${JSON.stringify(should)}`);
  };
  const has = (type: string): boolean =>
    status.conditions?.some((one) => one.type === type && one.status === 'True') ?? false;

  expectEqual('status.succeeded', status.succeeded ?? 0, counters.succeeded);
  expectEqual('status.failed', status.failed ?? 0, counters.failed);
  expectEqual('status.active', status.active ?? 0, 0);
  expectEqual('status.terminating', status.terminating, 0);
  expectEqual('status.ready', status.ready, 0);
  wrong.push(...(await wrongCounts(shard, job, ledger, counters)));
  if (spec.indexed) {
    const bitmap = await shard.doneBitmap(job.uid);
    expectEqual(
      'completedIndexes',
      status.completedIndexes ?? '',
      formatIndexIntervals(bitmap, spec.completions!),
    );
    const failed = await shard.failedBitmap(job.uid);
    const failedText = formatIndexIntervals(failed, spec.completions!);
    expectEqual(
      'failedIndexes',
      status.failedIndexes,
      spec.backoffLimitPerIndex === null ? undefined : failedText,
    );
  }
  if (view.finished) {
    expectEqual('Complete', has('Complete'), !has('Failed'));
    expectEqual('SuccessCriteriaMet', has('SuccessCriteriaMet'), has('Complete'));
    expectEqual('FailureTarget', has('FailureTarget'), has('Failed'));
    expectEqual('completionTime is set', status.completionTime !== undefined, has('Complete'));
    expectEqual('startTime is set', status.startTime !== undefined, true);
    if (has('Complete')) wrong.push(...wrongSuccess(spec, counters));
    else wrong.push(...wrongFailure(job, spec, status, counters));
    return wrong;
  }
  if (!spec.suspend && spec.parallelism > 0) wrong.push('it does not end');
  expectEqual('Suspended', has('Suspended'), spec.suspend);
  if (spec.suspend) expectEqual('startTime of a suspended Job', status.startTime, undefined);
  return wrong;
}

async function wrongCounts(
  shard: Shard,
  { uid, first, changesPolicy }: SimJob,
  ledger: Ledger,
  counters: JobView['counters'],
): Promise<string[]> {
  const wrong: string[] = [];
  const expectEqual = (what: string, is: number, should: number): void => {
    if (is !== should) wrong.push(`${what} is ${is}, should be ${should}`);
  };
  const { pods } = await shard.listPods(uid, { limit: 100_000 });
  const ended = pods.filter((pod) => pod.kind === 'record');
  const succeeded = ended.filter((pod) => pod.outcome === 'Succeeded');
  const failed = ended.filter((pod) => pod.outcome === 'Failed');
  const indexes = new Set(succeeded.map((pod) => pod.index));
  expectEqual('indexes that succeeded twice', succeeded.length - indexes.size, 0);
  const stopped = ledger.stoppedOf(uid);
  // With podReplacementPolicy Failed a pod that its user deleted may succeed, which leaves no record.
  const unseen = counters.succeeded - (first.indexed ? indexes.size : succeeded.length);
  const stops = stopped.uncounted + stopped.failed + stopped.unjudged;
  // And it is told to stop twice when its Job fails meanwhile.
  const twice = ended.length + stops - counters.podCount;
  const isAtOnce = !changesPolicy && first.podReplacementPolicy === 'TerminatingOrFailed';
  const byEnd = isAtOnce ? 0 : stopped.unjudged;
  if (unseen < 0 || twice < 0 || unseen + twice > byEnd) {
    wrong.push(`${unseen} successes without a record, ${twice} pods told twice, of ${byEnd}`);
  }
  expectEqual(
    'failed',
    counters.failed,
    failed.length + stopped.failed + stopped.unjudged - unseen - twice,
  );
  wrong.push(...wrongIndexes(first, ended, await shard.failedBitmap(uid)));
  for (const pod of ended) {
    const isOwnEnd = pod.outcome === 'Succeeded' || pod.reason === 'Error';
    if (isOwnEnd && !ledger.ran[pod.outcome].has(`${uid}:${pod.podNumber}`)) {
      wrong.push(`pod ${pod.podNumber} counts as ${pod.outcome}, but did not end so`);
    }
  }
  return wrong;
}

/** An index has no more pods that failed by themselves than its limit allows, and one more when it failed. */
function wrongIndexes(
  { backoffLimitPerIndex: limit }: SimSpec,
  ended: readonly PodRecord[],
  failedBits: Buffer,
): string[] {
  if (limit === null) return [];
  const wrong: string[] = [];
  const own = Map.groupBy(
    ended.filter((pod) => pod.outcome === 'Failed' && pod.reason === 'Error'),
    (pod) => pod.index,
  );
  for (const [index, pods] of own) {
    const hasFailed = ((failedBits[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0;
    if (pods.length > limit + 1 || (pods.length === limit + 1 && !hasFailed)) {
      wrong.push(`index ${index} has ${pods.length} failed pods, limit ${limit}`);
    }
  }
  return wrong;
}

function wrongSuccess({ completions }: SimSpec, { succeeded }: JobView['counters']): string[] {
  const isRight = completions === null ? succeeded > 0 : succeeded === completions;
  return isRight ? [] : [`Complete with ${succeeded} of ${completions}`];
}

function wrongFailure(
  { behaviour }: SimJob,
  spec: SimSpec,
  status: JobStatus,
  counters: JobView['counters'],
): string[] {
  const reason = status.conditions?.find((one) => one.type === 'Failed')?.reason;
  const failedIndexes = parseIndexIntervals(status.failedIndexes ?? '', NO_LIMIT).reduce(
    (count, { first, last }) => count + last - first + 1,
    0,
  );
  switch (reason) {
    case 'BackoffLimitExceeded':
      // With OnFailure it may have been the restarts of pods that are gone now.
      return counters.limitFailures > spec.backoffLimit || behaviour.restarts
        ? []
        : [`${reason} with ${counters.limitFailures} failures and limit ${spec.backoffLimit}`];
    case 'MaxFailedIndexesExceeded':
      return failedIndexes > (spec.maxFailedIndexes ?? Number.POSITIVE_INFINITY)
        ? []
        : [`${reason} with ${failedIndexes} and limit ${spec.maxFailedIndexes}`];
    case 'FailedIndexes':
      return failedIndexes > 0 && failedIndexes + counters.succeeded === spec.completions
        ? []
        : [`${reason} with ${failedIndexes} failed, ${counters.succeeded} succeeded`];
    case 'DeadlineExceeded':
      return spec.activeDeadlineSeconds === null ? [`${reason} without a deadline`] : [];
    default:
      return [`Failed with reason ${reason}`];
  }
}
