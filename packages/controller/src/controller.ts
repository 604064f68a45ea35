import { setTimeout as delay } from 'node:timers/promises';
import { ConnectionError, DEFAULT_EVENT_TTL_MS, errorForLog, TerminalError } from '@drover/shared';
import {
  checkHost,
  EventRecorder,
  type InstallationSettings,
  type ObservedJob,
  openClient,
  type RedisClient,
  type RedisConnection,
  type Shard,
  Store,
  type Subscriber,
} from '@drover/store';
import { type Logger, pino } from 'pino';
import { DEFAULT_BACKOFF } from './decide/backoff.ts';
import { CronJobReconciler } from './cronJobs.ts';
import { DueLoop } from './dueLoop.ts';
import { ControllerFigures, MEMBER_KINDS, type MemberKind } from './figures.ts';
import { reconcileOwner } from './garbage.ts';
import { removeItems } from './itemQueues.ts';
import { DEFAULT_KEPT_PODS, DEFAULT_KEPT_PODS_PER_JOB, KeptPodsKeeper } from './keptPods.ts';
import { reconcileQuota } from './quotas.ts';
import { makeSystemClasses, Priorities } from './priorities.ts';
import { JobReconciler } from './reconcile.ts';
import { reconcileSession } from './sessions.ts';
import { reconcileWorkQueue } from './workQueues.ts';
import { MAX_OFFERS_PER_CALL, SlotOffers } from './slotOffers.ts';

/** Options of {@link createController}. */
export interface ControllerOptions {
  /** Redis: an address, options, or a client, which is duplicated and stays the caller's. */
  readonly connection: RedisConnection;
  /** Prefix of all keys. Default `drover`. */
  readonly prefix?: string;
  /** Wait after the first failed pod, ms > 0. Default 10,000, doubling with each further one. */
  readonly backoffBaseMs?: number;
  /** Longest such wait, ms >= backoffBaseMs. Default 600,000. */
  readonly backoffCapMs?: number;
  /**
   * Pods that ended which a Job keeps at most, with their logs and results, an integer >= 0; failed ones
   * before others. A Job may say otherwise by the annotation `drover.dev/kept-pods`. Default 100,000.
   */
  readonly keptPodsPerJob?: number;
  /** Such pods of all finished Jobs together, an integer >= 0. Default 1,000,000. */
  readonly keptPods?: number;
  /**
   * For how long events are kept after they happened last, ms > 0; of several controllers that say so, the one that
   * began last is right. Default 3,600,000: an hour.
   */
  readonly eventTtlMs?: number;
  /** Jobs and sessions in hand at once, >= 1. Default 128. */
  readonly concurrency?: number;
  /** Settings of a new installation; ignored where one exists. */
  readonly settings?: Partial<InstallationSettings>;
  /** Default: none. */
  readonly logger?: Logger;
  /** Tests only: the time that scripts use instead of Redis' own. */
  readonly testClock?: () => number;
}

/** A controller; any number of them may serve one installation. */
export interface Controller {
  /** What it did so far. */
  readonly figures: ControllerFigures;
  /** Why it does no work right now, for people; null = it does, as far as it knows. */
  readonly hindrance: string | null;
  /**
   * Serves until `close`.
   *
   * @throws UnsuitableRedisError, or the connection's error, when it can not begin.
   */
  run(): Promise<void>;
  /** Stops taking work, finishes what is in hand unless Redis does not answer, and lets `run` return. */
  close(): Promise<void>;
}

/** A silent connection is broken: what was sent goes again over a new one. */
const SOCKET_TIMEOUT_MS = 10_000;

/** Connections of the controller's own. */
const CLIENT_OPTIONS = {
  lazyConnect: true,
  // Commands wait for the connection to come back: every script may run late, and twice.
  maxRetriesPerRequest: null,
  socketTimeout: SOCKET_TIMEOUT_MS,
  keepAlive: SOCKET_TIMEOUT_MS,
};

/** Some batches of what is due: while one waits for Redis the next is worked on. */
const DEFAULT_CONCURRENCY = 128;

/** How long `close` waits for what is in hand. */
const CLOSE_TIMEOUT_MS = 3_000;

/** What most installations use from the first Job on. */
const COMMON_QUEUES = ['default.process', 'default.handler'];

/**
 * Makes a controller: it drives Jobs to completion and ends the pods of lost workers.
 *
 * @throws UnsuitableHostError on Windows and where Node is too old.
 * @throws RangeError for options out of range.
 */
export function createController(options: ControllerOptions): Controller {
  checkHost();
  const backoff = {
    baseMs: options.backoffBaseMs ?? DEFAULT_BACKOFF.baseMs,
    capMs: options.backoffCapMs ?? Math.max(DEFAULT_BACKOFF.capMs, options.backoffBaseMs ?? 0),
  };
  const concurrency = options.concurrency ?? DEFAULT_CONCURRENCY;
  const { keptPodsPerJob = DEFAULT_KEPT_PODS_PER_JOB, keptPods = DEFAULT_KEPT_PODS } = options;
  if (!(backoff.baseMs > 0)) throw new RangeError('backoffBaseMs must be greater than 0');
  if (!(backoff.capMs >= backoff.baseMs)) {
    throw new RangeError('backoffCapMs must not be less than backoffBaseMs');
  }
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new RangeError('concurrency must be an integer of at least 1');
  }
  for (const [name, value] of Object.entries({ keptPodsPerJob, keptPods })) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`${name} must be an integer of at least 0`);
    }
  }
  const { eventTtlMs = DEFAULT_EVENT_TTL_MS } = options;
  if (!Number.isSafeInteger(eventTtlMs) || eventTtlMs < 1) {
    throw new RangeError('eventTtlMs must be an integer of at least 1');
  }
  const logger = (options.logger ?? pino({ level: 'silent' })).child(
    {},
    { serializers: { err: errorForLog } },
  );
  return new RunningController({
    ...options,
    backoff,
    concurrency,
    keptPodsPerJob,
    keptPods,
    eventTtlMs,
    logger,
  });
}

interface Resolved extends ControllerOptions {
  readonly backoff: { readonly baseMs: number; readonly capMs: number };
  readonly concurrency: number;
  readonly keptPodsPerJob: number;
  readonly keptPods: number;
  readonly eventTtlMs: number;
  readonly logger: Logger;
}

class RunningController implements Controller {
  readonly figures = new ControllerFigures();
  readonly #options: Resolved;
  readonly #closing = Promise.withResolvers<void>();
  /** What is in hand is waited for no longer. */
  readonly #givenUp = Promise.withResolvers<void>();
  #isGivenUp = false;
  readonly #connections: RedisClient[] = [];
  readonly #loops: DueLoop[] = [];
  readonly #recorders: EventRecorder[] = [];
  #subscriber: Subscriber | null = null;
  #running: Promise<void> | null = null;
  #isClosing = false;

  constructor(options: Resolved) {
    this.#options = options;
  }

  get hindrance(): string | null {
    if (this.#isClosing) return 'it is stopping';
    if (this.#loops.length === 0) return 'it has not begun';
    if (this.#loops.every((loop) => loop.isTurning)) return null;
    return 'it did not learn from Redis what is due for some time';
  }

  run(): Promise<void> {
    this.#running ??= Promise.race([this.#serve(), this.#givenUp.promise]);
    return this.#running;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#closing.resolve();
    // An error of `run` is told to its caller.
    const over = this.#running?.catch(() => {});
    const patience = new AbortController();
    await Promise.race([
      over,
      delay(CLOSE_TIMEOUT_MS, null, { signal: patience.signal }).catch(() => {}),
    ]);
    patience.abort();
    // While Redis is away commands wait for it, and where their connection ends between two tries they do so for ever.
    this.#isGivenUp = true;
    this.#givenUp.resolve();
    this.#disconnect();
    await over;
  }

  async #serve(): Promise<void> {
    const { logger } = this.#options;
    let offers: SlotOffers | null = null;
    try {
      const store = await this.#openStore();
      const queues = this.#connect('queues');
      const slotOffers = new SlotOffers(queues, store.prefix, logger);
      offers = slotOffers;
      await Promise.all(COMMON_QUEUES.map((queue) => slotOffers.warmUp(queue)));
      await Promise.all(store.shards.map(({ events }) => events.setTtl(this.#options.eventTtlMs)));
      this.#mustGoOn();
      const subscriber = store.openSubscriber();
      this.#subscriber = subscriber;
      // They are known without: it is only for those who look.
      await makeSystemClasses(store).catch((error: unknown) => {
        logger.warn({ err: error }, 'the PriorityClasses of the system were not made');
      });
      const priorities = new Priorities(store);
      const parts = { offers: slotOffers, queues, subscriber, priorities };
      for (const shard of store.shards) this.#loops.push(this.#makeLoop(store, shard, parts));
      const started = Promise.all(this.#loops.map((loop) => loop.start()));
      // Whoever closes does not wait for a Redis that went away meanwhile.
      started.catch(() => {});
      await Promise.race([started, this.#closing.promise]);
      logger.info({ shards: store.shards.length, prefix: store.prefix }, 'controller runs');
      await this.#closing.promise;
    } finally {
      await Promise.all(this.#loops.map((loop) => loop.close()));
      this.#subscriber?.close();
      await Promise.all(this.#recorders.map((recorder) => recorder.flush()));
      await offers?.close().catch((error: unknown) => {
        logger.debug({ err: error }, 'queues did not close');
      });
      this.#disconnect();
    }
    logger.info('controller stopped');
  }

  #disconnect(): void {
    for (const connection of this.#connections) connection.disconnect();
    this.#subscriber?.close();
  }

  /** Before it opens what nobody would close. */
  #mustGoOn(): void {
    if (this.#isGivenUp) throw new Error('the controller was closed');
  }

  #makeLoop(
    store: Store,
    shard: Shard,
    {
      offers,
      queues,
      subscriber,
      priorities,
    }: {
      readonly offers: SlotOffers;
      readonly queues: RedisClient;
      readonly subscriber: Subscriber;
      readonly priorities: Priorities;
    },
  ): DueLoop {
    const { backoff, concurrency } = this.#options;
    const logger = this.#options.logger.child({ shard: shard.index });
    const { resyncMs } = store.settings;
    const { keptPodsPerJob: perJob, keptPods } = this.#options;
    const limits = { perJob, ofShard: Math.ceil(keptPods / store.shards.length) };
    const kept = new KeptPodsKeeper(shard, limits, logger);
    const events = this.#makeRecorder(shard, logger);
    const jobs = new JobReconciler({
      shard,
      offers,
      priorities,
      backoff,
      resyncMs,
      kept,
      events,
      onFinished: (condition, reason) => this.figures.noteFinished(condition, reason),
      logger,
    });
    const cronJobs = new CronJobReconciler({ shard, events, resyncMs, logger });
    const looks: Readonly<Record<MemberKind, Look>> = {
      job: (id, reconcileId, look) => jobs.reconcile(id, reconcileId, look),
      session: (id) =>
        reconcileSession(shard, id, logger, (count) => {
          this.figures.lostPods += count;
        }),
      kept: () => kept.reckon(),
      gc: (id) => reconcileOwner(shard, id, logger),
      cron: (id) => cronJobs.reconcile(id),
      quota: (id) => reconcileQuota(shard, id, logger),
      wq: (id) => reconcileWorkQueue(shard.workQueues, id, logger),
      items: (id) => removeItems(queues, store.prefix, id),
    };
    return new DueLoop({
      shard,
      subscriber,
      concurrency,
      retryCapMs: resyncMs,
      logger,
      expect: () => priorities.refresh(),
      pendingWanted: MAX_OFFERS_PER_CALL,
      handle: (member, reconcileId, look) => {
        const [kind, id] = splitMember(member);
        return this.figures.timed(kind, () => looks[kind](id, reconcileId, look));
      },
    });
  }

  #makeRecorder(shard: Shard, logger: Logger): EventRecorder {
    const recorder = new EventRecorder({
      events: shard.events,
      onLost: (count, error) => {
        this.figures.lostEvents += count;
        logger.warn({ err: error, count }, 'events were lost');
      },
    });
    this.#recorders.push(recorder);
    return recorder;
  }

  async #openStore(): Promise<Store> {
    const { prefix, settings, testClock } = this.#options;
    const redis = this.#connect('store');
    await redis.connect().catch((cause: unknown) => {
      throw new ConnectionError('the controller can not reach Redis', { cause });
    });
    return Store.open({
      redis,
      ...(prefix !== undefined && { prefix }),
      ...(settings !== undefined && { settings }),
      ...(testClock !== undefined && { testClock }),
    });
  }

  #connect(what: string): RedisClient {
    this.#mustGoOn();
    const redis = openClient(this.#options.connection, CLIENT_OPTIONS);
    const { logger } = this.#options;
    let isDown = false;
    redis.on('error', (error: Error) => {
      // One line per outage, not one per attempt.
      if (!isDown) logger.warn({ err: error, connection: what }, 'Redis is not reachable');
      isDown = true;
    });
    redis.on('ready', () => {
      if (isDown) logger.info({ connection: what }, 'Redis is reachable again');
      isDown = false;
    });
    this.#connections.push(redis);
    return redis;
  }
}

/** Looks at a member of one kind; answers when to look again. */
type Look = (id: string, reconcileId: string, look: ObservedJob | null) => Promise<number | null>;

/** @throws TerminalError for a member that another version made. */
function splitMember(member: string): [kind: MemberKind, id: string] {
  const colon = member.indexOf(':');
  const kind = MEMBER_KINDS.find((one) => one === member.slice(0, colon));
  if (kind === undefined) throw new TerminalError(`nothing is known of a due member ${member}`);
  return [kind, member.slice(colon + 1)];
}
