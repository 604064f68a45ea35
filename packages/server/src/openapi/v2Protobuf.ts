/**
 * The definitions of an OpenAPI v2 document as protobuf, in the messages of gnostic's `OpenAPIv2.proto`:
 * the only form in which kubectl reads it. It looks at the definitions alone.
 */

import protobuf from 'protobufjs/minimal.js';
import { stringify } from 'yaml';

import { isJsonObject, type JsonObject } from '../api/object.ts';
import type { V2Document } from './v2.ts';

type Writer = protobuf.Writer;

/** Numbers of the fields of messages. */
const DOCUMENT = { swagger: 1, info: 2, definitions: 9 };
const INFO = { title: 1, version: 2 };
const NAMED = { name: 1, value: 2 };
const SCHEMA = {
  ref: 1,
  format: 2,
  description: 4,
  default: 5,
  required: 19,
  enum: 20,
  additionalProperties: 21,
  type: 22,
  items: 23,
  properties: 25,
  extensions: 31,
};
const ANY_YAML = 2;
/** Messages that are there for their only field. */
const ONLY = 1;

/** Encodes what clients read of a document. */
export function encodeV2({ swagger, info, definitions }: V2Document): Uint8Array {
  const writer = protobuf.Writer.create();
  text(writer, DOCUMENT.swagger, swagger);
  message(writer, DOCUMENT.info, () => {
    text(writer, INFO.title, info.title);
    text(writer, INFO.version, info.version);
  });
  message(writer, DOCUMENT.definitions, () => namedSchemas(writer, definitions));
  return writer.finish();
}

function namedSchemas(writer: Writer, schemas: Readonly<Record<string, unknown>>): void {
  for (const [name, schema] of Object.entries(schemas)) {
    message(writer, ONLY, () => {
      text(writer, NAMED.name, name);
      message(writer, NAMED.value, () => encodeSchema(writer, isJsonObject(schema) ? schema : {}));
    });
  }
}

function encodeSchema(writer: Writer, schema: JsonObject): void {
  for (const [field, number] of [
    ['$ref', SCHEMA.ref],
    ['format', SCHEMA.format],
    ['description', SCHEMA.description],
  ] as const) {
    const value = schema[field];
    if (typeof value === 'string') text(writer, number, value);
  }
  if (schema['default'] !== undefined) any(writer, SCHEMA.default, schema['default']);
  for (const name of listOf(schema['required'])) text(writer, SCHEMA.required, String(name));
  for (const value of listOf(schema['enum'])) any(writer, SCHEMA.enum, value);
  encodeNested(writer, schema);
  for (const [name, value] of Object.entries(schema)) {
    if (!name.startsWith('x-')) continue;
    message(writer, SCHEMA.extensions, () => {
      text(writer, NAMED.name, name);
      any(writer, NAMED.value, value);
    });
  }
}

function encodeNested(writer: Writer, schema: JsonObject): void {
  const { additionalProperties, items, properties, type } = schema;
  if (isJsonObject(additionalProperties)) {
    message(writer, SCHEMA.additionalProperties, () =>
      message(writer, ONLY, () => encodeSchema(writer, additionalProperties)),
    );
  }
  if (typeof type === 'string') message(writer, SCHEMA.type, () => text(writer, ONLY, type));
  if (isJsonObject(items)) {
    message(writer, SCHEMA.items, () => message(writer, ONLY, () => encodeSchema(writer, items)));
  }
  if (isJsonObject(properties)) {
    message(writer, SCHEMA.properties, () => namedSchemas(writer, properties));
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Any value, as YAML. */
function any(writer: Writer, field: number, value: unknown): void {
  message(writer, field, () => text(writer, ANY_YAML, stringify(value)));
}

const LENGTH_DELIMITED = 2;

function text(writer: Writer, field: number, value: string): void {
  writer.uint32((field << 3) | LENGTH_DELIMITED).string(value);
}

function message(writer: Writer, field: number, write: () => void): void {
  writer.uint32((field << 3) | LENGTH_DELIMITED).fork();
  write();
  writer.ldelim();
}
