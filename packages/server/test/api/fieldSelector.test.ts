import { expect, test } from 'vitest';

import { parseFieldSelector } from '../../src/api/fieldSelector.ts';

const cases: { text: string; want: [string, boolean, string][] }[] = [
  { text: '', want: [] },
  { text: 'a=b', want: [['a', true, 'b']] },
  {
    text: 'a==b,c!=d',
    want: [
      ['a', true, 'b'],
      ['c', false, 'd'],
    ],
  },
  { text: 'a=', want: [['a', true, '']] },
  { text: 'a=x\\,y\\=z\\\\', want: [['a', true, 'x,y=z\\']] },
];

test.each(cases)('"$text"', ({ text, want }) => {
  const found = parseFieldSelector(text).map(({ field, equals, value }) => [field, equals, value]);
  expect(found).toEqual(want);
});

test.each(['a', 'a>b', 'a=b\\'])('"%s" is none', (text) => {
  expect(() => parseFieldSelector(text)).toThrow(/selector/);
});
