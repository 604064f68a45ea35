import { randomUUID } from 'node:crypto';

import {
  DroverError,
  InvalidSpecError,
  NotFoundError,
  parseItemOptions,
  parseWorkQueue,
  SealedError,
  type ItemOptions,
  type WorkQueue,
} from '@drover/shared';
import {
  composeWorkQueue,
  isAllDone,
  type ItemOutcome,
  type Shard,
  type StoredWorkQueue,
} from '@drover/store';
import type { Schema } from '@drover/worker';

import type { Backend } from '../backend.ts';
import {
  isItemSource,
  itemBatches,
  type ItemRules,
  type ItemSource,
  type PreparedItem,
} from './itemBatches.ts';
import {
  areWorthChunks,
  chunkJobs,
  MAX_CHUNK_ITEMS,
  type NumberedItem,
  singleJobs,
} from './itemJobs.ts';
import { createWorkQueue } from './create.ts';
import type { ItemQueue } from './itemQueue.ts';
import { OutcomeNews } from './outcomeNews.ts';
import { deadItem, inEnqueueOrder, itemResult, type DeadItem, type ItemResult } from './results.ts';

/** A batch that is not handed over within this time is given up: its producer is taken for dead. */
const BATCH_LEASE_MS = 30_000;
/** Batches on their way at a time. */
const MAX_BATCHES = 3;
const OUTCOMES_PER_READ = 200;
const RETRY_BATCH_ITEMS = 100;

/** Options of {@link WorkQueueHandle.enqueue}. */
export interface EnqueueOptions<Item> extends Partial<ItemOptions> {
  /**
   * Key of the items, or what makes it from one. A work queue takes an item of each key once: an enqueue that is
   * repeated adds nothing twice. Default: none.
   */
  readonly key?: string | ((item: Item) => string);
  /**
   * How small items travel: several in one QueueJob, which is many times faster and invisible to who takes them.
   * `auto` (the default) does so for many small items without options of their own, `false` never, a number
   * (2 to 500) always, so many at a time.
   */
  readonly chunk?: 'auto' | false | number;
  /** Told after each batch of items how many were enqueued so far. */
  readonly onProgress?: (enqueued: number) => void;
  /** Ends the enqueue between two batches; it is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What an enqueue did. */
export interface Enqueued {
  /** New items. */
  readonly enqueued: number;
  /** Items whose key the work queue has had before: not enqueued again. */
  readonly duplicates: number;
}

/** Options of {@link WorkQueueHandle.results}. */
export interface ResultsOptions {
  /** `completion` (the default): as items were completed. `enqueue`: by their ids. */
  readonly order?: 'completion' | 'enqueue';
  /** Goes on until the work queue is all done. Default: ends with what there is now. */
  readonly follow?: boolean;
  /** Ends the loop. */
  readonly signal?: AbortSignal;
}

/** Items of a work queue by where they are. */
export interface WorkQueueStats {
  /** No more items can come. */
  readonly sealed: boolean;
  /** Sealed, and every item is settled. */
  readonly allDone: boolean;
  /** Items that may be taken now. */
  readonly waiting: number;
  /** Items whose time has not come: enqueued with a delay, or failed and to be tried again. */
  readonly delayed: number;
  /** Items that workers have, those waiting there for a pod included. */
  readonly inFlight: number;
  readonly completed: number;
  /** Dead-lettered items that are kept. */
  readonly dead: number;
}

/** An enqueue took so long that its items were given up: enqueue them again. */
export class BatchAbandonedError extends DroverError {
  constructor(queueName: string, count: number) {
    super(
      'TIMEOUT',
      `${count} items for WorkQueue "${queueName}" were not handed over within ${BATCH_LEASE_MS / 1000} s and count for nothing: enqueue them again`,
    );
  }
}

/** Options of a work queue's handle. */
export interface WorkQueueHandleOptions<Item> {
  /** Default: the client's. */
  readonly namespace?: string;
  /** Checks each item before it is enqueued; zod's or another of the Standard Schema. */
  readonly schema?: Schema<Item>;
}

/** A work queue by its name. Nothing is asked of Redis before the first call. */
export class WorkQueueHandle<Item = unknown> {
  readonly name: string;
  readonly namespace: string;
  readonly #backend: Backend;
  readonly #schema: Schema<Item> | null;

  constructor(
    backend: Backend,
    name: string,
    options: { readonly namespace: string; readonly schema: Schema<Item> | null },
  ) {
    this.#backend = backend;
    this.name = name;
    this.namespace = options.namespace;
    this.#schema = options.schema;
  }

  /**
   * Puts one item, or all items of an array, iterable, async iterable or stream, into the work queue, which is
   * created when there is none. A source is read as fast as Redis takes it, so it may be larger than memory. To
   * enqueue a list as one item, put it into another one.
   *
   * Of an array all items are checked before the first is enqueued. Of other sources, those before a bad item
   * are in the queue already.
   *
   * @throws InvalidItemsError with the positions of bad items and what is wrong with each.
   * @throws SealedError when the work queue takes no more.
   */
  async enqueue(
    items: Item | ItemSource<Item>,
    options: EnqueueOptions<Item> = {},
  ): Promise<Enqueued> {
    const { key, chunk = 'auto', onProgress, signal, ...rest } = options;
    const itemOptions = parseItemOptions(rest, this.name);
    checkChunk(chunk, options, this.name);
    const rules: ItemRules<Item> = {
      queueName: this.name,
      schema: this.#schema,
      keyOf: key === undefined ? null : typeof key === 'function' ? key : () => key,
    };
    const source = isItemSource(items) ? items : [items];
    const batches = itemBatches(source, rules);
    // What is all there is checked before the first is sent.
    const checked = Array.isArray(source) ? await collect(batches) : batches;
    const uid = await this.#uidOrCreate();
    const mayChunk = chunk !== false && Object.keys(rest).length === 0 && key === undefined;
    const maxItems = typeof chunk === 'number' ? chunk : MAX_CHUNK_ITEMS;
    const totals = { enqueued: 0, duplicates: 0 };
    await this.#withItemQueue(uid, async (queue) => {
      const sending = new Set<Promise<void>>();
      for await (const batch of checked) {
        signal?.throwIfAborted();
        const inChunks = mayChunk && (typeof chunk === 'number' || areWorthChunks(batch));
        const sent = this.#send(queue, uid, batch, itemOptions, inChunks ? maxItems : null).then(
          ({ enqueued, duplicates }) => {
            totals.enqueued += enqueued;
            totals.duplicates += duplicates;
            sending.delete(sent);
            onProgress?.(totals.enqueued);
          },
        );
        // Told by the race or the wait below.
        sent.catch(() => undefined);
        sending.add(sent);
        if (sending.size === MAX_BATCHES) await Promise.race(sending);
      }
      await Promise.all(sending);
    });
    return totals;
  }

  /** Says that no more items will come, so that whoever takes them may end. Twice is no error. */
  async seal(): Promise<void> {
    const uid = await this.#uid();
    await this.#onShard((shard) => shard.workQueues.seal(uid));
  }

  /** The work queue with its counts. @throws NotFoundError */
  async get(): Promise<WorkQueue> {
    return composeWorkQueue(await this.#read());
  }

  /** Counts of items by where they are. @throws NotFoundError */
  async stats(): Promise<WorkQueueStats> {
    const stored = await this.#read();
    const counts = await this.#withItemQueue(stored.uid, (queue) => queue.counts());
    const { enqueued, settled, completed, dead } = stored.counts;
    const inFlight = Math.min(counts.inFlight, enqueued - settled);
    const delayed = Math.min(counts.delayed, enqueued - settled - inFlight);
    return {
      sealed: stored.sealedMs !== null,
      allDone: isAllDone(stored),
      waiting: enqueued - settled - inFlight - delayed,
      delayed,
      inFlight,
      completed,
      dead,
    };
  }

  /**
   * Results of the completed items, as far as they are kept.
   *
   * @example
   * for await (const { id, result } of drover.workQueue('pages').results({ follow: true })) console.log(id, result);
   * @throws NotFoundError
   */
  async *results(options: ResultsOptions = {}): AsyncGenerator<ItemResult> {
    const outcomes = this.#outcomes(options);
    const ordered = options.order === 'enqueue' ? inEnqueueOrder(outcomes) : outcomes;
    for await (const outcome of ordered) {
      if (outcome.outcome === 'completed') yield itemResult(outcome);
    }
  }

  /** Items that failed for good and are kept. @throws NotFoundError */
  async *deadLetters(): AsyncGenerator<DeadItem> {
    const uid = await this.#uid();
    let cursor = '0';
    const seen = new Set<number>();
    do {
      const from = cursor;
      const page = await this.#onShard((shard) => shard.workQueues.listDead(uid, from));
      for (const [id, text] of page.items) {
        // A scan may tell a field twice.
        if (seen.has(id)) continue;
        seen.add(id);
        yield deadItem(id, text);
      }
      cursor = page.cursor;
    } while (cursor !== '0');
  }

  /**
   * Enqueues dead-lettered items again, as new ones; a sealed work queue takes them too.
   *
   * @param filter - Which; default: all.
   * @returns how many.
   */
  async retry(
    filter: (item: DeadItem) => boolean = () => true,
    options: Partial<ItemOptions> = {},
  ): Promise<number> {
    const itemOptions = parseItemOptions(options, this.name);
    const uid = await this.#uid();
    let retried = 0;
    await this.#withItemQueue(uid, async (queue) => {
      let batch: DeadItem[] = [];
      const send = async (): Promise<void> => {
        if (batch.length === 0) return;
        const items = batch.map(({ data, key }) => ({ data, key, bytes: 0 }));
        const retriedIds = batch.map(({ id }) => id);
        await this.#send(queue, uid, items, itemOptions, null, retriedIds);
        retried += batch.length;
        batch = [];
      };
      for await (const item of this.deadLetters()) {
        if (!filter(item)) continue;
        batch.push(item);
        if (batch.length === RETRY_BATCH_ITEMS) await send();
      }
      await send();
    });
    return retried;
  }

  /** Removes the items that nobody works on, those that are being enqueued meanwhile too; returns how many. */
  async clear(): Promise<number> {
    const uid = await this.#uid();
    return await this.#withItemQueue(uid, async (queue) => {
      const settle = async (removed: ReadonlySet<number>): Promise<number> => {
        const { counts } = await this.#read();
        const inFlight = (await queue.idsInFlight()).filter((id) => !removed.has(id));
        const cleared = await this.#onShard((shard) =>
          shard.workQueues.clear(uid, counts.enqueued, inFlight),
        );
        return cleared ?? 0;
      };
      // What is settled is not run, whenever it is delivered. So: first that, then out of BullMQ, and then
      // what came in between, for that is out of BullMQ as well; and what had left a chunk that is in flight.
      const before = await settle(new Set());
      const removed = await queue.drain();
      return before + (await settle(removed));
    });
  }

  /** Removes the work queue with all its items, results and dead letters. @throws NotFoundError */
  async delete(): Promise<void> {
    const uid = await this.#uid();
    await this.#onShard((shard) => shard.workQueues.delete(uid));
    await this.#withItemQueue(uid, (queue) => queue.obliterate());
  }

  /** Hands one batch over: ids, QueueJobs, and word that they are all there. */
  async #send(
    queue: ItemQueue,
    uid: string,
    batch: readonly PreparedItem[],
    options: ItemOptions,
    chunkItems: number | null,
    retriedIds: readonly number[] = [],
  ): Promise<Enqueued> {
    const batchId = randomUUID();
    const isRetry = retriedIds.length > 0;
    const hasKeys = !isRetry && batch[0]?.key !== null;
    const reserved = await this.#onShard((shard) =>
      shard.workQueues.reserve({
        uid,
        batchId,
        count: batch.length,
        keys: hasKeys ? batch.map(({ key }) => key!) : null,
        leaseMs: BATCH_LEASE_MS,
        isRetry,
      }),
    );
    if (reserved.type === 'sealed') throw new SealedError(this.name);
    if (reserved.type === 'notFound') throw this.#notFound();
    const items: NumberedItem[] = [];
    for (const [i, item] of batch.entries()) {
      if (reserved.isNew[i] === true) items.push({ ...item, id: reserved.ids[i]! });
    }
    if (items.length > 0) {
      await queue.add(
        chunkItems === null ? singleJobs(items, options) : chunkJobs(items, chunkItems),
      );
      const committed = await this.#onShard((shard) =>
        shard.workQueues.commit({ uid, batchId, retriedIds }),
      );
      if (committed === 'abandoned') throw new BatchAbandonedError(this.name, items.length);
      if (committed === 'notFound') throw this.#notFound();
    }
    return { enqueued: items.length, duplicates: batch.length - items.length };
  }

  async *#outcomes({ follow = false, signal }: ResultsOptions): AsyncGenerator<ItemOutcome> {
    const uid = await this.#uid();
    const news = follow ? await OutcomeNews.open(this.#backend, this.namespace, uid) : null;
    const stop = (): void => news?.close();
    signal?.addEventListener('abort', stop, { once: true });
    let after = '';
    try {
      for (;;) {
        if (signal?.aborted === true) return;
        // Before the outcomes: what is settled in between is told by the next round.
        const stored = await this.#onShard((shard) => shard.workQueues.read(uid));
        const from = after;
        const page = await this.#onShard((shard) =>
          shard.workQueues.outcomes(uid, { after: from, limit: OUTCOMES_PER_READ }),
        );
        yield* page.outcomes;
        after = page.position;
        if (after !== from) continue;
        if (news === null || stored === null || isAllDone(stored)) return;
        await news.next(after);
      }
    } catch (error) {
      if (signal?.aborted !== true) throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
      stop();
    }
  }

  async #read(): Promise<StoredWorkQueue> {
    const uid = await this.#uid();
    const stored = await this.#onShard((shard) => shard.workQueues.read(uid));
    if (stored === null) throw this.#notFound();
    return stored;
  }

  async #uid(): Promise<string> {
    const uid = await this.#onShard((shard) => shard.workQueues.find(this.namespace, this.name));
    if (uid === null) throw this.#notFound();
    return uid;
  }

  async #uidOrCreate(): Promise<string> {
    const found = await this.#onShard((shard) => shard.workQueues.find(this.namespace, this.name));
    if (found !== null) return found;
    const manifest = parseWorkQueue({ metadata: { name: this.name } }, this.namespace);
    const uid = randomUUID();
    const created = await createWorkQueue(this.#backend, manifest, uid);
    // Somebody else was faster: theirs is as good.
    return created ? uid : await this.#uid();
  }

  #withItemQueue<T>(uid: string, use: (queue: ItemQueue) => Promise<T>): Promise<T> {
    return this.#backend.run(async () => use(await this.#backend.itemQueue(uid)));
  }

  #onShard<T>(call: (shard: Shard) => Promise<T>): Promise<T> {
    return this.#backend.onShard(this.namespace, call);
  }

  #notFound(): NotFoundError {
    const { name, namespace } = this;
    return new NotFoundError({ resource: 'workqueues.drover.dev', name, namespace });
  }
}

/** @throws InvalidSpecError */
function checkChunk(chunk: unknown, options: object, queueName: string): void {
  const isNumber =
    Number.isInteger(chunk) && Number(chunk) >= 2 && Number(chunk) <= MAX_CHUNK_ITEMS;
  const issues: { path: string; kind: 'Invalid'; value: unknown; detail: string }[] = [];
  if (chunk !== 'auto' && chunk !== false && !isNumber) {
    const detail = `must be "auto", false or an integer of 2 to ${MAX_CHUNK_ITEMS}`;
    issues.push({ path: 'chunk', kind: 'Invalid', value: chunk, detail });
  }
  if (isNumber) {
    for (const name of ['key', 'priority', 'delay', 'attempts', 'backoff'] as const) {
      if (!(name in options)) continue;
      const detail = `items with ${name} travel one by one: leave out ${name} or chunk`;
      issues.push({ path: 'chunk', kind: 'Invalid', value: chunk, detail });
    }
  }
  if (issues.length > 0)
    throw new InvalidSpecError('options of items of WorkQueue', queueName, issues);
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of source) all.push(one);
  return all;
}
