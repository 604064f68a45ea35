import type { Durability } from '@drover/sdk/client';
import {
  CONFIG_MAP_KIND,
  CRON_JOB_KIND,
  formatIssue,
  InvalidSpecError,
  parseBarePod,
  parseJob,
  parseObject,
  PRIORITY_CLASS_KIND,
  RESOURCE_QUOTA_KIND,
  SECRET_KIND,
  type ObjectMeta,
} from '@drover/shared';

import { withClient, type Client } from '../client.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { readManifests, type Manifest } from '../manifests.ts';
import type { ObjectOptions, SecretKeyOptions } from '../options.ts';
import { formatDocument } from '../print/printer.ts';
import { parseKind, refText, type Kind } from '../things.ts';

/** Options of `drover apply`. */
export interface ApplyOptions extends ObjectOptions, SecretKeyOptions {
  filename: string[];
  dryRun?: boolean;
  /** So many replicas of Redis must have each Job. */
  replicas?: number;
  /** Milliseconds. */
  replicasTimeout?: number;
  output?: 'name' | 'json' | 'yaml';
}

/** Options of one manifest that is applied. */
interface ApplyCall {
  readonly dryRun: boolean;
  readonly durability?: Durability;
  readonly onWarning?: (text: string) => void;
}

/** What became of one manifest. */
interface Outcome {
  readonly kind: Kind;
  readonly object: { readonly metadata: ObjectMeta };
  readonly action: string;
}

/** A kind that can be applied. */
interface Applicable {
  readonly apiVersion: string;
  /** Checks a manifest alone. @throws InvalidSpecError */
  readonly check: (manifest: Manifest, namespace: string) => ObjectMeta;
  readonly apply: (
    client: Client,
    object: Manifest['object'],
    call: ApplyCall,
  ) => Promise<Omit<Outcome, 'kind'>>;
}

const KINDS: Readonly<Record<string, Applicable>> = {
  Job: {
    apiVersion: 'batch/v1',
    check: ({ object }, namespace) => parseJob(object, { namespace }).job.metadata,
    apply: async (client, manifest, call) => {
      const { job, action } = await client.jobs.apply(manifest, call);
      return { object: job, action };
    },
  },
  CronJob: {
    apiVersion: 'batch/v1',
    check: ({ object }, namespace) => parseObject(CRON_JOB_KIND, object, namespace).metadata,
    apply: (client, manifest, call) => client.cronJobs.apply(manifest, call),
  },
  Pod: {
    apiVersion: 'v1',
    check: ({ object }, namespace) => parseBarePod(object, namespace).pod.metadata,
    apply: async (client, manifest, call) => {
      const { pod, action } = await client.pods.apply(manifest, call);
      return { object: pod, action };
    },
  },
  ConfigMap: {
    apiVersion: 'v1',
    check: ({ object }, namespace) => parseObject(CONFIG_MAP_KIND, object, namespace).metadata,
    apply: (client, manifest, { dryRun }) => client.configMaps.apply(manifest, { dryRun }),
  },
  ResourceQuota: {
    apiVersion: 'v1',
    check: ({ object }, namespace) => parseObject(RESOURCE_QUOTA_KIND, object, namespace).metadata,
    apply: (client, manifest, { dryRun }) => client.resourceQuotas.apply(manifest, { dryRun }),
  },
  PriorityClass: {
    apiVersion: 'scheduling.k8s.io/v1',
    check: ({ object }, namespace) => parseObject(PRIORITY_CLASS_KIND, object, namespace).metadata,
    apply: (client, manifest, call) => client.priorityClasses.apply(manifest, call),
  },
  Secret: {
    apiVersion: 'v1',
    check: ({ object }, namespace) => parseObject(SECRET_KIND, object, namespace).metadata,
    apply: (client, manifest, { dryRun }) => client.secrets.apply(manifest, { dryRun }),
  },
};

/** Creates or changes the objects of manifests; nothing is written when one of them is not valid. */
export async function applyCommand(options: ApplyOptions): Promise<number> {
  const manifests = await readManifests(options.filename);
  checkAll(manifests, options.namespace);
  return await withClient(options, async (client) => {
    // Against what is stored too: a change that is not allowed in the last document must not
    // leave the first ones changed.
    for (const manifest of manifests) await applyOne(client, manifest, { dryRun: true });
    const call = { dryRun: options.dryRun === true, ...durabilityOf(options) };
    const applied: Outcome[] = [];
    for (const manifest of manifests) {
      const result = await applyOne(client, manifest, call);
      applied.push(result);
      if (options.output === undefined || options.output === 'name') {
        print(result, options);
      }
    }
    const { output } = options;
    if (output === 'json' || output === 'yaml') {
      const objects = applied.map(({ object }) => object);
      process.stdout.write(await formatDocument(objects, output, objects.length === 1));
    }
    return EXIT.ok;
  });
}

function durabilityOf({ replicas, replicasTimeout }: ApplyOptions): Pick<ApplyCall, 'durability'> {
  if (replicas === undefined) {
    if (replicasTimeout === undefined) return {};
    throw badInput('--replicas-timeout says how long to wait for --replicas, which is missing');
  }
  const timeout = replicasTimeout === undefined ? {} : { timeoutMs: replicasTimeout };
  return { durability: { replicas, ...timeout } };
}

function print({ kind, object, action }: Outcome, options: ApplyOptions): void {
  const ref = refText({ kind, name: object.metadata.name });
  const note = options.dryRun === true ? ' (dry run)' : '';
  process.stdout.write(options.output === 'name' ? `${ref}\n` : `${ref} ${action}${note}\n`);
}

async function applyOne(client: Client, manifest: Manifest, call: ApplyCall): Promise<Outcome> {
  const kind = String(manifest.object['kind']);
  const applicable = applicableOf(kind);
  if (applicable === undefined) throw new Error(`assertion failed: ${kind} was checked`);
  try {
    const outcome = await applicable.apply(client, manifest.object, {
      ...call,
      ...(call.dryRun
        ? {}
        : { onWarning: (text: string) => process.stderr.write(`Warning: ${text}\n`) }),
    });
    return { ...outcome, kind: parseKind(kind) };
  } catch (error) {
    if (!(error instanceof InvalidSpecError)) throw error;
    const [first = '', ...others] = issueLines(error, manifest);
    throw badInput(first, others);
  }
}

/** Checks every document and reports the problems of all of them at once. */
export function checkAll(manifests: readonly Manifest[], namespace: string | undefined): void {
  const problems: string[] = [];
  const places = new Map<string, string>();
  for (const manifest of manifests) {
    const kind = String(manifest.object['kind']);
    const applicable = applicableOf(kind);
    const kindProblems = checkKind(manifest);
    problems.push(...kindProblems);
    if (kindProblems.length > 0 || applicable === undefined) continue;
    try {
      const { name, namespace: where } = applicable.check(
        manifest,
        namespace ?? ownNamespace(manifest),
      );
      const place = places.get(`${kind} ${where}/${name}`);
      if (place !== undefined && name !== '') {
        problems.push(`${manifest.locate('metadata.name')}: "${name}" is also defined at ${place}`);
      }
      places.set(`${kind} ${where}/${name}`, manifest.locate('metadata.name'));
    } catch (error) {
      if (!(error instanceof InvalidSpecError)) throw error;
      problems.push(...issueLines(error, manifest));
    }
  }
  if (problems.length > 0) throw badInput(problems[0] ?? '', problems.slice(1));
}

/** A manifest that names its namespace means that one, as long as -n names no other. */
function ownNamespace({ object }: Manifest): string {
  const metadata = object['metadata'] as { readonly namespace?: unknown } | null | undefined;
  const own = metadata?.namespace;
  return typeof own === 'string' && own !== '' ? own : 'default';
}

/** `constructor` is no kind, though every object has that. */
function applicableOf(kind: string): Applicable | undefined {
  return Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
}

/** Of another kind nothing else is worth telling. */
function checkKind({ object, locate }: Manifest): string[] {
  const kind = object['kind'];
  const applicable = typeof kind === 'string' ? applicableOf(kind) : undefined;
  const wanted = {
    apiVersion: applicable === undefined ? [] : [applicable.apiVersion],
    kind: Object.keys(KINDS),
  };
  return Object.entries(wanted).flatMap(([field, choices]) => {
    const value = object[field];
    if (value === undefined) return [`${locate(field)}: ${field}: Required value`];
    // Which version is right hangs on the kind.
    if (choices.length === 0 || choices.some((choice) => choice === value)) return [];
    const supported = choices.map((choice) => `"${choice}"`).join(', ');
    const what = `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported}`;
    return [`${locate(field)}: ${field}: ${what}`];
  });
}

/** The issues of a manifest, each with its place in the file. */
function issueLines(error: InvalidSpecError, manifest: Manifest): string[] {
  return error.issues.map((issue) => `${manifest.locate(issue.path)}: ${formatIssue(issue)}`);
}
