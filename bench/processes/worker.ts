/** A worker process of the benchmark. argv: URL of Redis, prefix, lanes. */
import { performance } from 'node:perf_hooks';
import { createWorker, defineHandler } from '@drover/sdk';
import { Redis } from 'ioredis';

const [, , connection, prefix, lanes] = process.argv;
const redis = new Redis(connection!);

const handlers = [
  defineHandler('noop', () => {}),
  defineHandler('take', async ({ items }) => {
    for await (const item of items()) void item;
  }),
  // And then tells when it saw the end of them.
  defineHandler('take-and-tell', async ({ job, items }) => {
    for await (const item of items()) void item;
    await redis.rpush(`${prefix}:ends:${job.name}`, performance.timeOrigin + performance.now());
  }),
  // Its first line: the time, where the submitter waits for it.
  defineHandler('arrival', async ({ job }) => {
    const arrivedMs = performance.timeOrigin + performance.now();
    await redis.rpush(`${prefix}:arrivals`, `${job.name} ${arrivedMs}`);
  }),
];
const worker = createWorker({
  connection: connection!,
  prefix: prefix!,
  handlers,
  runtimes: ['handler', 'process'],
  maxPods: Number(lanes),
});
process.once('SIGTERM', () => void worker.close({ force: true }).then(() => redis.disconnect()));
const running = worker.run();
await worker.ready();
console.log('ready');
await running;
