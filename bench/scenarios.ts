import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { FlowProducer, Queue, QueueEvents } from 'bullmq';
import { Redis } from 'ioredis';
import { type Bed, median, quantile, residentMegabytes } from './bed.ts';

let queueNumber = 0;

/** How a benchmark Job's pods run. */
export interface BenchJob {
  readonly completions: number;
  readonly parallelism: number;
  readonly indexed?: boolean;
}

/** A Job whose pods call a handler of `processes/worker.ts`. */
function handlerJob(handler: string, spec: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { generateName: `${handler}-` },
    spec: {
      ...spec,
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

/** Runs a Job of no-op handler pods; pods per second from the create call to Complete. */
export async function podsPerSecond(bed: Bed, job: BenchJob): Promise<number> {
  const startedMs = performance.now();
  const created = await bed.drover.jobs.create(
    handlerJob('noop', {
      completions: job.completions,
      parallelism: job.parallelism,
      completionMode: job.indexed === true ? 'Indexed' : 'NonIndexed',
    }),
  );
  await bed.drover.jobs.wait(created, { for: 'complete', timeoutMs: 600_000 });
  return (job.completions / (performance.now() - startedMs)) * 1000;
}

/** What a BullMQ worker of a benchmark does: a script of `processes`, and the data of its jobs. */
export interface BullmqWork {
  readonly script: string;
  readonly data: object;
}

const NOOP: BullmqWork = { script: 'bullmqWorker', data: {} };

/** A BullMQ worker on jobs that were added before, no-ops by default; jobs per second. */
export async function bullmqJobsPerSecond(
  bed: Bed,
  count: number,
  concurrency: number,
  { script, data }: BullmqWork = NOOP,
): Promise<number> {
  const connection = new Redis(bed.redis.url, { maxRetriesPerRequest: null });
  const queue = new Queue(`bench-${++queueNumber}`, { connection });
  const BULK = 5_000;
  for (let added = 0; added < count; added += BULK) {
    await queue.addBulk(
      Array.from({ length: Math.min(BULK, count - added) }, () => ({
        name: 'bench',
        data,
        opts: { removeOnComplete: true },
      })),
    );
  }
  const worker = await bed.start(script, queue.name, concurrency, count);
  const [, ms] = await worker.waitForLine(/^done ([\d.]+)$/, 300_000);
  await bed.stop(worker);
  await queue.obliterate({ force: true });
  await queue.close();
  connection.disconnect();
  return (count / Number(ms)) * 1000;
}

/** A BullMQ Flow from its add to the parent's completion; children per second. */
export async function flowChildrenPerSecond(bed: Bed, count: number): Promise<number> {
  const connection = new Redis(bed.redis.url, { maxRetriesPerRequest: null });
  const queueName = `flow-${++queueNumber}`;
  const parents = `${queueName}-parents`;
  const flow = new FlowProducer({ connection });
  const eventsConnection = connection.duplicate();
  const events = new QueueEvents(parents, { connection: eventsConnection });
  await events.waitUntilReady();
  const children = await bed.start('bullmqWorker', queueName, 50, count);
  const parent = await bed.start('bullmqWorker', parents, 1, 1);
  const startedMs = performance.now();
  const node = await flow.add({
    name: 'parent',
    queueName: parents,
    children: Array.from({ length: count }, () => ({ name: 'noop', data: {}, queueName })),
  });
  await node.job.waitUntilFinished(events);
  const ms = performance.now() - startedMs;
  await bed.stop(children);
  await bed.stop(parent);
  await events.close();
  await flow.close();
  eventsConnection.disconnect();
  connection.disconnect();
  return (count / ms) * 1000;
}

/** Rates of a burst and of what it is compared with, per second. */
export interface Burst {
  /** Jobs of one pod each, submitted at once and each waited for. */
  readonly jobs: number;
  /** Pods of one Job of as many. */
  readonly pods: number;
  /** BullMQ jobs, added at once and each waited for through QueueEvents. */
  readonly bullmq: number;
}

/** Many small Jobs at once, from one client; beside it one large Job, and BullMQ doing the same. */
export async function burst(bed: Bed, count: number): Promise<Burst> {
  const LANES = 50;
  const WARM_UP = 50;
  const controller = await bed.startController();
  const worker = await bed.startWorker(LANES);
  await burstJobsPerSecond(bed, WARM_UP);
  const jobs = await burstJobsPerSecond(bed, count);
  const pods = await podsPerSecond(bed, { completions: count, parallelism: LANES });
  await bed.stop(worker);
  await bed.stop(controller);
  const bullmq = await waitedBullmqJobsPerSecond(bed, { warmUp: WARM_UP, count, lanes: LANES });
  return { jobs, pods, bullmq };
}

/** So many Jobs of one pod each, submitted at once and each waited for; Jobs per second. */
export async function burstJobsPerSecond(bed: Bed, count: number): Promise<number> {
  const startedMs = performance.now();
  await Promise.all(
    Array.from({ length: count }, async () => {
      const job = await bed.drover.jobs.create(handlerJob('noop'));
      await bed.drover.jobs.wait(job, { for: 'complete', timeoutMs: 120_000 });
    }),
  );
  return (count / (performance.now() - startedMs)) * 1000;
}

async function waitedBullmqJobsPerSecond(
  bed: Bed,
  { warmUp, count, lanes }: { warmUp: number; count: number; lanes: number },
): Promise<number> {
  const connection = new Redis(bed.redis.url, { maxRetriesPerRequest: null });
  const queue = new Queue(`waited-${++queueNumber}`, { connection });
  const eventsConnection = connection.duplicate();
  const events = new QueueEvents(queue.name, { connection: eventsConnection });
  // Each job that is waited for has a listener of its own.
  for (const emitter of [events, queue]) emitter.setMaxListeners(0);
  await events.waitUntilReady();
  const worker = await bed.start('bullmqWorker', queue.name, lanes, warmUp + count);
  const run = async (times: number): Promise<void> => {
    await Promise.all(
      Array.from({ length: times }, async () => {
        const job = await queue.add('noop', {});
        await job.waitUntilFinished(events);
      }),
    );
  };
  await run(warmUp);
  const startedMs = performance.now();
  await run(count);
  const ms = performance.now() - startedMs;
  await bed.stop(worker);
  await events.close();
  await queue.obliterate({ force: true });
  await queue.close();
  eventsConnection.disconnect();
  connection.disconnect();
  return (count / ms) * 1000;
}

/** Quantiles of a latency, ms. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
}

/** From the SDK's create call to the first line of the handler, on an idle system. */
export async function handlerLatency(bed: Bed, count: number): Promise<Latency> {
  const redis = bed.redis.connect();
  const latencies: number[] = [];
  for (let i = 0; i < count; i++) {
    const submittedMs = performance.timeOrigin + performance.now();
    const job = await bed.drover.jobs.create(handlerJob('arrival'));
    const [, arrival] = (await redis.blpop(`${bed.prefix}:arrivals`, 30))!;
    latencies.push(Number(arrival.split(' ')[1]) - submittedMs);
    await bed.drover.jobs.wait(job, { timeoutMs: 30_000 });
  }
  redis.disconnect();
  return { p50: median(latencies), p99: quantile(latencies, 0.99) };
}

/** From the SDK's create call to the clock reading of a program (`date`) as it begins. */
export async function processLatency(bed: Bed, count: number): Promise<Latency> {
  const latencies: number[] = [];
  for (let i = 0; i < count; i++) {
    const submittedMs = performance.timeOrigin + performance.now();
    const job = await bed.drover.jobs.create({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { generateName: 'date-' },
      spec: {
        template: {
          spec: {
            restartPolicy: 'Never',
            containers: [{ name: 'main', image: 'none', command: ['date', '+%s%N'] }],
          },
        },
      },
    });
    await bed.drover.jobs.wait(job, { for: 'complete', timeoutMs: 30_000 });
    const [pod] = await bed.drover.pods.list({ job: job.metadata.name });
    let text = '';
    for await (const line of bed.drover.pods.logs(pod!)) text += line;
    latencies.push(Number(text) / 1e6 - submittedMs);
  }
  return { p50: median(latencies), p99: quantile(latencies, 0.99) };
}

/** What a large Job costs. */
export interface Footprint {
  readonly bytesPerPod: number;
  readonly podsPerSecond: number;
  /** Highest resident memory, MB. */
  readonly controllerMegabytes: number;
  readonly workerMegabytes: number;
  readonly completedIndexes: string;
}

/** Memory of Redis, controller and worker over one large Indexed Job. */
export async function footprint(bed: Bed, completions: number): Promise<Footprint> {
  const controller = await bed.startController();
  const worker = await bed.startWorker(200);
  await podsPerSecond(bed, { completions: 1_000, parallelism: 200, indexed: true });
  const before = await bed.usedMemory();
  const rate = await podsPerSecond(bed, { completions, parallelism: 200, indexed: true });
  const after = await bed.usedMemory();
  const jobs = await bed.drover.jobs.list();
  const job = jobs.find((candidate) => candidate.spec.completions === completions)!;
  const result = {
    bytesPerPod: (after - before) / completions,
    podsPerSecond: rate,
    controllerMegabytes: residentMegabytes(controller.pid).peak,
    workerMegabytes: residentMegabytes(worker.pid).peak,
    completedIndexes: job.status.completedIndexes ?? '',
  };
  await bed.stop(worker);
  await bed.stop(controller);
  return result;
}

/** Commands per second that an idle system (a controller, a worker) sends. */
export async function idleCommandsPerSecond(bed: Bed, forMs: number): Promise<number> {
  const before = await bed.commandCount();
  await delay(forMs);
  return ((await bed.commandCount()) - before) / (forMs / 1000);
}

/** Leaves finished Jobs behind. */
export async function leaveFinishedJobs(bed: Bed, count: number): Promise<void> {
  const AT_A_TIME = 100;
  for (let made = 0; made < count; made += AT_A_TIME) {
    const jobs = await Promise.all(
      Array.from({ length: Math.min(AT_A_TIME, count - made) }, () =>
        bed.drover.jobs.create(handlerJob('noop')),
      ),
    );
    await bed.drover.jobs.wait(jobs.at(-1)!, { timeoutMs: 60_000 });
  }
  const UNTIL_ALL_FINISHED_MS = 120_000;
  const untilMs = performance.now() + UNTIL_ALL_FINISHED_MS;
  while ((await bed.drover.jobs.list()).some((job) => job.status.completionTime === undefined)) {
    if (performance.now() > untilMs) throw new Error('not all Jobs finished');
    await delay(200);
  }
}
