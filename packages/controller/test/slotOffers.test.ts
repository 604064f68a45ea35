import { slotQueueName, slotQueueOptions, type SlotQueueJobData } from '@drover/store';
import { startRedis, type TestRedis } from '@drover/testkit';
import { Queue, Worker } from 'bullmq';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { SlotOffers } from '../src/slotOffers.ts';

const PREFIX = 'drover';
const QUEUE = slotQueueName('default', 'handler');
const HALF_A_DAY_MS = 12 * 3_600_000;

let server: TestRedis;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  await server.stop();
});

test('a slot that a worker with a wrong clock laid aside is called back when it is offered again', async () => {
  const redis = server.connect();
  const offers = new SlotOffers(redis, PREFIX, pino({ level: 'silent' }));
  const job = { uid: 'u1', queue: QUEUE, fittingKey: 'default/handler/work' };
  await offers.offer(job, 0, [1, 2]);

  const blocking = redis.duplicate({ maxRetriesPerRequest: null });
  const worker = new Worker<SlotQueueJobData, void>(QUEUE, null, {
    connection: blocking,
    ...slotQueueOptions(PREFIX, QUEUE),
  });
  const queueJob = await worker.getNextJob('token');
  await queueJob.moveToDelayed(Date.now() + HALF_A_DAY_MS, 'token');
  await worker.close();

  const queue = new Queue(QUEUE, { connection: redis, ...slotQueueOptions(PREFIX, QUEUE) });
  const states = async (): Promise<string[]> =>
    await Promise.all(['u1.1', 'u1.2'].map((id) => queue.getJobState(id)));
  expect(await states()).toEqual(['delayed', 'waiting']);
  await offers.offer(job, 0, [1, 2]);
  expect(await states()).toEqual(['delayed', 'waiting']);
  await offers.offer(job, 0, [1, 2], null, true);
  expect(await states()).toEqual(['waiting', 'waiting']);
  await offers.close();
  await queue.close();
  blocking.disconnect();
});
