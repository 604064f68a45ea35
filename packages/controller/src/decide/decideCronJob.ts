import {
  type ActiveJob,
  type CronCalendar,
  cronJitterMs,
  cronSlots,
  formatLongTime,
  latestFirings,
  nextFiring,
} from '@drover/shared';
import type { CronDecision, CronEvent, CronObserved, CronOwnedJob, CronSkip } from './cronTypes.ts';

/** More missed times than this are told of, and not gone through one by one. */
const MANY_MISSED = 100;
/** With catch-up `none` a time counts as missed when it is past for longer: what a dead controller had in hand comes back sooner. */
const ON_TIME_MS = 10_000;
/** Notes of one pass at most. */
const MAX_SKIPS = 100;

/**
 * Decides what is to be done for a CronJob. Pure: no clock, no I/O, no randomness; `nowMs` is given.
 *
 * The order is that of Kubernetes: what became of the Jobs that it has, then whether a time has come, then whether the
 * policies let it start one.
 */
export function decideCronJob(observed: CronObserved): CronDecision {
  const { spec, calendar, nowMs } = observed;
  const jobs = settleJobs(observed);
  const rest: CronDecision = {
    ...jobs,
    prune: prunable(observed),
    replace: [],
    start: [],
    skips: [],
    checkedMs: null,
    suspendedMs: null,
    nextAtMs: null,
  };
  if (observed.isDeleted) return rest;
  if (!calendar.ok) return { ...rest, events: [...rest.events, unreadable(observed)] };
  if (spec.suspend) {
    return { ...rest, suspendedMs: observed.suspendedMs === null ? nowMs : null };
  }
  return { ...rest, ...decideStarts(observed, calendar.calendar, rest) };
}

/** What became of the Jobs of the status, and which are new. */
function settleJobs(observed: CronObserved) {
  const events: CronEvent[] = [];
  const owned = new Map(observed.owned.map((job) => [job.uid, job]));
  const active: ActiveJob[] = [];
  let { lastSuccessMs } = observed;
  for (const reference of observed.active) {
    const job = owned.get(reference.uid);
    if (job === undefined) {
      events.push(normal('MissingJob', `Active job went missing: ${reference.name}`));
    } else if (job.end === null) {
      active.push(reference);
    } else {
      const message = `Saw completed job: ${job.name}, condition: ${job.end}`;
      events.push(normal('SawCompletedJob', message));
      if (job.completionTimeMs !== null) {
        lastSuccessMs = Math.max(lastSuccessMs ?? 0, job.completionTimeMs);
      }
    }
  }
  const manual = observed.owned.filter((job) => job.isNew);
  for (const job of manual) {
    if (job.isManual || job.end !== null) continue;
    const message = `saw a job the controller did not create or forgot: ${job.name}`;
    events.push(warning('UnexpectedJob', message));
  }
  return { events, active, lastSuccessMs, manual };
}

/** Finished Jobs beyond the limits: the oldest, those that never started at the end. */
function prunable({ spec, owned }: CronObserved): CronOwnedJob[] {
  const startOf = ({ startTimeMs }: CronOwnedJob) => startTimeMs ?? Number.POSITIVE_INFINITY;
  const older = (a: CronOwnedJob, b: CronOwnedJob) =>
    startOf(a) === startOf(b) ? (a.name < b.name ? -1 : 1) : startOf(a) - startOf(b);
  const beyond = (end: 'Complete' | 'Failed', limit: number): CronOwnedJob[] => {
    const finished = owned.filter((job) => job.end === end).toSorted(older);
    return finished.slice(0, Math.max(0, finished.length - limit));
  };
  return [
    ...beyond('Complete', spec.successfulJobsHistoryLimit),
    ...beyond('Failed', spec.failedJobsHistoryLimit),
  ];
}

/** Times that have come since the last one that had a Job. */
interface Due {
  /** Those that could start, in order; of very many the latest only. */
  readonly firings: readonly number[];
  /** Those that do not, by the calendar. */
  readonly passed: readonly CronSkip[];
}

function decideStarts(
  observed: CronObserved,
  calendar: CronCalendar,
  { active, events }: CronDecision,
): Partial<CronDecision> {
  const { spec, nowMs, createdMs, suspendedMs } = observed;
  const jitterMs = cronJitterMs(calendar);
  const untilMs = nowMs - jitterMs;
  const lastMs = observed.lastScheduleMs ?? createdMs;
  const checkedMs = Math.max(observed.checkedMs ?? createdMs, lastMs);
  const deadlineMs =
    spec.startingDeadlineSeconds === undefined ? null : spec.startingDeadlineSeconds * 1000;
  const afterMs = deadlineMs === null ? lastMs : Math.max(lastMs, untilMs - deadlineMs);
  const due = dueTimes(calendar, { afterMs: Math.min(afterMs, checkedMs), untilMs });
  const candidates = due.firings.filter((atMs) => atMs > afterMs);
  const wanted = wantedTimes(candidates, { calendar, spec, untilMs });
  const starting = admitted(wanted, observed, active.length > 0);

  const skips: CronSkip[] = due.passed.filter(({ slotMs }) => slotMs > checkedMs);
  const started = new Set(starting);
  // What is started later in the place of others, or after others, stays open until then.
  const isOpen = new Set(wanted.filter((atMs) => !started.has(atMs)));
  for (const slotMs of due.firings) {
    if (slotMs <= checkedMs || started.has(slotMs)) continue;
    if (isOpen.has(slotMs) && spec.concurrencyPolicy !== 'Forbid') continue;
    let reason: CronSkip['reason'] = 'missed';
    if (isOpen.has(slotMs)) reason = 'forbidden';
    else if (suspendedMs !== null && slotMs + jitterMs >= suspendedMs) reason = 'suspended';
    else if (slotMs <= afterMs) reason = 'deadline';
    skips.push({ slotMs, reason });
  }

  const found = [...events];
  if (candidates.length > MANY_MISSED && starting.length > 0) {
    const advice = 'set/decrease startingDeadlineSeconds or check clock skew';
    found.push(warning('TooManyMissedTimes', `too many missed start times; ${advice}`));
  }
  const late = skips.findLast(({ reason }) => reason === 'deadline');
  if (late !== undefined) {
    const when = formatLongTime(late.slotMs);
    found.push(warning('MissSchedule', `missed scheduled time to start a job: ${when}`));
  }
  if (skips.some(({ reason }) => reason === 'forbidden')) {
    const why = 'not starting, prior execution running and policy Forbid';
    found.push(normal('JobAlreadyActive', why));
  }
  const running = new Set(active.map(({ uid }) => uid));
  const isReplacing = spec.concurrencyPolicy === 'Replace' && starting.length > 0;
  const replace = isReplacing ? observed.owned.filter(({ uid }) => running.has(uid)) : [];
  for (const { name } of replace) found.push(normal('SuccessfulDelete', `Deleted job ${name}`));

  const next = nextFiring(calendar, Math.max(untilMs, lastMs));
  if (next === undefined && starting.length === 0) {
    const why = 'time difference between two schedules is less than 1 second';
    found.push(warning('InvalidSchedule', `invalid schedule: ${spec.schedule}: ${why}`));
  }
  const hasMore = isOpen.size > 0 && spec.concurrencyPolicy !== 'Forbid';
  // Of what is left over for another pass nothing is noted yet.
  const notedMs = hasMore ? (starting.at(-1) ?? checkedMs) : untilMs;
  return {
    events: found,
    replace,
    active: isReplacing ? [] : active,
    start: starting,
    skips: skips.toSorted((a, b) => a.slotMs - b.slotMs).slice(-MAX_SKIPS),
    checkedMs: skips.length > 0 || starting.length > 0 ? Math.max(notedMs, checkedMs) : null,
    suspendedMs: suspendedMs === null ? null : 0,
    nextAtMs: hasMore ? nowMs : (next?.fireAtMs ?? null),
  };
}

/** The times in `(afterMs, untilMs]`; of very many the latest. */
function dueTimes(
  calendar: CronCalendar,
  { afterMs, untilMs }: { readonly afterMs: number; readonly untilMs: number },
): Due {
  const firings: number[] = [];
  const passed: CronSkip[] = [];
  for (const slot of cronSlots(calendar, afterMs)) {
    if (slot.nominalMs > untilMs) return { firings, passed };
    if (slot.type === 'fires') firings.push(slot.nominalMs);
    else passed.push({ slotMs: slot.nominalMs, reason: slot.reason });
    if (firings.length > MANY_MISSED || passed.length > MANY_MISSED) break;
  }
  if (firings.length <= MANY_MISSED && passed.length <= MANY_MISSED) {
    return { firings, passed };
  }
  const count = Math.max(MANY_MISSED + 1, calendar.policy.catchUpLimit);
  const latest = latestFirings(calendar, { afterMs, untilMs, count });
  return {
    firings: latest.map(({ nominalMs }) => nominalMs),
    passed: [],
  };
}

/** Those that are made up for. */
function wantedTimes(
  candidates: readonly number[],
  {
    calendar,
    spec,
    untilMs,
  }: {
    readonly calendar: CronCalendar;
    readonly spec: CronObserved['spec'];
    readonly untilMs: number;
  },
): readonly number[] {
  const { catchUp, catchUpLimit } = calendar.policy;
  // Each would be replaced by the next at once.
  if (catchUp === 'all' && spec.concurrencyPolicy === 'Replace') return candidates.slice(-1);
  if (catchUp === 'none') {
    return candidates.slice(-1).filter((atMs) => untilMs - atMs <= ON_TIME_MS);
  }
  return candidates.slice(-catchUpLimit);
}

/** Those that may start now. */
function admitted(
  wanted: readonly number[],
  { spec, maxStarts }: CronObserved,
  hasActive: boolean,
): readonly number[] {
  switch (spec.concurrencyPolicy) {
    case 'Allow':
      return wanted.slice(0, maxStarts);
    case 'Forbid':
      return hasActive ? [] : wanted.slice(0, 1);
    case 'Replace':
      return wanted;
  }
}

function unreadable({ spec, calendar }: CronObserved): CronEvent {
  const { wrong, why } = calendar.ok ? { wrong: 'schedule' as const, why: '' } : calendar;
  if (wrong === 'timeZone') {
    return warning('UnknownTimeZone', `invalid timeZone: ${JSON.stringify(spec.timeZone)}: ${why}`);
  }
  if (wrong === 'annotations') return warning('InvalidAnnotations', why);
  const schedule = JSON.stringify(spec.schedule);
  return warning('UnparseableSchedule', `unparseable schedule: ${schedule} : ${why}`);
}

function normal(reason: string, message: string): CronEvent {
  return { type: 'Normal', reason, message };
}

function warning(reason: string, message: string): CronEvent {
  return { type: 'Warning', reason, message };
}
