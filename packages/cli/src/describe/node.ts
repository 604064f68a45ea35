import { podStatusWord, POOL_LABEL, type Node, type Pod } from '@drover/shared';

import { conditionsValue } from './conditions.ts';
import {
  ageText,
  annotationLines,
  formatEntries,
  formatPart,
  mapLines,
  timeText,
  type Entry,
} from './layout.ts';

/** Describes a worker as `kubectl describe node` does. Pure. */
export function describeNode(node: Node, pods: readonly Pod[], nowMs: number): string[] {
  const { metadata, spec, status } = node;
  const listOf = (annotation: string) =>
    metadata.annotations?.[annotation]?.split(',').filter((text) => text !== '') ?? [];
  const lines = (texts: readonly string[]) => (texts.length === 0 ? '<none>' : texts);
  const entries: Entry[] = [
    ['Name', metadata.name],
    ['Pool', metadata.labels?.[POOL_LABEL] ?? '<none>'],
    ['Runtimes', lines(listOf('drover.dev/runtimes'))],
    ['Handlers', lines(listOf('drover.dev/handlers'))],
    ['Labels', mapLines(metadata.labels)],
    ['Annotations', annotationLines(metadata.annotations)],
    [
      'Started',
      `${timeText(metadata.creationTimestamp)} (${ageText(metadata.creationTimestamp, nowMs)} ago)`,
    ],
    ['Unschedulable', String(spec.unschedulable ?? false)],
    ['Conditions', conditionsValue(node.status.conditions, nowMs)],
    ['Addresses', (status.addresses ?? []).map(({ type, address }) => `${type}: ${address}`)],
    ['Capacity', { part: [...mapLines(status.capacity, ': ')] }],
    ['Version', status.nodeInfo?.kubeletVersion ?? '<unknown>'],
    ['Pods', podsValue(pods, nowMs)],
    ['Events', '<none>'],
  ];
  return formatEntries(entries);
}

function podsValue(pods: readonly Pod[], nowMs: number): Entry[1] {
  if (pods.length === 0) return '<none>';
  const rows = pods.map((pod) => [
    pod.metadata.namespace,
    pod.metadata.name,
    podStatusWord(pod),
    ageText(pod.status.startTime, nowMs),
  ]);
  return {
    part: [
      `(${pods.length} in total)`,
      ...formatPart(['Namespace', 'Name', 'Status', 'Running For'], rows),
    ],
  };
}
