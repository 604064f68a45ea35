import { expect, test } from 'vitest';

import { withoutCredentials } from '../../src/text/redact.ts';

test.each([
  ['redis://user:secret@host:1/2', 'redis://***@host:1/2'],
  ['rediss://:secret@host', 'rediss://***@host'],
  ['redis://user:se@cret@host:1', 'redis://***@host:1'],
  ['redis://host:1', 'redis://host:1'],
  ['/run/redis.sock?password=secret&db=1', '/run/redis.sock?password=***&db=1'],
  ['no answer from redis://:secret@host/0 in time', 'no answer from redis://***@host/0 in time'],
])('%s', (text, want) => {
  expect(withoutCredentials(text)).toBe(want);
});
