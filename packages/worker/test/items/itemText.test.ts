import { MAX_ITEM_RESULT_BYTES } from '@drover/shared';
import { describe, expect, test } from 'vitest';

import { lineOf, readResult, textOf } from '../../src/items/itemText.ts';

describe('what a program reads of an item', () => {
  test.each([
    { data: 'a text\nof two', asJson: false, text: 'a text\nof two', line: null },
    { data: 'a text\nof two', asJson: true, text: '"a text\\nof two"', line: '"a text\\nof two"' },
    {
      data: { n: 1, s: 'a\nb' },
      asJson: false,
      text: '{"n":1,"s":"a\\nb"}',
      line: '{"n":1,"s":"a\\nb"}',
    },
    { data: null, asJson: false, text: 'null', line: 'null' },
    { data: '', asJson: false, text: '', line: '' },
  ])('$data as JSON: $asJson', ({ data, asJson, text, line }) => {
    expect(textOf(data, asJson)).toBe(text);
    expect(lineOf(data, asJson)).toBe(line);
  });
});

describe('the result of what a program printed', () => {
  test.each([
    { name: 'nothing', printed: '\n\n', want: { json: '' } },
    { name: 'JSON', printed: ' {"a": 1}\n', want: { json: '{"a":1}' } },
    { name: 'a text', printed: 'two words\r\n', want: { json: '"two words"' } },
    { name: 'lines', printed: 'a\nb\n', want: { json: '"a\\nb"' } },
    {
      name: 'a number that would become another',
      printed: '12345678901234567891\n',
      want: { json: '"12345678901234567891"' },
    },
    {
      name: 'as much as is kept',
      printed: 'x'.repeat(MAX_ITEM_RESULT_BYTES - 2),
      want: { json: `"${'x'.repeat(MAX_ITEM_RESULT_BYTES - 2)}"` },
    },
  ])('$name', ({ printed, want }) => {
    expect(readResult(Buffer.from(printed))).toEqual(want);
  });

  test('too much, and what is no text, is said to be so', () => {
    expect(readResult(Buffer.alloc(MAX_ITEM_RESULT_BYTES - 1, 'x'))).toEqual({
      problem:
        'its result has 65537 bytes; at most 65536 are kept: store it elsewhere and say where',
    });
    expect(readResult(Buffer.from([0x66, 0xff]))).toEqual({
      problem: 'its result is not UTF-8',
    });
  });
});
