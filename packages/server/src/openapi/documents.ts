/** OpenAPI documents: kubectl reads what can be asked of a resource, and explains fields by them. */

import { groupVersionText, type JsonObject } from '../api/object.ts';
import type { Resource } from '../api/resource.ts';
import type { GroupVersion } from '../discovery/discovery.ts';
import { groupPath } from '../http/routes.ts';
import { APPLY_TYPE, PATCH_TYPES } from '../patch/patch.ts';
import { kindName, reference, SchemaCollector } from './schemas.ts';

/** Media types of objects in requests and answers. */
const OBJECT_TYPES = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
];

/** The document of a group's version. */
export function makeDocument(groupVersion: GroupVersion, version: string): JsonObject {
  const schemas = new SchemaCollector();
  const paths: Record<string, JsonObject> = {};
  for (const resource of groupVersion.resources) {
    schemas.addKind(resource);
    Object.assign(paths, pathsOf(resource));
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Drover', version },
    paths,
    components: {
      schemas: Object.fromEntries([...schemas.components].toSorted(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: {
        BearerToken: { type: 'apiKey', name: 'authorization', in: 'header' },
      },
    },
  };
}

/** The paths of a resource, with what can be done at each. */
export function pathsOf(resource: Resource): Record<string, JsonObject> {
  const { isNamespaced, plural } = resource;
  const base = groupPath(resource);
  const many = isNamespaced ? `${base}/namespaces/{namespace}/${plural}` : `${base}/${plural}`;
  const namespace = isNamespaced ? [pathParameter('namespace', 'Namespace of the object.')] : [];
  const one = [...namespace, pathParameter('name', 'Name of the object.')];
  const item = reference(kindName(resource));
  const list = reference(`${kindName(resource)}List`);
  const operation = (
    action: string,
    id: string,
    query: readonly JsonObject[],
    answer: JsonObject,
  ) => ({
    description: `${action} ${resource.kind}`,
    operationId: `${id}${resource.kind}`,
    tags: [groupVersionText(resource)],
    parameters: query,
    responses: { 200: { description: 'OK', content: contents(OBJECT_TYPES, answer) } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': {
      group: resource.group,
      version: resource.version,
      kind: resource.kind,
    },
  });
  const withBody = (body: JsonObject, schema: JsonObject, types: readonly string[]) => ({
    ...body,
    requestBody: { required: true, content: contents(types, schema) },
  });
  const all: JsonObject = { parameters: namespace };
  const single: JsonObject = { parameters: one };
  if (resource.list !== undefined) all['get'] = operation('list', 'list', LIST, list);
  if (resource.get !== undefined) single['get'] = operation('get', 'read', [], item);
  if (resource.create !== undefined) {
    all['post'] = withBody(operation('post', 'create', WRITE, item), item, OBJECT_TYPES);
  }
  if (resource.update !== undefined) {
    single['put'] = withBody(operation('put', 'replace', WRITE, item), item, OBJECT_TYPES);
    const patch = operation('patch', 'patch', [...WRITE, FORCE], item);
    single['patch'] = withBody(patch, { type: 'object' }, [...PATCH_TYPES, APPLY_TYPE]);
  }
  if (resource.delete !== undefined) {
    const status = { type: 'object' };
    single['delete'] = operation('delete', 'delete', DELETE, status);
    all['delete'] = operation('deletecollection', 'deleteCollection', [...LIST, ...DELETE], status);
  }
  return resource.get === undefined ? { [many]: all } : { [many]: all, [`${many}/{name}`]: single };
}

function contents(types: readonly string[], schema: JsonObject): JsonObject {
  return Object.fromEntries(types.map((type) => [type, { schema }]));
}

function pathParameter(name: string, description: string): JsonObject {
  return { name, in: 'path', required: true, description, schema: { type: 'string' } };
}

function queryParameter(
  name: string,
  type: 'string' | 'integer' | 'boolean',
  description: string,
): JsonObject {
  return { name, in: 'query', description, schema: { type, uniqueItems: true } };
}

const WRITE = [
  queryParameter('dryRun', 'string', 'All: nothing is stored, the request is only checked.'),
  queryParameter('fieldManager', 'string', 'Who makes the change.'),
  queryParameter(
    'fieldValidation',
    'string',
    'What becomes of unknown fields: Strict refuses them, Warn tells of them, Ignore drops them.',
  ),
];

const FORCE = queryParameter('force', 'boolean', 'Take over fields that others own.');

const LIST = [
  queryParameter('labelSelector', 'string', 'Only objects with these labels.'),
  queryParameter('fieldSelector', 'string', 'Only objects with these fields.'),
  queryParameter('limit', 'integer', 'At most so many.'),
  queryParameter('continue', 'string', 'Where the page before ended.'),
  queryParameter('resourceVersion', 'string', 'From which version on.'),
  queryParameter('resourceVersionMatch', 'string', 'How resourceVersion is meant.'),
  queryParameter('watch', 'boolean', 'Tell what happens to the objects.'),
  queryParameter('allowWatchBookmarks', 'boolean', 'Tell of versions, too.'),
  queryParameter('sendInitialEvents', 'boolean', 'Begin with what is there.'),
  queryParameter('timeoutSeconds', 'integer', 'How long a watch goes on.'),
];

const DELETE = [
  queryParameter('dryRun', 'string', 'All: nothing is deleted, the request is only checked.'),
  queryParameter('gracePeriodSeconds', 'integer', 'How long it may take to end.'),
  queryParameter('propagationPolicy', 'string', 'What becomes of what belongs to it.'),
];
