import { describe, expect, test } from 'vitest';

import { pathText, withoutNulls } from '../src/structure.ts';

test.each([
  [['spec', 'template', 'spec', 'containers', 0, 'name'], 'spec.template.spec.containers[0].name'],
  [['metadata', 'labels', 'a.b/c'], 'metadata.labels[a.b/c]'],
  [['spec', 'nodeSelector', 'drover.dev/pool'], 'spec.nodeSelector[drover.dev/pool]'],
  [['labels'], 'labels'],
  [[], ''],
])('%j is written %s', (path, want) => {
  expect(pathText(path)).toBe(want);
});

describe('withoutNulls', () => {
  test('leaves out what is null or undefined, at any depth', () => {
    expect(withoutNulls({ a: null, b: { c: undefined, d: [{ e: null, f: 1 }] } })).toEqual({
      b: { d: [{ f: 1 }] },
    });
  });

  test('keeps a null in a list and in a map, where it is a mistake', () => {
    expect(withoutNulls({ args: ['a', null], labels: { app: null } })).toEqual({
      args: ['a', null],
      labels: { app: null },
    });
  });

  test('a key like __proto__ stays a key', () => {
    const input = JSON.parse('{"labels": {"__proto__": "x"}}') as unknown;
    expect(JSON.stringify(withoutNulls(input))).toBe('{"labels":{"__proto__":"x"}}');
  });
});
