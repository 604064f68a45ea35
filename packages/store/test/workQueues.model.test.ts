/**
 * Random histories of a work queue, with repeated and late calls, beside a plain model: every answer and
 * all counts agree. A failure prints the seed and the shortest history; `MODEL_RUNS=N` makes a long run.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { afterAll, beforeAll, test } from 'vitest';
import { isAllDone, type ItemEnd, type SettleAnswer } from '../src/workQueueApi.ts';
import { type HeldPod, StoreBed } from './support/bed.ts';

const RUNS = Number(process.env['MODEL_RUNS'] ?? 100);
const TIMEOUT_MS = 60_000 + RUNS * 1_000;
const LEASE_MS = 1_000;

let server: StoreBed;
beforeAll(async () => {
  server = await StoreBed.open();
});
afterAll(() => server.server.stop());

/** What an item is to the model. */
type ItemState = 'waiting' | 'completed' | 'dead' | 'retried' | 'cleared' | 'abandoned';

interface Batch {
  readonly ids: readonly number[];
  readonly isNew: readonly boolean[];
  readonly keys: readonly string[] | null;
  readonly deadIds: readonly number[] | null;
  state: 'open' | 'committed' | 'abandoned';
  deadlineMs: number;
}

/** Dead-lettered items that a batch brings back. */
function retriedIds({ deadIds, isNew }: Batch): number[] {
  return (deadIds ?? []).filter((_, i) => isNew[i]);
}

/** A work queue as it should be. */
class Model {
  readonly items: ItemState[] = [];
  readonly batches = new Map<string, Batch>();
  readonly idOfKey = new Map<string, number>();
  sealed = false;

  reserve(
    batchId: string,
    count: number,
    { keys, deadIds }: Pick<Batch, 'keys' | 'deadIds'>,
    nowMs: number,
  ): Batch | 'sealed' | 'pending' {
    const known = this.batches.get(batchId);
    if (known !== undefined) return known;
    if (this.sealed && deadIds === null) return 'sealed';
    if (deadIds === null && keys?.some((key) => this.isPending(key)) === true) return 'pending';
    const ids: number[] = [];
    const isNew: boolean[] = [];
    const inBatch = new Set<string>();
    for (let i = 0; i < count; i++) {
      const key = keys?.[i];
      const had = deadIds?.[i] ?? (key === undefined ? undefined : this.idOfKey.get(key));
      const isTaken =
        had !== undefined &&
        (deadIds === null
          ? inBatch.has(key!) || this.items[had - 1] !== 'abandoned'
          : !this.mayRetry(had));
      if (isTaken) ids.push(had);
      else {
        this.items.push('waiting');
        ids.push(this.items.length);
        if (key !== undefined) this.idOfKey.set(key, this.items.length);
      }
      isNew.push(!isTaken);
      if (key !== undefined) inBatch.add(key);
    }
    const batch: Batch = {
      ids,
      isNew,
      keys,
      deadIds,
      state: 'open',
      deadlineMs: nowMs + LEASE_MS,
    };
    if (isNew.includes(true)) this.batches.set(batchId, batch);
    return batch;
  }

  commit(batchId: string): 'committed' | 'abandoned' | 'notFound' {
    const batch = this.batches.get(batchId);
    if (batch === undefined) return 'notFound';
    if (batch.state === 'open') {
      batch.state = 'committed';
      for (const id of retriedIds(batch)) this.items[id - 1] = 'retried';
    }
    return batch.state;
  }

  /** An open batch has it, so that its item may come to nothing. */
  isPending(key: string): boolean {
    const id = this.idOfKey.get(key);
    return [...this.batches.values()].some(
      (batch) => batch.state === 'open' && batch.ids.some((one, i) => one === id && batch.isNew[i]),
    );
  }

  /** It is dead, and no open batch brings it back. */
  mayRetry(id: number): boolean {
    const isClaimed = [...this.batches.values()].some(
      (batch) => batch.state === 'open' && retriedIds(batch).includes(id),
    );
    return this.items[id - 1] === 'dead' && !isClaimed;
  }

  abandon(nowMs: number): void {
    for (const batch of this.batches.values()) {
      if (batch.state !== 'open' || batch.deadlineMs > nowMs) continue;
      batch.state = 'abandoned';
      for (const [i, id] of batch.ids.entries()) {
        if (batch.isNew[i] === true && this.items[id - 1] === 'waiting')
          this.items[id - 1] = 'abandoned';
      }
    }
  }

  settle(item: ItemEnd, isFenced: boolean): SettleAnswer {
    if (isFenced) return 'fenced';
    if (this.items[item.id - 1] !== 'waiting') return 'already';
    this.items[item.id - 1] = item.outcome;
    return 'settled';
  }

  clear(upTo: number, inFlight: readonly number[]): number {
    let cleared = 0;
    for (const [i, state] of this.items.entries()) {
      if (i >= upTo || state !== 'waiting' || inFlight.includes(i + 1)) continue;
      this.items[i] = 'cleared';
      cleared++;
    }
    return cleared;
  }

  get counts() {
    const count = (state: ItemState): number => this.items.filter((one) => one === state).length;
    return {
      enqueued: this.items.length,
      settled: this.items.length - count('waiting'),
      completed: count('completed'),
      dead: count('dead'),
      retried: count('retried'),
      cleared: count('cleared'),
      abandoned: count('abandoned'),
    };
  }

  get open(): number {
    return [...this.batches.values()].filter((batch) => batch.state === 'open').length;
  }
}

const batchName = fc.constantFrom('b1', 'b2', 'b3', 'b4', 'b5', 'b6');
const itemNumber = fc.integer({ min: 1, max: 30 });
const step = fc.oneof(
  fc.record({
    do: fc.constant('reserve' as const),
    batch: batchName,
    count: fc.integer({ min: 1, max: 9 }),
    keys: fc.option(fc.array(fc.constantFrom('k1', 'k2', 'k3', 'k4'), { minLength: 9 })),
    deadIds: fc.option(fc.uniqueArray(itemNumber, { minLength: 1, maxLength: 4 })),
  }),
  fc.record({ do: fc.constant('commit' as const), batch: batchName }),
  fc.record({
    do: fc.constant('settle' as const),
    ids: fc.array(itemNumber, { minLength: 1, maxLength: 6 }),
    dead: fc.boolean(),
    by: fc.constantFrom(0, 1, 2),
  }),
  fc.record({
    do: fc.constant('clear' as const),
    upTo: itemNumber,
    inFlight: fc.uniqueArray(itemNumber, { maxLength: 3 }),
  }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 1_500 }) }),
  fc.record({ do: fc.constant('seal' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A history in the making. */
class History {
  readonly #bed: StoreBed;
  readonly #uid = randomUUID();
  readonly #model = new Model();
  /** Two pods of a session, and one that ended. */
  #pods: HeldPod[] = [];

  constructor(bed: StoreBed) {
    this.#bed = bed;
  }

  async begin(): Promise<void> {
    const object = '{}';
    const name = { namespace: 'default', name: 'model' };
    await this.#bed.shard.workQueues.create({
      uid: this.#uid,
      ...name,
      object,
      resultTtlMs: 60_000,
      maxResultBytes: 2 ** 28,
    });
    this.#pods = await this.#bed.runningJob(await this.#bed.registerSession(), 3, {
      completions: null,
    });
    await this.#bed.report([this.#pods[2]!], { leave: true });
  }

  async take(one: Step): Promise<void> {
    const queues = this.#bed.shard.workQueues;
    const uid = this.#uid;
    const model = this.#model;
    switch (one.do) {
      case 'reserve': {
        const known = model.batches.get(one.batch);
        const keys = one.deadIds === null ? (one.keys?.slice(0, one.count) ?? null) : null;
        // A batch that is sent again is the same as before.
        const { deadIds } = known ?? one;
        const sent = known ?? { keys, deadIds };
        const count = known?.ids.length ?? (deadIds ?? keys)?.length ?? one.count;
        const expected = model.reserve(one.batch, count, sent, this.#bed.clock.now());
        const got = await queues.reserve({
          uid,
          batchId: one.batch,
          count,
          of: sent.keys === null ? (deadIds === null ? null : { deadIds }) : { keys: sent.keys },
          leaseMs: LEASE_MS,
        });
        if (expected === 'sealed') assert.deepEqual(got, { type: 'sealed' });
        else if (expected === 'pending') assert.equal(got.type, 'pending');
        // What a batch that is over had of keys or dead items is not known for ever.
        else if (expected.state === 'open' || (expected.keys ?? deadIds) === null)
          assert.deepEqual(got, { type: 'reserved', ids: expected.ids, isNew: expected.isNew });
        break;
      }
      case 'commit': {
        const batch = model.batches.get(one.batch);
        const retried = batch === undefined ? [] : retriedIds(batch);
        const expected = model.commit(one.batch);
        const asked = { uid, batchId: one.batch, retriedIds: retried };
        assert.deepEqual(await queues.commit(asked), expected);
        break;
      }
      case 'settle': {
        const ids = one.ids.filter((id) => id <= model.items.length);
        if (ids.length === 0) break;
        const pod = this.#pods[one.by]!;
        const items = ids.map((id): ItemEnd => ({
          id,
          outcome: one.dead ? 'dead' : 'completed',
          attempts: 1,
          payload: one.dead ? '{}' : '',
        }));
        const expected = items.map((item) => model.settle(item, one.by === 2));
        const pods = [{ slot: pod.slot, podNumber: pod.claim.podNumber, items }];
        const { uid: jobUid, session } = pod;
        const got = await queues.settle({ uid, jobUid, session, jobItems: null, pods });
        assert.deepEqual(got, expected);
        break;
      }
      case 'clear':
        assert.deepEqual(
          await queues.clear(uid, one.upTo, one.inFlight),
          model.clear(one.upTo, one.inFlight),
        );
        break;
      case 'seal':
        assert.deepEqual(await queues.seal(uid), model.sealed ? 'alreadySealed' : 'sealed');
        model.sealed = true;
        break;
      case 'wait': {
        this.#bed.clock.advance(one.ms);
        model.abandon(this.#bed.clock.now());
        let nextAtMs: number | null;
        do nextAtMs = (await queues.abandon(uid)).nextAtMs;
        while (nextAtMs !== null && nextAtMs <= this.#bed.clock.now());
        break;
      }
    }
  }

  async check(): Promise<void> {
    const queues = this.#bed.shard.workQueues;
    const model = this.#model;
    const stored = (await queues.read(this.#uid))!;
    assert.deepEqual(stored.counts, model.counts);
    assert.deepEqual(stored.openBatches, model.open);
    assert.deepEqual(
      isAllDone(stored),
      model.sealed && model.open === 0 && !model.items.includes('waiting'),
    );
    const ids = model.items.map((_, i) => i + 1);
    const bits = await queues.areSettled(this.#uid, ids);
    assert.deepEqual(
      bits,
      model.items.map((state) => state !== 'waiting'),
    );
    const { items } = await queues.listDead(this.#uid, '0');
    assert.deepEqual(
      [...items.keys()].toSorted((a, b) => a - b),
      ids.filter((id) => model.items[id - 1] === 'dead'),
    );
    const { outcomes } = await queues.outcomes(this.#uid, { after: '', limit: 1_000 });
    const ended = ids.filter((id) =>
      ['completed', 'dead', 'retried'].includes(model.items[id - 1]!),
    );
    assert.deepEqual(
      outcomes.map((one) => one.id).toSorted((a, b) => a - b),
      ended,
    );
  }
}

test(
  'any history of a work queue, repeated and late calls included, does what the model does',
  async () => {
    const histories = fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }),
      async (steps) => {
        const history = new History(await server.fresh());
        await history.begin();
        for (const one of steps) {
          await history.take(one);
          await history.check();
        }
      },
    );
    await fc.assert(histories, { numRuns: RUNS, interruptAfterTimeLimit: TIMEOUT_MS - 10_000 });
  },
  TIMEOUT_MS,
);
