import { startProxy, startRedis, waitFor, type TestRedis } from '@drover/testkit';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Link, openConnection } from '../src/link.ts';

let server: TestRedis;
const logger = pino({ level: 'silent' });

beforeAll(async () => {
  server = await startRedis({ appendOnly: true });
});

afterAll(async () => {
  await server.stop();
});

test('a call that waits while there is no connection fails when the link is replaced', async () => {
  const link = new Link(server.url, 'test', logger);
  expect(await link.run(() => link.redis.ping())).toBe('PONG');
  await server.kill();
  await waitFor(() => link.redis.status === 'reconnecting');
  const call = link.run(() => link.redis.ping());
  link.replace();
  await expect(call).rejects.toThrow(/given up/);

  await server.restart();
  expect(await link.run(() => link.redis.ping())).toBe('PONG');
  link.close();
});

test('a link that is closed opens no other connection, and nothing waits on it', async () => {
  const link = new Link(server.url, 'test', logger);
  expect(await link.run(() => link.redis.ping())).toBe('PONG');
  await server.kill();
  await waitFor(() => link.redis.status === 'reconnecting');
  const call = link.run(() => link.redis.ping());
  const { redis } = link;
  link.close();
  await expect(call).rejects.toThrow(/closed/);
  await expect(link.run(() => link.redis.ping())).rejects.toThrow(/closed/);
  link.replace();
  expect(link.redis).toBe(redis);
  await server.restart();
});

test('a call fails with the error of Redis, and whether it succeeds is not changed later', async () => {
  const link = new Link(server.url, 'test', logger);
  await expect(link.run(() => link.redis.call('NO-SUCH-COMMAND'))).rejects.toThrow(/unknown/);
  const answer = link.run(() => link.redis.ping());
  expect(await answer).toBe('PONG');
  link.replace();
  expect(await answer).toBe('PONG');
  link.close();
});

test('a connection that does not answer any more is given up, and what was asked is asked again', async () => {
  const proxy = await startProxy({ target: { host: '127.0.0.1', port: server.port } });
  const redis = openConnection(`redis://127.0.0.1:${proxy.port}`, 200);
  // Connections that are lost tell of it, and come back by themselves.
  redis.on('error', () => undefined);
  await redis.set('asked', 1);
  proxy.blackhole();
  const asked = redis.get('asked');
  await waitFor(() => redis.status !== 'ready');
  proxy.heal();
  expect(await asked).toBe('1');
  redis.disconnect();
  await proxy.stop();
});
