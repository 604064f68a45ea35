/**
 * A process that enqueues items from an async iterable. argv: URL of Redis, prefix, `single`, `chunked` or `bullmq`,
 * work queue, number of items. Prints how long it took and how much memory it held, at its start and at the highest.
 */
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { Drover } from '@drover/sdk';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { residentMegabytes } from '../bed.ts';

const [, , url, prefix, way, name, count] = process.argv;
/** Items that a user of BullMQ adds at a time. */
const BULK = 1_000;
/** Items before those that are measured. */
const WARM_UP = 5_000;

// oxlint-disable-next-line require-await -- A source that can be awaited, as a database's cursor.
async function* items(many: number): AsyncGenerator<{ n: number }> {
  for (let n = 0; n < many; n += 1) yield { n };
}

const drover = new Drover({ connection: url!, prefix: prefix! });
const connection = new Redis(url!, { maxRetriesPerRequest: null });
const queue = new Queue(name!, { connection });

async function addToBullmq(many: number): Promise<void> {
  let jobs: Parameters<typeof queue.addBulk>[0] = [];
  for await (const data of items(many)) {
    jobs.push({ name: 'item', data, opts: { removeOnComplete: true } });
    if (jobs.length < BULK) continue;
    await queue.addBulk(jobs);
    jobs = [];
  }
  if (jobs.length > 0) await queue.addBulk(jobs);
}

async function produce(many: number): Promise<void> {
  const chunk = way === 'single' ? false : 'auto';
  if (way === 'bullmq') await addToBullmq(many);
  else await drover.workQueue(name!).enqueue(items(many), { chunk });
}

// Whatever is set up once is there before the clock runs.
await produce(WARM_UP);
// Begins when it is told, after the memory of Redis was read.
const told = once(process, 'SIGUSR2');
console.log('ready');
await told;
const atStart = residentMegabytes(process.pid).now;
const startedMs = performance.now();
await produce(Number(count));
const ms = performance.now() - startedMs;
console.log(`done ${ms} ${atStart} ${residentMegabytes(process.pid).peak}`);
await queue.close();
connection.disconnect();
await drover.close();
