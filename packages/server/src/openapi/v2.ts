/** The document of OpenAPI v2, for clients that know no other: all groups in one. */

import { isJsonObject, setField, type JsonObject } from '../api/object.ts';
import type { GroupVersion } from '../discovery/discovery.ts';
import { pathsOf } from './documents.ts';
import { SchemaCollector } from './schemas.ts';

const SCHEMAS = '#/components/schemas/';
const DEFINITIONS = '#/definitions/';

/** Makes the document, out of the same schemas as those of v3. */
export function makeV2Document(
  groupVersions: readonly GroupVersion[],
  version: string,
): V2Document {
  const schemas = new SchemaCollector();
  const paths: JsonObject = {};
  for (const { resources } of groupVersions) {
    for (const resource of resources) {
      schemas.addKind(resource);
      for (const [path, item] of Object.entries(pathsOf(resource))) paths[path] = pathItem(item);
    }
  }
  const names = [...schemas.components.keys()].toSorted();
  const definitions: Record<string, JsonObject> = {};
  for (const name of names) definitions[name] = schemaOf(schemas.components.get(name));
  return {
    swagger: '2.0',
    info: { title: 'Drover', version },
    paths,
    definitions,
    securityDefinitions: {
      BearerToken: { type: 'apiKey', name: 'authorization', in: 'header' },
    },
  };
}

/** A document of OpenAPI v2. */
export interface V2Document {
  readonly swagger: '2.0';
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: JsonObject;
  readonly definitions: Readonly<Record<string, JsonObject>>;
  readonly securityDefinitions: JsonObject;
}

function schemaOf(value: unknown): JsonObject {
  const converted = convert(value);
  return isJsonObject(converted) ? converted : {};
}

/** A schema in the words of v2, which knows no `oneOf`, and lets a description stand beside a reference. */
function convert(value: unknown): unknown {
  if (typeof value === 'string' && value.startsWith(SCHEMAS)) {
    return `${DEFINITIONS}${value.slice(SCHEMAS.length)}`;
  }
  if (Array.isArray(value)) return value.map(convert);
  if (!isJsonObject(value)) return value;
  const { oneOf, allOf, ...others } = value;
  const result: JsonObject = {};
  for (const [name, inner] of Object.entries(others)) setField(result, name, convert(inner));
  if (Array.isArray(allOf)) Object.assign(result, convert(allOf[0]));
  return oneOf === undefined ? result : { ...result, type: 'string' };
}

/** The operations of a path: bodies are parameters, and media types are lists. */
function pathItem(item: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [method, operation] of Object.entries(item)) {
    result[method] = isJsonObject(operation) ? operationOf(operation) : parametersOf(operation);
  }
  return result;
}

function operationOf({ requestBody, parameters, responses, ...others }: JsonObject): JsonObject {
  const body = contentOf(requestBody);
  const ok = isJsonObject(responses) ? responses['200'] : undefined;
  const answer = contentOf(ok);
  return {
    ...others,
    consumes: body?.types ?? ['*/*'],
    produces: answer?.types ?? ['application/json'],
    parameters: [
      ...parametersOf(parameters),
      ...(body === null ? [] : [{ name: 'body', in: 'body', required: true, schema: body.schema }]),
    ],
    responses: { 200: { description: 'OK', schema: answer?.schema ?? {} } },
  };
}

function contentOf(value: unknown): { types: string[]; schema: JsonObject } | null {
  const content = isJsonObject(value) ? value['content'] : undefined;
  if (!isJsonObject(content)) return null;
  const [first] = Object.values(content);
  const schema = isJsonObject(first) ? schemaOf(first['schema']) : {};
  return { types: Object.keys(content), schema };
}

/** What a parameter is like stands beside its name. */
function parametersOf(value: unknown): JsonObject[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isJsonObject).map(({ schema, ...others }) => ({
    ...others,
    ...(isJsonObject(schema) ? schema : {}),
  }));
}
