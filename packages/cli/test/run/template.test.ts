import { execFileSync } from 'node:child_process';

import { describe, expect, test } from 'vitest';

import { quoteForShell, Template, wantsArguments } from '../../src/run/template.ts';

function words(template: string[], row: string[], seq = 1): string[] {
  return new Template(template, { appends: true }).words(row, seq);
}

describe('replacement strings', () => {
  test.each([
    // value, {.}, {/}, {//}, {/.}
    ['a/b.c.d', 'a/b.c', 'b.c.d', 'a', 'b.c'],
    ['x', 'x', 'x', '.', 'x'],
    ['/r/s.t', '/r/s', 's.t', '/r', 's'],
    ['a/', 'a/', '', '.', ''],
    ['.', '', '.', '.', ''],
    ['.x', '', '.x', '.', ''],
    ['a/.b', 'a/', '.b', 'a', ''],
    ['a.b/c', 'a.b/c', 'c', 'a.b', 'c'],
    ['/x', '/x', 'x', '/', 'x'],
    ['a//b', 'a//b', 'b', 'a', 'b'],
    ['', '', '', '.', ''],
    ['a\nb.c', 'a\nb', 'a\nb.c', '.', 'a\nb'],
  ])('of %j are those of GNU parallel', (value, ...want) => {
    expect(words(['{.}', '{/}', '{//}', '{/.}'], [value])).toEqual(want);
  });

  test('are replaced within a word, several times, and values are never read again', () => {
    expect(words(['x{}y{#}{}', 'a'], ['{#}$&'], 7)).toEqual(['x{#}$&y7{#}$&', 'a']);
  });

  test('name a source by its number, from the end too', () => {
    expect(words(['{2}-{1}', '{-1}{2.}'], ['a', 'b.c'])).toEqual(['b.c-a', 'b.cb']);
  });

  test('without a number are all sources: words of their own, or joined in a word', () => {
    expect(words(['{}', 'x{}', '{.}'], ['a.b', 'c'])).toEqual(['a.b', 'c', 'xa.b c', 'a', 'c']);
  });

  test('are added when there is none, {#} is one', () => {
    expect(words(['echo'], ['a b', 'c'])).toEqual(['echo', 'a b', 'c']);
    expect(words(['echo', '{#}'], ['a'], 3)).toEqual(['echo', '3']);
  });

  test('that can not be are refused', () => {
    expect(() => words(['{%}'], ['a'])).toThrow(/\{%\} in the command/);
    expect(() => words(['{= s\\/a\\/b\\/ =}'], ['a'])).toThrow(/Perl/);
    const template = new Template(['{3}'], { appends: true });
    expect(() => template.checkSources(2)).toThrow('{3} in the command: there are 2 sources');
    expect(() => template.checkSources(3)).not.toThrow();
    expect(() => new Template(['{-2}'], { appends: true }).checkSources(1)).toThrow(/one source/);
  });

  test.each([
    ['{}', true],
    ['x{2/.}', true],
    ['{#}', false],
    ['{a}', false],
    ['{0}', false],
    ['{..}', false],
  ])('%s wants arguments: %s', (word, want) => {
    expect(wantsArguments(word)).toBe(want);
  });
});

describe('for a shell', () => {
  const NASTY = [
    '',
    'a b',
    "it's",
    "'",
    "''a''",
    '$(touch /tmp/x) `id` $HOME "q" \\',
    '; rm -rf /',
    '*?[a]~{a,b}',
    'a\nb',
    '-n',
    'ü€',
    '!x #y',
  ];

  test.each(NASTY)('%j stays one word, whatever is in it', (value) => {
    const script = new Template(["printf '[%s]'", '{}', 'x{}y'], { appends: true }).script(
      [value],
      1,
    );
    const output = execFileSync('sh', ['-c', script], { encoding: 'utf8' });
    expect(output).toBe(`[${value}][x${value}y]`);
  });

  test.each([
    ['a b', "'a b'"],
    ["it's", `'it'"'"'s'`],
    ["'", `"'"`],
    ['', "''"],
    ['a/b_c.d-e+1', 'a/b_c.d-e+1'],
    ['a=b', "'a=b'"],
  ])('%j is quoted as GNU parallel does', (value, want) => {
    expect(quoteForShell(value)).toBe(want);
  });
});
