import {
  AlreadyExistsError,
  NotFoundError,
  withoutNulls,
  type ValidationIssue,
} from '@drover/shared';

import {
  groupVersionText,
  isJsonObject,
  setField,
  type ApiObject,
  type JsonObject,
  textOf,
} from '../../api/object.ts';
import type { WriteOptions } from '../../api/resource.ts';
import { applyTo, applyToNothing, type Application } from '../../apply/apply.ts';
import type { Writer } from '../../apply/managers.ts';
import { updateTracked } from '../../apply/track.ts';
import { APPLY_TYPE, makePatch, PATCH_TYPES, type PatchType } from '../../patch/patch.ts';
import { bodyType, readObject, readValue } from '../bodies.ts';
import type { Context } from '../context.ts';
import { flag, isDryRun, param, params, readFieldValidation } from '../query.ts';
import { badRequest, invalidOptions } from '../status.ts';
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
  await context.admit(body);
  const created = await withUnknownFields(unknown, (prune) => create(prune(body), options));
  context.noteName(created.metadata.name);
  await context.sendObject(201, created);
}

/** Replaces an object. */
export async function replaceObject(context: Context): Promise<void> {
  await changeObject(context, 'UpdateOptions', readReplacement(context));
}

/** Reads the object that is to take the place of what is stored. */
export function readReplacement(context: Context): Change {
  const body = readObject(context.body);
  checkBody(context, body);
  const metadata = isJsonObject(body['metadata']) ? body['metadata'] : {};
  checkName(context, metadata['name']);
  return () => body;
}

/** Makes an object of what is stored of it. */
export type Change = (stored: ApiObject) => unknown;

/** Changes an object in part. */
export async function patchObject(context: Context): Promise<void> {
  const type = bodyType(context.body, [...PATCH_TYPES, APPLY_TYPE]);
  if (type === APPLY_TYPE) return await applyObject(context);
  await changeObject(context, 'PatchOptions', readPatch(context, type));
}

/** Reads a patch. */
export function readPatch({ body, query, resource }: Context, type: PatchType): Change {
  if (query['force'] !== undefined) {
    throw invalidOptions('PatchOptions', [
      { path: 'force', kind: 'Forbidden', detail: 'may not be specified for non-apply patch' },
    ]);
  }
  return makePatch(type, body, resource);
}

/** Changes an object, and answers with it. */
export async function changeObject(context: Context, kind: string, change: Change): Promise<void> {
  const { resource, name, query } = context;
  if (resource.update === undefined) throw context.notDone();
  const options = writeOptions(context, kind);
  const writer = { ...writerOf(context, kind), operation: 'Update' } as const;
  const unknown = unknownFields(context, readFieldValidation(query, kind));
  const changed = await withUnknownFields(unknown, (prune) =>
    updateTracked({
      resource,
      name,
      change: (stored) => prune(withoutStatus(change(stored), context)),
      writer,
      options,
    }),
  );
  await context.sendObject(200, changed);
}

/** Attempts against others who create and delete the object. */
const MAX_ATTEMPTS = 4;

/** Creates an object, or brings it in line with a configuration: server-side apply. */
async function applyObject(context: Context): Promise<void> {
  const { resource, name, query } = context;
  const update = resource.update?.bind(resource);
  const create = resource.create?.bind(resource);
  if (update === undefined || create === undefined) throw context.notDone();
  const options = writeOptions(context, 'PatchOptions');
  readFieldValidation(query, 'PatchOptions');
  if ((param(query, 'fieldManager') ?? '') === '') {
    throw invalidOptions('PatchOptions', [
      { path: 'fieldManager', kind: 'Required', detail: 'is required for apply patch' },
    ]);
  }
  const config = readConfig(context);
  const application: Application = {
    writer: { ...writerOf(context, 'PatchOptions'), operation: 'Apply' },
    config,
    force: flag(query, 'force'),
    nowMs: Date.now(),
  };
  // Nobody can own a field that there is not.
  const unknown = unknownFields(context, 'Strict');
  for (let attempt = 1; ; attempt++) {
    try {
      const applied = await withUnknownFields(unknown, () =>
        update(name, (stored) => applyTo(stored, resource, application), options),
      );
      return await context.sendObject(200, applied);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
    try {
      await context.admit(config);
      const made = applyToNothing(resource, application);
      const created = await withUnknownFields(unknown, () => create(made, options));
      return await context.sendObject(201, created);
    } catch (error) {
      if (!(error instanceof AlreadyExistsError) || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

/** The configuration that is to be applied. */
function readConfig(context: Context): JsonObject {
  const { body, name } = context;
  const value = withoutNulls(readValue(body, APPLY_TYPE));
  if (!isJsonObject(value)) throw badRequest('the body of the request is no object');
  checkBody(context, value);
  const metadata = isJsonObject(value['metadata']) ? value['metadata'] : {};
  if (metadata['managedFields'] !== undefined) {
    throw badRequest('metadata.managedFields must be nil');
  }
  checkName(context, metadata['name']);
  const config = withoutStatus(value, context);
  return withPlainData({ ...(config as JsonObject), metadata: { ...metadata, name } });
}

/** What is written into a Secret as text is owned where it is found again. */
function withPlainData(config: JsonObject): JsonObject {
  const { stringData, ...others } = config;
  if (config['kind'] !== 'Secret' || !isJsonObject(stringData)) return config;
  const entries = Object.entries(stringData).map(([key, value]) => [
    key,
    typeof value === 'string' ? Buffer.from(value).toString('base64') : value,
  ]);
  const data = isJsonObject(others['data']) ? others['data'] : {};
  return { ...others, data: { ...data, ...Object.fromEntries(entries) } };
}

/** Who makes a change: the program's name, unless the request says another. */
function writerOf({ resource, request, query }: Context, kind: string): Omit<Writer, 'operation'> {
  const agent = request.headers['user-agent']?.split('/')[0] ?? '';
  const given = param(query, 'fieldManager') ?? '';
  const issues: ValidationIssue[] = [];
  if (given.length > MAX_MANAGER_CHARS) {
    issues.push({
      path: 'fieldManager',
      kind: 'TooLong',
      detail: `may not be more than ${MAX_MANAGER_CHARS} bytes`,
    });
  }
  if (!/^[\x20-\x7e]*$/.test(given)) {
    const detail = 'should only contain printable characters';
    issues.push({ path: 'fieldManager', kind: 'Invalid', value: given, detail });
  }
  if (issues.length > 0) throw invalidOptions(kind, issues);
  const manager = given || agent.slice(0, MAX_MANAGER_CHARS) || 'unknown';
  return { manager, apiVersion: groupVersionText(resource) };
}

const MAX_MANAGER_CHARS = 128;

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

/** Refuses an object of another name. */
function checkName(context: Context, given: unknown): void {
  const name = given ?? '';
  if (name === context.name || name === '') return;
  throw badRequest(
    `the name of the object (${textOf(name)}) does not match the name on the URL (${context.name})`,
  );
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
