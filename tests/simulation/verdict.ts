/** How each Job of a simulation must end, told apart from how that came about. */
import { isDeepStrictEqual } from 'node:util';
import {
  countIndexes,
  formatIndexIntervals,
  parseIndexIntervals,
  type JobStatus,
} from '@drover/shared';
import type { JobView, PodRecord, Shard } from '@drover/store';
import { NO_LIMIT, type SimJob, type SimSpec, specOf } from './jobs.ts';
import type { Ledger } from './ledger.ts';

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
    // What it shows was right when it was written: its user may have changed its size since.
    if (job.isElastic) return wrong;
    if (has('Complete')) wrong.push(...wrongSuccess(spec, status, counters));
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
  { uid, first, changesPolicy, isElastic }: SimJob,
  ledger: Ledger,
  counters: JobView['counters'],
): Promise<string[]> {
  const wrong: string[] = [];
  const expectEqual = (what: string, is: number, should: number): void => {
    if (is !== should) wrong.push(`${what} is ${is}, should be ${should}`);
  };
  if (isElastic) {
    // Of indexes that went, and came again, there are pods that do not count.
    const bitmap = await shard.doneBitmap(uid);
    expectEqual('succeeded', counters.succeeded, countIndexes(bitmap, 8 * bitmap.length));
    return wrong;
  }
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
  const ignored = failed.filter((pod) => actionOf(first, pod) === 'Ignore').length;
  const counted = failed.length - ignored + stopped.failed + stopped.unjudged - unseen - twice;
  // Of pods that their user deleted some may have been ignored.
  const least = counted - (first.podFailurePolicy === null ? 0 : stopped.unjudged - unseen - twice);
  if (counters.failed < least || counters.failed > counted) {
    wrong.push(`failed is ${counters.failed}, should be ${least} to ${counted}`);
  }
  wrong.push(...wrongIndexes(first, ended, await shard.failedBitmap(uid)));
  for (const pod of ended) {
    const isOwnEnd = pod.outcome === 'Succeeded' || pod.reason === 'Error';
    if (isOwnEnd && !ledger.ran[pod.outcome].has(`${uid}:${pod.podNumber}`)) {
      wrong.push(`pod ${pod.podNumber} counts as ${pod.outcome}, but did not end so`);
    }
  }
  return wrong;
}

/** The rule of the podFailurePolicy that a failed pod matches. */
function actionOf({ podFailurePolicy }: SimSpec, pod: PodRecord): string | null {
  const isLost = pod.reason === 'NodeLost' || pod.reason === 'RolledBack';
  const isDisrupted = isLost || pod.reason === 'Drained';
  const found = podFailurePolicy?.rules.find(({ onExitCodes }) =>
    onExitCodes === undefined
      ? isDisrupted
      : !isLost && onExitCodes.values.includes(pod.exitCode) === (onExitCodes.operator === 'In'),
  );
  return found?.action ?? null;
}

/** An index has no more pods that failed by themselves than its limit allows, and one more when it failed. */
function wrongIndexes(spec: SimSpec, ended: readonly PodRecord[], failedBits: Buffer): string[] {
  const { backoffLimitPerIndex: limit } = spec;
  if (limit === null) return [];
  const wrong: string[] = [];
  const own = Map.groupBy(
    ended.filter(
      (pod) =>
        pod.outcome === 'Failed' && pod.reason === 'Error' && actionOf(spec, pod) !== 'Ignore',
    ),
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

function wrongSuccess(
  { completions, successPolicy }: SimSpec,
  { conditions, completedIndexes = '' }: JobStatus,
  { succeeded }: JobView['counters'],
): string[] {
  if (conditions?.at(-1)?.reason === 'SuccessPolicy') {
    const { succeededIndexes = `0-${NO_LIMIT}`, succeededCount } = successPolicy!.rules[0]!;
    const done = indexesOf(completedIndexes);
    const wanted = parseIndexIntervals(succeededIndexes, NO_LIMIT);
    const met = done.filter((index) =>
      wanted.some(({ first, last }) => index >= first && index <= last),
    );
    const needed = succeededCount ?? indexesOf(succeededIndexes).length;
    return met.length >= needed ? [] : [`Complete with ${completedIndexes} of ${succeededIndexes}`];
  }
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
  const failedIndexes = indexesOf(status.failedIndexes ?? '').length;
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
    case 'PodFailurePolicy':
      return spec.podFailurePolicy === null ? [`${reason} without a policy`] : [];
    case 'DeadlineExceeded':
      return spec.activeDeadlineSeconds === null ? [`${reason} without a deadline`] : [];
    default:
      return [`Failed with reason ${reason}`];
  }
}

function indexesOf(text: string): number[] {
  return parseIndexIntervals(text, NO_LIMIT).flatMap(({ first, last }) =>
    Array.from({ length: last - first + 1 }, (_, i) => first + i),
  );
}
