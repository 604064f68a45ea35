import { describe, expect, test } from 'vitest';

import { AnswerLines } from '../../src/consume/answerLines.ts';
import { StderrTail } from '../../src/consume/stderrTail.ts';

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
