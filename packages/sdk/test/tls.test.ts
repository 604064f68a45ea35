import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  guardFolder,
  startRedis,
  TestAuthority,
  type CertificateFiles,
  type TestRedis,
} from '@drover/testkit';
import type { RedisOptions } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ConnectionError, defineItemHandler, Drover } from '../src/index.ts';
import { Engine } from './engine.ts';

let folder: string;
let ours: TestAuthority;
let theirs: TestAuthority;
let client: CertificateFiles;
let stranger: CertificateFiles;
/** Its certificate is for `redis.internal` only, and it wants one of clients. */
let strict: TestRedis;
/** Its certificate is for 127.0.0.1, and it wants none. */
let open: TestRedis;
let plain: TestRedis;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drover-tls-'));
  guardFolder(folder);
  [ours, theirs] = await Promise.all([
    TestAuthority.create(folder, 'ours'),
    TestAuthority.create(folder, 'theirs'),
  ]);
  const named = await ours.issue('named', ['redis.internal']);
  const local = await ours.issue('local', ['127.0.0.1']);
  client = await ours.issue('client', []);
  stranger = await theirs.issue('stranger', []);
  const { cacert } = ours;
  [strict, open, plain] = await Promise.all([
    startRedis({ tls: { ...named, cacert, client } }),
    startRedis({ tls: { ...local, cacert } }),
    startRedis(),
  ]);
});

afterAll(async () => {
  await Promise.all([strict, open, plain].map((redis) => redis.stop()));
});

/** An address with parameters. */
function address(redis: TestRedis, parameters: Readonly<Record<string, string>>): string {
  const base = redis.url.replace(/^redis:/, 'rediss:');
  return `${base}?${new URLSearchParams(parameters).toString()}`;
}

async function list(connection: string | RedisOptions): Promise<string> {
  await using drover = new Drover({ connection });
  return await drover.jobs.list().then(
    (jobs) => `${jobs.length} Jobs`,
    (error: unknown) => {
      expect(error).toBeInstanceOf(ConnectionError);
      return (error as Error).message;
    },
  );
}

describe('a Redis that speaks TLS', () => {
  test('is reached with the right authority', async () => {
    expect(await list(address(open, { cacert: ours.cacert }))).toBe('0 Jobs');
  });

  test('is reached with a client certificate, under another name, also to block on it', async () => {
    const connection = address(strict, {
      cacert: ours.cacert,
      ...client,
      servername: 'redis.internal',
    });
    await using drover = new Drover({ connection });
    const watch = drover.jobs.watch();
    const next = watch.next();
    const template = {
      spec: { restartPolicy: 'Never' as const, containers: [{ name: 'a', command: ['true'] }] },
    };
    await drover.jobs.create({ metadata: { name: 'a' }, spec: { template } });
    const { value } = await next;
    expect(value).toMatchObject({ job: { metadata: { name: 'a' } } });
    await watch.return(undefined);
  });
});

test.each(['cluster', 'sentinel'] as const)(
  'a %s that speaks TLS and wants client certificates: Jobs run, items are taken',
  async (topology) => {
    const local = await ours.issue(topology, ['127.0.0.1']);
    const { cacert } = ours;
    const server = await startRedis({ topology, tls: { ...local, cacert, client } });
    const parameters = new URLSearchParams({ cacert, ...client }).toString();
    const url = `${server.url}${server.url.includes('?') ? '&' : '?'}${parameters}`;
    const greet = defineItemHandler<string>('greet', async ({ data }) => `hello ${data}`);
    const engine = await Engine.start([greet], { server, url });
    try {
      const { drover } = engine;
      await drover.workQueues.create({ metadata: { name: 'names' } });
      const queue = drover.workQueue<string>('names');
      await queue.enqueue(['world', 'moon']);
      await queue.seal();
      const spec = {
        restartPolicy: 'Never' as const,
        runtimeClassName: 'handler' as const,
        containers: [{ name: 'a', image: 'greet' }],
      };
      const annotations = { 'drover.dev/work-queue': 'names' };
      await drover.jobs.create({
        metadata: { name: 'greet', annotations },
        spec: { parallelism: 1, template: { spec } },
      });
      await drover.jobs.wait('greet', { for: 'complete', timeoutMs: 30_000 });
      expect(await queue.stats()).toMatchObject({ completed: 2 });
    } finally {
      await engine.stop();
    }
  },
);

describe('TLS that does not come about is told in words', () => {
  const cases: { name: string; url: () => string; want: RegExp }[] = [
    {
      name: 'the authority is unknown',
      url: () => open.url,
      want: /can not be reached by TLS: its certificate is of an authority that is not trusted here: name the right one with cacert$/,
    },
    {
      name: 'the authority is another one',
      url: () => address(open, { cacert: theirs.cacert }),
      want: /of an authority that is not trusted here/,
    },
    {
      name: 'the certificate is for another host',
      url: () => address(strict, { cacert: ours.cacert, ...client }),
      want: /its certificate is for another host.*servername/,
    },
    {
      name: 'the certificate has not the name that was said',
      url: () => address(open, { cacert: ours.cacert, servername: 'redis.internal' }),
      want: /its certificate is for another host/,
    },
    {
      name: 'no client certificate',
      url: () => address(strict, { cacert: ours.cacert, servername: 'redis.internal' }),
      want: /a server that wants a client certificate: give cert and key/,
    },
    {
      name: 'a client certificate of another authority',
      url: () =>
        address(strict, { cacert: ours.cacert, ...stranger, servername: 'redis.internal' }),
      want: /a server that does not accept our client certificate/,
    },
    {
      name: 'a key of another certificate',
      url: () =>
        address(strict, {
          cacert: ours.cacert,
          cert: client.cert,
          key: stranger.key,
          servername: 'redis.internal',
        }),
      want: /cert and key do not belong together$/,
    },
    {
      name: 'a file that is not there',
      url: () => address(open, { cacert: join(folder, 'nowhere') }),
      want: /^cacert of the address of Redis: ENOENT.*nowhere/,
    },
    {
      name: 'a certificate without its key',
      url: () => address(open, { cert: client.cert }),
      want: /has only one of cert and key/,
    },
    {
      name: 'parameters of an address that is not of TLS',
      url: () => `${plain.url}?cacert=${ours.cacert}`,
      want: /has cacert, which only one with rediss:\/\/ may have$/,
    },
  ];
  test.each(cases)('$name', async ({ url, want }) => {
    expect(await list(url())).toMatch(want);
  });

  test('a file that is not in PEM form', async () => {
    const path = join(folder, 'junk');
    await writeFile(path, 'junk');
    expect(await list(address(open, { cacert: path }))).toMatch(/junk is no file in PEM form$/);
  });

  test('the server does not speak TLS', async () => {
    const { port } = plain;
    const told = await list({ host: '127.0.0.1', port, tls: {}, connectTimeout: 300 });
    expect(told).toMatch(/no answer, as from a server that does not speak TLS/);
  });

  test('the client does not speak TLS', async () => {
    const told = await list(open.url.replace('rediss:', 'redis:'));
    expect(told).toMatch(/cut at once, as by a server that speaks TLS only: that wants rediss:/);
  });
});
