/**
 * A BullMQ worker whose jobs each start a program and keep its output, as one would write it by
 * hand. argv: URL of Redis, queue, concurrency, number of jobs. Prints how long it took.
 */
import { spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { Worker, type Job as QueueJob } from 'bullmq';
import { Redis } from 'ioredis';

const [, , url, queue, concurrency, count] = process.argv;
const connection = new Redis(url!, { maxRetriesPerRequest: null });
let left = Number(count);
const startedMs = performance.now();
const worker = new Worker(
  queue!,
  (queueJob: QueueJob<{ command: string }>) =>
    new Promise((resolve, reject) => {
      const child = spawn(queueJob.data.command, { stdio: ['ignore', 'pipe', 'pipe'] });
      let output = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
      }
      child.once('error', reject);
      child.once('close', (exitCode) => resolve({ exitCode, output }));
    }),
  { connection, concurrency: Number(concurrency) },
);
worker.on('completed', () => {
  left -= 1;
  if (left === 0) console.log(`done ${performance.now() - startedMs}`);
});
worker.on('error', (error) => console.error(error.message));
await worker.waitUntilReady();
console.log('ready');
process.once('SIGTERM', () => void worker.close(true).then(() => connection.disconnect()));
