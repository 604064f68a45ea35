/** Tables: what kubectl prints, made by the server so that clients need to know nothing of a kind. */

import { jsonOf, metadataJsonOf, withList } from './json.ts';
import type { ApiObject } from './object.ts';

/** A column of a kind's table. */
export interface Column<T extends ApiObject> {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date' | 'boolean';
  /** `name` marks the column that has the object's name. */
  readonly format?: 'name';
  readonly description: string;
  /** 0: always shown; 1: only with `-o wide`. */
  readonly priority: 0 | 1;
  /** The text of a cell. */
  readonly cell: (object: T, nowMs: number) => string | number;
}

/** What of a row kubectl wants to know, beside its cells. */
interface RowCondition {
  readonly type: 'Completed';
  readonly status: 'True';
  readonly reason: string;
  readonly message: string;
}

/** How objects of a kind are shown as rows. */
export interface TableDefinition<T extends ApiObject> {
  readonly columns: readonly Column<T>[];
  /** Conditions of a row: a pod that is over is marked so. */
  readonly conditions?: (object: T) => readonly RowCondition[];
}

/** How much of each object a row carries. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** Options of {@link tableJson}. */
export interface TableOptions {
  /** Of the list: its resourceVersion and the like. */
  readonly metadata: object;
  /** Of a watch only the first table says what its columns are. */
  readonly withColumns: boolean;
}

/** The table of some rows, each as {@link rowJson} makes it, as JSON. */
export function tableJson(
  { columns }: TableDefinition<never>,
  rows: readonly string[],
  { metadata, withColumns }: TableOptions,
): string {
  const definitions = columns.map(({ name, type, format = '', description, priority }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
  const head = {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: withColumns ? definitions : [],
  };
  return withList(head, 'rows', rows);
}

/** The row of an object as JSON. */
export function rowJson<T extends ApiObject>(
  { columns, conditions }: TableDefinition<T>,
  object: T,
  include: IncludeObject,
  nowMs: number,
): string {
  const found = conditions?.(object) ?? [];
  const row = {
    cells: columns.map(({ cell }) => cell(object, nowMs)),
    ...(found.length === 0 ? {} : { conditions: found }),
  };
  return withObject(row, object, include);
}

/** The row of an object of which nothing is known but its metadata, as JSON. */
export function nameRowJson(
  { columns }: TableDefinition<never>,
  object: { readonly metadata: { readonly name?: string } },
): string {
  const { name = '' } = object.metadata;
  const cells = columns.map(({ format }) => (format === 'name' ? name : ''));
  return withObject({ cells }, object, 'Metadata');
}

function withObject(
  row: object,
  object: { readonly metadata: object },
  include: IncludeObject,
): string {
  const text = JSON.stringify(row);
  if (include === 'None') return text;
  const shown = include === 'Object' ? jsonOf(object) : metadataJsonOf(object);
  return `${text.slice(0, -1)},"object":${shown}}`;
}

/** The column that every kind begins with. */
export const NAME_COLUMN: Column<ApiObject> = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name, unique in its namespace.',
  priority: 0,
  cell: ({ metadata }) => metadata.name,
};
