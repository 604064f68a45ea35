/** A controller process: the real reconcile functions, driven as the due loop drives them. */
import { NO_PRIORITY } from '@drover/shared';
import type { Shard, Taken } from '@drover/store';
import { pino } from 'pino';
import { TAKE_MS } from '../../packages/controller/src/dueLoop.ts';
import { JobReconciler } from '../../packages/controller/src/reconcile.ts';
import { reconcileSession } from '../../packages/controller/src/sessions.ts';
import type { SlotQueue } from './queue.ts';
import { type Actor, isFault, type World } from './world.ts';

/** Short, so that a history has many retries. */
export const BACKOFF = { baseMs: 200, capMs: 2_000 };
export const RESYNC_MS = 30_000;
const SAFETY_WAKE_MS = 10_000;
const logger = pino({ level: 'silent' });

/** One start of a controller. */
export class ControllerActor {
  readonly actor: Actor;
  readonly #world: World;
  readonly #shard: Shard;
  readonly #jobs: JobReconciler;
  #isTaking = false;
  #wakeAtMs = Number.POSITIVE_INFINITY;

  constructor(world: World, name: string, shard: Shard, queue: SlotQueue) {
    this.#world = world;
    this.actor = world.start(name);
    this.#shard = world.shardOf(this.actor, shard);
    this.#jobs = new JobReconciler({
      shard: this.#shard,
      offers: {
        offer: ({ uid }, _shard, slots) =>
          world.send(this.actor, 'offer', async () => queue.offer(uid, slots)),
      },
      priorities: { refresh: () => {}, of: async () => NO_PRIORITY, inQueue: async () => null },
      backoff: BACKOFF,
      resyncMs: RESYNC_MS,
      kept: { trim: async () => false, finished: async () => {} },
      events: { record: () => {} },
      logger,
    });
    this.wake(world.nowMs);
  }

  /** Something is due then. */
  wake(atMs: number): void {
    if (atMs >= this.#wakeAtMs) return;
    this.#wakeAtMs = atMs;
    this.#world.at(this.actor, atMs, () => {
      if (this.#wakeAtMs !== atMs) return;
      this.#wakeAtMs = Number.POSITIVE_INFINITY;
      this.#world.spawn(this.#take());
    });
  }

  async #take(): Promise<void> {
    if (this.#isTaking) return;
    this.#isTaking = true;
    try {
      const { nowMs, nextAtMs, taken } = await this.#shard.take(4, TAKE_MS);
      for (const one of taken) this.#world.spawn(this.#handle(one));
      this.#isTaking = false;
      this.wake(
        Math.max(this.#world.nowMs, Math.min(nextAtMs ?? Infinity, nowMs + SAFETY_WAKE_MS)),
      );
    } catch (error) {
      this.#isTaking = false;
      this.#world.fail(error);
      this.wake(this.#world.nowMs + 100);
    }
  }

  async #handle(taken: Taken): Promise<void> {
    const nextAtMs = await this.#look(taken.member);
    await this.#shard.done(taken, nextAtMs);
    if (nextAtMs !== null) this.wake(nextAtMs);
  }

  async #look(member: string): Promise<number | null> {
    const [kind, id = ''] = member.split(':');
    try {
      return kind === 'session'
        ? await reconcileSession(this.#shard, id, logger)
        : await this.#jobs.reconcile(id);
    } catch (error) {
      if (!isFault(error)) throw error;
      return this.#world.nowMs + 1_000;
    }
  }
}
