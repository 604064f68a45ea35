import type { RedisClient, Subscriber, WorkQueues } from '@drover/store';

import type { Backend } from '../backend.ts';

/** A hint may be lost: so often the state is read without one. */
const BLOCK_MS = 10_000;

/** Wakes whoever follows the outcomes of a work queue. Has two connections of its own. */
export class OutcomeNews {
  readonly #workQueues: WorkQueues;
  readonly #uid: string;
  readonly #reader: RedisClient;
  readonly #subscriber: Subscriber;
  #wake: () => void = () => undefined;
  /** All done, or deleted. */
  #wasTold = false;

  private constructor(
    workQueues: WorkQueues,
    uid: string,
    reader: RedisClient,
    subscriber: Subscriber,
  ) {
    this.#workQueues = workQueues;
    this.#uid = uid;
    this.#reader = reader;
    this.#subscriber = subscriber;
  }

  /** Begins to listen. */
  static async open(backend: Backend, namespace: string, uid: string): Promise<OutcomeNews> {
    const store = await backend.store();
    const shard = store.shardOf(namespace);
    const reader = await backend.duplicate();
    const news = new OutcomeNews(shard.workQueues, uid, reader, store.openSubscriber());
    try {
      await news.#subscriber.subscribe(shard.keys.workQueueChannel, (message) => {
        if (message !== uid) return;
        news.#wasTold = true;
        news.#wake();
      });
    } catch (error) {
      // Its connections would try for ever to come back, and hold the process.
      news.close();
      throw error;
    }
    return news;
  }

  /** Resolves when there may be an outcome after a position, or none can come any more. */
  async next(after: string): Promise<void> {
    const told = new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#wasTold) this.#wake();
    this.#wasTold = false;
    const options = { after, timeoutMs: BLOCK_MS };
    await Promise.race([told, this.#workQueues.awaitOutcome(this.#reader, this.#uid, options)]);
  }

  /** Closes its connections; what waits is rejected. */
  close(): void {
    this.#reader.disconnect();
    this.#subscriber.close();
  }
}
