import { expect, test } from 'vitest';

import { haltCount, parseHalt } from '../../src/run/halt.ts';

test.each([
  ['now,fail=1', 'now', 'fail', { count: 1 }],
  ['soon,success=20', 'soon', 'success', { count: 20 }],
  ['soon,done=5%', 'soon', 'done', { percent: 5 }],
  ['1', 'soon', 'fail', { count: 1 }],
  ['2', 'now', 'fail', { count: 1 }],
  ['-1', 'soon', 'success', { count: 1 }],
  ['-2', 'now', 'success', { count: 1 }],
  ['30%', 'soon', 'fail', { percent: 30 }],
])('%s', (text, when, on, amount) => {
  expect(parseHalt(text)).toEqual({ when, on, amount });
});

test.each(['never', '0'])('%s halts never', (text) => {
  expect(parseHalt(text)).toBeNull();
});

test.each(['now', 'now,fail', 'now,fail=0', 'soon,fail=101%', 'later,fail=1', '3', '', 'toString'])(
  '%j is no rule',
  (text) => {
    expect(parseHalt(text)).toBeUndefined();
  },
);

test.each([
  [10, 50, 5],
  [10, 51, 6],
  [10, 1, 1],
  [3, 100, 3],
])('of %i arguments %i %% are %i', (total, percent, want) => {
  expect(haltCount({ when: 'now', on: 'fail', amount: { percent } }, total)).toBe(want);
});
