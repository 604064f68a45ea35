import { stripVTControlCharacters } from 'node:util';

import { expect, test } from 'vitest';

import {
  formatEntries,
  formatPart,
  indexesText,
  paint,
  timeText,
} from '../../src/describe/layout.ts';
import { coloursFor } from '../../src/text/colours.ts';

test('values of one level stand in one column, parts are indented below their label', () => {
  const lines = formatEntries([
    ['Name', 'pi'],
    ['Labels', ['a=b', 'c=d']],
    ['A longer label', ''],
    ['Part', { part: formatEntries([['x', '1']]) }],
  ]);
  expect(lines).toEqual([
    'Name:            pi',
    'Labels:          a=b',
    '                 c=d',
    'A longer label:',
    'Part:',
    '  x:  1',
  ]);
});

test('the header of a table is underlined as in kubectl', () => {
  expect(formatPart(['Type', 'Status'], [['Complete', 'True']])).toEqual([
    'Type       Status',
    '----       ------',
    'Complete   True',
  ]);
});

test('times are those of the reader, with the zone', () => {
  const text = timeText('2026-01-15T12:00:10Z');
  expect(text).toMatch(/^\w{3}, \d\d Jan 2026 \d\d:\d\d:10 [+-]\d{4}$/);
  expect(Date.parse(text)).toBe(Date.UTC(2026, 0, 15, 12, 0, 10));
  expect(timeText(undefined)).toBe('<unset>');
});

test('a long list of indexes is cut between two of them', () => {
  const intervals = Array.from({ length: 30 }, (_, at) => at * 2).join(',');
  expect(indexesText('0-4,7')).toBe('0-4,7');
  expect(indexesText('')).toBe('<none>');
  expect(indexesText(intervals)).toBe('0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30,32,34, ...');
});

test('colours change nothing but the colours', () => {
  const lines = ['Name:  pi', 'Waiting:', '  no worker', 'Events:', '  Warning  x', '  Normal   y'];
  const painted = paint(lines, coloursFor({ isTTY: true }));
  expect(painted.map(stripVTControlCharacters)).toEqual(lines);
  expect(paint(lines, coloursFor({ isTTY: false }))).toEqual(lines);
});
