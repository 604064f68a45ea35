import { podStatusWord, type CoreV1Event, type Pod } from '@drover/shared';

import { containerEntries } from './containers.ts';
import { eventLines } from './events.ts';
import { ownerEntries } from './job.ts';
import {
  annotationLines,
  formatEntries,
  formatPart,
  mapLines,
  timeText,
  type Entry,
} from './layout.ts';

/** Describes a pod as `kubectl describe` does. Pure. */
export function describePod(pod: Pod, events: readonly CoreV1Event[], nowMs: number): string[] {
  const { metadata, spec, status } = pod;
  const entries: Entry[] = [
    ['Name', metadata.name],
    ['Namespace', metadata.namespace],
    ['UID', metadata.uid],
    ['Node', spec.nodeName ?? '<none>'],
    ['Start Time', timeText(status.startTime)],
    ['Labels', mapLines(metadata.labels)],
    ['Annotations', annotationLines(metadata.annotations)],
    ['Status', statusText(pod)],
  ];
  if (status.reason !== undefined) entries.push(['Reason', status.reason]);
  if (status.message !== undefined) entries.push(['Message', status.message.split('\n')]);
  entries.push(
    ...ownerEntries(metadata),
    ...containerEntries(spec, status),
    ['Grace Period', `${spec.terminationGracePeriodSeconds}s`],
    ['Conditions', conditionsValue(pod)],
    ['Events', events.length === 0 ? '<none>' : { part: eventLines(events, nowMs) }],
  );
  return formatEntries(entries);
}

function statusText(pod: Pod): string {
  const { metadata, status } = pod;
  if (podStatusWord(pod) !== 'Terminating') return status.phase;
  return `Terminating (killed at ${timeText(metadata.deletionTimestamp)})`;
}

function conditionsValue({ status }: Pod): Entry[1] {
  const { conditions = [] } = status;
  if (conditions.length === 0) return '<none>';
  return {
    part: formatPart(
      ['Type', 'Status', 'Reason', 'Message'],
      conditions.map(({ type, status: holds, reason = '', message = '' }) => [
        type,
        holds,
        reason,
        message,
      ]),
    ),
  };
}
