import { performance } from 'node:perf_hooks';
import { Bed, median, quantile } from './bed.ts';
import { bullmqJobsPerSecond, type Latency } from './scenarios.ts';

/** Pods that take items, all of one worker. */
export const PODS = 8;

/** Items per second of one round, beside BullMQ jobs. */
export interface ItemRound {
  /** Items that travel one by one. */
  readonly single: number;
  /** BullMQ jobs at as many at a time as there were pods. */
  readonly bullmq: number;
  /** BullMQ jobs at as many at a time as pods may have at hand. */
  readonly bullmqPrefetch: number;
  /** Tiny items in chunks, as `enqueue` makes them. */
  readonly chunked: number;
}

let queueNumber = 0;

/** A Job whose pods call a handler of `processes/worker.ts` that takes items. */
function itemJob(name: string, handler: string): Record<string, unknown> {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, annotations: { 'drover.dev/work-queue': name } },
    spec: {
      parallelism: PODS,
      template: {
        spec: {
          runtimeClassName: 'handler',
          restartPolicy: 'Never',
          containers: [{ name: 'main', image: handler }],
        },
      },
    },
  };
}

/** Pods that take all items of a sealed work queue; items per second from the Job's creation to its end. */
async function itemsPerSecond(bed: Bed, count: number, chunk: 'auto' | false): Promise<number> {
  const name = `items-${++queueNumber}`;
  const queue = bed.drover.workQueue(name);
  await queue.enqueue(
    Array.from({ length: count }, (_, n) => ({ n })),
    { chunk },
  );
  await queue.seal();
  const startedMs = performance.now();
  const job = await bed.drover.jobs.create(itemJob(name, 'take'));
  await bed.drover.jobs.wait(job, { for: 'complete', timeoutMs: 300_000 });
  const overMs = performance.now();
  const { completed } = await queue.stats();
  if (completed !== count) throw new Error(`${completed} of ${count} items were completed`);
  await queue.delete();
  return (count / (overMs - startedMs)) * 1000;
}

/** One round. */
export async function playItems(quick: boolean): Promise<ItemRound> {
  const many = quick ? 20_000 : 50_000;
  const bed = await Bed.open();
  try {
    const bullmq = await bullmqJobsPerSecond(bed, many, PODS);
    const controller = await bed.startController();
    const worker = await bed.startWorker(PODS);
    await itemsPerSecond(bed, 2_000, false);
    const single = await itemsPerSecond(bed, many, false);
    const chunked = await itemsPerSecond(bed, quick ? 50_000 : 200_000, 'auto');
    for (const child of [worker, controller]) await bed.stop(child);
    return {
      bullmq,
      bullmqPrefetch: await bullmqJobsPerSecond(bed, many, PODS * 4),
      single,
      chunked,
    };
  } finally {
    await bed.close();
  }
}

/** How soon the end is noticed, from the settling of the last item. */
export interface EndNoticed {
  /** Until the last pod sees that all is done. */
  readonly byPods: Latency;
  /** Until whoever waits for the Job sees that it is complete. */
  readonly byWaiter: Latency;
}

/** Work queues of a few items, one after the other. */
export async function measureEnds(quick: boolean): Promise<EndNoticed> {
  const bed = await Bed.open();
  const redis = bed.redis.connect();
  try {
    await bed.startController();
    await bed.startWorker(PODS);
    await itemsPerSecond(bed, 2_000, false);
    const byPods: number[] = [];
    const byWaiter: number[] = [];
    for (let run = 0; run < (quick ? 20 : 200); run += 1) {
      const name = `ends-${run}`;
      const queue = bed.drover.workQueue(name);
      await queue.enqueue(Array.from({ length: 4 * PODS }, (_, n) => ({ n })));
      await queue.seal();
      const job = await bed.drover.jobs.create(itemJob(name, 'take-and-tell'));
      await bed.drover.jobs.wait(job, { for: 'complete', timeoutMs: 60_000 });
      const completedMs = performance.timeOrigin + performance.now();
      let settledMs = 0;
      for await (const { endTime } of queue.results()) {
        settledMs = Math.max(settledMs, Date.parse(endTime));
      }
      const ends = await redis.lrange(`${bed.prefix}:ends:${name}`, 0, -1);
      byPods.push(Math.max(...ends.map(Number)) - settledMs);
      byWaiter.push(completedMs - settledMs);
      await queue.delete();
    }
    const latency = (values: readonly number[]): Latency => ({
      p50: median(values),
      p99: quantile(values, 0.99),
    });
    return { byPods: latency(byPods), byWaiter: latency(byWaiter) };
  } finally {
    redis.disconnect();
    await bed.close();
  }
}
