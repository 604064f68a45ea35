import { expect, test } from 'vitest';

import { wrap } from '../../src/text/wrap.ts';

test('a paragraph is broken at spaces; a word that is too long stays whole', () => {
  expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
  expect(wrap('one two three', 8)).toEqual(['one two', 'three']);
  expect(wrap('a-very-long-word b', 5)).toEqual(['a-very-long-word', 'b']);
  expect(wrap('', 5)).toEqual(['']);
});
