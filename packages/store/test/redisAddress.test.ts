import { ConnectionError } from '@drover/shared';
import { expect, test } from 'vitest';

import { parseAddress, withPassword } from '../src/redisAddress.ts';

test.each([
  ['redis://host:1/2', null],
  ['rediss://user:secret@host', null],
  ['/run/redis.sock', null],
  [
    'redis+cluster://a:1,b,[::1]:3',
    {
      cluster: [
        { host: 'a', port: 1 },
        { host: 'b', port: 6379 },
        { host: '::1', port: 3 },
      ],
    },
  ],
  [
    'rediss+cluster://user:p%40ss@a:1',
    { cluster: [{ host: 'a', port: 1 }], username: 'user', password: 'p@ss', tls: {} },
  ],
  [
    'redis+sentinel://:secret@a,b:2/3?name=m&sentinelUsername=s&sentinelPassword=t',
    {
      sentinels: [
        { host: 'a', port: 26379 },
        { host: 'b', port: 2 },
      ],
      name: 'm',
      db: 3,
      password: 'secret',
      sentinelUsername: 's',
      sentinelPassword: 't',
    },
  ],
  [
    'rediss+sentinel://a:1?name=m',
    {
      sentinels: [{ host: 'a', port: 1 }],
      name: 'm',
      tls: {},
      enableTLSForSentinelMode: true,
      sentinelTLS: {},
    },
  ],
])('%s', (text, want) => {
  expect(parseAddress(text)).toEqual(want);
});

test('TLS with files is that to Sentinels, too', () => {
  const tls = { ca: 'pem', servername: 'redis' };
  expect(parseAddress('rediss+sentinel://a:1?name=m', tls)).toMatchObject({
    tls,
    sentinelTLS: tls,
  });
  expect(parseAddress('rediss+cluster://a:1', tls)).toMatchObject({ tls });
});

test.each<[string, string[]]>([
  ['http://:secret@a', ['is no address of a Redis: give redis://', 'redis+cluster://']],
  ['redis+cluster://', ['"": host or host:port is expected']],
  [
    'redis+cluster://:secret@a:0,b c/1?x=1',
    ['"a:0":', '"b c":', '/1: a cluster has one database only', '?x: no such setting'],
  ],
  [
    'redis+sentinel://:secret@a/x?nam=m&nam=n',
    [
      '/x: the number of a database',
      '?nam: no such setting, there are name,',
      '?nam: given more',
      '?name: missing',
    ],
  ],
  ['redis+sentinel://:secret%@a?name=m', ['a % is written %25']],
])('%s is refused with all that is wrong, and without its password', (text, want) => {
  const refused = (): unknown => parseAddress(text);
  expect(refused).toThrow(ConnectionError);
  for (const problem of want) expect(refused).toThrow(problem);
  expect(refused).not.toThrow('secret');
});

test.each([
  ['redis://host', 'redis://:p%40ss@host'],
  ['redis://user@host:1/2', 'redis://user:p%40ss@host:1/2'],
  ['redis+cluster://a:1,b:2', 'redis+cluster://:p%40ss@a:1,b:2'],
  ['redis+sentinel://user@a:1?name=m', 'redis+sentinel://user:p%40ss@a:1?name=m'],
  ['/run/redis.sock', '/run/redis.sock?password=p%40ss'],
  ['redis+cluster://user:other@a:1', null],
  ['nothing of the kind', 'nothing of the kind'],
])('a password for %s', (address, want) => {
  expect(withPassword(address, 'p@ss')).toBe(want);
});
