import type { EndedPod, JobEvidence, SeenStatus, Violation } from './evidence.ts';
import type { PodRun } from './records.ts';

/** Clocks of a machine that are read in different ways, and rounded, may differ by so much, ms. */
const CLOCK_SLACK_MS = 50;
/** A resourceVersion is the time of its writing in ms, times this, or more. */
const VERSIONS_PER_MS = 4_096;

/** A time in which a pod held a place of its Job. */
interface Held {
  readonly pod: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * Never is a pod started that makes more hold a place than the Job may have at that time. A place is held from the
 * claim to the report, or until the worker is taken for lost. What ran lies within that.
 */
export function checkLimits(job: JobEvidence): Violation[] {
  return [...checkOverlaps(job), ...checkRunsWithinClaims(job)];
}

function checkOverlaps(job: JobEvidence): Violation[] {
  const { plan, pods } = job;
  const held: Held[] = pods
    // One that a user deleted keeps no place of those that are replaced at once.
    .filter(({ reason }) => reason !== 'Deleted' || plan.waitsForStopped)
    .map(({ name, startMs, endMs }) => ({ pod: name, fromMs: startMs, untilMs: endMs }));
  const violations: Violation[] = [];
  const running: Held[] = [];
  for (const one of held.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const still = running.filter(({ untilMs }) => untilMs > one.fromMs);
    running.splice(0, running.length, ...still, one);
    const most = mostAt(job, one.fromMs);
    if (running.length <= most) continue;
    const others = still.map(({ pod }) => pod).join(', ');
    violations.push({
      rule: 'parallelism',
      about: plan.name,
      message: `pod ${one.pod} was started at ${one.fromMs} beside ${others}, of ${most} pods`,
    });
  }
  return violations;
}

/**
 * The highest parallelism that may have held at a time: the last that certainly did, or any that was asked for since. One
 * that was lowered starts no new pods from its answer on, but pods that waited then may still be claimed; so it certainly
 * holds when, after that, there were no more.
 */
function mostAt({ limits, seen }: JobEvidence, atMs: number): number {
  const held = limits.findLastIndex(
    ({ parallelism, heardMs }) => reachedMs(parallelism, heardMs, seen) + CLOCK_SLACK_MS <= atMs,
  );
  const possible = limits
    .slice(Math.max(held, 0))
    .filter(({ sentMs }) => sentMs - CLOCK_SLACK_MS <= atMs);
  return Math.max(0, ...possible.map(({ parallelism }) => parallelism));
}

/** When it was seen first that a Job had no more active pods, in a state of after that time. */
function reachedMs(parallelism: number, afterMs: number, seen: readonly SeenStatus[]): number {
  const first = seen.find(
    ({ active, resourceVersion }) =>
      active <= parallelism && resourceVersion / VERSIONS_PER_MS > afterMs,
  );
  return first?.atMs ?? Number.POSITIVE_INFINITY;
}

function checkRunsWithinClaims({ plan, pods, runs }: JobEvidence): Violation[] {
  const byPod = Map.groupBy(runs, ({ pod }) => pod);
  return pods.flatMap((pod) => {
    const ofPod = byPod.get(pod.name) ?? [];
    const message = wrongRun(pod, ofPod);
    return message === null ? [] : [{ rule: 'fencing', about: plan.name, message }];
  });
}

/** What is wrong between a pod that is counted and what it did itself. */
function wrongRun(pod: EndedPod, runs: readonly PodRun[]): string | null {
  const last = runs.at(-1);
  const early = runs.find(({ startMs }) => startMs < pod.startMs - CLOCK_SLACK_MS);
  if (early !== undefined) {
    return `pod ${pod.name} ran from ${early.startMs}, and was claimed at ${pod.startMs}`;
  }
  const isOwnEnd = pod.outcome === 'Succeeded' || pod.reason === 'Error';
  if (!isOwnEnd) return null;
  if (pod.outcome === 'Failed') {
    return last === undefined ? `pod ${pod.name} failed by itself, and never ran` : null;
  }
  if (last?.outcome !== 'ok') {
    return `pod ${pod.name} is counted as Succeeded, and its run ended with ${last?.outcome}`;
  }
  return last.endMs! > pod.endMs + CLOCK_SLACK_MS
    ? `pod ${pod.name} was counted at ${pod.endMs}, and ended at ${last.endMs}`
    : null;
}
