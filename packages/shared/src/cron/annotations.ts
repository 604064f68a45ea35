/** What the annotations of a CronJob say beyond its spec. */

import { forbidden, invalid, notSupported, required, type ValidationIssue } from '../issues.ts';

/** What the names of all of them begin with. */
export const CRON_ANNOTATION_PREFIX = 'drover.dev/cron-';

/** The annotations of a CronJob that Drover acts on. */
export const CRON_ANNOTATIONS = {
  /**
   * What happens to times in an hour that comes twice because the clock is set back: `twice`, as Kubernetes does it
   * and the default, or `once`, the first time.
   */
  repeatedHour: `${CRON_ANNOTATION_PREFIX}repeated-hour`,
  /**
   * What happens to times in an hour that does not come because the clock is set forward: `skip`, as Kubernetes does
   * it and the default, or `once`: one Job for them all, at the moment of the change.
   */
  skippedHour: `${CRON_ANNOTATION_PREFIX}skipped-hour`,
  /**
   * Spreads CronJobs of the same schedule: each starts a number of seconds from 0 to this one after its time, always
   * the same number for a namespace and name. 0 to 86400, default 0.
   */
  jitterSeconds: `${CRON_ANNOTATION_PREFIX}jitter-seconds`,
  /**
   * Which of the times that were missed are made up for: `latest`, as Kubernetes does it and the default; `none`;
   * `all`, the oldest first, up to the limit.
   */
  catchUp: `${CRON_ANNOTATION_PREFIX}catch-up`,
  /** With catch-up `all`, how many missed times at most, the latest ones. 1 to 1000, default 100. */
  catchUpLimit: `${CRON_ANNOTATION_PREFIX}catch-up-limit`,
  /**
   * Dates of the CronJob's zone on which nothing starts: `2026-12-24`, or `2026-12-24..2027-01-01` with both ends;
   * several with commas between.
   */
  excludeDates: `${CRON_ANNOTATION_PREFIX}exclude-dates`,
} as const;

/** Most seconds of jitter: a day. */
export const MAX_CRON_JITTER_SECONDS = 86_400;
/** Most missed times that are made up for. */
export const MAX_CRON_CATCH_UP = 1_000;
/** So many, if the CronJob does not say. */
export const DEFAULT_CRON_CATCH_UP = 100;

const REPEATED_HOUR = ['twice', 'once'] as const;
const SKIPPED_HOUR = ['skip', 'once'] as const;
const CATCH_UP = ['latest', 'none', 'all'] as const;

/** Some days of the calendar, both ends with them. */
export interface DateRange {
  /** As `2026-12-24`. */
  readonly from: string;
  /** As `2026-12-24`, not before `from`. */
  readonly to: string;
}

/** What a CronJob wants beyond its spec. Without annotations it is what Kubernetes does. */
export interface CronPolicy {
  /** Of times in an hour that comes twice. */
  readonly repeatedHour: (typeof REPEATED_HOUR)[number];
  /** Of times in an hour that does not come. */
  readonly skippedHour: (typeof SKIPPED_HOUR)[number];
  /** Seconds that the starts of CronJobs are spread over, an integer >= 0. */
  readonly jitterSeconds: number;
  /** Which missed times are made up for. */
  readonly catchUp: (typeof CATCH_UP)[number];
  /** How many of them at most: 0 for `none`, 1 for `latest`. */
  readonly catchUpLimit: number;
  /** Days without a start: in order, without overlaps. */
  readonly excludedDates: readonly DateRange[];
}

/** What came of reading the annotations. */
export type CronPolicyReading =
  | { readonly ok: true; readonly policy: CronPolicy }
  | { readonly ok: false; readonly issues: readonly ValidationIssue[] };

type Annotations = Readonly<Record<string, string>> | undefined;

/**
 * Reads the annotations of a CronJob.
 *
 * @param path - Of the annotations, for the problems.
 * @returns What they say, or every problem that there is; annotations of others do not matter.
 */
export function readCronPolicy(
  annotations: Annotations,
  path = 'metadata.annotations',
): CronPolicyReading {
  const issues = unknownIssues(annotations, path);
  const readers = new Reader(annotations, path, issues);
  const policy: CronPolicy = {
    repeatedHour: readers.choice(CRON_ANNOTATIONS.repeatedHour, REPEATED_HOUR),
    skippedHour: readers.choice(CRON_ANNOTATIONS.skippedHour, SKIPPED_HOUR),
    jitterSeconds: readers.number(CRON_ANNOTATIONS.jitterSeconds, {
      min: 0,
      max: MAX_CRON_JITTER_SECONDS,
      otherwise: 0,
    }),
    ...catchUpOf(readers),
    excludedDates: readers.dates(CRON_ANNOTATIONS.excludeDates),
  };
  return issues.length === 0 ? { ok: true, policy } : { ok: false, issues };
}

/** The annotations of a CronJob that stand where nobody would act on them. */
export function strayCronAnnotationIssues(
  annotations: Annotations,
  path: string,
): ValidationIssue[] {
  return cronAnnotations(annotations).map((key) =>
    forbidden(`${path}[${key}]`, 'belongs into metadata.annotations of a CronJob'),
  );
}

function cronAnnotations(annotations: Annotations): string[] {
  return Object.keys(annotations ?? {}).filter((key) => key.startsWith(CRON_ANNOTATION_PREFIX));
}

function unknownIssues(annotations: Annotations, path: string): ValidationIssue[] {
  const known: readonly string[] = Object.values(CRON_ANNOTATIONS);
  return cronAnnotations(annotations)
    .filter((key) => !known.includes(key))
    .map((key) => notSupported(path, key, known));
}

function catchUpOf(readers: Reader): Pick<CronPolicy, 'catchUp' | 'catchUpLimit'> {
  const catchUp = readers.choice(CRON_ANNOTATIONS.catchUp, CATCH_UP);
  const limit = readers.number(CRON_ANNOTATIONS.catchUpLimit, {
    min: 1,
    max: MAX_CRON_CATCH_UP,
    otherwise: DEFAULT_CRON_CATCH_UP,
  });
  if (catchUp === 'all') return { catchUp, catchUpLimit: limit };
  if (readers.has(CRON_ANNOTATIONS.catchUpLimit)) readers.lacksCatchUpAll();
  return { catchUp, catchUpLimit: catchUp === 'none' ? 0 : 1 };
}

/** Reads one annotation after the other and gathers what is wrong with them. */
class Reader {
  readonly #annotations: Annotations;
  readonly #path: string;
  readonly #issues: ValidationIssue[];

  constructor(annotations: Annotations, path: string, issues: ValidationIssue[]) {
    this.#annotations = annotations;
    this.#path = path;
    this.#issues = issues;
  }

  has(key: string): boolean {
    return this.#text(key) !== undefined;
  }

  /** The first of the values is the default. */
  choice<T extends string>(key: string, values: readonly [T, ...T[]]): T {
    const text = this.#text(key);
    if (text === undefined) return values[0];
    const value = values.find((known) => known === text);
    if (value === undefined) this.#issues.push(notSupported(this.#pathOf(key), text, values));
    return value ?? values[0];
  }

  number(key: string, range: { min: number; max: number; otherwise: number }): number {
    const text = this.#text(key);
    if (text === undefined) return range.otherwise;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= range.min && value <= range.max) return value;
    const detail = `must be a whole number from ${range.min} to ${range.max}`;
    this.#issues.push(invalid(this.#pathOf(key), text, detail));
    return range.otherwise;
  }

  dates(key: string): DateRange[] {
    const text = this.#text(key);
    if (text === undefined) return [];
    const ranges: DateRange[] = [];
    for (const [at, part] of text.split(',').entries()) {
      const range = dateRangeOf(part.trim());
      if (typeof range === 'string') {
        const where = `item ${at + 1}, "${part.trim()}": ${range}`;
        this.#issues.push(invalid(this.#pathOf(key), text, where));
      } else {
        ranges.push(range);
      }
    }
    return merged(ranges);
  }

  lacksCatchUpAll(): void {
    const path = this.#pathOf(CRON_ANNOTATIONS.catchUp);
    const detail = `must be "all" when ${CRON_ANNOTATIONS.catchUpLimit} is set`;
    this.#issues.push(required(path, detail));
  }

  #text(key: string): string | undefined {
    return this.#annotations?.[key];
  }

  #pathOf(key: string): string {
    return `${this.#path}[${key}]`;
  }
}

/** A range, or why it is none. */
function dateRangeOf(text: string): DateRange | string {
  const ends = text.split('..');
  const [from = '', to = from] = ends;
  if (ends.length > 2 || ![from, to].every((end) => /^\d{4}-\d{2}-\d{2}$/.test(end))) {
    return 'must be a date such as 2026-12-24, or two with .. between';
  }
  const wrong = [from, to].find((end) => !isDate(end));
  if (wrong !== undefined) return `there is no ${wrong} in the calendar`;
  return from <= to ? { from, to } : 'the first date must not be after the last';
}

function isDate(text: string): boolean {
  const atMs = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(atMs) && new Date(atMs).toISOString().startsWith(text);
}

function merged(ranges: readonly DateRange[]): DateRange[] {
  const result: DateRange[] = [];
  for (const range of ranges.toSorted((a, b) => (a.from < b.from ? -1 : 1))) {
    const last = result.at(-1);
    if (last === undefined || range.from > last.to) result.push(range);
    else if (range.to > last.to) result.splice(-1, 1, { from: last.from, to: range.to });
  }
  return result;
}
