import { humanDuration, parseTime, type DerivedEvent } from '@drover/shared';

import { formatPart } from './layout.ts';

/** The part of a description that lists events. */
export function eventLines(events: readonly DerivedEvent[], nowMs: number): string[] {
  return formatPart(
    ['Type', 'Reason', 'Age', 'From', 'Message'],
    events.map(({ type, reason, message, from, ...event }) => [
      type,
      reason,
      ageOf(event, nowMs),
      from,
      message.split('\n')[0] ?? '',
    ]),
  );
}

function ageOf(
  event: Pick<DerivedEvent, 'count' | 'firstTimestamp' | 'lastTimestamp'>,
  nowMs: number,
): string {
  const since = (time: string) => humanDuration(nowMs - (parseTime(time) ?? nowMs));
  const age = since(event.lastTimestamp);
  return event.count === 1 ? age : `${age} (x${event.count} over ${since(event.firstTimestamp)})`;
}
