import { NodeStore } from '@drover/store';
import { startRedis, waitFor, type TestRedis } from '@drover/testkit';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Link } from '../src/link.ts';
import { NodeHeartbeat } from '../src/nodeHeartbeat.ts';

let server: TestRedis;
const logger = pino({ level: 'silent' });

const DETAILS = {
  name: 'n1',
  pool: 'default',
  runtimes: [],
  handlers: [],
  lanes: {},
  resources: { cpuMilli: 0, memoryBytes: 0 },
  version: '0',
  pid: 1,
  hostname: 'h',
  startedAt: '',
};

beforeAll(async () => {
  server = await startRedis({ appendOnly: true });
});

afterAll(async () => {
  await server.stop();
});

test('the record is written again after a write that got no answer', async () => {
  const link = new Link(server.url, 'test', logger);
  let tries = 0;
  let answers = 0;
  const heartbeat = new NodeHeartbeat(
    async (call) => {
      tries += 1;
      await link.run(() => call(new NodeStore(link.redis, 'drover')));
      answers += 1;
    },
    DETAILS,
    logger,
    async () => undefined,
    5,
  );
  await heartbeat.start();
  await server.kill();
  // A write waits for the connection, which waits before it is tried again.
  await waitFor(() => link.redis.status === 'reconnecting' && tries > answers);
  link.replace();
  await server.restart();
  const before = answers;
  await waitFor(() => answers > before + 1);
  expect(await new NodeStore(link.redis, 'drover').list()).toMatchObject([{ name: 'n1' }]);
  await heartbeat.close(true);
  link.close();
});

test('a first write that fails ends nothing: the connection was given up while the worker began', async () => {
  const link = new Link(server.url, 'test', logger);
  let tries = 0;
  const heartbeat = new NodeHeartbeat(
    async (call) => {
      tries += 1;
      if (tries === 1) throw new Error('the connection to Redis was given up');
      await link.run(() => call(new NodeStore(link.redis, 'drover')));
    },
    { ...DETAILS, name: 'n2' },
    logger,
    async () => undefined,
    5,
  );
  await heartbeat.start();
  await waitFor(async () => (await new NodeStore(link.redis, 'drover').list()).length === 1);
  await heartbeat.close(true);
  link.close();
});
