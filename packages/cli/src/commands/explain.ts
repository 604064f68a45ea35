import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { fieldsOf, type ExplainedKind, type Field } from '@drover/shared/explain';
import { wrap } from '../text/wrap.ts';
import { coloursFor } from '../text/colours.ts';
import { parseKind } from '../things.ts';

/** Options of `drover explain`. */
export interface ExplainOptions {
  recursive?: boolean;
  json?: boolean;
}

/** Where texts are broken when the terminal is wider, or there is none. */
const MAX_COLUMNS = 100;
const KINDS = {
  job: 'Job',
  cronjob: 'CronJob',
  pod: 'Pod',
  node: 'Node',
  configmap: 'ConfigMap',
  secret: 'Secret',
  resourcequota: 'ResourceQuota',
  priorityclass: 'PriorityClass',
} as const;
const VERSIONS = {
  Job: 'batch/v1',
  CronJob: 'batch/v1',
  Pod: 'v1',
  Node: 'v1',
  ConfigMap: 'v1',
  Secret: 'v1',
  ResourceQuota: 'v1',
  PriorityClass: 'scheduling.k8s.io/v1',
  WorkQueue: 'drover.dev/v1',
} as const;
const WORK_QUEUE = /^(workqueues?|wq)$/i;

/** Says what a field of a manifest means, and what Drover makes of it. */
export function explainCommand(what: string, options: ExplainOptions): number {
  const { kind, path, field } = findField(what);
  if (options.json === true) {
    const data = { kind, path, ...(options.recursive === true ? field : withoutDepth(field)) };
    process.stdout.write(`${JSON.stringify(data, null, 2)}\n`);
    return EXIT.ok;
  }
  const columns = Math.min(process.stdout.columns ?? MAX_COLUMNS, MAX_COLUMNS);
  const lines = explainLines(kind, path, field, options.recursive === true, columns);
  process.stdout.write(`${lines.join('\n')}\n`);
  return EXIT.ok;
}

/** A field with those that are directly in it. */
function withoutDepth(field: Field): object {
  return { ...field, fields: field.fields.map((child) => ({ ...child, fields: undefined })) };
}

/** Finds `job.spec.template` and the like; lists may be written with or without brackets. */
function findField(what: string): { kind: ExplainedKind; path: string[]; field: Field } {
  const words = what
    .replace(/^((?:cron)?jobs?)\.batch\b/i, '$1')
    .replace(/^(workqueues?)\.drover\.dev\b/i, '$1')
    .replace(/\[[^\]]*\]/g, '')
    .split('.')
    .filter((word) => word !== '');
  // A path without a kind is one of a Job.
  if (fieldsOf('Job').fields.some(({ name }) => name === words[0])) words.unshift('job');
  const [first = '', ...steps] = words;
  const kind = WORK_QUEUE.test(first) ? 'WorkQueue' : KINDS[parseKind(first)];
  let field = fieldsOf(kind);
  const path: string[] = [];
  for (const step of steps) {
    const next = field.fields.find(({ name }) => name.toLowerCase() === step.toLowerCase());
    if (next === undefined) {
      const at = [first, ...path].join('.');
      const names = field.fields.map(({ name }) => name);
      if (names.length === 0) throw badInput(`${at} has no fields: it is <${field.type}>`);
      throw badInput(`${at} has no field "${step}"`, [`  it has: ${names.join(', ')}`]);
    }
    field = next;
    path.push(next.name);
  }
  return { kind, path, field };
}

function explainLines(
  kind: ExplainedKind,
  path: readonly string[],
  field: Field,
  recursive: boolean,
  columns: number,
): string[] {
  const colours = coloursFor(process.stdout);
  const lines = [`KIND:     ${kind}`, `VERSION:  ${VERSIONS[kind]}`];
  if (path.length > 0)
    lines.push('', `FIELD:    ${colours.bold(path.join('.'))} ${typeText(field)}`);
  if (field.text !== '') lines.push('', 'DESCRIPTION:', ...indented(field.text, 4, columns));
  if (field.values.length > 0) lines.push('', `VALUES:   ${field.values.join(', ')}`);
  if (field.preset !== null) lines.push('', `DEFAULT:  ${field.preset}`);
  lines.push(...supportLines(field, columns));
  if (field.fields.length > 0) {
    lines.push('', 'FIELDS:');
    for (const child of field.fields) {
      if (recursive) lines.push(...treeLines(child, 2));
      else {
        lines.push(`  ${colours.bold(child.name)} ${typeText(child)}${marks(child)}`);
        lines.push(...indented(shortText(child), 4, columns), '');
      }
    }
    if (lines.at(-1) === '') lines.pop();
  }
  return lines;
}

function supportLines({ rule }: Field, columns: number): string[] {
  if (rule === null) return [];
  const lines = ['', 'SUPPORT:', ...indented(`${rule.support}: ${rule.why}`, 4, columns)];
  if (rule.handler !== undefined) {
    const { support, why } = rule.handler;
    lines.push(...indented(`under runtimeClassName handler: ${support}: ${why}`, 4, columns));
  }
  return lines;
}

function treeLines(field: Field, indent: number): string[] {
  return [
    `${' '.repeat(indent)}${field.name} ${typeText(field)}${marks(field)}`,
    ...field.fields.flatMap((child) => treeLines(child, indent + 2)),
  ];
}

/** What it means, or for what is not honoured why. */
function shortText({ text, rule }: Field): string {
  if (rule === null || rule.support === 'honoured') return text === '' ? (rule?.why ?? '') : text;
  const verdict = `${rule.support === 'inert' ? 'Inert' : 'Refused'}: ${rule.why}`;
  return text === '' ? verdict : `${text} ${verdict}`;
}

function marks({ required, rule }: Field): string {
  const { support: inProcess = 'honoured', handler } = rule ?? {};
  const inHandler = handler?.support ?? inProcess;
  let support = inProcess === 'honoured' ? '' : ` (${inProcess})`;
  if (inHandler !== inProcess) support = ` (${inProcess}; handler: ${inHandler})`;
  return `${required && rule !== null ? ' -required-' : ''}${support}`;
}

function typeText({ type }: Field): string {
  return `<${type}>`;
}

function indented(text: string, indent: number, columns: number): string[] {
  if (text === '') return [];
  return wrap(text, columns - indent).map((line) => ' '.repeat(indent) + line);
}
