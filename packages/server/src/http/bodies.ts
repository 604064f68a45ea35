import { parse as parseYaml } from 'yaml';

import { isJsonObject, type JsonObject } from '../api/object.ts';
import { decodeProtobuf } from '../protobuf/decode.ts';
import { ApiError, badRequest } from './status.ts';

/** What a request brought, as it came. */
export interface RawBody {
  readonly contentType: string | undefined;
  readonly bytes: Buffer;
}

/** Media types of bodies, without what follows a semicolon. */
export type BodyType =
  | 'application/json'
  | 'application/yaml'
  | 'application/vnd.kubernetes.protobuf'
  | 'application/json-patch+json'
  | 'application/merge-patch+json'
  | 'application/strategic-merge-patch+json'
  | 'application/apply-patch+yaml';

const OBJECT_TYPES = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
] as const;

/** The media type of a body; JSON when none is named. */
export function bodyType<T extends BodyType>({ contentType }: RawBody, supported: readonly T[]): T {
  const [type = ''] = (contentType ?? '').split(';');
  const name = type.trim().toLowerCase();
  const found = supported.find((candidate) => candidate === name);
  if (found !== undefined) return found;
  const first = supported[0];
  if (name === '' && first !== undefined) return first;
  const message = `the body of the request was in an unknown format - accepted media types include: ${supported.join(', ')}`;
  throw new ApiError(415, 'UnsupportedMediaType', message, {});
}

/** Reads an object in any of the forms that clients send. @throws ApiError when it is none. */
export function readObject(body: RawBody): JsonObject {
  const value = readValue(body, bodyType(body, OBJECT_TYPES));
  if (isJsonObject(value)) return value;
  throw badRequest('the body of the request is no object');
}

/** Reads a value in the form that its media type says. */
export function readValue({ bytes }: RawBody, type: BodyType): unknown {
  if (type === 'application/vnd.kubernetes.protobuf') return decodeProtobuf(bytes);
  const text = decodeText(bytes);
  try {
    return type.endsWith('yaml') ? parseYamlOrJson(text) : JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : '';
    throw badRequest(`the body of the request can not be read: ${reason}`);
  }
}

/** JSON is YAML, too, and read much more quickly as what it is; but what begins like it may be YAML of one line. */
function parseYamlOrJson(text: string): unknown {
  if (text.startsWith('{')) {
    try {
      return JSON.parse(text);
    } catch {
      // Then it is YAML, or nothing.
    }
  }
  return parseYaml(text, { maxAliasCount: 0 });
}

function decodeText(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw badRequest('the body of the request is no UTF-8 text');
  }
}
