import { expect, test } from 'vitest';

import { readArgumentList } from '../src/argumentList.ts';

test('settings have defaults', () => {
  expect(readArgumentList('{}')).toEqual({
    type: 'valid',
    settings: { tries: 1, timeoutMs: null, halt: null },
  });
  const settings = { tries: 3, timeoutMs: 500, halt: { on: 'fail', count: 2 } };
  expect(readArgumentList(JSON.stringify(settings))).toEqual({ type: 'valid', settings });
});

test.each([
  ['{', /it is not JSON/],
  ['3', /expected object/],
  ['{"tries":0}', /tries: /],
  ['{"tries":1,"retries":1}', /retries/],
  ['{"halt":{"on":"never","count":1}}', /halt\.on: /],
])('%s is refused in words', (text, problem) => {
  const reading = readArgumentList(text);
  expect(reading.type).toBe('invalid');
  expect(reading.type === 'invalid' && reading.message).toMatch(problem);
});
