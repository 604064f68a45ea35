import { parseGoDuration } from './goDuration.ts';

/** A field of a schedule: its name, bounds, and what may stand for a number. */
interface Field {
  readonly name: 'minute' | 'hour' | 'day of month' | 'month' | 'day of week';
  readonly min: number;
  readonly max: number;
  /** Lower-case names of the numbers from `min` on; empty = numbers only. */
  readonly names: readonly string[];
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

const FIELDS: readonly Field[] = [
  { name: 'minute', min: 0, max: 59, names: [] },
  { name: 'hour', min: 0, max: 23, names: [] },
  { name: 'day of month', min: 1, max: 31, names: [] },
  { name: 'month', min: 1, max: 12, names: MONTHS },
  { name: 'day of week', min: 0, max: 6, names: DAYS },
];

const MACROS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/** When a CronJob is due. */
export type CronSchedule =
  /** At wall-clock times of a zone. */
  | {
      readonly type: 'wallClock';
      /**
       * The same schedule in the plainest words: five fields, each `*` or a list of numbers. `*` is what counts as
       * "any day" in the rule of days; a field that names all its numbers does not.
       */
      readonly pattern: string;
    }
  /** So long after the last time, whatever the clock says. */
  | { readonly type: 'every'; readonly everyMs: number };

/** What is wrong with a schedule. */
export interface CronScheduleProblem {
  /** In the words of Kubernetes' parser. */
  readonly reason: string;
  /** The field that it is about; null: the whole. */
  readonly field: Field['name'] | null;
  /** Where in the text the part begins that it is about, counted from 0. */
  readonly offset: number;
}

/** What came of reading a schedule. */
export type CronScheduleReading =
  | { readonly ok: true; readonly schedule: CronSchedule }
  | { readonly ok: false; readonly problems: readonly CronScheduleProblem[] };

/**
 * Reads `spec.schedule` of a CronJob by the grammar of Kubernetes: five fields (minute, hour, day of month, month,
 * day of week) of `*`, `?`, numbers, names, ranges, lists and steps; `@yearly`, `@annually`, `@monthly`, `@weekly`,
 * `@daily`, `@midnight`, `@hourly`; `@every` with a duration such as `1h30m`, at least a second.
 *
 * Day of week is 0-6 or sun-sat; 7 is refused. There are no seconds, and none of `L`, `W`, `#`, `@reboot`.
 *
 * @returns The schedule, or every problem that there is.
 * @see github.com/robfig/cron v3, parser.go, which Kubernetes uses
 */
export function readCronSchedule(text: string): CronScheduleReading {
  if (/^(CRON_)?TZ=/.test(text)) {
    return refused(
      'TZ and CRON_TZ are not allowed in a schedule: name the zone in timeZone',
      null,
      0,
    );
  }
  if (text.trim() === '') return refused('empty spec string', null, 0);
  if (text.startsWith('@')) return readDescriptor(text);
  const parts = [...text.matchAll(/\S+/g)].map((match) => ({ text: match[0], at: match.index }));
  if (parts.length !== FIELDS.length) {
    const found = parts.map((part) => part.text).join(' ');
    const reason = `expected exactly 5 fields, found ${parts.length}: [${found}]`;
    return refused(reason, null, parts[FIELDS.length]?.at ?? text.trimEnd().length);
  }
  const readings = FIELDS.map((field, place) => readField(field, parts[place] ?? NO_PART));
  const problems = readings.flatMap((reading) => (reading.ok ? [] : reading.problems));
  if (problems.length > 0) return { ok: false, problems };
  const pattern = readings.map((reading) => (reading.ok ? reading.list : '')).join(' ');
  return { ok: true, schedule: { type: 'wallClock', pattern } };
}

/** One text of an expression, and where it begins. */
interface Part {
  readonly text: string;
  readonly at: number;
}

const NO_PART: Part = { text: '', at: 0 };

/** The numbers of a part of a field, or what is wrong with it. */
type RangeReading =
  | { readonly ok: true; readonly numbers: readonly number[]; readonly isStar: boolean }
  | { readonly ok: false; readonly reason: string };

type FieldReading =
  | { readonly ok: true; readonly list: string }
  | { readonly ok: false; readonly problems: readonly CronScheduleProblem[] };

function readDescriptor(text: string): CronScheduleReading {
  const macro = Object.hasOwn(MACROS, text) ? MACROS[text] : undefined;
  if (macro !== undefined) return readCronSchedule(macro);
  const every = '@every ';
  if (!text.startsWith(every)) return refused(`unrecognized descriptor: ${text}`, null, 0);
  const duration = text.slice(every.length);
  const durationMs = parseGoDuration(duration);
  if (durationMs === null) {
    return refused(`failed to parse duration ${text}`, null, every.length);
  }
  return {
    ok: true,
    schedule: { type: 'every', everyMs: Math.max(1, Math.floor(durationMs / 1000)) * 1000 },
  };
}

function readField(field: Field, part: Part): FieldReading {
  const numbers = new Set<number>();
  const problems: CronScheduleProblem[] = [];
  let isStar = false;
  // Empty parts of a list mean nothing: `1,,2` is `1,2`.
  for (const match of part.text.matchAll(/[^,]+/g)) {
    const reading = readRange(field, match[0]);
    if (reading.ok) {
      isStar ||= reading.isStar;
      for (const number of reading.numbers) numbers.add(number);
    } else {
      problems.push({
        reason: reading.reason,
        field: field.name,
        offset: part.at + match.index,
      });
    }
  }
  if (problems.length === 0 && numbers.size === 0) {
    problems.push({
      reason: `no value in the list: ${part.text}`,
      field: field.name,
      offset: part.at,
    });
  }
  if (problems.length > 0) return { ok: false, problems };
  // With a star in the list the others add nothing.
  return { ok: true, list: isStar ? '*' : [...numbers].toSorted((a, b) => a - b).join(',') };
}

/** `*`, `a`, `a-b`, each with `/step` or without. */
function readRange(field: Field, text: string): RangeReading {
  const [range = '', stepText, ...furtherSteps] = text.split('/');
  if (furtherSteps.length > 0) return { ok: false, reason: `too many slashes: ${text}` };
  const [lowText = '', highText, ...furtherEnds] = range.split('-');
  const isStar = lowText === '*' || lowText === '?';
  if (!isStar && furtherEnds.length > 0) {
    return { ok: false, reason: `too many hyphens: ${text}` };
  }
  const low = isStar ? field.min : readNumber(field, lowText);
  let high: number | string = low;
  if (isStar) high = field.max;
  else if (highText !== undefined) high = readNumber(field, highText);
  // `a/step` is from a on.
  else if (stepText !== undefined) high = field.max;
  const step = stepText === undefined ? 1 : readNumber({ ...field, names: [] }, stepText);
  if (typeof low === 'string') return { ok: false, reason: low };
  if (typeof high === 'string') return { ok: false, reason: high };
  if (typeof step === 'string') return { ok: false, reason: step };
  const reason = rangeProblem(field, { low, high, step, text });
  if (reason !== null) return { ok: false, reason };
  const count = Math.floor((high - low) / step) + 1;
  return {
    ok: true,
    numbers: Array.from({ length: count }, (_, at) => low + at * step),
    // A step makes days countable: `*/2` is a choice of days, `*` and `*/1` are none.
    isStar: isStar && step === 1,
  };
}

function rangeProblem(
  { min, max }: Field,
  { low, high, step, text }: { low: number; high: number; step: number; text: string },
): string | null {
  if (low < min) return `beginning of range (${low}) below minimum (${min}): ${text}`;
  if (high > max) return `end of range (${high}) above maximum (${max}): ${text}`;
  if (low > high) return `beginning of range (${low}) beyond end of range (${high}): ${text}`;
  if (step === 0) return `step of range should be a positive number: ${text}`;
  return null;
}

/** A number, or why it is none. */
function readNumber({ names, min }: Field, text: string): number | string {
  const place = names.indexOf(text.toLowerCase());
  if (place >= 0) return min + place;
  if (/^\+?\d{1,9}$/.test(text)) return Number(text);
  return `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
}

function refused(
  reason: string,
  field: CronScheduleProblem['field'],
  offset: number,
): CronScheduleReading {
  return { ok: false, problems: [{ reason, field, offset }] };
}
