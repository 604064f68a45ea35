import { isDeepEqual } from './equality.ts';
import { FIELD_RULES, type FieldRule } from './fields.ts';
import { forbidden, type ValidationIssue } from './issues.ts';
import { pathText } from './structure.ts';

type Segment = string | number;

/** What the table of fields has to say about a manifest. */
export interface FieldFindings {
  /** One text for each inert field that was set. */
  readonly warnings: string[];
  /** One issue for each refused field that was set. */
  readonly issues: ValidationIssue[];
}

interface Occurrence {
  readonly path: Segment[];
  readonly value: unknown;
}

/**
 * Looks up every field of a manifest in the table.
 *
 * @param input - The manifest as its user gave it, before defaults.
 * @param previous - The stored object on an update: what did not change is not warned of again.
 */
export function applyFieldRules(input: unknown, previous?: unknown): FieldFindings {
  const [runtime] = find(input, 'spec.template.spec.runtimeClassName');
  const isHandler = runtime?.value === 'handler';
  const warnings: string[] = [];
  const issues: ValidationIssue[] = [];
  for (const rule of FIELD_RULES) {
    const { support, why } = (isHandler ? rule.handler : undefined) ?? rule;
    if (support === 'honoured') continue;
    for (const { path, value } of find(input, rule.path)) {
      if (!isSet(value, rule)) continue;
      const where = pathText(path);
      if (support === 'refused') issues.push(forbidden(where, why));
      else if (!isUnchanged(value, path, previous)) warnings.push(`${where}: no effect: ${why}`);
    }
  }
  return { warnings, issues };
}

/** Empty values mean nothing in Kubernetes: a client may leave them out or send them. */
function isSet(value: unknown, { unset }: FieldRule): boolean {
  if (value === undefined || value === null || value === '') return false;
  if (typeof value === 'object' && Object.keys(value).length === 0) return false;
  return !unset.includes(value);
}

function isUnchanged(value: unknown, path: readonly Segment[], previous: unknown): boolean {
  let old = previous;
  for (const segment of path) old = fieldOf(old, segment);
  return isDeepEqual(value, old);
}

/** Every place of a manifest that the path of a rule fits. */
function find(input: unknown, rulePath: string): Occurrence[] {
  let found: Occurrence[] = [{ path: [], value: input }];
  for (const part of rulePath.split('.')) {
    const isList = part.endsWith('[*]');
    const field = isList ? part.slice(0, -'[*]'.length) : part;
    found = found.flatMap(({ path, value }) => {
      const here: Occurrence = { path: [...path, field], value: fieldOf(value, field) };
      return isList ? itemsOf(here) : [here];
    });
  }
  return found;
}

function itemsOf({ path, value }: Occurrence): Occurrence[] {
  if (!Array.isArray(value)) return [];
  return value.map((item: unknown, at) => ({ path: [...path, at], value: item }));
}

function fieldOf(value: unknown, field: Segment): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, field)) return undefined;
  return (value as Record<Segment, unknown>)[field];
}

/**
 * What an unknown field may have been meant to be: a field of the same object that is spelt almost
 * so, or one of that name elsewhere (`spec.restartPolicy` belongs into `spec.template.spec`).
 *
 * @returns A detail for the issue, or `''`.
 */
export function suggestField(path: readonly Segment[]): string {
  const key = String(path.at(-1)).toLowerCase();
  const parent = tablePath(path.slice(0, -1));
  let best: string | null = null;
  let bestDistance = Math.min(3, key.length / 2);
  for (const candidate of KNOWN_PATHS) {
    const at = candidate.lastIndexOf('.');
    if (candidate.slice(0, Math.max(0, at)) !== parent) continue;
    const name = candidate.slice(at + 1).replace('[*]', '');
    const distance = editDistance(key, name.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  best ??= elsewhere(parent, key);
  return best === null ? '' : `did you mean "${best.replaceAll('[*]', '[]')}"?`;
}

/** Every field of the table, and every object on the way to one. */
const KNOWN_PATHS: ReadonlySet<string> = new Set(
  FIELD_RULES.flatMap(({ path }) => {
    const parts = path.split('.');
    return parts.map((_, at) => parts.slice(0, at + 1).join('.'));
  }),
);

/** The honoured field of this name that shares most of its path with where it was looked for. */
function elsewhere(parent: string, key: string): string | null {
  let best: string | null = null;
  let bestShared = -1;
  for (const { path, support } of FIELD_RULES) {
    if (
      support !== 'honoured' ||
      !path
        .replace(/\[\*\]$/, '')
        .toLowerCase()
        .endsWith(`.${key}`)
    )
      continue;
    const shared = sharedPrefix(parent, path);
    if (shared > bestShared) [best, bestShared] = [path, shared];
  }
  return best;
}

function sharedPrefix(a: string, b: string): number {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return at;
}

function tablePath(path: readonly Segment[]): string {
  return pathText(
    path.map((segment) => (typeof segment === 'number' ? '[*]' : segment)),
  ).replaceAll('.[*]', '[*]');
}

/** Levenshtein: insertions, deletions and replacements from one text to the other. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
