import { NotFoundError } from '@drover/shared';

import { checkSelector, withClient, type Client } from '../client.ts';
import { badInput } from '../errors.ts';
import { EXIT } from '../exitCodes.ts';
import { readManifests } from '../manifests.ts';
import type { ObjectOptions } from '../options.ts';
import { parseKind, parseThings, type Kind, type Thing } from '../things.ts';
import { untilDeleted } from '../untilDeleted.ts';
import { checkAll } from './apply.ts';

/** Options of `drover delete`. */
export interface DeleteOptions extends ObjectOptions {
  filename?: string[];
  selector?: string;
  all?: boolean;
  ignoreNotFound?: boolean;
  cascade?: 'background' | 'foreground' | 'orphan';
  /** false with --no-wait. */
  wait?: boolean;
}

/** As the API says what kubectl's words mean. */
const POLICIES = { background: 'Background', foreground: 'Foreground', orphan: 'Orphan' } as const;

/** A thing to delete, with its namespace where it is known. */
interface Target extends Thing {
  readonly namespace?: string;
}

/** Deletes Jobs with their pods, CronJobs with their Jobs, single pods, ConfigMaps and Secrets. */
export async function deleteCommand(
  words: readonly string[],
  options: DeleteOptions,
): Promise<number> {
  const { kinds, things } = parseThings(words, null);
  // -l alone is about Jobs: their pods go with them.
  const isSelection = options.selector !== undefined || options.all === true;
  if (words.length === 0 && isSelection) kinds.push('job');
  const fromFiles = options.filename === undefined ? [] : await manifestTargets(options);
  checkCombination(kinds, things, options);
  checkSelector(options.selector);
  return await withClient(options, async (client) => {
    const targets: Target[] = [...fromFiles, ...things];
    for (const kind of kinds) targets.push(...(await listTargets(client, kind, options)));
    let missing = 0;
    for (const target of targets) {
      try {
        const isGone = await deleteOne(client, target, options);
        const { kind: ofTarget } = target;
        const kind = ofTarget === 'job' || ofTarget === 'cronjob' ? `${ofTarget}.batch` : ofTarget;
        const what = isGone ? 'deleted' : 'is being deleted';
        process.stdout.write(`${kind} "${target.name}" ${what}\n`);
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error;
        if (options.ignoreNotFound === true) continue;
        missing += 1;
        process.stderr.write(`error: ${error.message}\n`);
      }
    }
    if (targets.length === 0) process.stderr.write('No resources found.\n');
    return missing === 0 ? EXIT.ok : EXIT.failed;
  });
}

function checkCombination(
  kinds: readonly Kind[],
  things: readonly Thing[],
  options: DeleteOptions,
): void {
  if ([...kinds, ...things.map(({ kind }) => kind)].includes('node')) {
    throw badInput('a node goes when its worker ends: stop the worker');
  }
  const { selector, all, filename, cascade } = options;
  if (cascade !== undefined && [...kinds, ...things.map(({ kind }) => kind)].includes('pod')) {
    throw badInput('--cascade is for jobs and cronjobs: nothing hangs on a pod');
  }
  if (kinds.length > 0 && selector === undefined && all !== true) {
    throw badInput(`which ones? write ${kinds[0] ?? 'job'}/NAME, -l SELECTOR or --all`);
  }
  if (kinds.length === 0 && (selector !== undefined || all === true)) {
    throw badInput('names exclude -l and --all');
  }
  if (kinds.length === 0 && things.length === 0 && filename === undefined) {
    throw badInput('nothing to delete: name job/NAME, pod/NAME or the like, or give -f FILE');
  }
}

async function manifestTargets(options: DeleteOptions): Promise<Target[]> {
  const manifests = await readManifests(options.filename ?? []);
  checkAll(manifests, options.namespace);
  return manifests.flatMap(({ object }) => {
    const metadata = object['metadata'] as { name?: string; namespace?: string } | undefined;
    if (metadata?.name === undefined) return [];
    const { name, namespace } = metadata;
    const kind = parseKind(String(object['kind']));
    return [{ kind, name, ...(namespace === undefined ? {} : { namespace }) }];
  });
}

async function listTargets(client: Client, kind: Kind, options: DeleteOptions): Promise<Target[]> {
  const query = options.selector === undefined ? {} : { labelSelector: options.selector };
  const lists = {
    job: () => client.jobs.list(query),
    cronjob: () => client.cronJobs.list(query),
    pod: () => client.pods.list(query),
    configmap: () => client.configMaps.list(query),
    secret: () => client.secrets.summaries(query),
    resourcequota: () => client.resourceQuotas.list(query),
    priorityclass: () => client.priorityClasses.list(query),
  };
  // Nodes were refused.
  const objects = kind === 'node' ? [] : await lists[kind]();
  return objects.map(({ metadata }) => ({ kind, name: metadata.name }));
}

/** Answers whether it is gone. One with finalizers is waited for, as kubectl does, unless told otherwise. */
async function deleteOne(
  client: Client,
  { kind, name, namespace }: Target,
  { cascade, wait }: DeleteOptions,
): Promise<boolean> {
  const where = namespace === undefined ? {} : { namespace };
  switch (kind) {
    case 'job': {
      const policy = cascade === undefined ? {} : { propagationPolicy: POLICIES[cascade] };
      if (await client.jobs.delete(name, { ...where, ...policy })) return true;
      if (wait === false) return false;
      await untilDeleted(client, name, where);
      return true;
    }
    case 'cronjob': {
      const policy = cascade === undefined ? {} : { propagationPolicy: POLICIES[cascade] };
      return await client.cronJobs.delete(name, { ...where, ...policy });
    }
    case 'pod':
      await client.pods.delete(name, where);
      return true;
    case 'configmap':
      return await client.configMaps.delete(name, where);
    case 'resourcequota':
      return await client.resourceQuotas.delete(name, where);
    case 'priorityclass':
      return await client.priorityClasses.delete(name);
    case 'secret':
      return await client.secrets.delete(name, where);
    case 'node':
      throw badInput('a node goes when its worker ends: stop the worker');
  }
}
