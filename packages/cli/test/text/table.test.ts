import { expect, test } from 'vitest';

import { formatTable, truncate } from '../../src/text/table.ts';

test('columns are as wide as their widest cell, three spaces apart, nothing at the end', () => {
  const rows = [
    ['pi', 'Complete', ''],
    ['mandelbrot', 'Running', '5s'],
  ];
  expect(formatTable(['name', 'status', 'duration'], rows)).toEqual([
    'NAME         STATUS     DURATION',
    'pi           Complete',
    'mandelbrot   Running    5s',
  ]);
});

test('rows of a later call stay aligned with earlier ones', () => {
  const widths: number[] = [];
  formatTable(['name', 'status'], [['a-long-name', 'x']], widths);
  expect(formatTable([], [['a', 'y']], widths)).toEqual(['a             y']);
});

test('colours take no room', () => {
  const [, red, plain] = formatTable(
    ['a', 'b'],
    [
      ['\u001b[31mx\u001b[39m', '1'],
      ['yy', '2'],
    ],
  );
  expect(red).toBe('\u001b[31mx\u001b[39m    1');
  expect(plain).toBe('yy   2');
});

test('a text is cut to the screen; its colours are ended and take no room', () => {
  const red = '\u001b[31mabc\u001b[39mdef';
  expect(truncate('abcdef', 6)).toBe('abcdef');
  expect(truncate('abcdef', 5)).toBe('abcde');
  expect(truncate(red, 6)).toBe(red);
  expect(truncate(red, 2)).toBe('\u001b[31mab\u001b[39m\u001b[0m');
});
