import { setImmediate } from 'node:timers/promises';

import { startProxy, startRedis, uniquePrefix, type TestRedis } from '@drover/testkit';
import { DEFAULT_SETTINGS } from '@drover/store';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { ItemIntake } from '../../src/items/itemIntake.ts';
import { openConnection } from '../../src/link.ts';

let server: TestRedis;

beforeAll(async () => {
  server = await startRedis();
});

afterAll(async () => {
  await server.stop();
});

test('one that can not close in time leaves the connection to the others that use it', async () => {
  const proxy = await startProxy({ target: { port: server.port } });
  const redis = openConnection(`redis://127.0.0.1:${proxy.port}`);
  redis.on('error', () => undefined);
  let isWanted = false;
  const intake = new ItemIntake({
    redis,
    prefix: uniquePrefix(),
    uid: 'u',
    settings: DEFAULT_SETTINGS,
    name: 'w',
    logger: pino({ level: 'silent' }),
    wantsMore: () => isWanted,
    onJob: () => undefined,
    onEnd: () => undefined,
  });
  await intake.start();
  proxy.blackhole();
  isWanted = true;
  intake.poke();
  // It asks for a QueueJob now.
  await setImmediate();
  await intake.close();
  proxy.heal();
  expect(await redis.ping()).toBe('PONG');
  redis.disconnect();
  await proxy.stop();
});
