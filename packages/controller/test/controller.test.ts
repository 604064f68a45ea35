import { randomUUID } from 'node:crypto';
import { type AddressInfo, connect, createServer } from 'node:net';
import {
  ITEM_QUEUE_NAME,
  itemQueueOptions,
  type Shard,
  slotQueueOptions,
  Store,
} from '@drover/store';
import { startProxy, startRedis, type TestRedis, uniquePrefix, waitFor } from '@drover/testkit';
import { Queue, Worker } from 'bullmq';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createController, type Controller } from '../src/controller.ts';
import { FakeWorker, LANE, silent } from './bed.ts';

let redis: TestRedis;
let prefix: string;
let shard: Shard;
let queue: Queue;
const controllers: Controller[] = [];

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  prefix = uniquePrefix();
  const connection = redis.connect();
  const store = await Store.open({ redis: connection, prefix });
  shard = store.shards[0]!;
  queue = new Queue('default.handler', {
    connection,
    ...slotQueueOptions(prefix, 'default.handler'),
  });
});
afterEach(async () => {
  await Promise.all(controllers.splice(0).map((controller) => controller.close()));
  await queue.close();
});

async function start(): Promise<Controller> {
  const controller = createController({ connection: redis.url, prefix, logger: silent });
  controllers.push(controller);
  void controller.run();
  return controller;
}

async function createJob(spec: object, completions: number): Promise<string> {
  const uid = randomUUID();
  await shard.createJob({
    uid,
    namespace: 'default',
    name: `job-${uid}`,
    object: JSON.stringify({ metadata: {}, spec: { completions, ...spec } }),
    status: '{}',
    completions,
    queue: 'default.handler',
    fittingKey: LANE,
    indexed: false,
  });
  return uid;
}

async function isFinished(uid: string): Promise<boolean> {
  return (await shard.getJobByUid(uid))?.finished === true;
}

/** Runs the pods of all slots in the queue, as a worker would. */
async function startWorker(): Promise<{ stop: () => Promise<void> }> {
  const worker = new FakeWorker(shard);
  await shard.registerSession({
    id: worker.session,
    node: 'n',
    lanes: { [LANE]: 10 },
    leaseTtlMs: 60_000,
  });
  const stopping = new AbortController();
  const work = async () => {
    while (!stopping.signal.aborted) {
      const jobs = await queue.getWaiting(0, 50);
      for (const { data } of jobs as { data: { uid: string; slot: number } }[]) {
        const pod = await worker.acquire(data.uid, data.slot);
        if (pod !== null) await worker.runAll([pod]);
        await queue.remove(`${data.uid}.${data.slot}`);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const working = work();
  return {
    stop: async () => {
      stopping.abort();
      await working;
    },
  };
}

describe('createController', () => {
  test('starts with full memory, and removes what was deleted', async () => {
    const uid = await createJob({ suspend: true }, 1);
    await (await start()).close();
    const admin = redis.connect();
    await admin.config('SET', 'maxmemory', '1');
    try {
      await shard.deleteJob(uid);
      const controller = createController({ connection: redis.url, prefix, logger: silent });
      controllers.push(controller);
      const running = controller.run();
      await Promise.race([
        running.then(() => Promise.reject(new Error('it ended'))),
        waitFor(async () => (await admin.exists(shard.keys.job(uid).hot)) === 0),
      ]);
    } finally {
      await admin.config('SET', 'maxmemory', '0');
    }
  });

  test('drives a Job to completion through the slot queue', async () => {
    const worker = await startWorker();
    await start();
    const uid = await createJob({ parallelism: 3 }, 20);
    await waitFor(async () => isFinished(uid));
    await worker.stop();
    const job = await shard.getJobByUid(uid);
    expect(JSON.parse(job!.status)).toMatchObject({
      succeeded: 20,
      conditions: [{ type: 'SuccessCriteriaMet' }, { type: 'Complete' }],
    });
  });

  test('slots are QueueJobs under their own ids, and gone when they ended', async () => {
    await shard.registerSession({
      id: new FakeWorker(shard).session,
      node: 'n',
      lanes: { [LANE]: 5 },
      leaseTtlMs: 60_000,
    });
    await start();
    const uid = await createJob({ parallelism: 2 }, 5);
    await waitFor(async () => (await queue.getWaitingCount()) === 2);
    const [job] = await queue.getWaiting();
    expect(job?.data).toMatchObject({ uid, shard: 0 });
    expect(job?.opts).toMatchObject({ removeOnComplete: true, removeOnFail: true });
    expect(await queue.getJob(`${uid}.1`)).toBeDefined();
    expect(await queue.getJob(`${uid}.2`)).toBeDefined();
  });

  test('two controllers share 60 Jobs, one of them leaves on the way', async () => {
    const worker = await startWorker();
    const first = await start();
    await start();
    const uids = await Promise.all(
      Array.from({ length: 60 }, async () => createJob({ parallelism: 2 }, 4)),
    );
    await waitFor(async () => isFinished(uids[5]!));
    await first.close();
    await waitFor(async () => (await Promise.all(uids.map(isFinished))).every(Boolean), {
      timeoutMs: 15_000,
    });
    await worker.stop();
    for (const uid of uids) {
      expect((await shard.getJobByUid(uid))?.counters).toMatchObject({ succeeded: 4, podCount: 4 });
    }
  });

  test('finished Jobs cost an idle controller nothing', async () => {
    await start();
    const uids = await Promise.all(
      Array.from({ length: 300 }, async () => createJob({ parallelism: 1 }, 0)),
    );
    await waitFor(async () => (await Promise.all(uids.map(isFinished))).every(Boolean));
    const counter = redis.connect();
    const count = async () =>
      Number(/total_commands_processed:(\d+)/.exec(await counter.info('stats'))?.[1]);
    expect(await counter.zcard(shard.keys.due)).toBe(0);
    // Until the last end is told.
    await waitFor(async () => (await counter.zcard(shard.keys.eventNames)) === 300);
    await count();
    const before = await count();
    const from = performance.now();
    await waitFor(() => performance.now() - from > 1500);
    expect((await count()) - before).toBeLessThan(4);
  });

  test('an instance of the caller is used as a model and stays open', async () => {
    const mine = redis.connect();
    const controller = createController({ connection: mine, prefix, logger: silent });
    const running = controller.run();
    const uid = await createJob({ parallelism: 1 }, 0);
    await waitFor(async () => isFinished(uid));
    await controller.close();
    await running;
    expect(await mine.ping()).toBe('PONG');
  });

  test('run fails at once when Redis is not there', async () => {
    const controller = createController({
      connection: { host: '127.0.0.1', port: 1 },
      prefix,
      logger: silent,
    });
    await expect(controller.run()).rejects.toMatchObject({ code: 'CONNECTION' });
    await controller.close();
  });

  test('close returns though Redis is away', async () => {
    const own = await startRedis({ config: {} });
    const controller = createController({ connection: own.url, prefix, logger: silent });
    const running = controller.run();
    const connection = own.connect();
    const { shards } = await Store.open({ redis: connection, prefix });
    await shards[0]!.trigger('job:none');
    await waitFor(async () => (await connection.zcard(shards[0]!.keys.due)) === 0);
    await own.kill();
    await controller.close();
    await running;
    await own.stop();
  });

  test('close returns though Redis went away while a Job was looked at', async () => {
    const proxy = await startProxy({ target: { port: redis.port } });
    const url = `redis://127.0.0.1:${proxy.port}`;
    const controller = createController({ connection: url, prefix, logger: silent });
    const running = controller.run();
    await waitFor(() => controller.hindrance === null);
    const monitor = await redis.connect().monitor();
    const looked = Promise.withResolvers<void>();
    let uid: string | null = null;
    monitor.on('monitor', (_time, args: readonly string[], source: string) => {
      // Neither its creation, which may be told of late, nor what the script does that takes it.
      if (uid === null || source === 'lua' || args.includes(`job-${uid}`)) return;
      if (args.some((arg) => arg.includes(uid!))) looked.resolve();
    });
    // The wake-up is a while on its way, and the answer to the look does not arrive any more.
    proxy.delay(200);
    uid = await createJob({ parallelism: 1 }, 1);
    await looked.promise;
    proxy.cut();
    await controller.close();
    await running;
    monitor.disconnect();
    await proxy.stop();
  });

  test('close returns though Redis does not answer while it begins', async () => {
    let isAsked = false;
    const silentOnes = createServer((client) => {
      const target = connect(redis.port, '127.0.0.1');
      target.pipe(client).on('error', () => target.destroy());
      client.on('data', (data) => {
        if (/subscribe/i.test(data.toString())) isAsked = true;
        else target.write(data);
      });
    });
    await new Promise<void>((resolve) => silentOnes.listen(0, '127.0.0.1', resolve));
    const url = `redis://127.0.0.1:${(silentOnes.address() as AddressInfo).port}`;
    const controller = createController({ connection: url, prefix, logger: silent });
    const running = controller.run();
    await waitFor(() => isAsked);
    await controller.close();
    await running;
    silentOnes.close();
  });

  test('close without run does nothing', async () => {
    await createController({ connection: redis.url, logger: silent }).close();
  });

  test.each([
    [{ backoffBaseMs: 0 }, 'backoffBaseMs'],
    [{ backoffBaseMs: 10, backoffCapMs: 9 }, 'backoffCapMs'],
    [{ concurrency: 0 }, 'concurrency'],
    [{ concurrency: 1.5 }, 'concurrency'],
  ])('refuses %o', (options, field) => {
    expect(() => createController({ connection: redis.url, ...options })).toThrow(field);
  });
});

test('what was added to the items of a work queue while it was deleted is removed a while later', async () => {
  const uid = randomUUID();
  const connection = redis.connect();
  const options = { connection, ...itemQueueOptions(prefix, uid) };
  const items = new Queue(ITEM_QUEUE_NAME, options);
  await items.addBulk(Array.from({ length: 3 }, (_, i) => ({ name: 'item', data: { i, d: i } })));
  await items.add('item', { i: 4, d: 4 }, { delay: 60_000 });
  const worker = new Worker(ITEM_QUEUE_NAME, null, options);
  await worker.getNextJob('t');
  await Promise.all([worker.close(true), items.close()]);
  await start();
  await shard.trigger(`items:${uid}`);
  await waitFor(async () => (await connection.keys(`${options.prefix}:*`)).length === 0);
});
