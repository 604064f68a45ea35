import { MAX_ITEM_RESULT_BYTES } from '@drover/shared';
import { describe, expect, test } from 'vitest';

import { AnswerLines } from '../../src/consume/answerLines.ts';
import { lineOf, readResult, textOf } from '../../src/consume/itemText.ts';
import { StderrTail } from '../../src/consume/stderrTail.ts';

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
        'it printed 65537 bytes; a result has at most 65536: store it elsewhere and print where',
    });
    expect(readResult(Buffer.from([0x66, 0xff]))).toEqual({
      problem: 'what it printed is not UTF-8',
    });
  });
});

test('answers are lines, wherever the pieces are cut; one that is too long is null', () => {
  const lines: (string | null)[] = [];
  const answers = new AnswerLines((line) => lines.push(line?.toString() ?? null));
  for (const piece of [
    'on',
    'e\n\ntwo\nth',
    'ree',
    '\n',
    'x'.repeat(40_000),
    'x'.repeat(40_000),
    '\nlast',
  ]) {
    answers.add(Buffer.from(piece));
  }
  expect(lines).toEqual(['one', '', 'two', 'three', null]);
  answers.end();
  answers.end();
  expect(lines.at(-1)).toBe('last');
  expect(lines).toHaveLength(6);
});

describe('the last that a program said', () => {
  test.each([
    { name: 'nothing', said: [], want: 'exit code 3' },
    { name: 'a line', said: ['  no ', 'such file\n'], want: 'exit code 3: no such file' },
    { name: 'lines', said: ['a\n', 'b\n'], want: 'exit code 3:\na\nb' },
  ])('$name', ({ said, want }) => {
    const tail = new StderrTail();
    for (const chunk of said) tail.add(Buffer.from(chunk));
    expect(tail.describe('exit code 3')).toBe(want);
  });

  test('is its end, in whole lines', () => {
    const tail = new StderrTail();
    for (let i = 0; i < 1_000; i += 1) tail.add(Buffer.from(`line ${i}\n`));
    const text = tail.describe('exit code 3');
    expect(text).toMatch(/^exit code 3:\nline \d+\n/);
    expect(text.endsWith('\nline 999')).toBe(true);
    expect(Buffer.byteLength(text)).toBeLessThan(2_100);
  });
});
