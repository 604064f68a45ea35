/**
 * What happened to an object, told from what is stored of it: Drover keeps no event per pod, so
 * that a Job of a million pods costs no million events.
 */

import { terminalCondition, type JobCondition } from './conditions.ts';
import type { Job } from './job.ts';
import type { Pod } from './pod.ts';
import { failureNote, failureText } from './podFailure.ts';
import { formatTime, parseTime } from './time.ts';

/** Something that happened, or the same thing several times. */
export interface DerivedEvent {
  readonly type: 'Normal' | 'Warning';
  /** In one word. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
  /** Who did it. */
  readonly from: string;
  /** How often. */
  readonly count: number;
  /** When first. RFC 3339. */
  readonly firstTimestamp: string;
  /** When last. RFC 3339. */
  readonly lastTimestamp: string;
}

/** Kinds of failures that are told apart; more would not be read. */
const MAX_FAILURE_KINDS = 10;

/**
 * What happened to a Job, in order of time.
 *
 * @param pods - Those that are to be told of; failures of the same kind become one event.
 * @param warnings - What it left in its work queue.
 */
export function jobEvents(
  job: Job,
  pods: readonly Pod[],
  warnings: readonly { readonly reason: string; readonly message: string }[] = [],
): DerivedEvent[] {
  const { metadata, status } = job;
  const events: (DerivedEvent | null)[] = [
    once('Normal', 'Created', 'user', 'Job was created', metadata.creationTimestamp),
  ];
  const resumed = status.conditions?.some(({ reason }) => reason === 'JobResumed') === true;
  if (!resumed)
    events.push(once('Normal', 'Started', 'controller', 'Job started', status.startTime));
  events.push(...failureEvents(pods));
  const end = terminalCondition(status.conditions);
  const isOver = end !== null;
  for (const condition of status.conditions ?? []) {
    if (!isOver || !INTERIM.has(condition.type)) events.push(conditionEvent(condition));
  }
  for (const { reason, message } of warnings) {
    events.push(once('Warning', reason, 'controller', message, end?.lastTransitionTime));
  }
  return inOrder(events);
}

/** What happened to a pod, in order of time. */
export function podEvents({ metadata, spec, status }: Pod): DerivedEvent[] {
  const events: (DerivedEvent | null)[] = [];
  const scheduled = status.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.message !== undefined) {
    const { reason = 'FailedScheduling', message, lastTransitionTime } = scheduled;
    events.push(once('Warning', reason, 'controller', message, lastTransitionTime));
  }
  if (spec.nodeName !== undefined) {
    const message = `worker ${spec.nodeName} runs it`;
    events.push(once('Normal', 'Started', spec.nodeName, message, status.startTime));
  }
  const from = spec.nodeName ?? 'controller';
  for (const { name, restartCount, lastState } of status.containerStatuses ?? []) {
    if (restartCount === 0) continue;
    const message = `container ${name} was started again`;
    const time = lastState?.terminated?.finishedAt ?? status.startTime;
    const event = once('Warning', 'Restarted', from, message, time);
    events.push(event === null ? null : { ...event, count: restartCount });
  }
  if (metadata.deletionTimestamp !== undefined && status.phase === 'Running') {
    const message = 'it was told to stop; it is killed when its grace period is over';
    events.push(once('Normal', 'Killing', 'controller', message, stopTime(metadata)));
  }
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  const endedAt = ready?.lastTransitionTime;
  if (status.phase === 'Succeeded') {
    events.push(once('Normal', 'Completed', from, 'pod succeeded', endedAt));
  }
  if (status.phase === 'Failed') {
    const reason = status.reason ?? 'Failed';
    events.push(once('Warning', reason, from, failureText({ status }), endedAt));
  }
  return inOrder(events);
}

function once(
  type: DerivedEvent['type'],
  reason: string,
  from: string,
  message: string,
  time: string | undefined,
): DerivedEvent | null {
  if (time === undefined) return null;
  return { type, reason, message, from, count: 1, firstTimestamp: time, lastTimestamp: time };
}

/** The final conditions say what these say, too: they are told only as long as there is none. */
const INTERIM: ReadonlySet<string> = new Set(['FailureTarget', 'SuccessCriteriaMet']);

function conditionEvent(condition: JobCondition): DerivedEvent | null {
  const { type, status, message = '', lastTransitionTime } = condition;
  if (type === 'Suspended') {
    const reason = status === 'True' ? 'Suspended' : 'Resumed';
    return once('Normal', reason, 'controller', message, lastTransitionTime);
  }
  if (status !== 'True') return null;
  if (type === 'Complete') {
    return once('Normal', 'Completed', 'controller', 'Job completed', lastTransitionTime);
  }
  const isBad = type === 'Failed' || type === 'FailureTarget';
  if (INTERIM.has(type)) {
    return once(isBad ? 'Warning' : 'Normal', type, 'controller', message, lastTransitionTime);
  }
  const reason = condition.reason ?? type;
  return once(isBad ? 'Warning' : 'Normal', reason, 'controller', message, lastTransitionTime);
}

/** Failed pods by what was wrong with them; the message is that of the last one. */
function failureEvents(pods: readonly Pod[]): DerivedEvent[] {
  const kinds = new Map<string, DerivedEvent>();
  for (const pod of pods) {
    const { status, spec } = pod;
    if (status.phase !== 'Failed') continue;
    const time = status.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime;
    const kind = `${status.reason ?? ''}/${failureText(pod)}`;
    const event = once(
      'Warning',
      status.reason ?? 'PodFailed',
      spec.nodeName ?? '',
      failureNote(pod),
      time,
    );
    if (event === null) continue;
    const known = kinds.get(kind);
    kinds.set(kind, known === undefined ? event : together(known, event));
  }
  return [...kinds.values()].toSorted(byTime).slice(-MAX_FAILURE_KINDS);
}

function together(known: DerivedEvent, event: DerivedEvent): DerivedEvent {
  const isLater = event.lastTimestamp >= known.lastTimestamp;
  return {
    ...(isLater ? event : known),
    from: event.from === known.from ? known.from : 'workers',
    count: known.count + 1,
    firstTimestamp:
      event.firstTimestamp < known.firstTimestamp ? event.firstTimestamp : known.firstTimestamp,
  };
}

function inOrder(events: readonly (DerivedEvent | null)[]): DerivedEvent[] {
  return events.filter((event) => event !== null).toSorted(byTime);
}

function byTime(a: DerivedEvent, b: DerivedEvent): number {
  return a.lastTimestamp < b.lastTimestamp ? -1 : a.lastTimestamp > b.lastTimestamp ? 1 : 0;
}

/** When a pod was told to stop: its grace period before its deletionTimestamp. */
function stopTime(metadata: Pod['metadata']): string | undefined {
  const endMs = parseTime(metadata.deletionTimestamp);
  if (endMs === null) return undefined;
  return formatTime(endMs - (metadata.deletionGracePeriodSeconds ?? 0) * 1000);
}
