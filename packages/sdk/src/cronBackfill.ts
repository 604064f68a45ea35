/** Jobs for past times of a CronJob, made afterwards. */

import {
  cronCalendarOf,
  cronJobJobName,
  cronSlots,
  formatTime,
  InvalidSpecError,
  NotFoundError,
  parseJob,
  scheduledJobOf,
  TerminalError,
  type CronJob,
  type ValidationIssue,
} from '@drover/shared';
import {
  completeJob,
  cronJobsPerRun,
  cronJobUid,
  newJobOf,
  type ObservedCronJob,
} from '@drover/store';

import type { Backend } from './backend.ts';

/** Most times of one backfill. */
const MAX_TIMES = 1_000;
/** A step that met the controller, or another backfill, is tried again so many times. */
const MAX_ATTEMPTS = 20;

/** Which past times, and whether anything is done. */
export interface BackfillRange {
  /** The first time that counts. */
  readonly from: Date;
  /** The last time that counts; not in the future. */
  readonly to: Date;
  /** Say only what would be done. Default false. */
  readonly dryRun?: boolean;
}

/** What became of a time. */
export interface BackfilledTime {
  /** The time by the schedule. RFC 3339. */
  readonly time: string;
  /** Name of its Job. */
  readonly job: string;
  /**
   * `created`: it has its Job now. `ran`: it had one before. `nameTaken`: another Job has the name. `quota`:
   * the quota of the namespace allows no more Jobs. `wouldCreate`: without `dryRun` it would be created.
   */
  readonly outcome: 'created' | 'ran' | 'nameTaken' | 'quota' | 'wouldCreate';
}

/** Makes the Jobs for times that had none. @throws InvalidSpecError for a range that can not be. */
export async function backfill(
  backend: Backend,
  cronJob: CronJob,
  range: BackfillRange,
): Promise<BackfilledTime[]> {
  const { namespace, name } = cronJob.metadata;
  const observed = await observe(backend, cronJob);
  const slots = slotsOf(cronJob, range, observed.nowMs);
  const outcomes = new Map<number, BackfilledTime['outcome']>();
  const runs = await backend.onShard(namespace, (shard) => shard.cronJobs.history(namespace, name));
  const known = new Set(
    runs
      .filter(({ type }) => type === 'started' || type === 'backfilled')
      .map(({ slotMs }) => slotMs),
  );
  for (const slotMs of slots) if (known.has(slotMs)) outcomes.set(slotMs, 'ran');
  const open = slots.filter((slotMs) => !outcomes.has(slotMs));
  const size = cronJobsPerRun(observed.stored);
  for (let at = 0; at < open.length; at += size) {
    const batch = open.slice(at, at + size);
    if (range.dryRun === true) for (const slotMs of batch) outcomes.set(slotMs, 'wouldCreate');
    else await makeJobs(backend, cronJob, batch, outcomes);
  }
  return slots.map((slotMs) => ({
    time: formatTime(slotMs),
    job: cronJobJobName(name, slotMs),
    outcome: outcomes.get(slotMs) ?? 'ran',
  }));
}

function slotsOf(cronJob: CronJob, { from, to }: BackfillRange, nowMs: number): number[] {
  const [fromMs, toMs] = [from.getTime(), to.getTime()];
  const issues: ValidationIssue[] = [];
  const invalid = (path: string, value: string | undefined, detail: string): void => {
    issues.push({ path, kind: 'Invalid', ...(value !== undefined && { value }), detail });
  };
  if (Number.isNaN(fromMs)) invalid('from', undefined, 'must be a time');
  if (Number.isNaN(toMs)) invalid('to', undefined, 'must be a time');
  if (fromMs > toMs) invalid('from', from.toISOString(), 'must not be after `to`');
  if (toMs > nowMs) invalid('to', to.toISOString(), 'must not be in the future');
  const reading = cronCalendarOf(cronJob);
  if (!reading.ok) throw new TerminalError(`${reading.wrong}: ${reading.why}`);
  const { calendar } = reading;
  if (calendar.schedule.type === 'every') {
    const detail = 'must be one of the clock: past times of @every can not be told';
    invalid('spec.schedule', cronJob.spec.schedule, detail);
  }
  if (issues.length > 0) throw new InvalidSpecError('Backfill', cronJob.metadata.name, issues);
  const slots: number[] = [];
  for (const slot of cronSlots(calendar, fromMs - 1)) {
    if (slot.nominalMs > toMs) break;
    if (slot.type === 'fires') slots.push(slot.nominalMs);
    if (slots.length <= MAX_TIMES) continue;
    invalid('to', to.toISOString(), `must be so that there are at most ${MAX_TIMES} times`);
    throw new InvalidSpecError('Backfill', cronJob.metadata.name, issues);
  }
  return slots;
}

async function observe(backend: Backend, { metadata }: CronJob): Promise<ObservedCronJob> {
  const { namespace, name, uid } = metadata;
  const observed = await backend.onShard(namespace, (shard) =>
    shard.cronJobs.observe(namespace, name),
  );
  if (observed !== null && observed.stored.uid === uid) return observed;
  throw new NotFoundError({ resource: 'cronjobs.batch', name, namespace });
}

async function makeJobs(
  backend: Backend,
  cronJob: CronJob,
  slots: readonly number[],
  outcomes: Map<number, BackfilledTime['outcome']>,
): Promise<void> {
  const { namespace, name, uid } = cronJob.metadata;
  let attempts = 0;
  const open = [...slots];
  while (open.length > 0) {
    const { nowMs, runs, stored } = await observe(backend, cronJob);
    const jobs = open.map((slotMs) => {
      const { job } = parseJob(scheduledJobOf(cronJob, slotMs), { namespace });
      const named = {
        uid: cronJobUid(uid, slotMs),
        name: cronJobJobName(name, slotMs),
        createdMs: nowMs,
      };
      return newJobOf(completeJob(job, named));
    });
    const outcome = await backend.onShard(namespace, (shard) =>
      shard.cronJobs.run({
        namespace,
        name,
        uid,
        runs,
        expectedResourceVersion: stored.resourceVersion,
        object: null,
        checkedMs: null,
        suspendedMs: null,
        notes: open.map((slotMs) => ({ type: 'backfilled', slotMs, atMs: nowMs })),
        jobs,
      }),
    );
    if (outcome.type === 'done') {
      for (const slotMs of open) outcomes.set(slotMs, 'created');
      return;
    }
    if (outcome.type === 'ran' || outcome.type === 'nameTaken') {
      const [refused] = open.splice(outcome.at, 1);
      if (refused !== undefined) outcomes.set(refused, outcome.type);
      continue;
    }
    if (outcome.type === 'forbidden') {
      const [refused] = open.splice(outcome.at, 1);
      if (refused !== undefined) outcomes.set(refused, 'quota');
      continue;
    }
    attempts += 1;
    if (attempts === MAX_ATTEMPTS) {
      throw new TerminalError(`${name} is written all the time: nothing could be backfilled`);
    }
  }
}
