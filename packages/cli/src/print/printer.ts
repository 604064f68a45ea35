import type { SecretSummary } from '@drover/sdk/client';
import type {
  ConfigMap,
  CronJob,
  Job,
  Node,
  Pod,
  PriorityClass,
  ResourceQuota,
  Secret,
} from '@drover/shared';

import { formatTable } from '../text/table.ts';
import { refText, type Kind } from '../things.ts';
import {
  CONFIG_MAP_COLUMNS,
  CRON_JOB_COLUMNS,
  JOB_COLUMNS,
  NODE_COLUMNS,
  POD_COLUMNS,
  PRIORITY_CLASS_COLUMNS,
  RESOURCE_QUOTA_COLUMNS,
  SECRET_COLUMNS,
  type Column,
} from './columns.ts';

/** An object that can be printed. */
export type Printable =
  | Job
  | CronJob
  | Pod
  | Node
  | ConfigMap
  | Secret
  | SecretSummary
  | ResourceQuota
  | PriorityClass;

/** How objects are printed. */
export interface PrintOptions {
  readonly output?: 'json' | 'yaml' | 'wide' | 'name';
  /** A namespace column, for `-A`. */
  readonly withNamespace: boolean;
  /** A header line. */
  readonly headers: boolean;
  /** A column with the labels. */
  readonly showLabels: boolean;
}

const KIND_OF: Readonly<Record<Printable['kind'], Kind>> = {
  Job: 'job',
  CronJob: 'cronjob',
  Pod: 'pod',
  Node: 'node',
  ConfigMap: 'configmap',
  ResourceQuota: 'resourcequota',
  PriorityClass: 'priorityclass',
  Secret: 'secret',
};

/** Prints objects as a document: a single one as itself, several as a List. */
export async function formatDocument(
  objects: readonly object[],
  output: 'json' | 'yaml',
  single: boolean,
): Promise<string> {
  const [first] = objects;
  const document =
    single && first !== undefined
      ? first
      : { apiVersion: 'v1', kind: 'List', metadata: { resourceVersion: '' }, items: objects };
  if (output === 'json') return `${JSON.stringify(document, null, 4)}\n`;
  const { stringify } = await import('yaml');
  return stringify(document, { lineWidth: 0, aliasDuplicateObjects: false });
}

/** Makes the lines of a table of one kind; keeps widths between calls, for a watch. */
export class TablePrinter {
  readonly #options: PrintOptions;
  readonly #widths: number[] = [];
  #wroteHeader = false;

  constructor(options: PrintOptions) {
    this.#options = options;
  }

  /** The lines for objects of one kind; the first call has the header. */
  lines(objects: readonly Printable[], nowMs: number): string[] {
    const [first] = objects;
    if (first === undefined) return [];
    if (this.#options.output === 'name') return objects.map(nameLine);
    const rows = objects.map((object) => this.#row(object, nowMs));
    const header = this.#options.headers && !this.#wroteHeader ? this.#header(first) : [];
    this.#wroteHeader = true;
    return formatTable(header, rows, this.#widths);
  }

  #header(object: Printable): string[] {
    const headers = this.#columns(object).map((column) => column.header);
    if (this.#options.withNamespace && object.metadata.namespace !== '') {
      headers.unshift('namespace');
    }
    if (this.#options.showLabels) headers.push('labels');
    return headers;
  }

  #row(object: Printable, nowMs: number): string[] {
    const cells = this.#columns(object).map((column) => column.cell(object, nowMs));
    if (this.#options.withNamespace && object.metadata.namespace !== '') {
      cells.unshift(object.metadata.namespace);
    }
    if (this.#options.showLabels) cells.push(labelsText(object));
    return cells;
  }

  #columns(object: Printable): readonly Column<Printable>[] {
    const columns = {
      Job: JOB_COLUMNS,
      CronJob: CRON_JOB_COLUMNS,
      Pod: POD_COLUMNS,
      Node: NODE_COLUMNS,
      ConfigMap: CONFIG_MAP_COLUMNS,
      Secret: SECRET_COLUMNS,
      ResourceQuota: RESOURCE_QUOTA_COLUMNS,
      PriorityClass: PRIORITY_CLASS_COLUMNS,
      // Each column is only asked about objects of its own kind.
    }[object.kind] as readonly Column<Printable>[];
    return this.#options.output === 'wide' ? columns : columns.filter(({ wide }) => wide !== true);
  }
}

/** `job.batch/pi`. */
export function nameLine(object: Printable): string {
  return refText({ kind: KIND_OF[object.kind], name: object.metadata.name });
}

function labelsText({ metadata }: Printable): string {
  const labels = Object.entries(metadata.labels ?? {});
  return labels.map(([key, value]) => `${key}=${value}`).join(',') || '<none>';
}
