import { performance } from 'node:perf_hooks';
import { Bed, median } from './bed.ts';
import { bullmqJobsPerSecond } from './scenarios.ts';

const PODS = 8;

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
  /** Enqueued singly and in chunks. */
  readonly enqueuedSingle: number;
  readonly enqueuedChunked: number;
}

let queueNumber = 0;

/** Pods that take all items of a sealed work queue: rates of enqueueing, and from the Job's creation to its end. */
async function itemsPerSecond(
  bed: Bed,
  count: number,
  chunk: 'auto' | false,
): Promise<{ enqueued: number; taken: number }> {
  const name = `items-${++queueNumber}`;
  const queue = bed.drover.workQueue(name);
  const enqueuedMs = performance.now();
  await queue.enqueue(
    Array.from({ length: count }, (_, n) => ({ n })),
    { chunk },
  );
  await queue.seal();
  const startedMs = performance.now();
  const job = await bed.drover.jobs.create({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, annotations: { 'drover.dev/work-queue': name } },
    spec: {
      parallelism: PODS,
      template: {
        spec: {
          runtimeClassName: 'handler',
          restartPolicy: 'Never',
          containers: [{ name: 'main', image: 'take' }],
        },
      },
    },
  });
  await bed.drover.jobs.wait(job, { for: 'complete', timeoutMs: 300_000 });
  const overMs = performance.now();
  const { completed } = await queue.stats();
  if (completed !== count) throw new Error(`${completed} of ${count} items were completed`);
  await queue.delete();
  return {
    enqueued: (count / (startedMs - enqueuedMs)) * 1000,
    taken: (count / (overMs - startedMs)) * 1000,
  };
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
      single: single.taken,
      chunked: chunked.taken,
      enqueuedSingle: single.enqueued,
      enqueuedChunked: chunked.enqueued,
    };
  } finally {
    await bed.close();
  }
}

/** Rows of the table and ratios about items. */
export function tellItems(rounds: readonly ItemRound[]): {
  rows: [string, string, string][];
  ratios: Record<string, number>;
} {
  const mid = (figure: (one: ItemRound) => number): number => median(rounds.map(figure));
  const rate = (value: number): string => `${Math.round(value).toLocaleString('en')}/s`;
  const ratios = {
    itemsVsBullmq: mid((one) => one.single / one.bullmq),
    itemsVsBullmqPrefetch: mid((one) => one.single / one.bullmqPrefetch),
    chunkedVsBullmq: mid((one) => one.chunked / one.bullmq),
  };
  const row = (
    what: string,
    a: (one: ItemRound) => number,
    b: (one: ItemRound) => number,
    ratio: number,
  ): [string, string, string] => [what, `${rate(mid(a))} : ${rate(mid(b))}`, ratio.toFixed(2)];
  return {
    rows: [
      row(
        `items, ${PODS} pods : BullMQ jobs, at ${PODS}`,
        (one) => one.single,
        (one) => one.bullmq,
        ratios.itemsVsBullmq,
      ),
      row(
        `items, ${PODS} pods : BullMQ jobs, at ${PODS * 4}`,
        (one) => one.single,
        (one) => one.bullmqPrefetch,
        ratios.itemsVsBullmqPrefetch,
      ),
      row(
        `tiny items in chunks, ${PODS} pods : BullMQ jobs, at ${PODS}`,
        (one) => one.chunked,
        (one) => one.bullmq,
        ratios.chunkedVsBullmq,
      ),
      row(
        'enqueued in chunks : singly',
        (one) => one.enqueuedChunked,
        (one) => one.enqueuedSingle,
        mid((one) => one.enqueuedChunked / one.enqueuedSingle),
      ),
    ],
    ratios,
  };
}
