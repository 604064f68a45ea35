/** Objects that come as protobuf, as the JSON that they mean. */

import { formatMicroTime, formatTime } from '@drover/shared';
import protobuf from 'protobufjs/minimal.js';

import { setField, type JsonObject, textOf } from '../api/object.ts';
import { ApiError, badRequest } from '../http/status.ts';
import { messageOf, PROTOBUF_KINDS, type MessageField } from './messages.ts';

/** What every object begins with. */
const MAGIC = Buffer.from('k8s\0');
const { Reader } = protobuf;
type Reader = protobuf.Reader;

const WIRE_LENGTH_DELIMITED = 2;
/** Objects lie within each other; no kind is this deep. */
const MAX_DEPTH = 32;

/**
 * Decodes an object of a built-in kind.
 *
 * @throws ApiError when it is none, or has fields that nobody knows: nothing is dropped in silence.
 */
export function decodeProtobuf(bytes: Buffer): JsonObject {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw badRequest('the body of the request is no object of Kubernetes in protobuf');
  }
  try {
    return decodeEnvelope(bytes.subarray(MAGIC.length));
  } catch (error) {
    if (error instanceof ApiError) throw error;
    const reason = error instanceof Error ? error.message : '';
    throw badRequest(`the body of the request can not be decoded: ${reason}`);
  }
}

function decodeEnvelope(bytes: Buffer): JsonObject {
  const envelope = decodeMessage(Reader.create(bytes), bytes.length, 'Unknown', 0);
  const { apiVersion, kind, raw } = envelope;
  if (typeof kind !== 'string' || !PROTOBUF_KINDS.has(kind)) {
    const message = `objects of kind "${textOf(kind)}" are taken as JSON or YAML, not as protobuf`;
    throw new ApiError(415, 'UnsupportedMediaType', message, {});
  }
  const content = typeof raw === 'string' ? Buffer.from(raw, 'base64') : Buffer.alloc(0);
  // The one kind of which two groups have a message each.
  const message = kind === 'Event' && apiVersion === 'events.k8s.io/v1' ? 'EventV1' : kind;
  const object = decodeMessage(Reader.create(content), content.length, message, 0);
  return { apiVersion, kind, ...object };
}

function decodeMessage(reader: Reader, end: number, name: string, depth: number): JsonObject {
  const message = messageOf(name);
  if (message === null) throw new Error(`no message ${name}`);
  if (depth > MAX_DEPTH) throw badRequest('the object is too deep');
  const object: JsonObject = {};
  while (reader.pos < end) {
    const tag = reader.uint32();
    const field = message.get(tag >>> 3);
    if (field === undefined) {
      throw badRequest(`${name} has a field of number ${tag >>> 3} that is not known here`);
    }
    decodeField(reader, object, field, tag & 7, depth);
  }
  return object;
}

function decodeField(
  reader: Reader,
  object: JsonObject,
  field: MessageField,
  wireType: number,
  depth: number,
): void {
  const { name, type, shape, keepsZero } = field;
  switch (shape) {
    case 'inline':
      Object.assign(object, decodeNested(reader, type, depth));
      return;
    case 'map': {
      const map = (object[name] ??= {}) as JsonObject;
      const [key, value] = decodeEntry(reader, type, depth);
      setField(map, key, value);
      return;
    }
    case 'list': {
      const list = (object[name] ??= []) as unknown[];
      if (type === 'int' && wireType === WIRE_LENGTH_DELIMITED) list.push(...packed(reader));
      else list.push(decodeValue(reader, type, depth));
      return;
    }
    case 'single': {
      const value = decodeValue(reader, type, depth);
      const isZero = value === '' || value === 0 || value === false || value === null;
      if (!isZero || keepsZero) object[name] = value;
    }
  }
}

function decodeNested(reader: Reader, type: string, depth: number): JsonObject {
  const length = reader.uint32();
  return decodeMessage(reader, within(reader, length), type, depth + 1);
}

/** Where what is of this length ends. */
function within(reader: Reader, length: number): number {
  const end = reader.pos + length;
  if (end > reader.len) throw new Error('it is cut off');
  return end;
}

/** An entry of a map is a message of its key and its value. */
function decodeEntry(reader: Reader, type: string, depth: number): [string, unknown] {
  const end = within(reader, reader.uint32());
  let key = '';
  let value: unknown = type === 'string' || type === 'bytes' ? '' : undefined;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) key = reader.string();
    else value = decodeValue(reader, type, depth);
  }
  return [key, value];
}

function packed(reader: Reader): number[] {
  const end = within(reader, reader.uint32());
  const values: number[] = [];
  while (reader.pos < end) values.push(integer(reader));
  return values;
}

function decodeValue(reader: Reader, type: string, depth: number): unknown {
  switch (type) {
    case 'string':
      return reader.string();
    case 'int':
      return integer(reader);
    case 'bool':
      return reader.bool();
    case 'bytes':
      return Buffer.from(reader.bytes()).toString('base64');
    case 'Time':
      return time(reader, formatTime);
    case 'MicroTime':
      return time(reader, formatMicroTime);
    case 'Quantity':
      return fieldOf(reader, 1, () => reader.string()) ?? '0';
    case 'Json':
      return json(fieldOf(reader, 1, () => Buffer.from(reader.bytes()).toString('utf8')));
    case 'IntOrString':
      return intOrString(reader);
    case 'Opaque':
      reader.skip(reader.uint32());
      return {};
    default:
      return decodeNested(reader, type, depth);
  }
}

function integer(reader: Reader): number {
  // A number, or an object of the library that becomes one.
  const value: unknown = reader.int64();
  return Number(value);
}

/** Reads the one field of a message that is of interest; undefined when it is not there. */
function fieldOf<T>(reader: Reader, number: number, read: () => T): T | undefined {
  const end = within(reader, reader.uint32());
  let value: T | undefined;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag >>> 3 === number) value = read();
    else reader.skipType(tag & 7);
  }
  return value;
}

/** A time, or null for Go's zero time, which means that there is none. */
function time(reader: Reader, format: (timeMs: number) => string): string | null {
  const end = within(reader, reader.uint32());
  let seconds: number | null = null;
  let nanos = 0;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) seconds = integer(reader);
    else if (tag >>> 3 === 2) nanos = integer(reader);
    else reader.skipType(tag & 7);
  }
  return seconds === null ? null : format(seconds * 1_000 + Math.floor(nanos / 1e6));
}

function intOrString(reader: Reader): number | string {
  const end = within(reader, reader.uint32());
  let isText = false;
  let number = 0;
  let text = '';
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) isText = integer(reader) === 1;
    else if (tag >>> 3 === 2) number = integer(reader);
    else if (tag >>> 3 === 3) text = reader.string();
    else reader.skipType(tag & 7);
  }
  return isText ? text : number;
}

function json(text: string | undefined): unknown {
  return text === undefined || text === '' ? {} : (JSON.parse(text) as unknown);
}
