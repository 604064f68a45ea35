import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

import { ConnectionError } from '@drover/shared';
import { NodeStore, Store, Subscriber } from '@drover/store';
import type { Redis } from 'ioredis';

import { HandlerRuntime, type WriteProgress } from './handler/handlerRuntime.ts';
import { Link, openConnection } from './link.ts';
import { PodLogWriter } from './logs/podLogWriter.ts';
import { NodeHeartbeat } from './nodeHeartbeat.ts';
import type { DroverWorker, WorkerOptions } from './options.ts';
import { PlanCache } from './planCache.ts';
import { StreamPodLog, type OpenPodLog } from './podLog.ts';
import { baseEnvironment } from './process/environment.ts';
import { ProcessRunner } from './process/processRunner.ts';
import { ProcessRuntime } from './processRuntime.ts';
import { hostAddress, resolveOptions, type ResolvedOptions } from './resolveOptions.ts';
import type { Runtime, RuntimeName } from './runtime.ts';
import type { ControlPort } from './shardPort.ts';
import { ShardWorker } from './shardWorker.ts';
import type { HolderHost } from './slots/holder.ts';
import { SlotQueueWorker } from './slots/slotQueueWorker.ts';

/** How long `run` waits for Redis before it gives up. */
const CONNECT_TIMEOUT_MS = 10_000;
/** How often a drain looks at its pods. */
const DRAIN_LOOK_MS = 20;
/** What a drain takes longer than its pods may, until it ends by force: Redis does not answer. */
const DRAIN_SLACK_MS = 10_000;
/** Longest wait for Redis at the very end. */
const GOODBYE_TIMEOUT_MS = 2_000;
/** First wait before a slot that can't run here is taken again; doubles up to the cap. */
const UNFIT_BASE_MS = 20;
const UNFIT_CAP_MS = 5_000;
/** Slots whose unfitness is remembered. */
const MAX_UNFIT_SLOTS = 10_000;

/**
 * Makes a worker: a node that runs the pods of Jobs, until `close`.
 *
 * @throws TypeError when an option is wrong; all that is wrong is in the message.
 */
export function createWorker(options: WorkerOptions): DroverWorker {
  return new NodeWorker(resolveOptions(options));
}

/** What a worker has open while it runs. */
interface Running {
  readonly control: Link;
  readonly logs: Link;
  readonly subscriber: Subscriber;
  readonly subscriberRedis: Redis;
  readonly shards: readonly ShardWorker[];
  readonly runtimes: readonly Runtime[];
  readonly queues: readonly SlotQueueWorker[];
  readonly queueConnections: readonly Redis[];
  readonly node: NodeHeartbeat;
}

class NodeWorker implements DroverWorker {
  readonly name: string;
  readonly #options: ResolvedOptions;
  readonly #ready = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<void>();
  /** By QueueJob, how often it was put back because it can't run here. */
  readonly #unfit = new Map<string, number>();
  #started = false;
  #running: Running | null = null;
  #draining = false;
  #forced = false;
  #closing: Promise<void> | null = null;

  constructor(options: ResolvedOptions) {
    this.#options = options;
    this.name = options.name;
    // Who only calls run() learns of a failed start there.
    this.#ready.promise.catch(() => undefined);
    this.#over.promise.catch(() => undefined);
  }

  async run(): Promise<void> {
    if (this.#started) throw new Error('this worker was started before: make another one');
    this.#started = true;
    try {
      this.#running = await this.#open();
      if (!this.#draining) {
        for (const queue of this.#running.queues) await queue.start();
        await this.#running.node.start();
        this.#options.logger.info(
          { node: this.name, pool: this.#options.pool },
          'worker takes pods',
        );
      }
      this.#ready.resolve();
    } catch (error) {
      this.#forced = true;
      if (this.#running !== null) await this.#shut(this.#running);
      this.#ready.reject(error);
      this.#over.resolve();
      throw error;
    }
    await this.#over.promise;
  }

  async ready(): Promise<void> {
    await this.#ready.promise;
  }

  close(options: { readonly force?: boolean } = {}): Promise<void> {
    // A second call says that the first takes too long.
    if (options.force === true || this.#closing !== null) this.#forced = true;
    this.#draining = true;
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (!this.#started) return;
    // What is still being opened can't be closed.
    await this.#ready.promise.catch(() => undefined);
    const running = this.#running;
    if (running === null) return;
    try {
      await this.#drain(running);
    } finally {
      await this.#shut(running);
      this.#over.resolve();
    }
  }

  async #drain({ queues, node }: Running): Promise<void> {
    const { logger, drainTimeoutMs } = this.#options;
    const beganMs = performance.now();
    const held = (): number => queues.reduce((sum, queue) => sum + queue.holders.size, 0);
    logger.info({ node: this.name, pods: held() }, 'worker drains');
    await Promise.all(queues.map((queue) => queue.pause()));
    await within(GOODBYE_TIMEOUT_MS, node.drain());
    while (held() > 0 && !this.#forced) {
      const tookMs = performance.now() - beganMs;
      for (const queue of queues) {
        for (const holder of queue.holders) {
          if (tookMs >= Math.min(holder.graceMs, drainTimeoutMs)) holder.stop('drain');
        }
      }
      if (tookMs > drainTimeoutMs + DRAIN_SLACK_MS) {
        logger.warn({ pods: held() }, 'the drain takes too long: what is left is ended by force');
        this.#forced = true;
      }
      await delay(DRAIN_LOOK_MS);
    }
  }

  /** Closes everything; by force when there is still something to end. Never rejects. */
  async #shut(running: Running): Promise<void> {
    const { queues, runtimes, shards, node, logs, control } = running;
    const force = this.#forced;
    for (const queue of queues) {
      for (const holder of queue.holders) holder.stop('force');
    }
    if (force)
      await this.#quietly('runtimes', Promise.all(runtimes.map((runtime) => runtime.close())));
    // The session first: a slot that BullMQ delivers elsewhere is then free at once.
    for (const shard of shards) {
      await this.#quietly('session', within(GOODBYE_TIMEOUT_MS, shard.close(true)));
    }
    await this.#quietly('node', within(GOODBYE_TIMEOUT_MS, node.close(true)));
    for (const queue of queues) {
      await this.#quietly('slot queue', within(GOODBYE_TIMEOUT_MS, queue.close(force)));
    }
    if (!force)
      await this.#quietly('runtimes', Promise.all(runtimes.map((runtime) => runtime.close())));
    running.subscriber.close();
    for (const connection of running.queueConnections) connection.disconnect();
    logs.close();
    control.close();
    this.#options.logger.info({ node: this.name }, 'worker is closed');
  }

  async #quietly(what: string, closing: Promise<unknown>): Promise<void> {
    try {
      await closing;
    } catch (error) {
      this.#options.logger.warn({ err: error, what }, 'not closed properly');
    }
  }

  async #open(): Promise<Running> {
    const { connection, prefix, logger, pool, lanes, name } = this.#options;
    const control = new Link(connection, 'control', logger);
    try {
      await reachable(control);
      const store = await Store.open({ redis: control.redis, prefix });
      const logs = new Link(connection, 'logs', logger);
      const subscriberRedis = openConnection(connection);
      subscriberRedis.on('error', (error) => logger.debug({ err: error }, 'subscriber connection'));
      const subscriber = new Subscriber(subscriberRedis);

      const shards: ShardWorker[] = [];
      const runtimes = this.#createRuntimes(store, logs, shards);
      const lanesByKey: Record<string, number> = {};
      for (const runtime of runtimes) {
        for (const key of runtime.fittingKeys(pool)) lanesByKey[key] = lanes[runtime.name];
      }
      for (const shard of store.shards) {
        const { leaseTtlMs, heartbeatMs } = store.settings;
        const node = name;
        shards.push(
          new ShardWorker({
            shard,
            connection,
            control,
            subscriber,
            node,
            lanes: lanesByKey,
            leaseTtlMs,
            heartbeatMs,
            logger,
          }),
        );
      }
      subscriber.onReady(() => {
        for (const shard of shards) shard.keeper.wake();
      });
      await Promise.all(shards.map((shard) => shard.keeper.start()));

      const plans = this.#createPlans(shards);
      const queueConnections = runtimes.map(() => openConnection(connection));
      for (const redis of queueConnections) {
        redis.on('error', (error) => logger.debug({ err: error }, 'slot queue connection'));
      }
      const queues = runtimes.map(
        (runtime, index) =>
          new SlotQueueWorker({
            redis: queueConnections[index]!,
            prefix,
            pool,
            host: this.#createHost(runtime, plans),
            lanes: lanes[runtime.name],
            settings: store.settings,
            shard: (number) => shards[number] ?? null,
            name,
            logger,
          }),
      );
      const node = new NodeHeartbeat(
        () => new NodeStore(control.redis, prefix),
        this.#details(),
        logger,
      );
      return {
        control,
        logs,
        subscriber,
        subscriberRedis,
        shards,
        runtimes,
        queues,
        queueConnections,
        node,
      };
    } catch (error) {
      control.close();
      throw error;
    }
  }

  #createRuntimes(store: Store, logs: Link, shards: readonly ShardWorker[]): Runtime[] {
    const { runtimes, handlers, logger, crashLoop, workingDir, logTailBytes } = this.#options;
    const openLog: OpenPodLog = (plan, claim) =>
      new StreamPodLog(
        plan.containerName,
        () =>
          new PodLogWriter({
            redis: logs.redis,
            key: store.shards[0]!.podLogKey(plan.uid, claim.podNumber),
            logger,
            tailBytes: logTailBytes,
          }),
      );
    const writeProgress: WriteProgress = ({ shard, uid }, { podNumber }, text) => {
      // A figure for those who look: not worth a retry.
      shards[shard]!.port.shard.setPodProgress(uid, podNumber, text).catch((error: unknown) =>
        logger.debug({ err: error }, 'progress not written'),
      );
    };
    const port = (index: number): ControlPort => shards[index]!.port;
    const create: Record<RuntimeName, () => Runtime> = {
      handler: () =>
        new HandlerRuntime({ handlers, openLog, writeProgress, crashLoop, port, logger }),
      process: () =>
        new ProcessRuntime({
          runner: new ProcessRunner({ logger, workingDir }),
          openLog,
          crashLoop,
          port,
          logger,
        }),
    };
    return runtimes.map((name) => create[name]());
  }

  #createPlans(shards: readonly ShardWorker[]): PlanCache {
    return new PlanCache({
      surroundings: {
        nodeName: this.name,
        hostIP: hostAddress(),
        baseEnv: baseEnvironment(process.env),
      },
      read: async (shard, uid) => (await shards[shard]?.port.shard.getJobByUid(uid)) ?? null,
    });
  }

  #createHost(runtime: Runtime, plans: PlanCache): HolderHost {
    const isDraining = (): boolean => this.#draining;
    const isForced = (): boolean => this.#forced;
    return {
      runtime,
      plans,
      logger: this.#options.logger,
      quantumMs: this.#options.quantumMs,
      get draining() {
        return isDraining();
      },
      get forced() {
        return isForced();
      },
      unfitDelayMs: (queueJobId) => this.#unfitDelayMs(queueJobId),
    };
  }

  /** With chance in it: workers that can't and workers that can wake for the same slot at the same time. */
  #unfitDelayMs(queueJobId: string): number {
    const times = this.#unfit.get(queueJobId) ?? 0;
    this.#unfit.delete(queueJobId);
    this.#unfit.set(queueJobId, times + 1);
    if (this.#unfit.size > MAX_UNFIT_SLOTS) {
      const [oldest] = this.#unfit.keys();
      if (oldest !== undefined) this.#unfit.delete(oldest);
    }
    const delayMs = Math.min(UNFIT_CAP_MS, UNFIT_BASE_MS * 2 ** Math.min(times, 10));
    return Math.round(delayMs * (0.5 + Math.random()));
  }

  #details(): ConstructorParameters<typeof NodeHeartbeat>[1] {
    const { pool, runtimes, handlers, lanes } = this.#options;
    return {
      name: this.name,
      pool,
      runtimes,
      handlers: handlers.map((handler) => handler.name),
      lanes: Object.fromEntries(runtimes.map((runtime) => [runtime, lanes[runtime]])),
      version: packageVersion(),
      pid: process.pid,
      hostname: hostname(),
      startedAt: new Date().toISOString(),
    };
  }
}

/** Waits for the first answer of Redis; a worker that can't begin says so instead of waiting for ever. */
async function reachable(link: Link): Promise<void> {
  let lastError: unknown;
  const note = (error: unknown): void => {
    lastError = error;
  };
  link.redis.on('error', note);
  let timer: NodeJS.Timeout | null = null;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const why = lastError instanceof Error ? `: ${lastError.message}` : '';
      reject(new ConnectionError(`Redis does not answer${why}`, { cause: lastError }));
    }, CONNECT_TIMEOUT_MS);
  });
  try {
    await Promise.race([link.redis.ping(), timeout]);
  } finally {
    if (timer !== null) clearTimeout(timer);
    link.redis.off('error', note);
  }
}

/** The promise, or nothing when it takes too long. */
async function within(limitMs: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | null = null;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  promise.catch(() => undefined);
  try {
    await Promise.race([promise, timeout]);
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
