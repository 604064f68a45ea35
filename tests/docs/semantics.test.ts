/** Holds docs/semantics.md against the table of fields, the schemas and the tests that it names. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { CRON_JOB_FIELD_RULES, FIELD_RULES, Job, type FieldRule } from '@drover/shared';
import { describe, expect, test } from 'vitest';

import { isBelow, schemaPaths } from '../../packages/shared/test/support/schemaPaths.ts';

const ROOT = join(import.meta.dirname, '../..');
const LATER = 'not supported by this version of Drover yet: ';

interface Row {
  readonly path: string;
  readonly support: string;
  readonly text: string;
}

const lines = readFileSync(join(ROOT, 'docs/semantics.md'), 'utf8').split('\n');

/** Rows about fields: those whose first cell is a path and whose second says what it is. */
const allRows: readonly Row[] = lines.flatMap((line) => {
  const match = /^\| `([^`]+)` \| (honoured|inert|refused) \| (.*) \|$/.exec(line);
  if (match === null) return [];
  const [, path = '', support = '', text = ''] = match;
  return [{ path, support, text }];
});
const CRON_JOB = 'CronJob.';
const rows = allRows.filter(({ path }) => !path.startsWith(CRON_JOB));
const cronJobRows = allRows.filter(({ path }) => path.startsWith(CRON_JOB));
const paths = rows.map(({ path }) => path);

/** Test files by the names that the page gives them. */
const files = new Map(
  lines.flatMap((line) => {
    const match = /^\| `(\w+)` \| `([^`]+\.test\.ts)` \|$/.exec(line);
    return match === null ? [] : [[match[1] ?? '', match[2] ?? ''] as const];
  }),
);

/** Every test that is named: a file, then titles up to the next file. */
const citations = lines.flatMap((line) => {
  let file = '';
  return [...line.matchAll(/`([A-Za-z]+)` (?=“)|“([^”]+)”/g)].map(([, name, title]) => {
    file = name ?? file;
    return { file, title: title ?? '' };
  });
});

/** Whether a row of the page speaks for a field: its own, or that of an object that it belongs to. */
function isCovered(field: string): boolean {
  // The page says once that they are as those of containers.
  const path = field.replace('.initContainers[*].', '.containers[*].');
  return (
    paths.includes(field) ||
    paths.includes(path) ||
    rows.some((row) => isBelow(path, row.path) && sharesRow(row)) ||
    // An object on the way: each of its fields has a row.
    paths.some((row) => isBelow(row, path))
  );
}

/** What is without effect shares its row with all below it; so does what is only kept. */
function sharesRow({ path, support }: Row): boolean {
  const kept = ['metadata.ownerReferences[*]', 'spec.selector', 'status.uncountedTerminatedPods'];
  return support !== 'honoured' || kept.includes(path);
}

/** Everything that the page has to say about a field that is not just honoured. */
function wantedTexts({ support, why, handler }: FieldRule): string[] {
  const texts = support === 'honoured' ? [] : [why];
  if (handler !== undefined) texts.push(`${handler.support}: ${handler.why}`);
  return texts.map((text) => text.replace(LATER, 'later: '));
}

describe('docs/semantics.md', () => {
  test('has a row for every field of the table', () => {
    const missing = FIELD_RULES.filter(({ path }) => !isCovered(path));
    expect(missing.map(({ path }) => path)).toEqual([]);
  });

  test('has a row for every field of the schemas, status included', () => {
    const missing = schemaPaths(Job).filter((path) => !isCovered(path) && !isCovered(`${path}[*]`));
    expect(missing).toEqual([]);
  });

  test('has each row once, and none for what there is not', () => {
    const known = new Set(schemaPaths(Job).flatMap((path) => [path, `${path}[*]`]));
    expect(paths.filter((path) => !known.has(path))).toEqual([]);
    expect(paths.filter((path, at) => paths.indexOf(path) < at)).toEqual([]);
  });

  test('says of each field what the table says', () => {
    for (const rule of FIELD_RULES) {
      const row = rows.find(({ path }) => path === rule.path);
      if (row === undefined) continue;
      expect(row.support, rule.path).toBe(rule.support);
      for (const text of wantedTexts(rule)) expect(row.text, rule.path).toContain(text);
    }
  });

  test('has a row for every field of a CronJob, and no other', () => {
    const rules = CRON_JOB_FIELD_RULES.map(({ path, support }) => `${CRON_JOB}${path} ${support}`);
    expect(cronJobRows.map(({ path, support }) => `${path} ${support}`).toSorted()).toEqual(
      rules.toSorted(),
    );
  });

  test('names a test for each field that is honoured', () => {
    const bare = allRows.filter(
      ({ support, text }) => support === 'honoured' && !text.includes('“'),
    );
    expect(bare.map(({ path }) => path)).toEqual([]);
  });

  test('names tests that exist', () => {
    const titles = citations.filter(({ title }) => title !== '');
    const wrong = titles.filter(({ file, title }) => !hasTest(files.get(file), title));
    expect(wrong).toEqual([]);
    expect(titles.length).toBeGreaterThan(100);
  });

  test('lists no file that it does not name', () => {
    const named = new Set(citations.map(({ file }) => file));
    expect([...files.keys()].filter((file) => !named.has(file))).toEqual([]);
  });
});

/** Whether a test file has a title, which it may write in any kind of quotes. */
function hasTest(path: string | undefined, title: string): boolean {
  if (path === undefined || !existsSync(join(ROOT, path))) return false;
  const source = readFileSync(join(ROOT, path), 'utf8');
  return ["'", '"', '`'].some((quote) => source.includes(`${quote}${title}${quote}`));
}
