import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { compareQuantities, formatQuantity, parseQuantity } from '../src/index.ts';

function canonical(text: string): string | null {
  const quantity = parseQuantity(text);
  return quantity === null ? null : formatQuantity(quantity);
}

describe('a quantity is written in canonical form', () => {
  test.each([
    ['0', '0'],
    ['-0', '0'],
    ['1', '1'],
    ['+1', '1'],
    ['1000m', '1'],
    ['100m', '100m'],
    ['0.5', '500m'],
    ['.5', '500m'],
    ['5.', '5'],
    ['1.5', '1500m'],
    ['-1.5', '-1500m'],
    ['1000', '1k'],
    ['1500', '1500'],
    ['100000k', '100M'],
    ['9E', '9E'],
    ['1e3', '1e3'],
    ['1E3', '1e3'],
    ['1e2', '100'],
    ['1e-3', '1e-3'],
    ['12e6', '12e6'],
    ['1Gi', '1Gi'],
    ['1024Mi', '1Gi'],
    ['0.5Gi', '512Mi'],
    ['1.5Gi', '1536Mi'],
    // Small and broken numbers lose the binary suffix.
    ['0.5Ki', '512'],
    ['0Ki', '0'],
    ['0.1Gi', '107374182400m'],
    // Finer than a nano is rounded away from zero.
    ['0.1n', '1n'],
    ['-0.1n', '-1n'],
    ['1e-999999999', '1e-9'],
    ['0e999999999', '0'],
    // Larger than int64 is capped.
    ['9223372036854775808', '9223372036854775807'],
    ['1e999999999', '9223372036854775807'],
  ])('%s becomes %s', (given, want) => {
    expect(canonical(given)).toBe(want);
  });

  test('it means the same and stays the same when it is read again', () => {
    const suffixes = ['', 'n', 'u', 'm', 'k', 'M', 'G', 'T', 'Ki', 'Mi', 'Gi', 'Ti', 'e3', 'e-2'];
    const texts = fc
      .tuple(fc.integer({ min: -99_999, max: 99_999 }), fc.nat(999), fc.constantFrom(...suffixes))
      .map(([whole, fraction, suffix]) => `${whole}.${fraction}${suffix}`);
    fc.assert(
      fc.property(texts, (text) => {
        const before = parseQuantity(text);
        const written = canonical(text);
        expect(before).not.toBeNull();
        expect(written).not.toBeNull();
        expect(parseQuantity(written ?? '')?.nano).toBe(before?.nano);
        expect(canonical(written ?? '')).toBe(written);
      }),
    );
  });
});

describe('what is no quantity is not read', () => {
  test.each([
    '',
    ' ',
    '.',
    '-',
    'x',
    '1x',
    '1KI',
    '1ki',
    '1e',
    '1e3.5',
    '1 Gi',
    '0x10',
    '1,5',
    '--1',
  ])('"%s"', (text) => {
    expect(parseQuantity(text)).toBeNull();
  });

  test('nor a text without end', () => {
    expect(parseQuantity('1'.repeat(100_000))).toBeNull();
  });
});

describe('compareQuantities', () => {
  test.each([
    ['1', '1000m', 0],
    ['1Gi', '1G', 1],
    ['999m', '1', -1],
    ['-1', '0', -1],
  ])('%s with %s is %i', (a, b, want) => {
    const [left, right] = [parseQuantity(a), parseQuantity(b)];
    if (left === null || right === null) throw new Error('both are quantities');
    expect(compareQuantities(left, right)).toBe(want);
  });
});
