/** The fields of Jobs, CronJobs, pods, nodes, work queues, ConfigMaps and Secrets as a tree: from the schemas, the table of fields and the texts. */

import { FIELD_RULES, type FieldRule } from '../fields.ts';
import { ConfigMap } from '../configMap.ts';
import { PriorityClass } from '../priorityClass.ts';
import { ResourceQuota } from '../resourceQuota.ts';
import { CronJob } from '../cronJob.ts';
import { CRON_JOB_FIELD_RULES } from '../cronJobFields.ts';
import { Job } from '../job.ts';
import { ObjectMeta } from '../meta.ts';
import { Secret } from '../secret.ts';
import { WorkQueue } from '../workQueue.ts';
import { JOB_FIELD_TEXTS, KIND_FIELD_TEXTS, WRITTEN_FIELDS } from './fieldTexts.ts';

/** A field, or a kind as a whole. */
export interface Field {
  readonly name: string;
  /** `string`, `integer`, `[]Object`, `map[string]string`, ... */
  readonly type: string;
  /** What it means; empty when the name says it. */
  readonly text: string;
  /** The values that are allowed, if they are few. */
  readonly values: readonly string[];
  /** What holds when it is left out; null when there is nothing, or it hangs on other fields. */
  readonly preset: string | null;
  /** It must be there. */
  readonly required: boolean;
  /** What Drover makes of it; null for what Drover itself writes. */
  readonly rule: FieldRule | null;
  readonly fields: readonly Field[];
}

/** Kinds that can be explained. */
export type ExplainedKind = 'Job' | 'Pod' | 'Node' | keyof typeof KIND_FIELD_TEXTS;

/** A schema of zod, as far as it is looked into. */
interface Schema {
  readonly def: {
    readonly type: string;
    readonly innerType?: Schema;
    readonly in?: Schema;
    readonly element?: Schema;
    readonly valueType?: Schema;
    readonly options?: readonly Schema[];
    readonly shape?: Readonly<Record<string, Schema>>;
    readonly entries?: Readonly<Record<string, string>>;
    readonly values?: readonly unknown[];
    readonly defaultValue?: unknown;
  };
}

const RULES: ReadonlyMap<string, FieldRule> = new Map(FIELD_RULES.map((rule) => [rule.path, rule]));

const CRON_JOB_RULES: ReadonlyMap<string, FieldRule> = new Map(
  CRON_JOB_FIELD_RULES.map((rule) => [rule.path, rule]),
);

const OTHER_KINDS = {
  WorkQueue: { schema: WorkQueue, text: 'A queue of items for the pods of work-queue Jobs.' },
  PriorityClass: { schema: PriorityClass, text: 'A name for how important pods are.' },
  ResourceQuota: {
    schema: ResourceQuota,
    text: 'How much the pods and other objects of a namespace may take together.',
  },
  ConfigMap: { schema: ConfigMap, text: 'Settings for pods, in plain text.' },
  Secret: {
    schema: Secret,
    text: 'Passwords, keys and the like for pods; encrypted where it is kept.',
  },
};

/** The fields of a kind. */
export function fieldsOf(kind: ExplainedKind): Field {
  if (kind !== 'Job' && kind !== 'Pod' && kind !== 'Node' && kind !== 'CronJob') {
    const { schema, text } = OTHER_KINDS[kind];
    const texts = { ...JOB_FIELD_TEXTS, ...KIND_FIELD_TEXTS[kind] };
    // The rules are those of a Job's fields.
    return objectOf(kind, text, schemaFields(schema, '', null, texts).map(withoutRules));
  }
  const job = objectOf('Job', 'A batch/v1 Job.', schemaFields(Job, '', null));
  if (kind === 'Job') return job;
  if (kind === 'CronJob') return cronJobOf(job);
  const metadata = {
    ...named(job, 'metadata'),
    // Rules are about what users write: these objects are made by Drover.
    fields: schemaFields(ObjectMeta, 'metadata', null).map(withoutRules),
    rule: null,
  };
  if (kind === 'Node') {
    const others = writtenFields('node').filter(({ name }) => name !== 'metadata');
    return objectOf('Node', 'A worker.', [metadata, ...others]);
  }
  const spec = { ...named(named(named(job, 'spec'), 'template'), 'spec'), text: 'What it runs.' };
  const status = {
    ...objectOf('status', 'How it is.', writtenFields('pod.status')),
  };
  return objectOf('Pod', 'One attempt of a Job.', [metadata, spec, status]);
}

/** What its Jobs look like is as for a Job that one writes oneself. */
function cronJobOf(job: Field): Field {
  const texts = { ...JOB_FIELD_TEXTS, ...KIND_FIELD_TEXTS.CronJob };
  const fields = schemaFields(CronJob, '', null, texts).map((field) => {
    if (field.name !== 'spec') return field;
    const own = field.fields.map((child) => ({
      ...child,
      rule: CRON_JOB_RULES.get(`spec.${child.name}`) ?? null,
      fields: child.name === 'jobTemplate' ? [named(job, 'metadata'), named(job, 'spec')] : [],
    }));
    return { ...field, rule: null, fields: own };
  });
  return objectOf('CronJob', 'A batch/v1 CronJob: makes Jobs on a schedule.', fields);
}

function objectOf(name: string, text: string, fields: readonly Field[]): Field {
  return {
    name,
    type: 'Object',
    text,
    values: [],
    preset: null,
    required: false,
    rule: null,
    fields,
  };
}

function named({ fields }: Field, name: string): Field {
  const field = fields.find((candidate) => candidate.name === name);
  if (field === undefined) throw new Error(`there is no field ${name}`);
  return field;
}

function withoutRules(field: Field): Field {
  return { ...field, rule: null, fields: field.fields.map(withoutRules) };
}

/** @param above - The row that what is below a field shares with it. */
function schemaFields(
  schema: Schema,
  path: string,
  above: FieldRule | null,
  texts: Readonly<Record<string, string>> = JOB_FIELD_TEXTS,
): Field[] {
  const shape = inner(schema).schema.def.shape ?? {};
  return Object.entries(shape).map(([name, field]) => {
    const here = path === '' ? name : `${path}.${name}`;
    const { schema: own, required, preset } = inner(field);
    const isList = own.def.type === 'array' && own.def.element !== undefined;
    const below = isList ? `${here}[*]` : here;
    const rule = RULES.get(here) ?? RULES.get(below) ?? above;
    const content = isList && own.def.element !== undefined ? own.def.element : own;
    return {
      name,
      type: typeText(own),
      text: texts[here] ?? '',
      values: valuesOf(own),
      preset,
      required,
      rule: here.startsWith('status.') ? null : rule,
      fields: schemaFields(content, below, rule, texts),
    };
  });
}

/** What is within optional, default and transform. */
function inner(schema: Schema): { schema: Schema; required: boolean; preset: string | null } {
  let required = true;
  let preset: string | null = null;
  let at = schema;
  for (;;) {
    const { type, innerType, defaultValue } = at.def;
    const next = type === 'pipe' ? at.def.in : innerType;
    if (next === undefined)
      return { schema: at, required: required && at.def.type !== 'unknown', preset };
    if (type !== 'pipe') required = false;
    if (type === 'default' && typeof defaultValue !== 'object') {
      preset = typeof defaultValue === 'string' ? defaultValue : JSON.stringify(defaultValue);
    }
    at = next;
  }
}

function typeText(schema: Schema): string {
  const { def } = inner(schema).schema;
  switch (def.type) {
    case 'array':
      return `[]${def.element === undefined ? 'any' : typeText(def.element)}`;
    case 'record':
      return `map[string]${def.valueType === undefined ? 'any' : typeText(def.valueType)}`;
    case 'object':
      return 'Object';
    case 'number':
      return 'integer';
    case 'enum':
    case 'literal':
      return 'string';
    case 'union':
      return (def.options ?? []).map(typeText).join(' or ');
    case 'unknown':
      return 'any';
    default:
      return def.type;
  }
}

function valuesOf(schema: Schema): readonly string[] {
  const { def } = inner(schema).schema;
  if (def.type === 'enum') return Object.values(def.entries ?? {});
  return def.type === 'literal' ? (def.values ?? []).map(String) : [];
}

/** The tree of what lies below a path in the list of written fields. */
function writtenFields(parent: string): Field[] {
  return WRITTEN_FIELDS.filter(
    ({ path }) => path.startsWith(`${parent}.`) && !path.slice(parent.length + 1).includes('.'),
  ).map(({ path, type, text }) => ({
    ...objectOf(path.slice(parent.length + 1), text, [
      ...writtenFields(path),
      ...writtenFields(`${path}[*]`),
    ]),
    type,
  }));
}
