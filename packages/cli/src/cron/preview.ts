/** What `drover cron preview` says of a calendar. Pure. */

import {
  cronSlots,
  formatTime,
  zoneOffsetMs,
  type CronCalendar,
  type CronSlot,
} from '@drover/shared';

import { formatTable } from '../text/table.ts';
import { localTime } from './localTime.ts';

/** A time of a preview, or times in a row that have no Job for the same reason. */
export interface PreviewRow {
  /** Whether a Job is started. */
  readonly fires: boolean;
  /** The time by the schedule, RFC 3339 in UTC; where several have no Job, the first. */
  readonly time: string;
  /** The same by the clock of the zone, with its offset. */
  readonly localTime: string;
  /** When the Job is started, RFC 3339; null when none is. */
  readonly startTime: string | null;
  /** What is special about it; null when nothing is. */
  readonly reason:
    | 'repeatedFirst'
    | 'repeatedSecond'
    | 'skipped'
    | 'repeatedHour'
    | 'skippedHour'
    | 'excludedDate'
    | null;
  /** The same in words; empty when nothing is. */
  readonly note: string;
}

/**
 * The next times of a calendar.
 *
 * @param count - How many Jobs; times without a Job come on top of them.
 */
export function previewRows(calendar: CronCalendar, afterMs: number, count: number): PreviewRow[] {
  const rows: PreviewRow[] = [];
  let fired = 0;
  for (const slot of cronSlots(calendar, afterMs)) {
    const row = rowOf(calendar, slot);
    const last = rows.at(-1);
    // Of an hour that is passed over the first time stands for all.
    if (row.fires || last?.reason !== row.reason) rows.push(row);
    if (row.fires) fired += 1;
    if (fired === count) break;
  }
  return rows;
}

function rowOf(calendar: CronCalendar, slot: CronSlot): PreviewRow {
  const { timeZone } = calendar;
  return {
    fires: slot.type === 'fires',
    time: formatTime(slot.nominalMs),
    localTime: localTime(timeZone, slot.nominalMs),
    startTime: slot.type === 'fires' ? formatTime(slot.fireAtMs) : null,
    reason: slot.type === 'fires' ? slot.clock : slot.reason,
    note: noteOf(timeZone, slot),
  };
}

function noteOf(zone: string, slot: CronSlot): string {
  const change = changeText(zone, slot.nominalMs);
  const reason = slot.type === 'fires' ? slot.clock : slot.reason;
  switch (reason) {
    case null:
      return '';
    case 'repeatedFirst':
      return 'the first of two: the clock is set back after it';
    case 'repeatedSecond':
      return 'the second of two: the clock was set back';
    case 'skipped':
      return `for times that do not come: the clock goes ${change}`;
    case 'repeatedHour':
      return 'no Job: it comes for the second time, the clock was set back';
    case 'skippedHour':
      return `no Job: the clock goes ${change}, times in between do not come`;
    case 'excludedDate':
      return 'no Job: the date is excluded';
  }
}

/** `from 02:00 to 03:00`. */
function changeText(zone: string, atMs: number): string {
  const offsetMs = zoneOffsetMs(zone, atMs - 1000);
  const from = new Date(atMs + offsetMs).toISOString().slice(11, 16);
  return `from ${from} to ${localTime(zone, atMs).slice(11, 16)}`;
}

/** The rows as a table: by the clock of the zone, in UTC, and what is special. */
export function previewLines(rows: readonly PreviewRow[], jitterMs: number): string[] {
  const header = ['local time', 'utc', ...(jitterMs > 0 ? ['start (utc)'] : []), 'note'];
  return formatTable(
    header,
    rows.map(({ fires, time, localTime: local, startTime, note }) => [
      fires ? `${weekday(local)} ${local.replace('T', ' ')}` : '-',
      time,
      ...(jitterMs > 0 ? [startTime ?? '-'] : []),
      note,
    ]),
  );
}

function weekday(local: string): string {
  return new Date(`${local.slice(0, 19)}Z`).toUTCString().slice(0, 3);
}
