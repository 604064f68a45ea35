import type { ObjectMeta } from '@drover/shared';

/** An object of the API. */
export interface ApiObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** A JSON object that nothing is known of. */
export type JsonObject = Record<string, unknown>;

/** Whether a value is an object, in contrast to a list, null and everything else. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What lies at a path of fields; undefined when there is nothing. */
export function valueAt(object: unknown, path: readonly string[]): unknown {
  let value = object;
  for (const field of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, field)) {
      return undefined;
    }
    value = (value as JsonObject)[field];
  }
  return value;
}

/** Sets a field of an object that may be called anything, `__proto__` included. */
export function setField(object: JsonObject, field: string, value: unknown): void {
  Object.defineProperty(object, field, {
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  });
}

/** `batch/v1`; `v1` for the group without a name. */
export function groupVersionText({ group, version }: { group: string; version: string }): string {
  return group === '' ? version : `${group}/${version}`;
}

/** A value that was given where a text is expected, for a message. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}
