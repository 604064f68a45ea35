/** Tables: what kubectl prints, made by the server so that clients need to know nothing of a kind. */

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

interface TableRow {
  readonly cells: readonly (string | number)[];
  readonly conditions?: readonly RowCondition[];
  readonly object?: unknown;
}

/** A Table of the API. */
export interface Table {
  readonly kind: 'Table';
  readonly apiVersion: 'meta.k8s.io/v1';
  readonly metadata: object;
  readonly columnDefinitions: readonly object[];
  readonly rows: readonly TableRow[];
}

/** Options of {@link makeTable}. */
export interface TableOptions {
  /** Of the list: its resourceVersion and the like. */
  readonly metadata: object;
  readonly includeObject: IncludeObject;
  readonly nowMs: number;
  /** Of a watch only the first table says what its columns are. */
  readonly withColumns: boolean;
}

/** Makes the table of some objects. */
export function makeTable<T extends ApiObject>(
  { columns, conditions }: TableDefinition<T>,
  objects: readonly T[],
  { metadata, includeObject, nowMs, withColumns }: TableOptions,
): Table {
  const definitions = columns.map(({ name, type, format = '', description, priority }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: withColumns ? definitions : [],
    rows: objects.map((object) => {
      const found = conditions?.(object) ?? [];
      return {
        cells: columns.map(({ cell }) => cell(object, nowMs)),
        ...(found.length === 0 ? {} : { conditions: found }),
        ...(includeObject === 'None' ? {} : { object: rowObject(object, includeObject) }),
      };
    }),
  };
}

function rowObject(object: ApiObject, include: 'Metadata' | 'Object'): unknown {
  return include === 'Object' ? object : partialMetadata(object);
}

/** An object without all but its metadata. */
export function partialMetadata({ metadata }: { readonly metadata: object }) {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata } as const;
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
