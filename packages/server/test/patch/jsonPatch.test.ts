import { describe, expect, test } from 'vitest';

import { applyJsonPatch, readJsonPatch } from '../../src/patch/jsonPatch.ts';

function apply(object: unknown, operations: unknown): unknown {
  return applyJsonPatch(object, readJsonPatch(operations));
}

describe('a JSON patch', () => {
  test('is applied in order, and leaves what it is given as it is', () => {
    const before = { a: { b: [1, 2] }, 'x/y': 1 };
    const after = apply(before, [
      { op: 'test', path: '/a/b/0', value: 1 },
      { op: 'add', path: '/a/b/-', value: 3 },
      { op: 'add', path: '/a/b/0', value: 0 },
      { op: 'remove', path: '/a/b/1' },
      { op: 'move', from: '/x~1y', path: '/z' },
      { op: 'copy', from: '/z', path: '/a/c' },
      { op: 'replace', path: '/z', value: null },
    ]);
    expect(after).toEqual({ a: { b: [0, 2, 3], c: 1 }, z: null });
    expect(before).toEqual({ a: { b: [1, 2] }, 'x/y': 1 });
  });

  test('copies no more than Kubernetes lets it: each copy may double the object', () => {
    const copies = Array.from({ length: 40 }, (_, i) => ({
      op: 'copy',
      from: '/a',
      path: `/a/b${i}`,
    }));
    expect(() => apply({ a: { text: 'x'.repeat(100) } }, copies)).toThrow(
      'what the JSON patch copies is larger than 3145728 bytes',
    );
    expect(apply({ a: { t: 1 } }, copies.slice(0, 2))).toEqual({
      a: { t: 1, b0: { t: 1 }, b1: { t: 1, b0: { t: 1 } } },
    });
  });

  const misfits: { name: string; operation: object; want: string }[] = [
    {
      name: 'a test that fails',
      operation: { op: 'test', path: '/a', value: 2 },
      want: 'Test failed',
    },
    {
      name: 'a field that is not there',
      operation: { op: 'remove', path: '/b' },
      want: 'no field "b"',
    },
    {
      name: 'an item beyond the end',
      operation: { op: 'add', path: '/l/3', value: 1 },
      want: 'no item "3"',
    },
    {
      name: 'an item that is no number',
      operation: { op: 'add', path: '/l/x', value: 1 },
      want: 'no item "x"',
    },
    {
      name: 'a prototype',
      operation: { op: 'add', path: '/__proto__/p', value: 1 },
      want: 'no field "__proto__"',
    },
    {
      name: 'a constructor',
      operation: { op: 'add', path: '/constructor/p', value: 1 },
      want: 'no field "constructor"',
    },
    {
      name: 'something below a number',
      operation: { op: 'add', path: '/a/b', value: 1 },
      want: 'nothing that has "b"',
    },
    {
      name: 'a bad escape',
      operation: { op: 'remove', path: '/a~2' },
      want: '"~" has to be followed',
    },
  ];
  test.each(misfits)('with $name does not fit', ({ operation, want }) => {
    expect(() => apply({ a: 1, l: [0] }, [operation])).toThrow(want);
  });

  test('that is none is refused as such', () => {
    expect(() => readJsonPatch({})).toThrow('list of operations');
    expect(() => readJsonPatch([{ op: 'frob', path: '/a' }])).toThrow('operation 0');
    expect(() => readJsonPatch([{ op: 'move', path: '/a' }])).toThrow('operation 0');
    expect(() => readJsonPatch(Array.from({ length: 10_001 }))).toThrow('10001');
  });
});
