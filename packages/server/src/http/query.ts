/** What the query of a request asks for. Parameters that nobody knows are left alone, as in Kubernetes. */

import { parseSelector, type ValidationIssue } from '@drover/shared';

import { parseFieldSelector } from '../api/fieldSelector.ts';
import type { Resource } from '../api/resource.ts';
import { Selection, type SelectableFields } from '../api/selection.ts';
import type { ApiObject } from '../api/object.ts';
import { badRequest, invalidOptions } from './status.ts';

/** The query of a request: a parameter that occurs several times is a list. */
export type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The value of a parameter; undefined when it is not there. */
export function param(query: Query, name: string): string | undefined {
  const value = query[name];
  return typeof value === 'string' || value === undefined ? value : value[0];
}

/** All values of a parameter. */
export function params(query: Query, name: string): readonly string[] {
  const value = query[name];
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

/** Reads a parameter that is true or false; as Go does, so that any client's way of writing it will do. */
export function flag(query: Query, name: string): boolean {
  const value = param(query, name);
  if (value === undefined) return false;
  if (/^(1|t|true)?$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw badRequest(`parameter ${name}: "${value}" is neither true nor false`);
}

/** Reads a parameter that is a whole number of 0 or more; null when it is not there. */
export function count(query: Query, name: string): number | null {
  const value = param(query, name);
  if (value === undefined || value === '') return null;
  if (/^\d{1,15}$/.test(value)) return Number(value);
  throw badRequest(`parameter ${name}: "${value}" is no whole number of 0 or more`);
}

/** Which objects a list, watch or deletion of many is about. */
export function readSelection(query: Query, resource: Resource): Selection {
  const labels = param(query, 'labelSelector') ?? '';
  const fields = param(query, 'fieldSelector') ?? '';
  return new Selection(
    labels === '' ? [] : parseSelector(labels),
    parseFieldSelector(fields),
    // A resource reads its own kind.
    resource.fields as SelectableFields<ApiObject>,
  );
}

/** Reads a resourceVersion; null when none is given. */
export function readVersion(query: Query): number | null {
  const text = param(query, 'resourceVersion') ?? '';
  if (text === '') return null;
  if (/^\d{1,16}$/.test(text)) return Number(text);
  throw invalidOptions('ListOptions', [
    {
      path: 'resourceVersion',
      kind: 'Invalid',
      value: text,
      detail: 'must be an unsigned integer',
    },
  ]);
}

/** Options of a list or watch that contradict each other. */
export function checkListOptions(query: Query): void {
  const issues: ValidationIssue[] = [];
  const match = param(query, 'resourceVersionMatch') ?? '';
  const version = param(query, 'resourceVersion') ?? '';
  const sendsInitial = flag(query, 'sendInitialEvents');
  const isWatch = flag(query, 'watch');
  const forbid = (path: string, detail: string) => issues.push({ path, kind: 'Forbidden', detail });
  if (sendsInitial && !isWatch) {
    forbid('sendInitialEvents', 'sendInitialEvents is forbidden for list');
  }
  if (isWatch) {
    const isAsked = query['sendInitialEvents'] !== undefined;
    if (isAsked && match !== 'NotOlderThan') {
      forbid(
        'resourceVersionMatch',
        'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      );
    }
    if (!isAsked && match !== '') {
      forbid(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      );
    }
  } else if (match !== '') {
    if (version === '') {
      forbid(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden unless resourceVersion is provided',
      );
    }
    if (match !== 'Exact' && match !== 'NotOlderThan') {
      issues.push({
        path: 'resourceVersionMatch',
        kind: 'NotSupported',
        value: match,
        detail: 'supported values: "Exact", "NotOlderThan"',
      });
    }
  }
  if (issues.length > 0) throw invalidOptions('ListOptions', issues);
}

/** Whether a change is only to be checked. */
export function isDryRun(values: readonly string[], kind: string): boolean {
  const wrong = values.filter((value) => value !== 'All');
  if (wrong.length > 0) {
    throw invalidOptions(kind, [
      { path: 'dryRun', kind: 'NotSupported', value: wrong, detail: 'supported values: "All"' },
    ]);
  }
  return values.length > 0;
}

/** What becomes of fields that nobody knows. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** How a change wants unknown fields to be treated. */
export function readFieldValidation(query: Query, kind: string): FieldValidation {
  const value = param(query, 'fieldValidation') ?? '';
  if (value === '') return 'Warn';
  if (value === 'Ignore' || value === 'Warn' || value === 'Strict') return value;
  throw invalidOptions(kind, [
    {
      path: 'fieldValidation',
      kind: 'NotSupported',
      value,
      detail: 'supported values: "", "Ignore", "Strict", "Warn"',
    },
  ]);
}
