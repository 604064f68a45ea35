/** Who owns which fields of an object: `metadata.managedFields`. */

import { formatTime } from '@drover/shared';

import { isJsonObject } from '../api/object.ts';
import {
  decodeFields,
  difference,
  encodeFields,
  isSameSet,
  union,
  type FieldSet,
} from './fieldSet.ts';

/** Who made a change, and how. */
export interface Writer {
  /** As `kubectl` or `helm`. */
  readonly manager: string;
  /** Whether by server-side apply, or in any other way. */
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
}

/** Somebody who owns fields. */
export interface Manager extends Writer {
  /** Part of the object that it changes, such as `status`; empty for the object itself. */
  readonly subresource: string;
  /** When it last owned other fields than now; RFC 3339. */
  readonly time: string | undefined;
  readonly fields: FieldSet;
}

/** Reads who owns what; what can not be read is left out, so that it can be written anew. */
export function decodeManagers(value: unknown): Manager[] {
  if (!Array.isArray(value)) return [];
  return value.map(decodeManager).filter((manager) => manager !== null);
}

function decodeManager(entry: unknown): Manager | null {
  if (!isJsonObject(entry)) return null;
  const { manager, operation, apiVersion, time, subresource = '', fieldsV1 } = entry;
  const fields = decodeFields(fieldsV1);
  const isSound =
    typeof manager === 'string' &&
    (operation === 'Apply' || operation === 'Update') &&
    typeof apiVersion === 'string' &&
    typeof subresource === 'string';
  if (!isSound || fields === null || fields.isEmpty) return null;
  const known = typeof time === 'string' ? time : undefined;
  return { manager, operation, apiVersion, subresource, time: known, fields };
}

/** Writes who owns what. */
export function encodeManagers(managers: readonly Manager[]): object[] {
  return managers.map(({ manager, operation, apiVersion, time, subresource, fields }) => ({
    manager,
    operation,
    apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: encodeFields(fields),
    ...(subresource === '' ? {} : { subresource }),
  }));
}

/** Whether an entry is that of a writer. */
export function isSameWriter(manager: Manager, writer: Writer): boolean {
  return (
    manager.manager === writer.manager &&
    manager.operation === writer.operation &&
    manager.apiVersion === writer.apiVersion &&
    manager.subresource === ''
  );
}

/** What a writer owns. */
export function ownedBy(managers: readonly Manager[], writer: Writer): FieldSet | undefined {
  return managers.find((manager) => isSameWriter(manager, writer))?.fields;
}

/** The managers with what a writer owns now; with nothing it is none of them. */
export function withOwned(
  managers: readonly Manager[],
  writer: Writer,
  fields: FieldSet,
  nowMs: number,
): Manager[] {
  const known = managers.find((manager) => isSameWriter(manager, writer));
  const others = managers.filter((manager) => manager !== known);
  if (fields.isEmpty) return others;
  // One that owns what it did keeps its time: an apply that changes nothing changes nothing.
  if (known !== undefined && isSameSet(known.fields, fields)) return [...managers];
  return [...others, { ...writer, subresource: '', time: formatTime(nowMs), fields }];
}

/** The managers without some fields, but for one of them. */
export function withoutFields(
  managers: readonly Manager[],
  fields: FieldSet,
  except: Writer,
): Manager[] {
  return managers
    .map((manager) => {
      if (isSameWriter(manager, except)) return manager;
      return { ...manager, fields: difference(manager.fields, fields) };
    })
    .filter((manager) => !manager.fields.isEmpty);
}

/** What anybody owns. */
export function ownedByAny(managers: readonly Manager[]): FieldSet | undefined {
  return managers
    .map(({ fields }) => fields)
    .reduce<FieldSet | undefined>(
      (all, fields) => (all === undefined ? fields : union(all, fields)),
      undefined,
    );
}

/** A manager as messages of conflicts name it. */
export function managerText({
  manager,
  operation,
  apiVersion,
  subresource,
  time,
}: Manager): string {
  const part = subresource === '' ? '' : ` with subresource "${subresource}"`;
  if (operation === 'Apply') return `"${manager}"${part}`;
  const at = time === undefined ? '' : ` at ${time}`;
  return `"${manager}"${part} using ${apiVersion}${at}`;
}
