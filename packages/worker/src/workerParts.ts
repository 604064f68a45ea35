import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

import { ConnectionError, type ClientConnection } from '@drover/shared';
import {
  type RedisClient,
  nodeKeys,
  NodeStore,
  SecretKeyFile,
  Store,
  Subscriber,
} from '@drover/store';

import { describeConnection } from './client/clientConnection.ts';
import { ConfigReader } from './configs/configReader.ts';
import { ObjectNews } from './configs/objectNews.ts';
import type { LaneFigures, WorkerFigures } from './figures.ts';
import { HandlerRuntime, type WriteProgress } from './handler/handlerRuntime.ts';
import { ItemHub } from './items/itemHub.ts';
import { Link, openConnection, openSubscription } from './link.ts';
import { PodLogWriter } from './logs/podLogWriter.ts';
import { NodeHeartbeat } from './nodeHeartbeat.ts';
import { PlanCache } from './planCache.ts';
import { StreamPodLog, type OpenPodLog } from './podLog.ts';
import { ContainerLimiter } from './process/containerLimiter.ts';
import { baseEnvironment } from './process/environment.ts';
import { ProcessRunner } from './process/processRunner.ts';
import { ProcessRuntime } from './processRuntime.ts';
import { hostAddress, type ResolvedOptions } from './resolveOptions.ts';
import type { Runtime } from './runtime.ts';
import type { ControlPort, DetailsPort, ListPort, ObjectPort } from './shardPort.ts';
import { ShardWorker } from './shardWorker.ts';
import type { HolderHost, SlotHolder, WorkerState } from './slots/holder.ts';
import { Reservations } from './slots/reservations.ts';
import { SlotQueueWorker } from './slots/slotQueueWorker.ts';
import { UnfitSlots } from './slots/unfitSlots.ts';
import { within } from './within.ts';

/** How long the first answer of Redis may take. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Longest wait for Redis at the very end. */
const GOODBYE_TIMEOUT_MS = 2_000;

/** All that a worker has open, from its first connection to its last. */
export class WorkerParts {
  readonly #options: ResolvedOptions;
  readonly #state: WorkerState;
  readonly #figures: WorkerFigures;
  readonly #control: Link;
  readonly #logs: Link;
  readonly #shards: ShardWorker[] = [];
  readonly #runtimes: Runtime[] = [];
  readonly #queues: SlotQueueWorker[] = [];
  readonly #queueConnections: RedisClient[] = [];
  readonly #reservations: Reservations;
  #subscriber: Subscriber | null = null;
  #items: ItemHub | null = null;
  #node: NodeHeartbeat | null = null;

  private constructor(options: ResolvedOptions, state: WorkerState, figures: WorkerFigures) {
    this.#options = options;
    this.#state = state;
    this.#figures = figures;
    this.#reservations = new Reservations(options.resources);
    this.#control = new Link(options.connection, 'control', options.logger);
    this.#logs = new Link(options.connection, 'logs', options.logger);
  }

  /**
   * Opens everything; slots are not taken yet.
   *
   * @throws ConnectionError when Redis does not answer; UnsuitableRedisError. Nothing stays open then.
   */
  static async open(
    options: ResolvedOptions,
    state: WorkerState,
    figures: WorkerFigures,
  ): Promise<WorkerParts> {
    const parts = new WorkerParts(options, state, figures);
    try {
      await parts.#open();
      return parts;
    } catch (error) {
      state.forced = true;
      await parts.close();
      throw error;
    }
  }

  /** How pods that are clients reach Redis. */
  get #client(): ClientConnection {
    const { connection, prefix } = this.#options;
    return { connection: describeConnection(connection), prefix };
  }

  /** How the lanes of its runtimes are used right now. */
  get lanes(): LaneFigures[] {
    return this.#queues.map((queue) => queue.lanes);
  }

  /** It has a live session in every shard. */
  get hasSessions(): boolean {
    return this.#shards.every(({ keeper }) => keeper.isLive);
  }

  /** Slots that are held right now. */
  get holders(): SlotHolder[] {
    return this.#queues.flatMap((queue) => [...queue.holders]);
  }

  /** Begins to take slots and shows the node. */
  async takeSlots(): Promise<void> {
    await Promise.all(this.#queues.map((queue) => queue.start()));
    await this.#node?.start();
  }

  /** Takes no more slots; those held are not touched. */
  async stopTaking(): Promise<void> {
    this.#reservations.close();
    await Promise.all(this.#queues.map((queue) => queue.pause()));
    const shown = this.#node === null ? [] : [this.#node.drain()];
    const told = Promise.all([...shown, this.#offerLanes(false)]);
    await this.#quietly('node', within(GOODBYE_TIMEOUT_MS, told));
  }

  /** Closes everything, by force when the state says so. Never rejects, never hangs. */
  async close(): Promise<void> {
    const { forced } = this.#state;
    for (const holder of this.holders) holder.stop('force');
    if (forced) await this.#closeRuntimes();
    // The session before the queue: a slot that BullMQ delivers elsewhere is then free at once.
    for (const shard of this.#shards) {
      await this.#quietly('session', within(GOODBYE_TIMEOUT_MS, shard.close(true)));
    }
    if (this.#node !== null)
      await this.#quietly('node', within(GOODBYE_TIMEOUT_MS, this.#node.close(true)));
    await Promise.all(
      this.#queues.map((queue) => this.#quietly('slot queue', queue.close(forced))),
    );
    if (!forced) await this.#closeRuntimes();
    if (this.#items !== null) await this.#quietly('items', this.#items.close(forced));
    this.#subscriber?.close();
    for (const connection of this.#queueConnections) connection.disconnect();
    this.#logs.close();
    this.#control.close();
  }

  async #open(): Promise<void> {
    const { connection, prefix, name, logger } = this.#options;
    await reachable(this.#control);
    const store = await Store.open({ redis: this.#control.redis, prefix });
    const subscriberRedis = openSubscription(this.#control.redis);
    subscriberRedis.on('error', (error) => logger.debug({ err: error }, 'subscriber connection'));
    const subscriber = new Subscriber(subscriberRedis);
    this.#subscriber = subscriber;
    this.#items = new ItemHub({
      connection,
      prefix,
      store,
      subscriber,
      name,
      figures: this.#figures,
      logger,
    });
    await this.#openRuntimes(store, this.#items, subscriber);
    await Promise.all(this.#runtimes.map((runtime) => runtime.warmUp()));
    this.#openShards(store, subscriber);
    await Promise.all(this.#shards.map((shard) => shard.keeper.start()));
    this.#openQueues(store);
    this.#node = new NodeHeartbeat(
      (call) => this.#control.run(() => call(new NodeStore(this.#control.redis, prefix))),
      nodeDetails(this.#options),
      logger,
      (isCordoned) => this.#cordon(isCordoned),
    );
    const node = this.#node;
    // A hint only: it looks with every heartbeat.
    const look = (): void => {
      node.look().catch((error: unknown) => logger.debug({ err: error }, 'no look at the cordon'));
    };
    await subscriber.subscribe(nodeKeys(prefix).cordonChannel, (of) => {
      if (of === name) look();
    });
  }

  /** Takes no slots while somebody says so; those held are left between two pods. */
  async #cordon(isCordoned: boolean): Promise<void> {
    if (this.#state.draining) return;
    if (this.#state.cordoned !== isCordoned) {
      this.#state.cordoned = isCordoned;
      const { logger, name } = this.#options;
      logger.info({ node: name }, isCordoned ? 'worker takes no pods' : 'worker takes pods again');
      await Promise.all(this.#queues.map((queue) => (isCordoned ? queue.pause() : queue.resume())));
    }
    await this.#offerLanes(!isCordoned);
  }

  /** What is not on offer counts for nobody, nor where it is said why pods wait. */
  async #offerLanes(isOffered: boolean): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.offerLanes(isOffered)));
  }

  async #openRuntimes(store: Store, items: ItemHub, subscriber: Subscriber): Promise<void> {
    const {
      handlers,
      logger,
      crashLoop,
      workingDir,
      processHelper,
      programUser,
      sandbox,
      lanes,
      threads,
      threadMemoryMiB,
      volumes,
      launcher,
    } = this.#options;
    const openLog = this.#logOpener(store);
    const port = (index: number): ControlPort & ListPort & DetailsPort & ObjectPort =>
      this.#shards[index]!.port;
    const configs = {
      reader: new ConfigReader(new SecretKeyFile(this.#options.secretKeyFile)),
      news: new ObjectNews(subscriber),
    };
    const writeProgress: WriteProgress = ({ shard, uid }, { podNumber }, text) => {
      // A figure for those who look: not worth a retry.
      this.#shards[shard]!.port.shard.setPodProgress(uid, podNumber, text).catch((error: unknown) =>
        logger.debug({ err: error }, 'progress not written'),
      );
    };
    for (const name of this.#options.runtimes) {
      switch (name) {
        case 'handler':
          this.#runtimes.push(
            new HandlerRuntime({
              handlers,
              lanes: lanes.handler,
              threads,
              threadMemoryMiB,
              openLog,
              writeProgress,
              items,
              crashLoop,
              port,
              configs,
              logger,
            }),
          );
          break;
        case 'process': {
          const runner = new ProcessRunner({
            logger,
            workingDir,
            helper: processHelper,
            user: programUser ?? undefined,
            sandbox,
          });
          this.#runtimes.push(
            new ProcessRuntime({
              runner,
              lanes: lanes.process,
              openLog,
              crashLoop,
              volumeDirectory: volumes.directory,
              volumeCheckMs: volumes.checkMs,
              items,
              launcher,
              client: this.#client,
              programUser,
              writeProgress,
              port,
              configs,
              limiter: await ContainerLimiter.open(logger),
              logger,
            }),
          );
          break;
        }
      }
    }
  }

  #logOpener(store: Store): OpenPodLog {
    const { logger, logTailBytes: tailBytes } = this.#options;
    const shard = store.shard(0);
    return (plan, claim) =>
      new StreamPodLog(
        plan.containerName,
        () =>
          new PodLogWriter({
            redis: this.#logs.redis,
            key: shard.podLogKey(plan.uid, claim.podNumber),
            logger,
            tailBytes,
          }),
      );
  }

  #openShards(store: Store, subscriber: Subscriber): void {
    const { connection, logger, name: node, pool, resources } = this.#options;
    const { leaseTtlMs, heartbeatMs } = store.settings;
    const common = {
      connection,
      control: this.#control,
      subscriber,
      node,
      lanes: Object.fromEntries(
        this.#runtimes.flatMap((runtime) => Object.entries(runtime.fittingLanes(pool))),
      ),
      resources,
      leaseTtlMs,
      heartbeatMs,
      figures: this.#figures,
      logger,
    };
    for (const shard of store.shards) this.#shards.push(new ShardWorker({ ...common, shard }));
    subscriber.onReady(() => {
      for (const { keeper } of this.#shards) keeper.wake();
    });
  }

  #openQueues(store: Store): void {
    const { connection, prefix, pool, lanes, resources, name, logger } = this.#options;
    const { programUser } = this.#options;
    const base = baseEnvironment(process.env);
    const plans = new PlanCache({
      nodeName: name,
      hostIP: hostAddress(),
      resources,
      client: this.#client,
      baseEnv: programUser === null ? base : { ...base, HOME: programUser.home },
      programUser,
    });
    for (const runtime of this.#runtimes) {
      const redis = openConnection(connection);
      redis.on('error', (error) => logger.debug({ err: error }, 'slot queue connection'));
      this.#queueConnections.push(redis);
      this.#queues.push(
        new SlotQueueWorker({
          redis,
          prefix,
          pool,
          host: this.#createHost(runtime, plans),
          lanes: lanes[runtime.name],
          settings: store.settings,
          shard: (index) => this.#shards[index] ?? null,
          name,
          logger,
        }),
      );
    }
  }

  #createHost(runtime: Runtime, plans: PlanCache): HolderHost {
    const { logger, quantumMs, pool } = this.#options;
    const fittingKeys = new Set(Object.keys(runtime.fittingLanes(pool)));
    const unfit = new UnfitSlots();
    const reservations = this.#reservations;
    const [state, figures] = [this.#state, this.#figures];
    return { runtime, fittingKeys, plans, logger, quantumMs, state, unfit, figures, reservations };
  }

  async #closeRuntimes(): Promise<void> {
    const closing = this.#runtimes.map((runtime) => runtime.close());
    await this.#quietly('runtimes', Promise.all(closing));
  }

  async #quietly(what: string, closing: Promise<unknown>): Promise<void> {
    try {
      await closing;
    } catch (error) {
      this.#options.logger.warn({ err: error, what }, 'not closed properly');
    }
  }
}

/** Waits for the first answer of Redis; a worker that can't begin says so instead of waiting for ever. */
async function reachable(link: Link): Promise<void> {
  let lastError: unknown;
  const note = (error: unknown): void => {
    lastError = error;
  };
  link.redis.on('error', note);
  try {
    if (await within(CONNECT_TIMEOUT_MS, link.redis.ping())) return;
  } finally {
    link.redis.off('error', note);
  }
  const why = lastError instanceof Error ? `: ${lastError.message}` : '';
  throw new ConnectionError(`Redis does not answer${why}`, { cause: lastError });
}

function nodeDetails(options: ResolvedOptions): ConstructorParameters<typeof NodeHeartbeat>[1] {
  const { name, pool, runtimes, handlers, lanes, resources } = options;
  return {
    name,
    pool,
    runtimes,
    handlers: handlers.map((handler) => handler.name),
    lanes: Object.fromEntries(runtimes.map((runtime) => [runtime, lanes[runtime]])),
    resources,
    version: packageVersion(),
    pid: process.pid,
    hostname: hostname(),
    startedAt: new Date().toISOString(),
  };
}

function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
