import { setTimeout as delay } from 'node:timers/promises';

import { WORK_QUEUE_ANNOTATION } from '@drover/shared';
import type { RedisClient, Store, Subscriber, WorkQueues } from '@drover/store';
import type { Logger } from 'pino';

import type { WorkerFigures } from '../figures.ts';
import type { JobFacts, JobPlan } from '../jobPlan.ts';
import { Link, openConnection, type Connection } from '../link.ts';
import type { SlotRef } from '../runtime.ts';
import { ShardPort } from '../shardPort.ts';
import { NoItemsError } from './itemErrors.ts';
import { ItemPuller } from './itemPuller.ts';
import type { ItemTaker } from './itemWaiters.ts';
import { PodItems, type PodItemsOptions, type Turn } from './podItems.ts';

/** How long a work queue stays open without a pod: the next one often comes at once, ms. */
const LINGER_MS = 5_000;
/** How often a question is asked again, and the first pause before; it doubles. */
const MAX_ASK_FAILURES = 5;
const ASK_AGAIN_MS = 100;

/** Options of {@link ItemHub}. */
export interface ItemHubOptions {
  readonly connection: Connection;
  readonly prefix: string;
  readonly store: Store;
  readonly subscriber: Subscriber;
  /** Name of the worker. */
  readonly name: string;
  readonly figures: WorkerFigures;
  readonly logger: Logger;
}

/** What {@link ItemHub.open} needs of a pod. */
export interface ItemPod {
  readonly job: JobFacts;
  readonly slot: SlotRef;
  readonly podNumber: number;
  readonly signal: AbortSignal;
  readonly showProgress: PodItemsOptions['showProgress'];
}

/** What {@link ItemHub.openForOne} needs of a pod. */
export interface OneItemPod extends Pick<ItemPod, 'slot' | 'podNumber' | 'signal'> {
  readonly plan: Pick<JobPlan, 'facts' | 'completions'>;
}

/** Where the pods of a worker get their items. Has no connection before the first pod wants items. */
export class ItemHub {
  readonly #options: ItemHubOptions;
  readonly #pullers = new Map<string, Promise<ItemPuller>>();
  /** All that have connections: also those that are being opened, and those that nobody uses any more. */
  readonly #connected = new Set<ItemPuller>();
  readonly #lingering = new Map<string, NodeJS.Timeout>();
  /** By shard: listens for work queues that are all done. */
  readonly #listening = new Map<number, Promise<() => void>>();
  readonly #turn: Turn = { startedMs: 0 };
  #link: Link | null = null;
  #redis: RedisClient | null = null;
  #isClosed = false;

  constructor(options: ItemHubOptions) {
    this.#options = options;
    // What was missed while the connection was away is read.
    options.subscriber.onReady(() => this.#wakeAll());
  }

  /** The items of a pod. */
  open(pod: ItemPod): PodItems {
    return this.#open(pod, null);
  }

  /** Those of a pod that takes one: its Job takes no more than its completions. */
  openForOne({ plan, slot, podNumber, signal }: OneItemPod): PodItems {
    const { facts: job, completions } = plan;
    // Whoever has the item tells the pod's progress.
    const showProgress = (): void => undefined;
    return this.#open({ job, slot, podNumber, signal, showProgress }, completions);
  }

  #open(
    { job, slot, podNumber, signal, showProgress }: ItemPod,
    jobItems: number | null,
  ): PodItems {
    const { uid: jobUid, session, slot: slotNumber, place } = slot;
    return new PodItems({
      claim: { jobUid, slot: slotNumber, podNumber, session, jobItems },
      enter: (taker) => this.#enter(job, slot.shard, taker),
      leave: (puller, taker) => this.#leave(puller, taker),
      signal,
      place,
      showProgress,
      turn: this.#turn,
      logger: this.#options.logger,
    });
  }

  /**
   * Closes everything; with `force` items in hand go back when their locks ran out. Does not hang, whatever Redis
   * does, and opens nothing any more.
   */
  async close(force: boolean): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#lingering.values()) clearTimeout(timer);
    this.#pullers.clear();
    await Promise.all([...this.#connected].map((puller) => puller.close(force)));
    for (const listening of this.#listening.values()) {
      void listening.then(
        (stop) => stop(),
        () => undefined,
      );
    }
    this.#redis?.disconnect();
    this.#link?.close();
  }

  async #enter(job: JobFacts, shard: number, taker: ItemTaker): Promise<ItemPuller> {
    const { namespace, annotations } = job;
    const name = annotations[WORK_QUEUE_ANNOTATION];
    if (name === undefined) {
      throw new NoItemsError(
        `items(): Job ${namespace}/${job.name} names no work queue; that is its annotation ${WORK_QUEUE_ANNOTATION}`,
      );
    }
    this.#mustBeOpen();
    const port = this.#port(shard);
    const uid = await this.#ask(port, (workQueues) => workQueues.find(namespace, name));
    if (uid === null) throw new NoItemsError(`WorkQueue ${namespace}/${name} does not exist`);
    for (;;) {
      this.#mustBeOpen();
      let opening = this.#pullers.get(uid);
      if (opening === undefined) {
        opening = this.#openPuller(uid, `${namespace}/${name}`, shard, port);
        this.#pullers.set(uid, opening);
        opening.catch(() => this.#pullers.delete(uid));
      }
      const puller = await opening;
      // It may have been closed since, for want of pods.
      if (this.#pullers.get(uid) !== opening) continue;
      clearTimeout(this.#lingering.get(uid));
      this.#lingering.delete(uid);
      puller.add(taker);
      return puller;
    }
  }

  /** A pod may go on for longer than its worker. */
  #mustBeOpen(): void {
    if (this.#isClosed) throw new NoItemsError('the worker is closed');
  }

  #leave(puller: ItemPuller, taker: ItemTaker): void {
    puller.remove(taker);
    const { uid } = puller;
    if (puller.takerCount > 0 || this.#isClosed) return;
    clearTimeout(this.#lingering.get(uid));
    const timer = setTimeout(() => {
      this.#lingering.delete(uid);
      this.#pullers.delete(uid);
      void this.#closePuller(puller, false);
    }, LINGER_MS);
    timer.unref();
    this.#lingering.set(uid, timer);
  }

  async #openPuller(
    uid: string,
    name: string,
    shard: number,
    port: ShardPort,
  ): Promise<ItemPuller> {
    const { prefix, store, name: workerName, figures, logger } = this.#options;
    // Before the state is read for the first time, so that its end is not missed.
    await this.#listen(shard);
    this.#mustBeOpen();
    const link = this.#openLink();
    const puller = new ItemPuller({
      uid,
      name,
      ask: (call) => this.#ask(port, call),
      transport: {
        send: (request) => port.run(({ workQueues }) => workQueues.settle(request)),
        get generation() {
          return link.generation;
        },
        reconnect: () => link.replace(),
      },
      redis: this.#openRedis(),
      prefix,
      settings: store.settings,
      workerName,
      figures,
      logger,
    });
    this.#connected.add(puller);
    try {
      await puller.start();
    } catch (error) {
      await this.#closePuller(puller, true);
      throw error;
    }
    return puller;
  }

  async #closePuller(puller: ItemPuller, force: boolean): Promise<void> {
    await puller.close(force);
    this.#connected.delete(puller);
  }

  async #listen(shard: number): Promise<void> {
    let listening = this.#listening.get(shard);
    if (listening === undefined) {
      const { store, subscriber } = this.#options;
      const { workQueueChannel } = store.shard(shard).keys;
      listening = subscriber.subscribe(workQueueChannel, (uid) => this.#wake(uid));
      this.#listening.set(shard, listening);
      listening.catch(() => this.#listening.delete(shard));
    }
    await listening;
  }

  #wake(uid: string): void {
    this.#pullers.get(uid)?.then(
      (puller) => puller.mayBeDone(),
      () => undefined,
    );
  }

  #wakeAll(): void {
    for (const uid of this.#pullers.keys()) this.#wake(uid);
  }

  /** A connection that was given up must not fail a pod: asks a few times. */
  async #ask<T>(port: ShardPort, call: (workQueues: WorkQueues) => Promise<T>): Promise<T> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await port.run(({ workQueues }) => call(workQueues));
      } catch (error) {
        if (this.#isClosed || failures === MAX_ASK_FAILURES) throw error;
        this.#options.logger.debug({ err: error }, 'a question about items failed; asking again');
      }
      await delay(ASK_AGAIN_MS * 2 ** failures);
    }
  }

  #port(shard: number): ShardPort {
    return new ShardPort(this.#options.store.shard(shard), this.#openLink());
  }

  #openLink(): Link {
    return (this.#link ??= new Link(this.#options.connection, 'items', this.#options.logger));
  }

  #openRedis(): RedisClient {
    if (this.#redis === null) {
      this.#redis = openConnection(this.#options.connection);
      this.#redis.on('error', (error) =>
        this.#options.logger.debug({ err: error }, 'connection for items'),
      );
    }
    return this.#redis;
  }
}
