import { describe, expect, test } from 'vitest';

import { applyMergePatch, threeWayPatch } from '../src/mergePatch.ts';

describe('applyMergePatch', () => {
  // Those of RFC 7386, appendix A, that are about objects, and ours.
  const cases: { name: string; target: unknown; patch: unknown; want: unknown }[] = [
    { name: 'sets a field', target: { a: 'b' }, patch: { a: 'c' }, want: { a: 'c' } },
    { name: 'adds a field', target: { a: 'b' }, patch: { b: 'c' }, want: { a: 'b', b: 'c' } },
    { name: 'removes a field', target: { a: 'b', b: 'c' }, patch: { a: null }, want: { b: 'c' } },
    { name: 'replaces lists whole', target: { a: [1, 2] }, patch: { a: [3] }, want: { a: [3] } },
    {
      name: 'goes into objects',
      target: { a: { b: 'c', d: 'e' } },
      patch: { a: { b: 'x', d: null } },
      want: { a: { b: 'x' } },
    },
    {
      name: 'drops nulls on the way to something new',
      target: {},
      patch: { a: { bb: { ccc: null } } },
      want: { a: { bb: {} } },
    },
    { name: 'replaces what is no object', target: { a: 'foo' }, patch: null, want: null },
    {
      name: 'makes an object of a list',
      target: { a: [1] },
      patch: { a: { b: 1 } },
      want: { a: { b: 1 } },
    },
  ];

  test.each(cases)('$name', ({ target, patch, want }) => {
    expect(applyMergePatch(target, patch)).toEqual(want);
  });

  test('changes neither argument', () => {
    const target = { a: { b: 1 } };
    const patch = { a: { c: 2 } };
    applyMergePatch(target, patch);
    expect([target, patch]).toEqual([{ a: { b: 1 } }, { a: { c: 2 } }]);
  });

  test('a key __proto__ becomes a field and no prototype', () => {
    const result = applyMergePatch({}, JSON.parse('{"__proto__": {"polluted": true}}'));
    expect(Object.getPrototypeOf(result)).toBe(Object.prototype);
    expect(Object.hasOwn(result as object, '__proto__')).toBe(true);
  });
});

describe('threeWayPatch', () => {
  test('removes what the last manifest said and this one does not', () => {
    const before = { metadata: { labels: { a: '1', b: '2' } }, spec: { parallelism: 3 } };
    const now = { metadata: { labels: { a: '1' } }, spec: {} };
    const live = {
      metadata: { labels: { a: '1', b: '2', others: 'x' } },
      spec: { parallelism: 3, suspend: true },
    };
    expect(applyMergePatch(live, threeWayPatch(before, now))).toEqual({
      metadata: { labels: { a: '1', others: 'x' } },
      spec: { suspend: true },
    });
  });

  test('without a last manifest nothing is removed', () => {
    expect(threeWayPatch(null, { a: { b: 1 } })).toEqual({ a: { b: 1 } });
  });
});
