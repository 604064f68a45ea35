import { humanDuration, parseTime } from '@drover/shared';

import type { Colours } from '../text/colours.ts';
import { formatTable } from '../text/table.ts';

/**
 * What stands behind a label: a text, several lines below each other, or a part of its own that is
 * indented below the label.
 */
export type Value = string | readonly string[] | { readonly part: readonly string[] };

/** A label with its value. */
export type Entry = readonly [label: string, value: Value];

/** Lays labels and values out as `kubectl describe` does: the values of one level in one column. */
export function formatEntries(entries: readonly Entry[]): string[] {
  const inline = entries.filter(([, value]) => typeof value === 'string' || Array.isArray(value));
  const column = Math.max(0, ...inline.map(([label]) => label.length)) + 3;
  return entries.flatMap(([label, value]) => {
    if (typeof value === 'object' && 'part' in value) {
      return [`${label}:`, ...value.part.map((line) => `  ${line}`)];
    }
    const [first = '', ...rest] = typeof value === 'string' ? [value] : value;
    return [
      `${label}:`.padEnd(column) + first,
      ...rest.map((line) => ' '.repeat(column) + line),
    ].map((line) => line.trimEnd());
  });
}

/** A table within a description: the header underlined as kubectl does. */
export function formatPart(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  return formatTable([], [header, header.map((name) => '-'.repeat(name.length)), ...rows]);
}

/** `a=b` in lines, in order of their keys. */
export function mapLines(
  map: Readonly<Record<string, string>> | undefined,
  separator = '=',
): readonly string[] {
  const entries = Object.entries(map ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0
    ? ['<none>']
    : entries.map(([key, value]) => `${key}${separator}${value}`);
}

/** Annotations that a reader cares for: not the copy of the manifest that apply keeps. */
export function annotationLines(
  map: Readonly<Record<string, string>> | undefined,
): readonly string[] {
  const shown = Object.entries(map ?? {}).filter(
    ([key]) => key !== 'kubectl.kubernetes.io/last-applied-configuration',
  );
  return mapLines(Object.fromEntries(shown), ': ');
}

/** A time as kubectl describes it, in the zone of the reader: `Mon, 02 Jan 2006 15:04:05 +0100`. */
export function timeText(time: string | undefined): string {
  const timeMs = parseTime(time);
  if (timeMs === null) return '<unset>';
  const date = new Date(timeMs);
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  // As UTC with the offset added, so that the words are English whatever the locale is.
  const text = new Date(timeMs + offset * 60_000).toUTCString();
  return text.replace('GMT', zone);
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** How long ago something was. */
export function ageText(time: string | undefined, nowMs: number): string {
  const timeMs = parseTime(time);
  return timeMs === null ? '<unknown>' : humanDuration(nowMs - timeMs);
}

/** Index intervals, cut after about 50 characters as kubectl does. */
export function indexesText(intervals: string | undefined): string {
  if (intervals === undefined || intervals === '') return '<none>';
  if (intervals.length <= 50) return intervals;
  return `${intervals.slice(0, intervals.lastIndexOf(',', 50))}, ...`;
}

/** Paints a description: the labels of its first level, warnings, and what is waited for. */
export function paint(lines: readonly string[], colours: Colours): string[] {
  let part = '';
  return lines.map((line) => {
    const label = /^[A-Z][\w -]*:/.exec(line)?.[0];
    if (label !== undefined) {
      part = label;
      return colours.bold(label) + line.slice(label.length);
    }
    const isWarning = part === 'Waiting:' || /^ {2}Warning {2}/.test(line);
    return isWarning ? colours.yellow(line) : line;
  });
}
