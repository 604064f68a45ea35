import type { WaitReason } from '@drover/sdk/client';
import {
  DROPPED_PODS_ANNOTATION,
  humanDuration,
  parseTime,
  podHasEnded,
  podStatusWord,
  poolOf,
  terminalCondition,
  type CoreV1Event,
  type Job,
  type Pod,
} from '@drover/shared';

import { containerEntries } from './containers.ts';
import { eventLines } from './events.ts';
import { conditionsValue } from './conditions.ts';
import {
  ageText,
  annotationLines,
  formatEntries,
  formatPart,
  indexesText,
  mapLines,
  timeText,
  type Entry,
} from './layout.ts';
import { policyEntries } from './policies.ts';
import { workQueueEntries, type DescribedWorkQueue } from './workQueue.ts';

/** What is known of a Job, for its description. */
export interface DescribedJob {
  readonly job: Job;
  /** Why it does not go on; empty when nothing holds it up. */
  readonly waiting: readonly WaitReason[];
  /** Its newest pods. */
  readonly pods: readonly Pod[];
  readonly events: readonly CoreV1Event[];
  /** The one that it names; null when none. */
  readonly workQueue: DescribedWorkQueue | null;
}

/** More pods than these are not listed. */
const MAX_LISTED_PODS = 10;

/** Describes a Job as `kubectl describe` does, and says why it waits. Pure. */
export function describeJob(
  { job, waiting, pods, events, workQueue }: DescribedJob,
  nowMs: number,
): string[] {
  const { metadata, spec } = job;
  const entries: Entry[] = [
    ['Name', metadata.name],
    ['Namespace', metadata.namespace],
    ['UID', metadata.uid],
    ['Selector', mapLines(spec.selector?.matchLabels)],
    ['Labels', mapLines(metadata.labels)],
    ['Annotations', annotationLines(metadata.annotations)],
    ...ownerEntries(metadata),
    ...specEntries(job),
    ...statusEntries(job, nowMs),
    ...workQueueEntries(job, workQueue),
    ...templateEntries(job),
    ['Conditions', conditionsValue(job.status.conditions, nowMs)],
    ['Waiting', waiting.length === 0 ? '<none>' : { part: waiting.map(({ message }) => message) }],
    ['Pods', podsValue(job, pods, nowMs)],
    ...droppedEntries(metadata),
    ['Events', events.length === 0 ? '<none>' : { part: eventLines(events, nowMs) }],
  ];
  return formatEntries(entries);
}

/** `Controlled By: Job/pi`. */
export function ownerEntries({ ownerReferences = [] }: Job['metadata']): Entry[] {
  const owner = ownerReferences.find(({ controller }) => controller === true);
  return owner === undefined ? [] : [['Controlled By', `${owner.kind}/${owner.name}`]];
}

function specEntries({ spec }: Job): Entry[] {
  const optional = (label: string, value: string | number | undefined): Entry[] =>
    value === undefined ? [] : [[label, String(value)]];
  return [
    ['Parallelism', String(spec.parallelism)],
    ['Completions', spec.completions === undefined ? '<unset>' : String(spec.completions)],
    ['Completion Mode', spec.completionMode],
    ['Suspend', String(spec.suspend)],
    ['Backoff Limit', String(spec.backoffLimit)],
    ...optional('Backoff Limit Per Index', spec.backoffLimitPerIndex),
    ...optional('Max Failed Indexes', spec.maxFailedIndexes),
    ...(spec.activeDeadlineSeconds === undefined
      ? []
      : optional('Active Deadline', `${spec.activeDeadlineSeconds}s`)),
    ...(spec.ttlSecondsAfterFinished === undefined
      ? []
      : optional('TTL', `${spec.ttlSecondsAfterFinished}s`)),
    ...policyEntries(spec),
  ];
}

function statusEntries(job: Job, nowMs: number): Entry[] {
  const { metadata, spec, status } = job;
  const { active = 0, ready = 0, terminating = 0, succeeded = 0, failed = 0 } = status;
  const stopping = terminating === 0 ? '' : ` / ${terminating} Terminating`;
  const entries: Entry[] = [
    [
      'Created',
      `${timeText(metadata.creationTimestamp)} (${ageText(metadata.creationTimestamp, nowMs)} ago)`,
    ],
    ['Start Time', timeText(status.startTime)],
  ];
  if (status.completionTime !== undefined) {
    entries.push(['Completed At', timeText(status.completionTime)]);
  }
  const duration = durationText(job, nowMs);
  if (duration !== null) entries.push(['Duration', duration]);
  entries.push([
    'Pods Statuses',
    `${active} Active (${ready} Ready)${stopping} / ${succeeded} Succeeded / ${failed} Failed`,
  ]);
  if (spec.completionMode === 'Indexed') {
    entries.push(['Completed Indexes', indexesText(status.completedIndexes)]);
    if (spec.backoffLimitPerIndex !== undefined) {
      entries.push(['Failed Indexes', indexesText(status.failedIndexes)]);
    }
  }
  return entries;
}

/** From start to end, also of a failed Job; null before the start. */
function durationText({ status }: Job, nowMs: number): string | null {
  const startMs = parseTime(status.startTime);
  if (startMs === null) return null;
  const ended = terminalCondition(status.conditions)?.lastTransitionTime;
  return humanDuration((parseTime(ended) ?? nowMs) - startMs);
}

function templateEntries({ spec }: Job): Entry[] {
  const { metadata, spec: podSpec } = spec.template;
  const entries: Entry[] = [['Labels', mapLines(metadata.labels)]];
  if (metadata.annotations !== undefined) {
    entries.push(['Annotations', annotationLines(metadata.annotations)]);
  }
  entries.push(...containerEntries(podSpec, null), ['Pool', poolOf(podSpec)]);
  return [['Pod Template', { part: formatEntries(entries) }]];
}

/** Pods that have not ended, then the last that did. */
function podsValue({ metadata, spec, status }: Job, pods: readonly Pod[], nowMs: number): Entry[1] {
  const active = pods.filter((pod) => !podHasEnded(pod));
  const ended = pods.filter(podHasEnded).toReversed();
  const listed = [...active, ...ended].slice(0, MAX_LISTED_PODS);
  if (listed.length === 0) return '<none>';
  const { active: activeCount = 0, terminating = 0, succeeded = 0, failed = 0 } = status;
  const all = Math.max(pods.length, activeCount + terminating + succeeded + failed);
  const rest = all - listed.length;
  const lines = formatPart(
    ['Name', 'Status', 'Restarts', 'Age', 'Node'],
    listed.map((pod) => [
      pod.metadata.name,
      podStatusWord(pod),
      String(restartsOf(pod)),
      ageText(pod.metadata.creationTimestamp, nowMs),
      pod.spec.nodeName ?? '<none>',
    ]),
  );
  if (rest > 0) lines.push(`and ${rest} more: drover get pods -l ${podLabels(metadata, spec)}`);
  return { part: lines };
}

/** `Pods Dropped: 1234 that ended were removed to make room, with their logs`. */
function droppedEntries({ annotations }: Job['metadata']): Entry[] {
  const count = annotations?.[DROPPED_PODS_ANNOTATION];
  if (count === undefined) return [];
  return [['Pods Dropped', `${count} that ended were removed to make room, with their logs`]];
}

/** Labels by which its pods are listed. */
function podLabels({ name }: Job['metadata'], { manualSelector, selector }: Job['spec']): string {
  const own = Object.entries(selector?.matchLabels ?? {});
  const labels = manualSelector && own.length > 0 ? own : [['job-name', name]];
  return labels.map(([key, value]) => `${key}=${value}`).join(',');
}

function restartsOf({ status }: Pod): number {
  return (status.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0);
}
