import { expect, test } from 'vitest';

import { errorForLog, withoutCredentials } from '../src/redact.ts';

test.each([
  ['redis://user:secret@host:1/2', 'redis://***@host:1/2'],
  ['rediss://:secret@host', 'rediss://***@host'],
  ['redis://user:se@cret@host:1', 'redis://***@host:1'],
  ['redis://host:1', 'redis://host:1'],
  ['rediss+cluster://:secret@a:1,b:2', 'rediss+cluster://***@a:1,b:2'],
  [
    'redis+sentinel://u:secret@a:1/0?name=m&sentinelPassword=other&sentinelUsername=s',
    'redis+sentinel://***@a:1/0?name=m&sentinelPassword=***&sentinelUsername=s',
  ],
  ['/run/redis.sock?password=secret&db=1', '/run/redis.sock?password=***&db=1'],
  ['no answer from redis://:secret@host/0 in time', 'no answer from redis://***@host/0 in time'],
])('%s', (text, want) => {
  expect(withoutCredentials(text)).toBe(want);
});

test('an error in a log has its causes, and neither commands nor passwords', () => {
  const cause = Object.assign(new TypeError('redis://u:hunter2@h failed'), {
    code: 'X',
    command: { name: 'auth', args: ['hunter2'] },
  });
  const text = JSON.stringify(errorForLog(new Error('it did not work', { cause })));
  expect(JSON.parse(text)).toMatchObject({
    type: 'Error',
    message: 'it did not work',
    cause: { type: 'TypeError', code: 'X', message: 'redis://***@h failed' },
  });
  expect(text).not.toContain('hunter2');
  expect(errorForLog('redis://u:hunter2@h')).toBe('redis://***@h');
  expect(errorForLog(7)).toBe(7);
});

test('causes in a circle end', () => {
  const error = new Error('round');
  error.cause = error;
  expect(JSON.stringify(errorForLog(error)).match(/"message"/g)).toHaveLength(6);
});
