/**
 * A BullMQ worker process: the measure that pods are compared with. argv: URL of Redis, queue,
 * concurrency, number of jobs. Prints how long it took from its start to the last job.
 */
import { performance } from 'node:perf_hooks';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';

const [, , url, queue, concurrency, count] = process.argv;
const connection = new Redis(url!, { maxRetriesPerRequest: null });
let left = Number(count);
const startedMs = performance.now();
const worker = new Worker(
  queue!,
  () => {
    left -= 1;
    if (left === 0) console.log(`done ${performance.now() - startedMs}`);
    return Promise.resolve();
  },
  { connection, concurrency: Number(concurrency) },
);
worker.on('error', (error) => console.error(error.message));
await worker.waitUntilReady();
console.log('ready');
process.once('SIGTERM', () => void worker.close(true).then(() => connection.disconnect()));
