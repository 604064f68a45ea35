import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';

import { forbidden, isAllowed } from '../access/rules.ts';
import { groupVersionText } from '../api/object.ts';
import type { Resource } from '../api/resource.ts';
import type { ServerFigures } from '../figures.ts';
import { Context, type Admission } from './context.ts';
import { flag } from './query.ts';
import { Turns } from './turns.ts';
import { deleteMany, deleteObject } from './verbs/delete.ts';
import { getObject, listObjects } from './verbs/read.ts';
import { watchObjects } from './verbs/watch.ts';
import { patchStatus, replaceStatus } from './verbs/status.ts';
import { createObject, patchObject, replaceObject } from './verbs/write.ts';

/** Answers a request about a resource. */
export type Handler = (context: Context) => Promise<void>;

/** What is done at a path, by method. */
type Handlers = Partial<Record<'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', Handler>>;

/** A part of a resource with a path of its own, such as a pod's log. */
export interface Subresource {
  /** The resource that it is of. */
  readonly resource: Resource;
  /** The last part of the path. */
  readonly name: string;
  readonly handlers: Handlers;
  /** What is sent to it, when that is another kind than the resource's. */
  readonly kind?: { readonly group: string; readonly version: string; readonly kind: string };
  /** Discovery does not tell of it: it says that it is not there, or is Drover's own. */
  readonly isHidden?: boolean;
}

const METHODS: HTTPMethods[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** Where the paths of a group's version begin. */
export function groupPath(resource: Pick<Resource, 'group' | 'version'>): string {
  return resource.group === '' ? '/api/v1' : `/apis/${groupVersionText(resource)}`;
}

/** Adds the paths of resources and of their parts. */
export function addRoutes(
  server: FastifyInstance,
  resources: readonly Resource[],
  subresources: readonly Subresource[],
  {
    closing,
    figures,
    admission,
  }: {
    readonly closing: AbortSignal;
    readonly figures: ServerFigures;
    readonly admission: Admission;
  },
): void {
  const add = (
    path: string,
    resource: Resource,
    handlers: Handlers,
    subresource: string = '',
  ): void => {
    server.route({
      method: METHODS,
      url: path,
      handler: async (request: FastifyRequest, reply: FastifyReply) => {
        const context = new Context(resource, request, reply, { closing, admission });
        checkAccess(context, subresource);
        const handler = handlers[request.method as keyof Handlers];
        if (handler === undefined) throw context.notDone();
        await handler(context);
        return reply;
      },
    });
  };
  const lists = listOrWatch(new Turns(LISTS_AT_ONCE, LISTS_WAITING), figures);
  for (const resource of resources) {
    const base = groupPath(resource);
    const { plural, isNamespaced } = resource;
    const all = isNamespaced ? `${base}/namespaces/:namespace/${plural}` : `${base}/${plural}`;
    add(all, resource, { GET: lists, POST: createObject, DELETE: deleteMany });
    if (isNamespaced) add(`${base}/${plural}`, resource, { GET: lists });
    add(`${all}/:name`, resource, {
      GET: getObject,
      PUT: replaceObject,
      PATCH: patchObject,
      DELETE: deleteObject,
    });
    if (resource.hasStatus) {
      const writes = { PUT: replaceStatus, PATCH: patchStatus };
      const handlers = { GET: getObject, ...(resource.update === undefined ? {} : writes) };
      add(`${all}/:name/status`, resource, handlers, 'status');
    }
  }
  for (const { resource, name, handlers } of subresources) {
    const { plural, isNamespaced } = resource;
    const scope = isNamespaced ? '/namespaces/:namespace' : '';
    add(`${groupPath(resource)}${scope}/${plural}/:name/${name}`, resource, handlers, name);
  }
}

const VERBS: Readonly<Record<string, string>> = {
  GET: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Refuses what the user may not do; notes what it is. @throws ApiError */
function checkAccess(context: Context, subresource: string): void {
  const { resource, request, query, name, user } = context;
  const attributes = {
    verb: verbOf(context),
    group: resource.group,
    resource: resource.plural,
    subresource,
    namespace: context.namespace ?? '',
    name,
  };
  request.audited = { ...attributes, isDryRun: query['dryRun'] !== undefined };
  if (!isAllowed(user, attributes)) throw forbidden(user, attributes);
}

function verbOf({ request, name, query }: Context): string {
  const verb = VERBS[request.method] ?? '';
  if (name !== '') return verb;
  if (verb === 'delete') return 'deletecollection';
  if (verb !== 'get') return verb;
  return flag(query, 'watch') ? 'watch' : 'list';
}

/** Lists that are made at once: each holds all that it tells until it is sent. */
const LISTS_AT_ONCE = 16;
/** Lists that wait for their turn; clients of Kubernetes come again after a 429. */
const LISTS_WAITING = 1_000;
/** A client that takes nothing of its answer for so long is gone. */
const STALL_MS = 60_000;

/** Answers a list when it is its turn; a watch at once. */
function listOrWatch(turns: Turns, figures: ServerFigures): Handler {
  return async (context) => {
    if (flag(context.query, 'watch')) return await figures.watched(() => watchObjects(context));
    const { raw } = context.reply;
    await turns.run(async () => {
      // Whoever waited for it may be gone.
      if (raw.destroyed) return;
      raw.setTimeout(STALL_MS, () => raw.destroy());
      await listObjects(context);
    });
  };
}
