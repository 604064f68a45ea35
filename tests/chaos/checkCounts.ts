import { parseIndexIntervals, type JobStatus } from '@drover/shared';

import type { EndedPod, JobEvidence, Violation } from './evidence.ts';

/** Each pod that ended is counted once, and each index succeeds once. */
export function checkCounts(job: JobEvidence, status: JobStatus): Violation[] {
  const { plan, pods } = job;
  const messages: string[] = [];
  const succeeded = pods.filter(({ outcome }) => outcome === 'Succeeded');
  const failed = pods.filter(({ outcome }) => outcome === 'Failed');
  const isComplete = status.conditions?.at(-1)?.type === 'Complete';
  // A pod whose record its user deleted is counted, and gone.
  const unseen = (status.succeeded ?? 0) - succeeded.length;
  if (unseen < 0 || unseen > job.deletedPods) {
    messages.push(`succeeded is ${status.succeeded ?? 0}, of ${succeeded.length} pods`);
  }
  const removed = Math.min(Math.max(unseen, 0), job.deletedPods);
  messages.push(...wrongFailed(job, status.failed ?? 0, failed, removed));
  if (plan.isIndexed) messages.push(...wrongIndexes(job, status, succeeded));
  if (isComplete && plan.endings.every(({ reason }) => reason === undefined)) {
    const wanted = plan.completions;
    const is = status.succeeded ?? 0;
    if (wanted === null ? is === 0 : is !== wanted) {
      messages.push(`it is Complete with ${is} of ${wanted ?? 'some'} pods`);
    }
  }
  return messages.map((message) => ({ rule: 'counts', about: plan.name, message }));
}

function wrongFailed(
  { plan, deletedPods }: JobEvidence,
  is: number,
  failed: readonly EndedPod[],
  removed: number,
): string[] {
  const isOver = !plan.endings.some(
    ({ type, reason }) => type === 'Complete' && reason === undefined,
  );
  // Pods that are stopped because their Job ended are counted, and leave no record.
  const most = isOver ? Number.POSITIVE_INFINITY : failed.length + deletedPods - removed;
  const least = plan.ignoresFailures
    ? failed.filter(({ reason }) => reason === 'Error').length
    : failed.length;
  return is < least || is > most ? [`failed is ${is}, should be ${least} to ${most}`] : [];
}

function wrongIndexes(
  { plan, runs, deletedPods }: JobEvidence,
  { completedIndexes = '', failedIndexes = '', succeeded: count = 0 }: JobStatus,
  succeeded: readonly EndedPod[],
): string[] {
  const messages: string[] = [];
  const done = new Set(indexesOf(completedIndexes));
  const own = new Set(succeeded.map(({ index }) => index));
  if (own.size !== succeeded.length) messages.push('an index succeeded twice');
  if (done.size !== count)
    messages.push(`completedIndexes are ${done.size}, succeeded is ${count}`);
  const missing = [...own].filter((index) => !done.has(index));
  if (missing.length > 0)
    messages.push(`indexes ${missing.join()} succeeded and are not completed`);
  if (done.size - own.size > deletedPods) {
    messages.push(`${done.size} indexes are completed, of ${own.size} there is a pod`);
  }
  const limit = plan.backoffLimitPerIndex;
  if (limit === null) return messages;
  for (const index of indexesOf(failedIndexes)) {
    const prefix = `${plan.name}-${index}-`;
    const fails = runs.filter(({ pod, outcome }) => outcome === 'fail' && pod.startsWith(prefix));
    if (fails.length <= limit) {
      messages.push(`index ${index} failed after ${fails.length} failures of ${limit + 1}`);
    }
    if (done.has(index)) messages.push(`index ${index} is completed and failed`);
  }
  return messages;
}

/** Indexes of a text such as `0-2,5`. */
function indexesOf(text: string): number[] {
  return parseIndexIntervals(text, Number.MAX_SAFE_INTEGER).flatMap(({ first, last }) =>
    Array.from({ length: last - first + 1 }, (_, i) => first + i),
  );
}
