import { expect, test } from 'vitest';

import { formatTable } from '../../src/text/table.ts';

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
