import {
  groupVersionText,
  isJsonObject,
  setField,
  type ApiObject,
  type JsonObject,
  textOf,
} from '../../api/object.ts';
import type { WriteOptions } from '../../api/resource.ts';
import { makePatch, PATCH_TYPES } from '../../patch/patch.ts';
import { bodyType, readObject } from '../bodies.ts';
import type { Context } from '../context.ts';
import { isDryRun, params, readFieldValidation } from '../query.ts';
import { badRequest } from '../status.ts';
import { withUnknownFields } from '../unknownFields.ts';

/** Stores a new object. */
export async function createObject(context: Context): Promise<void> {
  const { resource, query } = context;
  const create = resource.create?.bind(resource);
  if (create === undefined) throw context.notDone();
  const options = writeOptions(context, 'CreateOptions');
  const body = readObject(context.body);
  checkBody(context, body);
  const unknown = unknownFields(context, readFieldValidation(query, 'CreateOptions'));
  const created = await withUnknownFields(unknown, (prune) => create(prune(body), options));
  context.noteName(created.metadata.name);
  await context.sendObject(201, created);
}

/** Replaces an object. */
export async function replaceObject(context: Context): Promise<void> {
  const body = readObject(context.body);
  checkBody(context, body);
  const metadata = isJsonObject(body['metadata']) ? body['metadata'] : {};
  const name = metadata['name'] ?? '';
  if (name !== context.name && name !== '') {
    throw badRequest(
      `the name of the object (${textOf(name)}) does not match the name on the URL (${context.name})`,
    );
  }
  await changeObject(context, 'UpdateOptions', () => body);
}

/** Changes an object in part. */
export async function patchObject(context: Context): Promise<void> {
  const { body } = context;
  const patch = makePatch(bodyType(body, PATCH_TYPES), body, context.resource);
  await changeObject(context, 'PatchOptions', (stored) => patch(stored));
}

async function changeObject(
  context: Context,
  kind: string,
  change: (stored: ApiObject) => unknown,
): Promise<void> {
  const { resource, name, query } = context;
  const update = resource.update?.bind(resource);
  if (update === undefined) throw context.notDone();
  const options = writeOptions(context, kind);
  const unknown = unknownFields(context, readFieldValidation(query, kind));
  const changed = await withUnknownFields(unknown, (prune) =>
    update(name, (stored) => prune(withoutStatus(change(stored), context)), options),
  );
  await context.sendObject(200, changed);
}

/** What is written of an object with a status leaves the status as it is. */
function withoutStatus(object: unknown, { resource }: Context): unknown {
  if (!resource.hasStatus || !isJsonObject(object)) return object;
  const { status: _status, ...others } = object;
  return others;
}

function writeOptions(context: Context, kind: string): WriteOptions {
  return {
    namespace: context.namespace ?? '',
    user: context.user,
    dryRun: isDryRun(params(context.query, 'dryRun'), kind),
    onWarning: context.warn,
  };
}

function unknownFields(context: Context, validation: 'Ignore' | 'Warn' | 'Strict') {
  const { kind, version } = context.resource;
  return { validation, what: `${kind} in version "${version}"`, kind, onWarning: context.warn };
}

/** Refuses an object of another kind, or for another namespace; fills in what the path says. */
function checkBody({ resource, namespace }: Context, body: JsonObject): void {
  const apiVersion = groupVersionText(resource);
  const { apiVersion: givenVersion = '', kind: givenKind = '' } = body;
  if (givenVersion !== '' && givenVersion !== apiVersion) {
    throw badRequest(
      `the API version in the data (${textOf(givenVersion)}) does not match the expected API version (${apiVersion})`,
    );
  }
  if (givenKind !== '' && givenKind !== resource.kind) {
    throw badRequest(
      `${textOf(givenKind)} in version "${resource.version}" cannot be handled as a ${resource.kind}`,
    );
  }
  setField(body, 'apiVersion', apiVersion);
  setField(body, 'kind', resource.kind);
  const { metadata } = body;
  if (namespace === null || !isJsonObject(metadata)) return;
  const given = metadata['namespace'] ?? '';
  if (given !== '' && given !== namespace) {
    throw badRequest(
      'the namespace of the provided object does not match the namespace sent on the request',
    );
  }
  setField(metadata, 'namespace', namespace);
}
