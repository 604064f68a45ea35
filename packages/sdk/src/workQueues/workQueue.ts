import { randomUUID } from 'node:crypto';

import {
  InvalidSpecError,
  NotFoundError,
  parseItemOptions,
  parseWorkQueue,
  type ItemOptions,
  type WorkQueue,
} from '@drover/shared';
import { composeWorkQueue, isAllDone, type StoredWorkQueue, type WorkQueues } from '@drover/store';
import type { Schema } from '@drover/worker';

import type { Backend } from '../backend.ts';
import { createWorkQueue } from './create.ts';
import { isItemSource, itemBatches, type ItemRules, type ItemSource } from './itemBatches.ts';
import { areWorthChunks, MAX_CHUNK_ITEMS } from './itemJobs.ts';
import type { ItemQueue } from './itemQueue.ts';
import { ItemSender } from './itemSender.ts';
import { readOutcomes } from './readOutcomes.ts';
import { deadItem, itemResult, type DeadItem, type ItemResult } from './results.ts';

/** Batches on their way at a time. */
const MAX_BATCHES = 3;
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
    await this.#uidOrCreate();
    const sender = this.#sender(() => this.#uidOrCreate());
    const mayChunk = chunk !== false && Object.keys(rest).length === 0 && key === undefined;
    const maxItems = typeof chunk === 'number' ? chunk : MAX_CHUNK_ITEMS;
    const totals = { enqueued: 0, duplicates: 0 };
    const sending = new Set<Promise<void>>();
    for await (const batch of checked) {
      signal?.throwIfAborted();
      const inChunks = mayChunk && (typeof chunk === 'number' || areWorthChunks(batch));
      const sent = sender.send(batch, itemOptions, inChunks ? maxItems : null).then((enqueued) => {
        totals.enqueued += enqueued;
        totals.duplicates += batch.length - enqueued;
        sending.delete(sent);
        onProgress?.(totals.enqueued);
      });
      // Told by the race or the wait below.
      sent.catch(() => undefined);
      sending.add(sent);
      if (sending.size === MAX_BATCHES) await Promise.race(sending);
    }
    await Promise.all(sending);
    return totals;
  }

  /** Says that no more items will come, so that whoever takes them may end. Twice is no error. */
  async seal(): Promise<void> {
    await this.#onQueue(async (workQueues, uid) => {
      const answer = await workQueues.seal(uid);
      return answer === 'notFound' ? null : answer;
    });
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
    const { order = 'completion', follow = false, signal } = options;
    const { uid } = await this.#read();
    const of = { namespace: this.namespace, uid };
    for await (const outcome of readOutcomes(this.#backend, of, { order, follow, signal })) {
      if (outcome.outcome === 'completed') yield itemResult(outcome);
    }
  }

  /** Items that failed for good and are kept. @throws NotFoundError */
  async *deadLetters(): AsyncGenerator<DeadItem> {
    const { uid } = await this.#read();
    let cursor = '0';
    const seen = new Set<number>();
    do {
      const from = cursor;
      const page = await this.#onWorkQueues((workQueues) => workQueues.listDead(uid, from));
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
    const { uid } = await this.#read();
    const sender = this.#sender(() => Promise.resolve(uid));
    let retried = 0;
    let batch: DeadItem[] = [];
    for await (const item of this.deadLetters()) {
      if (!filter(item)) continue;
      batch.push(item);
      if (batch.length < RETRY_BATCH_ITEMS) continue;
      retried += await sender.retry(batch, itemOptions);
      batch = [];
    }
    if (batch.length > 0) retried += await sender.retry(batch, itemOptions);
    return retried;
  }

  /** Removes the items that nobody works on, those that are being enqueued meanwhile too; returns how many. */
  async clear(): Promise<number> {
    const { uid } = await this.#read();
    return await this.#withItemQueue(uid, async (queue) => {
      const settle = async (removed: ReadonlySet<number>): Promise<number> => {
        const { counts } = await this.#read();
        const { ids } = await queue.inFlight();
        const inFlight = ids.filter((id) => !removed.has(id));
        const cleared = await this.#onWorkQueues((workQueues) =>
          workQueues.clear(uid, counts.enqueued, inFlight),
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
    const uid = await this.#onQueue(async (workQueues, found) =>
      (await workQueues.delete(found)) === 'deleted' ? found : null,
    );
    this.#backend.workQueueUids.forget(this.namespace, this.name, uid);
    // What is added after this, by an enqueue that is under way, a controller removes.
    await this.#withItemQueue(uid, (queue) => queue.obliterate());
    await this.#backend.closeItemQueue(uid);
  }

  #read(): Promise<StoredWorkQueue> {
    return this.#onQueue((workQueues, uid) => workQueues.read(uid));
  }

  /**
   * Calls with the uid; null = there is no such work queue. Then once more, if another has its name by now.
   *
   * @throws NotFoundError
   */
  async #onQueue<T>(call: (workQueues: WorkQueues, uid: string) => Promise<T | null>): Promise<T> {
    const { workQueueUids } = this.#backend;
    for (let isAgain = false; ; isAgain = true) {
      const uid = await workQueueUids.find(this.namespace, this.name);
      if (uid === null) throw this.#notFound();
      const result = await this.#onWorkQueues((workQueues) => call(workQueues, uid));
      if (result !== null) return result;
      workQueueUids.forget(this.namespace, this.name, uid);
      if (isAgain) throw this.#notFound();
    }
  }

  async #uidOrCreate(): Promise<string> {
    const { workQueueUids } = this.#backend;
    const found = await workQueueUids.find(this.namespace, this.name);
    if (found !== null) return found;
    const manifest = parseWorkQueue({ metadata: { name: this.name } }, this.namespace);
    const uid = randomUUID();
    const created = await createWorkQueue(this.#backend, manifest, uid);
    // Somebody else was faster: theirs is as good.
    return created ? uid : (await this.#read()).uid;
  }

  #sender(uid: () => Promise<string>): ItemSender {
    const { name, namespace } = this;
    return new ItemSender({
      name,
      uid,
      forget: (found) => this.#backend.workQueueUids.forget(namespace, name, found),
      onWorkQueues: (call) => this.#onWorkQueues(call),
      onItemQueue: (found, use) => this.#withItemQueue(found, use),
      notFound: () => this.#notFound(),
    });
  }

  #withItemQueue<T>(uid: string, use: (queue: ItemQueue) => Promise<T>): Promise<T> {
    return this.#backend.run(() => this.#backend.useItemQueue(uid, use));
  }

  #onWorkQueues<T>(call: (workQueues: WorkQueues) => Promise<T>): Promise<T> {
    return this.#backend.onShard(this.namespace, ({ workQueues }) => call(workQueues));
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
