import { describe, expect, test } from 'vitest';

import { findKey, parseKeyRule } from '../../src/enqueue/itemKey.ts';

const long = 'x'.repeat(257);

describe('the key of an item', () => {
  const cases: { rule: string; item: unknown; want: string }[] = [
    { rule: 'id', item: { id: 'a' }, want: 'a' },
    { rule: 'id', item: { id: 7 }, want: '7' },
    { rule: '/customer/id', item: { customer: { id: 'c' } }, want: 'c' },
    { rule: '/0', item: ['first'], want: 'first' },
    { rule: 'a.b', item: { 'a.b': 'dotted' }, want: 'dotted' },
    { rule: '/a~1b/~0', item: { 'a/b': { '~': 'escaped' } }, want: 'escaped' },
    { rule: '.', item: 'a line', want: 'a line' },
    { rule: '.', item: { a: 1 }, want: '{"a":1}' },
    { rule: 'id', item: { id: 'ü'.repeat(128) }, want: 'ü'.repeat(128) },
  ];
  test.each(cases)('$rule of $item', ({ rule, item, want }) => {
    expect(findKey(parseKeyRule(rule), item)).toEqual({ key: want });
  });

  test('of a whole item that is too long is its digest', () => {
    const found = findKey(parseKeyRule('.'), long);
    expect(found).toEqual({ key: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string });
    expect(findKey(parseKeyRule('.'), `${long}x`)).not.toEqual(found);
  });

  const bad: { rule: string; item: unknown; want: RegExp }[] = [
    { rule: 'id', item: { name: 'x' }, want: /^has no field id, which is to be its key$/ },
    { rule: 'id', item: 'text', want: /^has no field id/ },
    { rule: 'id', item: null, want: /^has no field id/ },
    { rule: 'toString', item: {}, want: /^has no field toString/ },
    { rule: 'customer.id', item: { customer: { id: 1 } }, want: /\(.*--key \/customer\/id\)$/ },
    { rule: 'id', item: { id: '' }, want: /^its key, id, is empty$/ },
    { rule: 'id', item: { id: null }, want: /must be a text or a number; it is null$/ },
    { rule: 'id', item: { id: {} }, want: /it is an object$/ },
    { rule: 'id', item: { id: [] }, want: /it is a list$/ },
    { rule: 'id', item: { id: true }, want: /it is a boolean$/ },
    { rule: 'id', item: { id: long }, want: /has more than 256 bytes$/ },
    { rule: 'id', item: { id: 'ü'.repeat(129) }, want: /has more than 256 bytes$/ },
  ];
  test.each(bad)('none: $rule of $item', ({ rule, item, want }) => {
    expect(findKey(parseKeyRule(rule), item)).toEqual({
      problem: expect.stringMatching(want) as string,
    });
  });

  test('rules that mean nothing', () => {
    expect(() => parseKeyRule('')).toThrow(/--key: a field is expected/);
    expect(() => parseKeyRule('/a~b')).toThrow(/~ is written ~0/);
  });
});
