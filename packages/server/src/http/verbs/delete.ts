import { isJsonObject, type ApiObject, type JsonObject, textOf } from '../../api/object.ts';
import type { DeleteOptions } from '../../api/resource.ts';
import { asApiError, badRequest, invalidOptions, success } from '../status.ts';
import type { Context } from '../context.ts';
import { readObject } from '../bodies.ts';
import { count, flag, isDryRun, param, params, readSelection } from '../query.ts';

type PropagationPolicy = NonNullable<DeleteOptions['propagationPolicy']>;

/** Objects deleted at once by a deletion of many. */
const DELETIONS_AT_ONCE = 50;

/** Deletes one object. */
export async function deleteObject(context: Context): Promise<void> {
  const { resource, name } = context;
  const remove = resource.delete?.bind(resource);
  if (remove === undefined) throw context.notDone();
  const deleted = await remove(name, readOptions(context));
  await answerDeleted(context, deleted);
}

/** Deletes every object that is selected. */
export async function deleteMany(context: Context): Promise<void> {
  const { resource, namespace, query } = context;
  const remove = resource.delete?.bind(resource);
  if (remove === undefined || resource.list === undefined) throw context.notDone();
  const options = readOptions(context);
  const page = await resource.list({
    namespace,
    selection: readSelection(query, resource),
    limit: null,
    after: null,
    notOlderThan: null,
  });
  const { items } = page;
  for (let at = 0; at < items.length; at += DELETIONS_AT_ONCE) {
    const some = items.slice(at, at + DELETIONS_AT_ONCE);
    await Promise.all(
      some.map(async ({ metadata }) => {
        try {
          const { name, namespace: own } = metadata;
          await remove(name, { ...options, namespace: own, uid: metadata.uid || null });
        } catch (error) {
          // Somebody else was quicker.
          if (asApiError(error)?.code !== 404) throw error;
        }
      }),
    );
  }
  await context.send(200, {
    kind: `${resource.kind}List`,
    apiVersion: resource.group === '' ? resource.version : `${resource.group}/${resource.version}`,
    metadata: { resourceVersion: page.resourceVersion },
    items,
  });
}

/** An object that waits for something is shown; of one that is gone its name. */
async function answerDeleted(context: Context, deleted: ApiObject): Promise<void> {
  if (deleted.metadata.deletionTimestamp !== undefined) {
    await context.sendObject(200, deleted);
    return;
  }
  const { group, plural } = context.resource;
  const { name, uid } = deleted.metadata;
  const details = { name, ...(group === '' ? {} : { group }), kind: plural, uid };
  await context.send(200, success(details));
}

/** Options come in the body, or in the query for those who send none. */
function readOptions(context: Context): DeleteOptions {
  const { body } = context;
  return deleteOptions(body.bytes.length === 0 ? {} : readObject(body), context);
}

/** Reads options of a deletion; what they do not say the query may. */
export function deleteOptions(given: JsonObject, context: Context): DeleteOptions {
  const { query, namespace } = context;
  if ((given['kind'] ?? 'DeleteOptions') !== 'DeleteOptions') {
    throw badRequest(`${textOf(given['kind'])} cannot be handled as a DeleteOptions`);
  }
  const preconditions = isJsonObject(given['preconditions']) ? given['preconditions'] : {};
  const grace = given['gracePeriodSeconds'] ?? count(query, 'gracePeriodSeconds');
  const dryRun = Array.isArray(given['dryRun']) ? given['dryRun'].map(String) : [];
  if (grace !== null && (typeof grace !== 'number' || !Number.isInteger(grace) || grace < 0)) {
    throw badRequest('gracePeriodSeconds must be a whole number of 0 or more');
  }
  return {
    namespace: namespace ?? '',
    user: context.user,
    dryRun: isDryRun([...dryRun, ...params(query, 'dryRun')], 'DeleteOptions'),
    onWarning: context.warn,
    propagationPolicy: propagationPolicy(given, context),
    gracePeriodSeconds: grace,
    uid: textOrNull(preconditions['uid']),
    resourceVersion: textOrNull(preconditions['resourceVersion']),
  };
}

function propagationPolicy(given: JsonObject, { query }: Context): PropagationPolicy | null {
  const policy = given['propagationPolicy'] ?? param(query, 'propagationPolicy') ?? '';
  const isAsked = query['orphanDependents'] !== undefined;
  const orphans = given['orphanDependents'] ?? (isAsked ? flag(query, 'orphanDependents') : null);
  if (policy !== '' && orphans !== null) {
    const detail = 'orphanDependents and deletionPropagation cannot be both set';
    throw invalidOptions('DeleteOptions', [
      { path: 'propagationPolicy', kind: 'Invalid', value: policy, detail },
    ]);
  }
  if (orphans !== null) return orphans === true ? 'Orphan' : 'Background';
  if (policy === '') return null;
  if (policy === 'Background' || policy === 'Foreground' || policy === 'Orphan') return policy;
  throw invalidOptions('DeleteOptions', [
    {
      path: 'propagationPolicy',
      kind: 'NotSupported',
      value: policy,
      detail: 'supported values: "Background", "Foreground", "Orphan"',
    },
  ]);
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
