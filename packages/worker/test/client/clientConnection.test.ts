import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { guardFolder, TestAuthority } from '@drover/testkit';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';

import { describeConnection } from '../../src/client/clientConnection.ts';

test('a URL stays one', () => {
  const url = 'rediss://user:secret@db:7000/3';
  expect(describeConnection(url)).toBe(url);
});

test('of a URL that names files for TLS their contents are handed on, which pods may not read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'drover-tls-'));
  guardFolder(folder);
  const authority = await TestAuthority.create(folder, 'authority');
  const parameters = { cacert: authority.cacert, servername: 'db.internal' };
  const url = `rediss://user:secret@db:7000/3?${new URLSearchParams(parameters).toString()}`;
  expect(describeConnection(url)).toMatchObject({
    host: 'db',
    port: 7000,
    db: 3,
    username: 'user',
    password: 'secret',
    tls: { ca: await readFile(authority.cacert, 'utf8'), servername: 'db.internal' },
  });
});

test('of options those that say where Redis is and how to log in are handed on, as plain data', () => {
  const described = describeConnection({
    host: 'db',
    port: 7000,
    password: 'secret',
    tls: { ca: Buffer.from('pem'), servername: 'db', checkServerIdentity: () => undefined },
    retryStrategy: () => 50,
    maxRetriesPerRequest: null,
  });
  expect(JSON.parse(JSON.stringify(described))).toEqual({
    host: 'db',
    port: 7000,
    password: 'secret',
    tls: { ca: 'pem', servername: 'db' },
  });
});

test('a connection is described by its options', () => {
  const redis = new Redis('redis://user:secret@127.0.0.1:1', { lazyConnect: true });
  expect(describeConnection(redis)).toMatchObject({
    host: '127.0.0.1',
    port: 1,
    username: 'user',
    password: 'secret',
  });
  redis.disconnect();
});
