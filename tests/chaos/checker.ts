/** Judges a run: compares what really ran with what Drover says, against what must always hold. Pure. */
import type { JobStatus } from '@drover/shared';

import { checkCronJob } from './checkCronJobs.ts';
import { checkCounts } from './checkCounts.ts';
import { checkLimits } from './checkLimits.ts';
import { checkQueue } from './checkQueues.ts';
import type { BarePodEvidence, Evidence, JobEvidence, SeenStatus, Violation } from './evidence.ts';

/** All that must not be, in the order of the objects. */
export function check(evidence: Evidence): Violation[] {
  return [
    ...evidence.jobs.flatMap((job) => checkJob(job)),
    ...evidence.queues.flatMap((queue) => checkQueue(queue)),
    ...evidence.barePods.flatMap((pod) => checkBarePod(pod)),
    ...evidence.cronJobs.flatMap((cronJob) => checkCronJob(cronJob)),
    ...evidence.leaks.map((message) => ({ rule: 'leak', about: 'keys', message })),
    ...evidence.remains.map((name) => ({
      rule: 'leak',
      about: 'keys',
      message: `${name} is there when everything was deleted`,
    })),
    ...evidence.crashes.map((message) => ({ rule: 'crash', about: 'processes', message })),
  ];
}

function checkJob(job: JobEvidence): Violation[] {
  const { status } = job;
  const violations = [...checkSeen(job), ...checkRunsOnce(job)];
  if (status === null) {
    if (!job.isDeleted)
      violations.push(violation(job, 'lost', 'it is gone, and nobody deleted it'));
    return violations;
  }
  if (job.isDeleted) {
    return [...violations, violation(job, 'stuck', 'it was deleted, and is there')];
  }
  return [
    ...violations,
    ...checkEnding(job, status),
    ...checkLimits(job),
    ...checkCounts(job, status),
  ];
}

/** A Job ends, in one of the ways that are right. */
function checkEnding(job: JobEvidence, { conditions = [] }: JobStatus): Violation[] {
  const last = conditions.findLast(({ type }) => type === 'Complete' || type === 'Failed');
  if (last === undefined) return [violation(job, 'stuck', 'it neither completed nor failed')];
  const isRight = job.plan.endings.some(
    ({ type, reason }) => type === last.type && (reason === undefined || reason === last.reason),
  );
  if (isRight) return [];
  const wanted = job.plan.endings.map(({ type, reason }) => `${type} ${reason ?? ''}`).join(' or ');
  const message = `it is ${last.type} (${last.reason}: ${last.message}) instead of ${wanted}`;
  return [violation(job, 'ending', message)];
}

/** A terminal condition is final and comes when no pod is left; counts of pods that ended never shrink. */
function checkSeen(job: JobEvidence): Violation[] {
  const violations: Violation[] = [];
  let before: SeenStatus | null = null;
  for (const seen of job.seen) {
    const isOver = isFinished(seen);
    if (isOver && seen.active + seen.terminating > 0) {
      const pods = `${seen.active} active and ${seen.terminating} terminating pods`;
      violations.push(violation(job, 'final', `it is finished with ${pods}`));
    }
    if (before !== null) {
      if (isFinished(before) && !isOver) {
        violations.push(violation(job, 'final', 'it was finished, and is not any more'));
      }
      if (seen.succeeded < before.succeeded || seen.failed < before.failed) {
        const from = `${before.succeeded} succeeded and ${before.failed} failed`;
        const to = `${seen.succeeded} and ${seen.failed}`;
        violations.push(violation(job, 'final', `${from} pods became ${to}`));
      }
    }
    before = seen;
  }
  return violations;
}

function isFinished({ conditions }: SeenStatus): boolean {
  return conditions.includes('Complete') || conditions.includes('Failed');
}

/** A pod is one attempt: nobody else runs it, and no other pod has its name. */
function checkRunsOnce(job: JobEvidence): Violation[] {
  if (job.plan.restarts) return [];
  return [...Map.groupBy(job.runs, ({ pod }) => pod)]
    .filter(([, runs]) => runs.length > 1)
    .map(([pod, runs]) => {
      const where = runs.map(({ node, startMs }) => `${node} at ${startMs}`).join(', ');
      return violation(job, 'once', `pod ${pod} ran ${runs.length} times: ${where}`);
    });
}

function checkBarePod({ name, isDeleted, phase, runs }: BarePodEvidence): Violation[] {
  const wrong = (rule: string, message: string): Violation => ({ rule, about: name, message });
  if (runs.length > 1) return [wrong('once', `it ran ${runs.length} times`)];
  if (isDeleted) return phase === null ? [] : [wrong('stuck', 'it was deleted, and is there')];
  if (phase === null) return [wrong('lost', 'it is gone, and nobody deleted it')];
  if (phase !== 'Succeeded' && phase !== 'Failed') return [wrong('stuck', `it is ${phase}`)];
  const [run] = runs;
  if (phase === 'Succeeded' && run?.outcome !== 'ok') {
    return [wrong('fencing', `it is Succeeded, and its run ended with ${run?.outcome}`)];
  }
  return [];
}

function violation({ plan }: JobEvidence, rule: string, message: string): Violation {
  return { rule, about: plan.name, message };
}
