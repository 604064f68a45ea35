import type { ComputeResources } from '@drover/shared';
import {
  EventRecorder,
  MAX_PODS_PER_CALL,
  type Shard,
  type StopOrder,
  type Subscriber,
} from '@drover/store';
import type { Logger } from 'pino';

import type { WorkerFigures } from './figures.ts';
import { Link, type Connection } from './link.ts';
import { isLeftBehind } from './logs/lateLogs.ts';
import { PodEvents } from './podEvents.ts';
import { Reporter } from './reporter.ts';
import { ReportRoute } from './reportRoute.ts';
import { SessionKeeper, type Session } from './session.ts';
import { ShardPort } from './shardPort.ts';
import type { HolderShard, SlotHolder } from './slots/holder.ts';
import { within } from './within.ts';

/** Options of {@link ShardWorker}. */
export interface ShardWorkerOptions {
  readonly shard: Shard;
  readonly connection: Connection;
  /** The connection for heartbeats, acquires and reads, shared by all shards. */
  readonly control: Link;
  readonly subscriber: Subscriber;
  readonly node: string;
  readonly lanes: Readonly<Record<string, number>>;
  readonly resources: ComputeResources;
  readonly leaseTtlMs: number;
  readonly heartbeatMs: number;
  readonly figures: WorkerFigures;
  readonly logger: Logger;
}

/** How long the last events are waited for: less than all that has to be said at the end. */
const LAST_EVENTS_MS = 500;

/** All that a worker has to do with one shard: its session, its reports, its stop orders. */
export class ShardWorker implements HolderShard {
  readonly port: ShardPort;
  readonly keeper: SessionKeeper;
  readonly holders = new Map<string, SlotHolder>();
  readonly givenUp = new Set<string>();
  readonly events: PodEvents;
  readonly #recorder: EventRecorder;
  readonly #options: ShardWorkerOptions;
  /** Reports have a connection of their own: nothing urgent queues behind them. */
  readonly #reports: Link;
  #unsubscribe: (() => void) | null = null;
  /** The session whose lanes are not on offer. */
  #withheld: string | null = null;

  constructor(options: ShardWorkerOptions) {
    const { shard, control, figures, logger } = options;
    this.#options = options;
    this.port = new ShardPort(shard, control);
    this.#reports = new Link(options.connection, 'reports', logger);
    const route = new ReportRoute(new ShardPort(shard, this.#reports));
    this.#recorder = new EventRecorder({
      events: {
        record: (...batch) => this.port.run(({ events }) => events.record(...batch)),
      },
      onLost: (count, error) => {
        figures.lostEvents += count;
        logger.debug({ err: error, count }, 'events were lost');
      },
    });
    this.events = new PodEvents({ sink: this.#recorder, node: options.node });
    this.keeper = new SessionKeeper({
      port: this.port,
      reconnect: () => control.replace(),
      node: options.node,
      lanes: options.lanes,
      resources: options.resources,
      leaseTtlMs: options.leaseTtlMs,
      heartbeatMs: options.heartbeatMs,
      logger,
      createReporter: (session) =>
        new Reporter({
          session,
          logger,
          batches: figures.reportBatches,
          transport: {
            send: (id, entries) => route.send(id, entries),
            reconnect: () => this.#reports.replace(),
          },
        }),
      onRegistered: (session) => this.#listen(session),
      onOrders: (_session, orders) => this.#stopPods(orders),
      onClaims: (session, count) => this.#checkClaims(session, count),
      onEnded: (session) => this.#stopPodsOf(session),
    });
  }

  /** Ends the session, with `end` in Redis too, and closes the connection. */
  async close(end: boolean): Promise<void> {
    this.#unsubscribe?.();
    await within(LAST_EVENTS_MS, this.#recorder.flush());
    const closed = this.keeper.close(end);
    // Nothing is reported any more, and the answer to the goodbye may never come.
    this.#reports.close();
    await closed;
  }

  /**
   * Says whether this worker takes pods, unless its session was told before. To be called again from time to time: a
   * session that begins takes some.
   */
  async offerLanes(isOffered: boolean): Promise<void> {
    const { id } = await this.keeper.current();
    if (isOffered === (this.#withheld !== id)) return;
    await this.port.run((shard) => shard.offerLanes(id, isOffered));
    this.#withheld = isOffered ? null : id;
  }

  /**
   * A Job that is removed takes the logs of its pods with it. One that still ran then, on a worker that did not know,
   * may have begun its log since, and nobody would ever remove that.
   */
  forgetLog(uid: string, podNumber: number): void {
    const forget = async (): Promise<void> => {
      const job = await this.port.run((shard) => shard.getJobByUid(uid));
      if (isLeftBehind(job)) await this.port.removeLog(uid, podNumber);
    };
    forget().catch((error: unknown) => {
      this.#options.logger.debug({ err: error, jobUid: uid, podNumber }, 'a log was not removed');
    });
  }

  /** A hint only: the orders come with every heartbeat. */
  #listen(session: Session): void {
    this.#unsubscribe?.();
    this.#unsubscribe = null;
    const { subscriber, shard, logger } = this.#options;
    subscriber
      .subscribe(shard.keys.session(session.id).ordersChannel, () => this.keeper.wake())
      .then(
        (unsubscribe) => {
          if (session.ended) unsubscribe();
          else this.#unsubscribe = unsubscribe;
        },
        (error: unknown) => logger.debug({ err: error }, 'no wake-ups for stop orders'),
      );
  }

  #stopPods(orders: readonly StopOrder[]): void {
    for (const { uid, slot, podNumber } of orders) {
      this.holders.get(`${uid}:${slot}`)?.order(podNumber);
    }
  }

  /**
   * Redis knows of more pods of the session than run here: a failover brought back what had ended before it, and what
   * came after that is not known there. Nobody else would ever end them, since the session lives.
   */
  #checkClaims(session: Session, count: number): void {
    let held = 0;
    for (const holder of this.holders.values()) if (holder.session === session) held += 1;
    if (count <= held || this.givenUp.size > 0) return;
    this.#giveUpUnheld(session).catch((error: unknown) => {
      this.#options.logger.debug({ err: error }, 'claims that nobody holds are there still');
    });
  }

  async #giveUpUnheld(session: Session): Promise<void> {
    const claims = await this.port.run((shard) => shard.claimsOf(session.id));
    const unheld = claims.filter(({ uid, slot }) => !this.holders.has(`${uid}:${slot}`));
    // Nobody may ask for one of them until it is over: a claim that is given meanwhile would be ended with it.
    for (const { uid, slot } of unheld) this.givenUp.add(`${uid}:${slot}`);
    try {
      let lostPods = 0;
      for (const [uid, ofJob] of Map.groupBy(unheld, (claim) => claim.uid)) {
        // What is left has its turn with the next heartbeat.
        const slots = ofJob.slice(0, MAX_PODS_PER_CALL).map(({ slot }) => slot);
        lostPods += await this.port.run((shard) =>
          shard.endLostPods(session.id, uid, slots, { isOwn: true }),
        );
      }
      if (lostPods === 0) return;
      this.#options.logger.warn(
        { session: session.id, lostPods },
        'pods of this session that are not known here any more were ended',
      );
    } finally {
      this.givenUp.clear();
    }
  }

  #stopPodsOf(session: Session): void {
    for (const holder of this.holders.values()) {
      if (holder.session === session) holder.stop('sessionEnded');
    }
  }
}
