import { humanDuration, parseTime, type CoreV1Event } from '@drover/shared';

import { formatPart } from './layout.ts';

/** The part of a description that lists events. */
export function eventLines(events: readonly CoreV1Event[], nowMs: number): string[] {
  return formatPart(
    ['Type', 'Reason', 'Age', 'From', 'Message'],
    events.map(({ type, reason, message, source, ...event }) => [
      type,
      reason,
      eventAge(event, nowMs),
      source.host ?? source.component,
      message.split('\n')[0] ?? '',
    ]),
  );
}

/** How long ago it was last, and how often it was by then: `3s (x4 over 2m)`. */
export function eventAge(
  event: Pick<CoreV1Event, 'count' | 'firstTimestamp' | 'lastTimestamp'>,
  nowMs: number,
): string {
  const since = (time: string) => humanDuration(nowMs - (parseTime(time) ?? nowMs));
  const age = since(event.lastTimestamp);
  return event.count === 1 ? age : `${age} (x${event.count} over ${since(event.firstTimestamp)})`;
}
