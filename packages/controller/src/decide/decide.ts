import { parseTime, terminalCondition } from '@drover/shared';
import { backoffDelayMs, DEFAULT_BACKOFF, type BackoffPolicy } from './backoff.ts';
import {
  BACKOFF_LIMIT_EXCEEDED,
  COMPLETIONS_REACHED,
  DEADLINE_EXCEEDED,
  findInterim,
  RESUMED,
  SUSPENDED,
  terminalOf,
  withCondition,
  type Interim,
} from './conditions.ts';
import { dismissPods, judgePods, type Judged } from './judge.ts';
import { deadlineMs, findIndexVerdict, isBackoffLimitExceeded } from './limits.ts';
import { resizeOf } from './resize.ts';
import { findEarlySuccess, isEarlySuccess } from './successPolicy.ts';
import type {
  Counters,
  Decision,
  DecideSpec,
  Figures,
  GatePlan,
  JudgePlan,
  Next,
  Observed,
  ObservedIndexes,
  PodChange,
  Standing,
} from './types.ts';
import { gateLimit, isSatisfied, MAX_OPENS_PER_PASS, offerLimit, wantActive } from './wanted.ts';

/** What the parts of one decision share: the look, and what follows from it at once. */
interface Look {
  readonly observed: Observed;
  readonly judged: Judged;
  /** Counters as they are once the verdicts are recorded. */
  readonly counters: Counters;
  readonly indexes: ObservedIndexes | null;
  readonly nowMs: number;
  /** When the Job started, which may be now; null = it is suspended. ms since the epoch. */
  readonly startMs: number | null;
  /** The gate as it should be while the Job goes on. */
  readonly gate: GatePlan;
}

/**
 * Decides what one reconcile pass does for a Job. Pure: no I/O, no clock, no randomness.
 *
 * The order of checks is that of Kubernetes' Job controller: a verdict that was written before
 * stands; then a podFailurePolicy that fails the Job, backoffLimit, activeDeadlineSeconds, the limits
 * of indexes, successPolicy, completions. So a failure beats a success that is seen in the same look, and backoffLimit
 * beats the deadline.
 *
 * @param nowMs - The shard's clock at the time of the look, ms since the epoch.
 */
export function decide(
  observed: Observed,
  nowMs: number,
  backoff: BackoffPolicy = DEFAULT_BACKOFF,
): Decision {
  if (observed.orphaned) return decideOrphans(observed, nowMs);
  if (observed.deleted) return { type: observed.counters.active > 0 ? 'clear' : 'purge' };
  if (observed.deletion === 'orphan') return { type: 'orphan' };

  const look = lookAt(observed, nowMs, backoff);
  if (observed.deletion === 'foreground') return decideDismantle(look);
  if (observed.finished) return decideFinished(observed, nowMs);
  // Not even looked at, as in Kubernetes; that it is deleted with all that belongs to it is another matter.
  if (observed.spec.isForeign) return { type: 'rest', next: { type: 'never' } };
  const known = findInterim(observed);
  const { failsJob } = look.judged;
  if (known === null && failsJob) return decideEnd(withoutVerdicts(look), failsJob);
  const resize = decideResize(look);
  if (resize) return resize;
  const interim = known ?? findVerdict(look);
  if (interim) return decideEnd(look, interim);
  // Of a Job that is being deleted nothing is started, but what runs goes on.
  if (observed.spec.suspended && observed.deletion === null) return decideSuspend(look);
  return decideConverge(look);
}

/** A Job that is being deleted already has no time of its own any more. */
function decideFinished(observed: Observed, nowMs: number): Decision {
  const expiryMs = observed.deletion === null ? expiryOf(observed.spec, observed.status) : null;
  if (expiryMs === null) return { type: 'rest', next: { type: 'never' } };
  if (nowMs >= expiryMs) return { type: 'expire' };
  return { type: 'rest', next: { type: 'until', atMs: expiryMs } };
}

/** When a finished Job is deleted, ms since the epoch; null = never. */
function expiryOf(spec: DecideSpec, { conditions }: Pick<Standing, 'conditions'>): number | null {
  const { ttlSecondsAfterFinished } = spec;
  const finishMs = parseTime(terminalCondition(conditions)?.lastTransitionTime);
  if (ttlSecondsAfterFinished === null || finishMs === null) return null;
  return finishMs + ttlSecondsAfterFinished * 1000;
}

function decideOrphans(observed: Observed, nowMs: number): Decision {
  const judged = dismissPods(observed);
  const { counters } = judged;
  const isOver = counters.active + counters.terminating + counters.unjudged === 0;
  if (isOver && counters.kept === 0 && observed.deleted) return { type: 'purge' };
  const gate = { limit: 0, notBeforeMs: 0, deadlineMs: 0, holdOnFailure: false };
  const { indexes } = judged;
  const look: Look = { observed, judged, counters, indexes, nowMs, startMs: null, gate };
  return {
    type: 'tend',
    judge: planJudge(look, gate),
    offerLimit: offerLimit(counters.active, observed),
    next: isOver ? { type: 'never' } : nextLook(look, []),
  };
}

/**
 * The look as it is before anything is written. That a pod fails the Job is known from that pod alone,
 * as long as it waits for its verdict: the end of the Job has to be on record before that is given.
 */
function withoutVerdicts(look: Look): Look {
  const { counters, indexes } = look.observed;
  return { ...look, judged: { ...look.judged, judgements: [] }, counters, indexes };
}

function decideDismantle(look: Look): Decision {
  const { observed, counters } = look;
  const stopsPods = counters.active > 0;
  const isEmpty = counters.active + counters.terminating + counters.unjudged === 0;
  const { startTimeMs, conditions } = observed.status;
  const standing = { startTimeMs, completionTimeMs: null, conditions };
  const isWritten = isEmpty && look.judged.judgements.length === 0;
  return {
    type: 'dismantle',
    judge: isWritten ? null : planJudge(look, look.gate),
    stopsPods,
    isEmpty,
    shown: observed.finished ? null : { figures: figuresOf(look), standing },
    next: nextLook(look, []),
  };
}

function lookAt(observed: Observed, nowMs: number, backoff: BackoffPolicy): Look {
  const { spec, status } = observed;
  const judged = judgePods(observed, nowMs, backoff);
  const { counters, indexes } = judged;
  const startMs = spec.suspended ? null : (status.startTimeMs ?? nowMs);
  const delayMs = backoffDelayMs(counters.failuresInRow, backoff);
  const gate = {
    limit: observed.deletion === null ? gateLimit(spec, counters, observed.held) : 0,
    notBeforeMs: delayMs > 0 ? counters.lastFailureMs + delayMs : 0,
    deadlineMs: deadlineMs(spec, startMs, observed.gate),
    // A pod that starts while a failed one waits for its verdict could be one too many. Where indexes
    // have limits of their own one has nothing to do with the other.
    holdOnFailure: indexes === null,
    ...(indexes !== null && { perIndex: true }),
    ...(spec.replacesEnded && { replaceEnded: true }),
    ...(spec.successRules.length > 0 && { lookAtSuccesses: true }),
  };
  return { observed, judged, counters, indexes, nowMs, startMs, gate };
}

/** Before anything else: all figures are of the indexes that the Job has. */
function decideResize(look: Look): Decision | null {
  const { observed, counters, gate } = look;
  const resize = resizeOf(observed);
  if (resize === null) return null;
  const { startTimeMs, conditions } = observed.status;
  return {
    type: 'resize',
    ...resize,
    judge: planJudge(look, resize.from === null ? observed.gate : { ...gate, limit: 0 }),
    isUnjudged: counters.unjudged > 0,
    figures: figuresOf(look),
    standing: { startTimeMs, completionTimeMs: null, conditions },
  };
}

function findVerdict({ observed, counters, indexes, gate, nowMs }: Look): Interim | null {
  const { spec } = observed;
  if (isBackoffLimitExceeded(spec, counters)) return BACKOFF_LIMIT_EXCEEDED;
  if (gate.deadlineMs > 0 && nowMs >= gate.deadlineMs) return DEADLINE_EXCEEDED;
  const indexVerdict = findIndexVerdict(spec, counters, indexes);
  if (indexVerdict) return indexVerdict;
  // A failed pod that is not judged yet may still turn success into failure.
  if (counters.unjudged > 0) return null;
  const early = findEarlySuccess(spec.successRules, counters.succeeded, observed.done);
  if (early) return early;
  return isSatisfied(spec, counters) ? COMPLETIONS_REACHED : null;
}

function decideEnd(look: Look, interim: Interim): Decision {
  const { observed, counters, nowMs } = look;
  const isSettled = counters.active === 0 && counters.terminating === 0 && counters.unjudged === 0;
  const succeeds = interim.type === 'SuccessCriteriaMet';
  let conditions = withCondition(observed.status.conditions, interim, nowMs);
  if (isSettled) conditions = withCondition(conditions, terminalOf(interim), nowMs);
  const success = isEarlySuccess(interim) ? 'CompleteEarly' : 'Complete';
  const verdict = succeeds ? success : 'Failed';
  const expiryMs = observed.deletion === null ? expiryOf(observed.spec, { conditions }) : null;
  const over: Next = expiryMs === null ? { type: 'never' } : { type: 'until', atMs: expiryMs };
  return {
    type: 'end',
    // The terminal condition closes the gate itself, in the script that finds nothing running.
    judge:
      isSettled && look.judged.judgements.length === 0
        ? null
        : planJudge(look, { ...look.gate, limit: 0 }),
    stopsPodsAs: stopsPodsAs(look, succeeds),
    finish: isSettled ? verdict : null,
    figures: figuresOf(look),
    standing: {
      // A finished Job has a startTime, even one that ends while it is suspended.
      startTimeMs: observed.status.startTimeMs ?? look.startMs ?? (isSettled ? nowMs : null),
      completionTimeMs: isSettled && succeeds ? nowMs : null,
      conditions,
    },
    next: isSettled ? over : nextLook(look, []),
  };
}

/** A failure also counts the pods that were to count for what their end is: once, with the verdict. */
function stopsPodsAs(
  { observed, counters }: Look,
  succeeds: boolean,
): 'failed' | 'uncounted' | null {
  const isNew = findInterim(observed) === null;
  // Whatever podReplacementPolicy says now: it may have been another when they were told to stop.
  const mayLeave = counters.terminating > 0;
  if (!succeeds && isNew && mayLeave) return 'failed';
  if (counters.active === 0) return null;
  return succeeds ? 'uncounted' : 'failed';
}

function decideSuspend(look: Look): Decision {
  const { observed, counters, nowMs } = look;
  const stopsPods = counters.active > 0;
  const isIdle = !stopsPods && counters.terminating === 0 && counters.unjudged === 0;
  return {
    type: 'suspend',
    judge: planJudge(look, look.gate),
    stopsPods,
    figures: figuresOf(look),
    standing: {
      startTimeMs: null,
      completionTimeMs: null,
      conditions: withCondition(observed.status.conditions, SUSPENDED, nowMs),
    },
    next: isIdle ? { type: 'never' } : nextLook(look, []),
  };
}

function decideConverge(look: Look): Decision {
  const { observed, counters, gate, nowMs } = look;
  const { spec, status } = observed;
  const isLeft = observed.deletion !== null;
  const wanted = isLeft ? counters.active : wantActive(spec, counters, observed.held);
  const pods = changePods(look, wanted);
  const wakes: number[] = [];
  if (gate.deadlineMs > 0) wakes.push(gate.deadlineMs);
  if (counters.active < wanted && nowMs < gate.notBeforeMs) wakes.push(gate.notBeforeMs);
  if (pods.type === 'open' && pods.count < openable(look, wanted)) wakes.push(nowMs);
  if (look.indexes !== null && look.indexes.nextReadyMs !== null) {
    wakes.push(look.indexes.nextReadyMs);
  }
  return {
    type: 'converge',
    judge: planJudge(look, gate),
    pods,
    offerLimit: offerLimit(wanted, observed),
    contended: observed.jobsOnQueue > 1 && observed.pendingCount > 0,
    figures: figuresOf(look),
    standing: {
      startTimeMs: look.startMs,
      completionTimeMs: null,
      conditions:
        !isLeft && wasSuspended(status.conditions)
          ? withCondition(status.conditions, RESUMED, nowMs)
          : status.conditions,
    },
    next: nextLook(look, wakes),
  };
}

function changePods(look: Look, wanted: number): PodChange {
  const { observed, counters, gate, nowMs } = look;
  const surplus = counters.active - wanted;
  // A pod that a worker takes this very moment is one that runs: the hold lets it.
  const isOnlyHold = observed.held && counters.active <= wantActive(observed.spec, counters, false);
  if (surplus > 0 && isOnlyHold) return { type: 'stopPending' };
  if (surplus > 0) return { type: 'stop', count: surplus };
  const shortfall = openable(look, wanted);
  const isHeld = (gate.holdOnFailure && counters.unjudged > 0) || nowMs < gate.notBeforeMs;
  if (shortfall <= 0 || isHeld) return { type: 'keep' };
  return { type: 'open', count: Math.min(shortfall, MAX_OPENS_PER_PASS) };
}

/** How many pods could be started now: as many as are wanted, and no more than there are indexes for. */
function openable({ observed, counters, judged }: Look, wanted: number): number {
  const isInPlace = observed.spec.replacesEnded ? counters.terminating : 0;
  return Math.min(wanted - counters.active - isInPlace, judged.startableCount);
}

/** Null when the look shows that everything is written already: most looks write nothing. */
function planJudge({ observed, judged, counters }: Look, gate: GatePlan): JudgePlan | null {
  const { failuresInRow, lastFailureMs } = counters;
  const isWritten =
    judged.judgements.length === 0 &&
    (observed.indexes?.readyCount ?? 0) === 0 &&
    failuresInRow === observed.counters.failuresInRow &&
    lastFailureMs === observed.counters.lastFailureMs &&
    gate.limit === observed.gate.limit &&
    gate.notBeforeMs === observed.gate.notBeforeMs &&
    gate.deadlineMs === observed.gate.deadlineMs &&
    gate.holdOnFailure === observed.gate.holdOnFailure &&
    gate.perIndex === observed.gate.perIndex &&
    gate.replaceEnded === observed.gate.replaceEnded &&
    gate.lookAtSuccesses === observed.gate.lookAtSuccesses;
  if (isWritten) return null;
  return { judgements: judged.judgements, gate, failuresInRow, lastFailureMs };
}

function nextLook({ counters, nowMs }: Look, wakes: readonly number[]): Next {
  if (counters.unjudged > 0) return { type: 'at', atMs: nowMs };
  return wakes.length > 0 ? { type: 'at', atMs: Math.min(...wakes) } : { type: 'resync' };
}

function figuresOf({ counters, indexes }: Look): Figures {
  return {
    active: counters.active,
    ready: counters.running,
    terminating: counters.terminating,
    succeeded: counters.succeeded,
    failed: counters.failed,
    ...(indexes !== null && { failedIndexes: indexes.failedCount }),
  };
}

function wasSuspended(conditions: Standing['conditions']): boolean {
  return conditions.some((one) => one.type === 'Suspended' && one.status === 'True');
}
