import type { ApiObject } from '../../api/object.ts';
import { groupVersionText } from '../../api/object.ts';
import { jsonOf, metadataJsonOf, withList } from '../../api/json.ts';
import { negotiateForm, type Form } from '../accept.ts';
import type { Context } from '../context.ts';
import { checkListOptions, count, param, readSelection, readVersion } from '../query.ts';
import { ApiError, badRequest, expired } from '../status.ts';

/** Answers with one object. */
export async function getObject(context: Context): Promise<void> {
  const { resource, name, namespace } = context;
  if (resource.get === undefined) throw context.notDone();
  await context.sendObject(200, await resource.get(name, namespace ?? ''));
}

/** Where a list goes on. */
interface Continuation {
  /** resourceVersion of the first page: a watch from there misses nothing that later pages show. */
  readonly version: string;
  readonly after: string;
}

/** Answers with a list, or a page of it. */
export async function listObjects(context: Context): Promise<void> {
  const { resource, namespace, query } = context;
  if (resource.list === undefined) throw context.notDone();
  checkListOptions(query);
  const form = negotiateForm(context.request.headers.accept);
  const token = param(query, 'continue') ?? '';
  const continuation = token === '' ? null : parseToken(token);
  const version = readVersion(query);
  if (continuation !== null && version !== null && version !== 0) {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  const limit = count(query, 'limit');
  const match = param(query, 'resourceVersionMatch') ?? '';
  const page = await resource.list({
    namespace,
    selection: readSelection(query, resource),
    limit: limit === 0 ? null : limit,
    after: continuation?.after ?? null,
    notOlderThan: match === 'Exact' ? null : version,
  });
  // Where a list goes on is what its client says: it may not lead into a namespace that the client may not read.
  if (namespace !== null && page.items.some(({ metadata }) => metadata.namespace !== namespace)) {
    throw badRequest('continue key is not valid');
  }
  const resourceVersion = continuation?.version ?? page.resourceVersion;
  checkVersion(version, match, Number(page.resourceVersion));
  const metadata = {
    resourceVersion,
    ...(page.next === null
      ? {}
      : { continue: makeToken({ version: resourceVersion, after: page.next }) }),
  };
  await context.sendText(200, listText(context, form, page.items, metadata));
}

/** Objects of a list have most often been told before: their text is made once. */
function listText(
  context: Context,
  form: Form,
  items: readonly ApiObject[],
  metadata: object,
): string {
  const { resource } = context;
  switch (form) {
    case 'Table':
      return context.table(items, metadata);
    case 'PartialObjectMetadata': {
      const head = { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata };
      return withList(head, 'items', items.map(metadataJsonOf));
    }
    case 'Object': {
      const head = {
        kind: `${resource.kind}List`,
        apiVersion: groupVersionText(resource),
        metadata,
      };
      return withList(head, 'items', items.map(jsonOf));
    }
  }
}

/** A list is always as things are now: another version can only be waited for, or be gone. */
function checkVersion(wanted: number | null, match: string, current: number): void {
  if (wanted === null || wanted === 0) return;
  if (wanted > current) {
    throw new ApiError(
      504,
      'Timeout',
      `Too large resource version: ${wanted}, current: ${current}`,
      {
        causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
        retryAfterSeconds: 1,
      },
    );
  }
  if (match === 'Exact' && wanted !== current) {
    throw expired(`The provided resource version is not kept: ${wanted}, current: ${current}`);
  }
}

function makeToken(continuation: Continuation): string {
  return Buffer.from(JSON.stringify(continuation)).toString('base64url');
}

function parseToken(token: string): Continuation {
  try {
    const value = JSON.parse(Buffer.from(token, 'base64url').toString()) as Partial<Continuation>;
    const { version, after } = value;
    if (typeof version === 'string' && /^\d+$/.test(version) && typeof after === 'string') {
      return { version, after };
    }
  } catch {
    // No token of ours.
  }
  throw badRequest('continue key is not valid');
}
