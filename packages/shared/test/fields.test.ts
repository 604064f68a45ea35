import { describe, expect, test } from 'vitest';

import { FIELD_RULES, Job } from '../src/index.ts';
import { isBelow, schemaPaths } from './support/schemaPaths.ts';

const rulePaths = FIELD_RULES.map(({ path }) => path);
const fieldPaths = schemaPaths(Job);

/** Rows below which nothing has an effect, so that no field below needs one. */
const closedPaths = FIELD_RULES.filter(({ support }) => support !== 'honoured').map(
  ({ path }) => path,
);

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
