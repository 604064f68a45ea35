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

/** The table as a tree, so that a manifest is walked once, and only as far as it goes. */
interface RuleNode {
  rule: FieldRule | null;
  readonly fields: Map<string, RuleNode>;
  /** For any item, where the node is a list. */
  items: RuleNode | null;
}

function emptyNode(): RuleNode {
  return { rule: null, fields: new Map(), items: null };
}

function makeTree(): RuleNode {
  const root = emptyNode();
  for (const rule of FIELD_RULES) {
    let node = root;
    for (const part of rule.path.split('.')) {
      const field = part.replace('[*]', '');
      const next = node.fields.get(field) ?? emptyNode();
      node.fields.set(field, next);
      node = next;
      if (part.endsWith('[*]')) node = node.items ??= emptyNode();
    }
    node.rule = rule;
  }
  return root;
}

const RULE_TREE = makeTree();

/**
 * Looks up every field of a manifest in the table.
 *
 * @param input - The manifest as its user gave it, before defaults.
 * @param previous - The stored object on an update: what did not change is not warned of again.
 */
export function applyFieldRules(input: unknown, previous?: unknown): FieldFindings {
  const findings: FieldFindings = { warnings: [], issues: [] };
  const runtime = ['spec', 'template', 'spec', 'runtimeClassName'].reduce(fieldOf, input);
  const path: Segment[] = [];

  const visit = (node: RuleNode, value: unknown, old: unknown): void => {
    if (node.rule !== null) report(findings, node.rule, runtime, { path, value, old });
    if (typeof value !== 'object' || value === null) return;
    for (const [key, child] of Object.entries(value)) {
      const isItem = Array.isArray(value);
      const next = isItem ? node.items : node.fields.get(key);
      if (next === null || next === undefined) continue;
      path.push(isItem ? Number(key) : key);
      visit(next, child, fieldOf(old, key));
      path.pop();
    }
  };
  visit(RULE_TREE, input, previous);
  return findings;
}

/** A field of a manifest that has a row. */
interface Occurrence {
  readonly path: readonly Segment[];
  readonly value: unknown;
  /** The same field of the stored object. */
  readonly old: unknown;
}

function report(
  { warnings, issues }: FieldFindings,
  rule: FieldRule,
  runtime: unknown,
  { path, value, old }: Occurrence,
): void {
  const { support, why } = (runtime === 'handler' ? rule.handler : undefined) ?? rule;
  if (support === 'honoured' && rule.inertKeys !== undefined) {
    for (const [key, reason] of Object.entries(rule.inertKeys)) {
      const amount = fieldOf(value, key);
      if (amount === undefined || isDeepEqual(amount, fieldOf(old, key))) continue;
      warnings.push(`${pathText([...path, key])}: no effect: ${reason}`);
    }
  }
  if (support === 'honoured' || !isSet(value, rule)) return;
  const where = pathText(path);
  if (support === 'refused') issues.push(forbidden(where, why));
  else if (!isDeepEqual(value, old)) warnings.push(`${where}: no effect: ${why}`);
}

/** Empty values mean nothing in Kubernetes: a client may leave them out or send them. */
function isSet(value: unknown, { unset }: FieldRule): boolean {
  if (value === undefined || value === null || value === '') return false;
  if (typeof value === 'object' && Object.keys(value).length === 0) return false;
  return !unset.includes(value);
}

function fieldOf(value: unknown, field: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, field)) return undefined;
  return (value as Record<string, unknown>)[field];
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
export function editDistance(a: string, b: string): number {
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
