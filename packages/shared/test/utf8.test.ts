import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { byteLength } from '../src/utf8.ts';

test('counts what TextEncoder counts', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(byteLength(text)).toBe(new TextEncoder().encode(text).length);
    }),
  );
  expect(byteLength('a\u00e4\u20ac\u{1f600}')).toBe(1 + 2 + 3 + 4);
});
