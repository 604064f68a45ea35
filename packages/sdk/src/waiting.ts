import {
  HOLD_ANNOTATION,
  isConditionTrue,
  OUR_CONTROLLER,
  terminalCondition,
  WORK_QUEUE_ANNOTATION,
  type Job,
} from '@drover/shared';
import { nobodyFits, type JobView } from '@drover/store';

/** Why a Job that is not over does not go on as fast as it may. */
export interface WaitReason {
  /** In one word, stable. */
  readonly reason:
    | 'NoController'
    | 'ManagedByOther'
    | 'Suspended'
    | 'Held'
    | 'NoWorkQueue'
    | 'ZeroParallelism'
    | 'Unjudged'
    | 'BackOff'
    | 'Quota'
    | 'NoWorkerFits'
    | 'InsufficientResources'
    | 'LanesTaken';
  /** For people: what is missing, and what to do where that is known. */
  readonly message: string;
}

/** Where the pods of a Job may run. */
export interface Places {
  readonly lanes: number;
  /** In the words of Kubernetes' scheduler; null = nothing. */
  readonly unschedulable: string | null;
}

/** What keeps a Job from having more pods, as far as that is not in the Job itself. */
export interface Hindrances {
  /** It names a work queue that does not exist. */
  readonly lacksWorkQueue: boolean;
  /** What quota does not allow, in Kubernetes' words; null = all is allowed. */
  readonly denial: string | null;
}

/** How many pods that ended may wait for a verdict without that being told: they always do briefly. */
const BRIEFLY_UNJUDGED_MS = 2_000;

/**
 * Why a Job does not go on, or not faster; nothing when it is over or all is well.
 *
 * @param places - Lanes of the live workers that could run its pods, and what keeps these from running them.
 * @param nowMs - By the clock of Redis, about.
 */
export function waitReasons(
  job: Job,
  { counters, gate }: Pick<JobView, 'counters' | 'gate'>,
  places: Places,
  { lacksWorkQueue, denial }: Hindrances,
  nowMs: number,
): WaitReason[] {
  const { status, spec } = job;
  if (terminalCondition(status.conditions) !== null) return [];
  const name = `job/${job.metadata.name}`;
  const { managedBy = OUR_CONTROLLER } = spec;
  if (managedBy !== OUR_CONTROLLER) {
    const message = `it is managed by ${managedBy}: the controller of Drover leaves it alone`;
    return [{ reason: 'ManagedByOther', message }];
  }
  if (status.startTime === undefined && !isConditionTrue(status.conditions, 'Suspended')) {
    const message = 'no controller has looked at the Job yet: is `drover controller` running?';
    return [{ reason: 'NoController', message }];
  }
  if (spec.suspend) {
    const message = `it is suspended: \`drover resume ${name}\` lets it go on`;
    return [{ reason: 'Suspended', message }];
  }
  const reasons: WaitReason[] = [];
  if (job.metadata.annotations?.[HOLD_ANNOTATION] === 'true') {
    const message = `no further pods start while its annotation ${HOLD_ANNOTATION} is "true"`;
    reasons.push({ reason: 'Held', message });
  }
  if (lacksWorkQueue) {
    const queue = job.metadata.annotations?.[WORK_QUEUE_ANNOTATION];
    const message = `its pods start when there is a work queue "${queue}" in its namespace: enqueue something, or create it`;
    reasons.push({ reason: 'NoWorkQueue', message });
  }
  if (spec.parallelism === 0) {
    const message = `its parallelism is 0: \`drover scale ${name} --parallelism N\` lets it go on`;
    reasons.push({ reason: 'ZeroParallelism', message });
  }
  if (counters.unjudged > 0 && nowMs - counters.lastFailureMs > BRIEFLY_UNJUDGED_MS) {
    const pods = counters.unjudged === 1 ? 'pod waits' : 'pods wait';
    const message = `${counters.unjudged} ended ${pods} for the verdict of a controller: is \`drover controller\` running?`;
    reasons.push({ reason: 'Unjudged', message });
  }
  if (gate.limit > 0 && gate.notBeforeMs > nowMs) {
    const seconds = Math.ceil((gate.notBeforeMs - nowMs) / 1000);
    const failures = counters.failuresInRow;
    const times = `${failures} ${failures === 1 ? 'failure' : 'failures in a row'}`;
    const message = `the next pod starts in ${seconds} s (back-off after ${times})`;
    reasons.push({ reason: 'BackOff', message });
  }
  if (denial !== null) {
    reasons.push({ reason: 'Quota', message: `further pods wait for quota: ${denial}` });
  }
  reasons.push(...laneReasons(job, counters.active - counters.running, places));
  return reasons;
}

function laneReasons(
  job: Job,
  pendingCount: number,
  { lanes, unschedulable }: Places,
): WaitReason[] {
  if (pendingCount <= 0) return [];
  const pods = pendingCount === 1 ? '1 pod waits' : `${pendingCount} pods wait`;
  if (lanes === 0) {
    return [{ reason: 'NoWorkerFits', message: `${pods}: ${unschedulable ?? nobodyFits(job)}` }];
  }
  if (unschedulable !== null) {
    return [{ reason: 'InsufficientResources', message: `${pods}: ${unschedulable}` }];
  }
  const places = lanes === 1 ? 'one pod' : `${lanes} pods`;
  const message = `${pods} for a place: the workers that fit run ${places} at once, those of other Jobs included`;
  return [{ reason: 'LanesTaken', message }];
}
