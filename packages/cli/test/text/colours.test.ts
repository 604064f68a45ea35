import { describe, expect, test } from 'vitest';

import { coloursFor, wantsColours } from '../../src/text/colours.ts';

describe('wantsColours', () => {
  const cases: { name: string; isTTY: boolean; env: Record<string, string>; want: boolean }[] = [
    { name: 'on a terminal', isTTY: true, env: {}, want: true },
    { name: 'not in a pipe', isTTY: false, env: {}, want: false },
    { name: 'not with NO_COLOR', isTTY: true, env: { NO_COLOR: '1' }, want: false },
    { name: 'an empty NO_COLOR says nothing', isTTY: true, env: { NO_COLOR: '' }, want: true },
    { name: 'in a pipe with FORCE_COLOR', isTTY: false, env: { FORCE_COLOR: '1' }, want: true },
    { name: 'FORCE_COLOR=0 is none', isTTY: true, env: { FORCE_COLOR: '0' }, want: false },
    {
      name: 'NO_COLOR wins over FORCE_COLOR',
      isTTY: true,
      env: { NO_COLOR: '1', FORCE_COLOR: '1' },
      want: false,
    },
    { name: 'not on a dumb terminal', isTTY: true, env: { TERM: 'dumb' }, want: false },
  ];

  test.each(cases)('$name', ({ isTTY, env, want }) => {
    expect(wantsColours({ isTTY }, env)).toBe(want);
  });
});

test('without colours a text is left as it is', () => {
  expect(coloursFor({ isTTY: false }).red('x')).toBe('x');
});
