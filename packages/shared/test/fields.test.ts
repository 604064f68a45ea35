import type * as z from 'zod';
import { describe, expect, test } from 'vitest';

import { FIELD_RULES, Job } from '../src/index.ts';

/** Every field of a schema: its path in the table, with `[*]` for items of lists. */
function pathsOf(schema: z.core.$ZodType, path: string): string[] {
  const { def } = schema as unknown as { readonly def: z.core.$ZodTypes['_zod']['def'] };
  switch (def.type) {
    case 'optional':
    case 'default':
    case 'prefault':
      return pathsOf(def.innerType, path);
    case 'pipe':
      return pathsOf(def.in, path);
    case 'array':
      return pathsOf(def.element, `${path}[*]`);
    case 'object':
      return Object.entries(def.shape).flatMap(([name, field]) => {
        const here = path === '' ? name : `${path}.${name}`;
        return [here, ...pathsOf(field, here)];
      });
    default:
      return [];
  }
}

const rulePaths = FIELD_RULES.map(({ path }) => path);
const fieldPaths = pathsOf(Job, '');

/** Rows below which nothing has an effect, so that no field below needs one. */
const closedPaths = FIELD_RULES.filter(({ support }) => support !== 'honoured').map(
  ({ path }) => path,
);

function isBelow(path: string, above: string): boolean {
  return path.startsWith(`${above}.`) || path.startsWith(`${above}[`);
}

describe('the table of fields', () => {
  test('has a row for every field of the schemas', () => {
    const missing = fieldPaths.filter(
      (path) =>
        !rulePaths.includes(path) &&
        !closedPaths.some((closed) => isBelow(path, closed)) &&
        // An object on the way: each of its fields has a row.
        !rulePaths.some((rule) => isBelow(rule, path)),
    );
    expect(missing).toEqual([]);
    expect(fieldPaths).toContain(
      'spec.template.spec.containers[*].securityContext.capabilities.add',
    );
  });

  test('has no row for what is not in the schemas', () => {
    const known = new Set(fieldPaths.flatMap((path) => [path, `${path}[*]`]));
    expect(rulePaths.filter((path) => !known.has(path))).toEqual([]);
  });

  test('has each row once', () => {
    expect(rulePaths.filter((path, at) => rulePaths.indexOf(path) < at)).toEqual([]);
  });

  test('says why', () => {
    expect(FIELD_RULES.filter(({ why }) => why.trim().length < 2)).toEqual([]);
  });
});
