import { startRedis, waitFor, type RedisSentinelProcesses } from '@drover/testkit';
import { afterEach, expect, test } from 'vitest';

import { openClient, type RedisClient } from '../src/redisClient.ts';

let servers: RedisSentinelProcesses;
const clients: RedisClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect();
  await servers.stop();
});

async function start(sentinels: number): Promise<void> {
  servers = (await startRedis({ topology: 'sentinel', sentinels })) as RedisSentinelProcesses;
}

function open(): RedisClient {
  const client = openClient(servers.url, { maxRetriesPerRequest: null, retryStrategy: () => 5 });
  client.on('error', () => {});
  clients.push(client);
  return client;
}

test('clients that look for the master at the moment of a failover all find the new one', async () => {
  await start(1);
  const many = Array.from({ length: 40 }, open);
  await Promise.all(many.map((client) => client.ping()));
  await servers.kill();
  const answers = many.map((client) => client.set('a', '1').catch(String));
  await servers.failOver();
  expect(await Promise.all(answers)).toEqual(many.map(() => 'OK'));
}, 120_000);

test('all clients together listen to each Sentinel once, and leave a master that hangs when another is named', async () => {
  await start(3);
  const sentinels = servers.connectToSentinels();
  const listeners = async (): Promise<string> => {
    const lists = await Promise.all(sentinels.map((one) => one.call('CLIENT', 'LIST')));
    // Sentinels among themselves only publish.
    return lists.map((list) => [...String(list).matchAll(/\bsub=[1-9]/g)].length).join();
  };
  const many = Array.from({ length: 10 }, open);
  await Promise.all(many.map((client) => client.ping()));
  await waitFor(async () => (await listeners()) === '1,1,1');

  process.kill(servers.master.pid!, 'SIGSTOP');
  const answers = many.map((client) => client.set('a', '1'));
  await servers.failOver();
  expect(await Promise.all(answers)).toEqual(many.map(() => 'OK'));

  for (const client of clients) client.disconnect();
  await waitFor(async () => (await listeners()) === '0,0,0');
  for (const sentinel of sentinels) sentinel.disconnect();
}, 120_000);
