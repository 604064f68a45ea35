import { describe, expect, test } from 'vitest';

import { isDeepEqual, isSemanticallyEqual } from '../src/equality.ts';

describe('what is not set is equal to Kubernetes, and not to the strict comparison', () => {
  test.each([
    [{}, undefined],
    [[], null],
    [{ a: [] }, {}],
    [{ a: { b: {} } }, { a: { b: null } }],
    [{ a: { b: undefined } }, {}],
  ])('%j and %j', (a, b) => {
    expect(isSemanticallyEqual(a, b)).toBe(true);
    expect(isDeepEqual(a, b)).toBe(false);
  });
});

describe('the same for both', () => {
  test.each([
    [1, 1, true],
    [{ a: 1, b: [1, 2] }, { b: [1, 2], a: 1 }, true],
    [{ a: undefined }, {}, true],
    [1, 2, false],
    [0, undefined, false],
    ['', undefined, false],
    [false, undefined, false],
    [[1, 2], [2, 1], false],
    [[1], [1, 2], false],
    [[1], { 0: 1 }, false],
    [{ a: 1 }, { a: '1' }, false],
    [{ a: { b: 1 } }, { a: { b: 1, c: 1 } }, false],
  ])('%j and %j: %s', (a, b, want) => {
    expect(isSemanticallyEqual(a, b)).toBe(want);
    expect(isDeepEqual(a, b)).toBe(want);
  });
});
