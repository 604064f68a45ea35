import assert from 'node:assert/strict';
import { decodeOutcomes, decodeSettleAnswers, encodeItems } from './itemRecords.ts';
import type { ShardKeys } from './keys.ts';
import { integer } from './replies.ts';
import { sessionBytes } from './session.ts';
import { ShardScripts, type ShardScriptsOptions } from './shardScripts.ts';
import {
  type CommitRequest,
  type ItemOutcome,
  MAX_BATCH_ITEMS,
  MAX_SETTLED_ITEMS,
  type NewWorkQueue,
  type Reserved,
  type ReserveRequest,
  type SettleAnswer,
  type SettleRequest,
  type StoredWorkQueue,
  type WorkQueueCreated,
} from './workQueueApi.ts';
import type { RedisClient } from './redisClient.ts';

/** Producers and workers that were at work when a work queue was deleted are done by then. */
const CLEAN_UP_AFTER_MS = 60_000;
/** For how long a repeated reservation gets the ids of the first one. */
const REMEMBER_BATCH_MS = 3_600_000;

/** The work queues of a shard. Methods are as idempotent as the contracts in `lua/` say. */
export class WorkQueues {
  readonly #redis: RedisClient;
  readonly #keys: ShardKeys;
  readonly #scripts: ShardScripts;

  constructor(options: ShardScriptsOptions) {
    this.#redis = options.redis;
    this.#keys = options.keys;
    this.#scripts = new ShardScripts(options);
  }

  /** Stores a work queue and wakes the Jobs that wait for it. The same uid answers 'replayed'. */
  async create(queue: NewWorkQueue): Promise<WorkQueueCreated> {
    const { workQueueNames, workQueueUids } = this.#keys;
    const reply = await this.#scripts.run(
      'createWorkQueue',
      [
        ...this.#scripts.dueKeys,
        workQueueNames,
        workQueueUids,
        this.#keys.workQueue(queue.uid).queue,
        this.#keys.awaitedWorkQueue(queue.namespace, queue.name),
      ],
      [
        this.#scripts.now,
        this.#keys.wakeChannel,
        queue.uid,
        queue.namespace,
        queue.name,
        queue.object,
        queue.resultTtlMs,
        queue.maxResultBytes,
      ],
    );
    assert(Array.isArray(reply));
    const code = integer(reply[0]);
    if (code === 0) return { type: 'replayed' };
    if (code === -1) return { type: 'alreadyExists' };
    return { type: 'created', resourceVersion: integer(reply[1]), createdMs: integer(reply[2]) };
  }

  /** Uid of the work queue of a name; null = none. */
  async find(namespace: string, name: string): Promise<string | null> {
    return await this.#redis.hget(this.#keys.workQueueUids, `${namespace}/${name}`);
  }

  /** A work queue with its counts; null = none. O(1). */
  async read(uid: string): Promise<StoredWorkQueue | null> {
    return storedWorkQueue(uid, await this.#redis.hgetall(this.#keys.workQueue(uid).queue));
  }

  /**
   * Work queues of a namespace in order of name.
   *
   * @param options.after - Continue after this name; '' = from the beginning.
   * @returns a page, which has fewer than there are names when some are deleted meanwhile, and after which name it
   *   goes on (null = that was all).
   */
  async list(
    namespace: string,
    options: { readonly after: string; readonly limit: number },
  ): Promise<{ queues: StoredWorkQueue[]; next: string | null }> {
    const paths = await this.#redis.zrangebylex(
      this.#keys.workQueueNames,
      options.after === '' ? `[${namespace}/` : `(${namespace}/${options.after}`,
      `(${namespace}0`,
      'LIMIT',
      0,
      options.limit,
    );
    if (paths.length === 0) return { queues: [], next: null };
    const uids = await this.#redis.hmget(this.#keys.workQueueUids, ...paths);
    const queues = await Promise.all(
      uids.filter((uid) => uid !== null).map((uid) => this.read(uid)),
    );
    return {
      queues: queues.filter((queue) => queue !== null),
      next: paths.length < options.limit ? null : paths.at(-1)!.slice(namespace.length + 1),
    };
  }

  /** No more items will come. */
  async seal(uid: string): Promise<'sealed' | 'alreadySealed' | 'notFound'> {
    const reply = await this.#scripts.run(
      'sealWorkQueue',
      [this.#keys.clock, this.#keys.workQueue(uid).queue],
      [this.#scripts.now, this.#keys.workQueueChannel, uid],
    );
    return ({ 1: 'sealed', 0: 'alreadySealed' } as const)[integer(reply)] ?? 'notFound';
  }

  /** Removes a work queue and all that is kept of its items; BullMQ's queue is the caller's. */
  async delete(uid: string): Promise<'deleted' | 'notFound'> {
    const { workQueueNames, workQueueUids, workQueueChannel } = this.#keys;
    const keys = this.#keys.workQueue(uid);
    const reply = await this.#scripts.run(
      'deleteWorkQueue',
      [
        ...this.#scripts.dueKeys,
        workQueueNames,
        workQueueUids,
        keys.queue,
        keys.settled,
        keys.outcomes,
        keys.dead,
        keys.losses,
        keys.keys,
        keys.batches,
        keys.open,
        keys.committed,
        keys.abandoned,
        keys.retrying,
      ],
      [this.#scripts.now, this.#keys.wakeChannel, workQueueChannel, uid, CLEAN_UP_AFTER_MS],
    );
    return integer(reply) === 1 ? 'deleted' : 'notFound';
  }

  // Enqueue

  /** Gives a batch of new items its ids; the batch is open until {@link commit}. */
  async reserve(request: ReserveRequest): Promise<Reserved> {
    const { uid, count, of } = request;
    assert(count >= 1 && count <= MAX_BATCH_ITEMS, 'size of a batch');
    const rest = of === null ? [] : 'keys' in of ? of.keys : of.deadIds;
    assert(of === null || rest.length === count, 'one for each item');
    const keys = this.#keys.workQueue(uid);
    const reply = await this.#scripts.run(
      'reserveItems',
      [
        ...this.#scripts.dueKeys,
        keys.queue,
        keys.open,
        keys.batches,
        keys.keys,
        keys.abandoned,
        keys.dead,
        keys.retrying,
      ],
      [
        this.#scripts.now,
        this.#keys.wakeChannel,
        uid,
        request.batchId,
        count,
        request.leaseMs,
        of === null ? '' : 'keys' in of ? 'keys' : 'dead',
        ...rest,
      ],
    );
    assert(Array.isArray(reply));
    const code = integer(reply[0]);
    if (code === -1) return { type: 'sealed' };
    if (code === -2) return { type: 'notFound' };
    if (code === -3) return { type: 'pending', waitMs: integer(reply[1]) };
    const known = reply.slice(3).map((id) => integer(id));
    let next = integer(reply[1]);
    const ids = Array.from({ length: count }, (_, i) => known[i] || next++);
    return { type: 'reserved', ids, isNew: ids.map((_, i) => !known[i]) };
  }

  /** BullMQ has the items of a batch. 'abandoned': it came too late, and they count for nothing. */
  async commit(request: CommitRequest): Promise<'committed' | 'abandoned' | 'notFound'> {
    const keys = this.#keys.workQueue(request.uid);
    const reply = await this.#scripts.run(
      'commitItems',
      [
        this.#keys.clock,
        keys.queue,
        keys.open,
        keys.batches,
        keys.committed,
        keys.dead,
        keys.retrying,
      ],
      [
        this.#scripts.now,
        this.#keys.workQueueChannel,
        request.uid,
        request.batchId,
        REMEMBER_BATCH_MS,
        ...request.retriedIds,
      ],
    );
    return ({ 1: 'committed', [-1]: 'abandoned' } as const)[integer(reply)] ?? 'notFound';
  }

  /**
   * Ends a batch that was not committed in time.
   *
   * @returns how many items were abandoned, and when to come again (null = no batch is open); a time that
   *   is past when there are more of them.
   */
  async abandon(uid: string): Promise<{ abandoned: number; nextAtMs: number | null }> {
    const keys = this.#keys.workQueue(uid);
    const reply = await this.#scripts.run(
      'abandonItems',
      [
        this.#keys.clock,
        keys.queue,
        keys.settled,
        keys.open,
        keys.batches,
        keys.committed,
        keys.abandoned,
      ],
      [this.#scripts.now, this.#keys.workQueueChannel, uid, REMEMBER_BATCH_MS],
    );
    assert(Array.isArray(reply));
    const next = String(reply[1]);
    return { abandoned: integer(reply[0]), nextAtMs: next === '' ? null : Number(next) };
  }

  // Settle

  /** Items ended for good. Answers in the order of pods and items. */
  async settle(request: SettleRequest): Promise<SettleAnswer[]> {
    const count = request.pods.reduce((sum, pod) => sum + pod.items.length, 0);
    assert(count >= 1 && count <= MAX_SETTLED_ITEMS, 'items of a settle');
    const keys = this.#keys.workQueue(request.uid);
    const { ids, records, deadCount } = encodeItems(request.pods);
    const reply = await this.#scripts.run(
      'settleItems',
      [
        this.#keys.clock,
        keys.queue,
        keys.settled,
        keys.outcomes,
        keys.dead,
        keys.losses,
        this.#keys.job(request.jobUid).slots,
        this.#keys.job(request.jobUid).job,
      ],
      [
        this.#scripts.now,
        this.#keys.workQueueChannel,
        request.uid,
        sessionBytes(request.session),
        request.jobUid,
        ids,
        records,
        deadCount,
        request.jobItems ?? 0,
        ...request.pods.flatMap(({ slot, podNumber, items }) => [slot, podNumber, items.length]),
      ],
    );
    assert(Buffer.isBuffer(reply));
    return decodeSettleAnswers(reply);
  }

  /** How many items the pods of a Job settled; counted for Jobs with `jobItems` only. */
  async settledBy(jobUid: string): Promise<number> {
    return Number((await this.#redis.hget(this.#keys.job(jobUid).job, 'itemsSettled')) ?? 0);
  }

  /** A pod ended with items in hand: how many pods each of them was lost with. */
  async lose(uid: string, pod: string, ids: readonly number[]): Promise<number[]> {
    assert(ids.length >= 1 && ids.length <= MAX_SETTLED_ITEMS, 'items that are lost');
    const keys = this.#keys.workQueue(uid);
    const reply = await this.#scripts.run('loseItems', [keys.queue, keys.losses], [pod, ...ids]);
    assert(Array.isArray(reply));
    return reply.map((count) => integer(count));
  }

  /** How many pods each item was lost with; see {@link lose}. */
  async losses(uid: string, ids: readonly number[]): Promise<number[]> {
    if (ids.length === 0) return [];
    const known = await this.#redis.hmget(this.#keys.workQueue(uid).losses, ...ids.map(String));
    return known.map((text) => (text === null ? 0 : Number.parseInt(text, 10)));
  }

  /** A pod let go of an item alive: those that were lost with it before don't count any more. */
  async forgiveLosses(uid: string, id: number): Promise<void> {
    await this.#redis.hdel(this.#keys.workQueue(uid).losses, String(id));
  }

  /**
   * Settles all items up to one but those in flight. Other calls may come in between.
   *
   * @returns how many; null without a work queue.
   */
  async clear(uid: string, upTo: number, inFlight: readonly number[]): Promise<number | null> {
    const left = inFlight.filter((id) => id <= upTo).toSorted((a, b) => a - b);
    let cleared = 0;
    let from = 1;
    for (let at = 0; from <= upTo; at += MAX_BATCH_ITEMS) {
      const some = left.slice(at, at + MAX_BATCH_ITEMS);
      const to = left.length > at + MAX_BATCH_ITEMS ? some.at(-1)! : upTo;
      const keys = this.#keys.workQueue(uid);
      const reply = await this.#scripts.run(
        'clearItems',
        [this.#keys.clock, keys.queue, keys.settled],
        [this.#keys.workQueueChannel, uid, from, to, ...some],
      );
      const count = integer(reply);
      if (count < 0) return null;
      cleared += count;
      from = to + 1;
    }
    return cleared;
  }

  /** Which of these items are settled, in their order. */
  async areSettled(uid: string, ids: readonly number[]): Promise<boolean[]> {
    if (ids.length === 0) return [];
    const operations = ids.flatMap((id) => ['GET', 'u1', id] as const);
    const bits = await this.#redis.call(
      'BITFIELD_RO',
      this.#keys.workQueue(uid).settled,
      ...operations,
    );
    assert(Array.isArray(bits));
    return bits.map((bit) => bit === 1);
  }

  /**
   * Outcomes in order of completion, as far as they are kept.
   *
   * @param options.after - Continue after this position; '' = from the beginning.
   * @returns the outcomes of up to `limit` settles, and the position to continue after.
   */
  async outcomes(
    uid: string,
    options: { readonly after: string; readonly limit: number },
  ): Promise<{ outcomes: ItemOutcome[]; position: string }> {
    const entries = await this.#redis.xrangeBuffer(
      this.#keys.workQueue(uid).outcomes,
      options.after === '' ? '-' : `(${options.after}`,
      '+',
      'COUNT',
      options.limit,
    );
    let position = options.after;
    const outcomes = entries.flatMap(([id, fields]) => {
      position = String(id);
      const [jobUid, ids, records] = [fields[1], fields[3], fields[5]];
      assert(ids !== undefined && records !== undefined, 'an entry of outcomes');
      return decodeOutcomes(ids, records, {
        jobUid: String(jobUid),
        endedMs: Number.parseInt(position, 10),
      });
    });
    return { outcomes, position };
  }

  /**
   * Waits for an outcome after a position, at most `timeoutMs`.
   *
   * @param reader - A connection of its own: the command blocks.
   */
  async awaitOutcome(
    reader: RedisClient,
    uid: string,
    options: { readonly after: string; readonly timeoutMs: number },
  ): Promise<void> {
    const { outcomes } = this.#keys.workQueue(uid);
    const after = options.after === '' ? '0' : options.after;
    await reader.xread('COUNT', 1, 'BLOCK', options.timeoutMs, 'STREAMS', outcomes, after);
  }

  /** Dead-lettered items by id, a page of JSON texts. Begin with cursor '0', end at '0'. */
  async listDead(
    uid: string,
    cursor: string,
  ): Promise<{ items: ReadonlyMap<number, string>; cursor: string }> {
    const [next, flat] = await this.#redis.hscan(this.#keys.workQueue(uid).dead, cursor);
    const items = new Map<number, string>();
    for (let i = 0; i < flat.length; i += 2) items.set(Number(flat[i]), flat[i + 1]!);
    return { items, cursor: next };
  }

  // Jobs

  /** Notes that a Job waits for a work queue to be created; it is made due then. */
  async awaitCreation(namespace: string, name: string, jobUid: string): Promise<void> {
    await this.#redis.sadd(this.#keys.awaitedWorkQueue(namespace, name), jobUid);
  }
}

function storedWorkQueue(
  uid: string,
  fields: Readonly<Record<string, string>>,
): StoredWorkQueue | null {
  const { namespace, name, object } = fields;
  if (namespace === undefined || name === undefined || object === undefined) return null;
  const number = (field: string): number => Number(fields[field] ?? 0);
  return {
    uid,
    namespace,
    name,
    object,
    resourceVersion: number('rv'),
    createdMs: number('createdMs'),
    sealedMs: number('sealedMs') === 0 ? null : number('sealedMs'),
    resultTtlMs: number('resultTtlMs'),
    counts: {
      enqueued: number('enqueued'),
      settled: number('settled'),
      completed: number('completed'),
      dead: number('dead'),
      retried: number('retried'),
      cleared: number('cleared'),
      abandoned: number('abandoned'),
    },
    openBatches: number('open'),
  };
}
