import { describe, expect, test } from 'vitest';

import { listRulesOf } from '../../src/patch/listRules.ts';
import { applyStrategicMerge } from '../../src/patch/strategicMerge.ts';

const rules = listRulesOf({ kind: 'Pod' });

describe('a strategic merge patch', () => {
  const cases: { name: string; before: object; patch: Record<string, unknown>; want: object }[] = [
    {
      name: 'sets fields, and null removes one',
      before: { a: 1, b: { c: 1, d: 2 } },
      patch: { a: null, b: { c: 3 }, e: 4 },
      want: { b: { c: 3, d: 2 }, e: 4 },
    },
    {
      name: 'merges items of a list by their key, and adds those that are new',
      before: { spec: { containers: [{ name: 'a', image: 'x', tty: true }, { name: 'b' }] } },
      patch: { spec: { containers: [{ name: 'a', image: 'y' }, { name: 'c' }] } },
      want: {
        spec: { containers: [{ name: 'a', image: 'y', tty: true }, { name: 'b' }, { name: 'c' }] },
      },
    },
    {
      name: 'removes an item by its key',
      before: { spec: { containers: [{ name: 'a' }, { name: 'b' }] } },
      patch: { spec: { containers: [{ name: 'a', $patch: 'delete' }] } },
      want: { spec: { containers: [{ name: 'b' }] } },
    },
    {
      name: 'replaces a list as a whole when it says so',
      before: { spec: { containers: [{ name: 'a' }, { name: 'b' }] } },
      patch: { spec: { containers: [{ $patch: 'replace' }, { name: 'c' }] } },
      want: { spec: { containers: [{ name: 'c' }] } },
    },
    {
      name: 'replaces lists that have no key',
      before: {
        spec: { tolerations: [{ key: 'a' }], containers: [{ name: 'a', args: ['x', 'y'] }] },
      },
      patch: { spec: { tolerations: [{ key: 'b' }], containers: [{ name: 'a', args: ['z'] }] } },
      want: { spec: { tolerations: [{ key: 'b' }], containers: [{ name: 'a', args: ['z'] }] } },
    },
    {
      name: 'merges lists within items of lists',
      before: { spec: { containers: [{ name: 'a', env: [{ name: 'X', value: '1' }] }] } },
      patch: { spec: { containers: [{ name: 'a', env: [{ name: 'Y', value: '2' }] }] } },
      want: {
        spec: {
          containers: [
            {
              name: 'a',
              env: [
                { name: 'X', value: '1' },
                { name: 'Y', value: '2' },
              ],
            },
          ],
        },
      },
    },
    {
      name: 'adds to lists of plain values, and removes from them by a directive',
      before: { metadata: { finalizers: ['a', 'b'] } },
      patch: { metadata: { finalizers: ['c', 'a'], '$deleteFromPrimitiveList/finalizers': ['b'] } },
      want: { metadata: { finalizers: ['a', 'c'] } },
    },
    {
      name: 'keeps only some fields of an object that is one of several things',
      before: { spec: { volumes: [{ name: 'v', emptyDir: { medium: 'Memory' } }] } },
      patch: {
        spec: {
          volumes: [{ name: 'v', $retainKeys: ['name', 'secret'], secret: { secretName: 's' } }],
        },
      },
      want: { spec: { volumes: [{ name: 'v', secret: { secretName: 's' } }] } },
    },
    {
      name: 'puts a list in the order that it is told',
      before: { spec: { containers: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] } },
      patch: {
        spec: {
          '$setElementOrder/containers': [{ name: 'd' }, { name: 'c' }, { name: 'a' }],
          containers: [{ name: 'd' }],
        },
      },
      want: { spec: { containers: [{ name: 'd' }, { name: 'b' }, { name: 'c' }, { name: 'a' }] } },
    },
    {
      name: 'replaces or removes an object when it says so',
      before: { a: { b: 1, c: 2 }, d: { e: 1 } },
      patch: { a: { $patch: 'replace', b: 3 }, d: { $patch: 'delete' } },
      want: { a: { b: 3 } },
    },
  ];
  test.each(cases)('$name', ({ before, patch, want }) => {
    const copy = structuredClone(before);
    expect(applyStrategicMerge(before, patch, rules)).toEqual(want);
    expect(before).toEqual(copy);
  });

  test('that names no key, or a directive that there is not, is refused', () => {
    const noKey = { spec: { containers: [{ image: 'x' }] } };
    expect(() => applyStrategicMerge({}, noKey, rules)).toThrow('declared merge key: name');
    expect(() => applyStrategicMerge({}, { $patch: 'perhaps' }, rules)).toThrow('is no directive');
  });

  test('makes no prototype of a field that is called so', () => {
    const patch = JSON.parse('{"__proto__":{"polluted":true}}') as Record<string, unknown>;
    const result = applyStrategicMerge({}, patch, rules) as Record<string, unknown>;
    expect(result['polluted']).toBeUndefined();
    expect(Object.keys(result)).toEqual(['__proto__']);
  });
});
