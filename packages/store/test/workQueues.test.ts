import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isAllDone, type ItemEnd, type SettleAnswer } from '../src/workQueueApi.ts';
import type { WorkQueues } from '../src/workQueues.ts';
import { type HeldPod, StoreBed, T0 } from './support/bed.ts';

const TTL_MS = 60_000;
const LEASE_MS = 30_000;
const MAX_RESULT_BYTES = 100_000;

let bed: StoreBed;
let queues: WorkQueues;
let uid: string;
let pod: HeldPod;

StoreBed.forEachTest(async (fresh) => {
  bed = fresh;
  queues = bed.shard.workQueues;
  uid = await create('letters');
  [pod] = (await bed.runningJob(await bed.registerSession(), 1, { completions: null })) as [
    HeldPod,
  ];
});

async function create(name: string): Promise<string> {
  const id = randomUUID();
  const reply = await queues.create({
    uid: id,
    namespace: 'default',
    name,
    object: '{"metadata":{}}',
    resultTtlMs: TTL_MS,
    maxResultBytes: MAX_RESULT_BYTES,
  });
  expect(reply.type).toBe('created');
  return id;
}

async function reserve(
  count: number,
  over: { batchId?: string; keys?: string[]; deadIds?: number[] } = {},
) {
  const { batchId = randomUUID(), keys, deadIds } = over;
  const of = keys !== undefined ? { keys } : deadIds !== undefined ? { deadIds } : null;
  return queues.reserve({ uid, batchId, count, of, leaseMs: LEASE_MS });
}

/** New items that BullMQ has. */
async function enqueue(count: number): Promise<readonly number[]> {
  const batchId = randomUUID();
  const reply = await reserve(count, { batchId });
  if (reply.type !== 'reserved') throw new Error(reply.type);
  expect(await queues.commit({ uid, batchId, retriedIds: [] })).toBe('committed');
  return reply.ids;
}

function done(id: number, payload = ''): ItemEnd {
  return { id, outcome: 'completed', attempts: 1, payload };
}

function dead(id: number, payload = '{"error":"x"}'): ItemEnd {
  return { id, outcome: 'dead', attempts: 3, payload };
}

async function settle(
  items: readonly ItemEnd[],
  by: HeldPod = pod,
  jobItems: number | null = null,
): Promise<SettleAnswer[]> {
  return queues.settle({
    uid,
    jobUid: by.uid,
    session: by.session,
    jobItems,
    pods: [{ slot: by.slot, podNumber: by.claim.podNumber, items }],
  });
}

async function counts(): Promise<Partial<Record<string, number>>> {
  const all = (await queues.read(uid))!.counts;
  return Object.fromEntries(Object.entries(all).filter(([, count]) => count !== 0));
}

/** Uids on the channel of work queues, and a way to wait for what was sent before. */
async function listen(): Promise<() => Promise<string[]>> {
  const subscriber = bed.store.openSubscriber();
  const told: string[] = [];
  let flushed = (): void => {};
  const channel = bed.shard.keys.workQueueChannel;
  await subscriber.subscribe(channel, (message) => {
    if (message === 'flush') flushed();
    else told.push(message);
  });
  return async () => {
    const arrived = new Promise<void>((resolve) => (flushed = resolve));
    await bed.redis.publish(channel, 'flush');
    await arrived;
    subscriber.close();
    return told;
  };
}

describe('a work queue', () => {
  test('is found by its name until it is deleted', async () => {
    expect(await queues.find('default', 'letters')).toBe(uid);
    expect(await queues.read(uid)).toMatchObject({
      name: 'letters',
      createdMs: T0,
      sealedMs: null,
      resultTtlMs: TTL_MS,
      openBatches: 0,
    });
    expect(await queues.delete(uid)).toBe('deleted');
    expect(await queues.delete(uid)).toBe('notFound');
    expect(await queues.find('default', 'letters')).toBeNull();
    expect(await queues.read(uid)).toBeNull();
  });

  test('has its name for itself; the same uid is a repetition', async () => {
    const again = {
      namespace: 'default',
      name: 'letters',
      object: '{}',
      resultTtlMs: TTL_MS,
      maxResultBytes: MAX_RESULT_BYTES,
    };
    expect(await queues.create({ ...again, uid })).toEqual({ type: 'replayed' });
    expect(await queues.create({ ...again, uid: randomUUID() })).toEqual({ type: 'alreadyExists' });
    expect((await queues.create({ ...again, uid: randomUUID(), namespace: 'other' })).type).toBe(
      'created',
    );
  });

  test('is listed in order of name, those of other namespaces are not', async () => {
    for (const name of ['zoo', 'alpha']) await create(name);
    await queues.create({
      uid: randomUUID(),
      namespace: 'default-2',
      name: 'beta',
      object: '{}',
      resultTtlMs: TTL_MS,
      maxResultBytes: MAX_RESULT_BYTES,
    });
    const list = async (after: string) => {
      const page = await queues.list('default', { after, limit: 2 });
      return { names: page.queues.map((queue) => queue.name), next: page.next };
    };
    expect(await list('')).toEqual({ names: ['alpha', 'letters'], next: 'letters' });
    expect(await list('letters')).toEqual({ names: ['zoo'], next: null });
  });

  test('that is created makes the Jobs due that wait for it', async () => {
    await bed.settleDue();
    await queues.awaitCreation('default', 'parcels', pod.uid);
    await create('parcels');
    expect(await bed.dueAtMs(`job:${pod.uid}`)).toBe(T0);
    await bed.settleDue();
    await create('unrelated');
    expect(await bed.dueAtMs(`job:${pod.uid}`)).toBeNull();
  });

  test('may be created when any number of Jobs waits for it', async () => {
    const jobs = Array.from({ length: 5_000 }, (_, i) => `job-${i}`);
    await bed.redis.sadd(bed.shard.keys.awaitedWorkQueue('default', 'parcels'), ...jobs);
    await create('parcels');
    expect(await bed.redis.zcount(bed.shard.keys.due, '-inf', '+inf')).toBeGreaterThanOrEqual(
      5_000,
    );
  });

  test('leaves nothing behind but a mark, for a while', async () => {
    await enqueue(3);
    await reserve(2, { keys: ['a', 'b'] });
    await settle([done(1, '1'), dead(2)]);
    await queues.lose(uid, 'j.1', [3]);
    await reserve(1, { deadIds: [2] });
    await queues.delete(uid);
    const mark = bed.shard.keys.workQueue(uid).queue;
    expect(await bed.redis.keys(`*${uid}*`)).toEqual([mark]);
    expect(await bed.redis.pttl(mark)).toBeGreaterThan(500_000);
  });

  test('is due to be cleaned up when nobody can be adding items any more', async () => {
    await queues.delete(uid);
    expect(await bed.dueAtMs(`items:${uid}`)).toBe(T0 + 60_000);
  });
});

describe('enqueue', () => {
  test('gives ids in a row, once per batch', async () => {
    const batchId = randomUUID();
    expect(await reserve(3, { batchId })).toMatchObject({ ids: [1, 2, 3] });
    expect(await reserve(2)).toMatchObject({ ids: [4, 5] });
    expect(await reserve(3, { batchId })).toMatchObject({ ids: [1, 2, 3] });
    expect(await counts()).toEqual({ enqueued: 5 });
    expect((await queues.read(uid))!.openBatches).toBe(2);
    await queues.commit({ uid, batchId, retriedIds: [] });
    expect(await queues.commit({ uid, batchId, retriedIds: [] })).toBe('committed');
    expect((await queues.read(uid))!.openBatches).toBe(1);
  });

  test('gives a key to one item only, within a batch, over batches, and when a batch is sent again', async () => {
    const batchId = randomUUID();
    const keys = ['a', 'b', 'a'];
    const expected = { ids: [1, 2, 1], isNew: [true, true, false] };
    expect(await reserve(3, { batchId, keys })).toMatchObject(expected);
    expect(await reserve(3, { batchId, keys })).toMatchObject(expected);
    expect(await queues.commit({ uid, batchId, retriedIds: [] })).toBe('committed');
    expect(await reserve(2, { keys: ['c', 'b'] })).toMatchObject({
      ids: [3, 2],
      isNew: [true, false],
    });
    expect(await counts()).toEqual({ enqueued: 3 });
  });

  test('with a key of an open batch waits for what becomes of that', async () => {
    const [batchId, other] = [randomUUID(), randomUUID()];
    await reserve(2, { keys: ['x', 'y'] });
    await reserve(1, { batchId, keys: ['a'] });
    await reserve(1, { batchId: other, keys: ['b'] });
    bed.clock.advance(LEASE_MS - 1);
    expect(await reserve(2, { keys: ['c', 'a'] })).toEqual({ type: 'pending', waitMs: 1 });
    expect(await counts()).toEqual({ enqueued: 4 });

    await queues.commit({ uid, batchId: other, retriedIds: [] });
    expect(await reserve(1, { keys: ['b'] })).toMatchObject({ ids: [4], isNew: [false] });
    bed.clock.advance(1);
    expect(await reserve(1, { keys: ['a'] })).toEqual({ type: 'pending', waitMs: 0 });
    // In any order: they are late at the same time.
    await queues.abandon(uid);
    await queues.abandon(uid);
    expect(await counts()).toMatchObject({ enqueued: 4, abandoned: 3 });
    expect(await reserve(2, { keys: ['c', 'a'] })).toMatchObject({ ids: [5, 6] });
  });

  test('opens no batch for items that are all there', async () => {
    const batchId = randomUUID();
    await reserve(1, { batchId, keys: ['a'] });
    await queues.commit({ uid, batchId, retriedIds: [] });
    await reserve(1, { keys: ['a'] });
    expect((await queues.read(uid))!.openBatches).toBe(0);
  });

  test('is refused by a sealed work queue, but for a batch it had before and for what is tried again', async () => {
    const batchId = randomUUID();
    await reserve(1, { batchId });
    await settle([dead(1)]);
    expect(await queues.seal(uid)).toBe('sealed');
    expect(await queues.seal(uid)).toBe('alreadySealed');
    expect((await queues.read(uid))!.sealedMs).toBe(T0);
    expect(await reserve(1)).toEqual({ type: 'sealed' });
    expect(await reserve(1, { batchId })).toMatchObject({ ids: [1] });
    expect(await reserve(1, { deadIds: [1] })).toMatchObject({ ids: [2] });
  });

  test('that was deleted is not brought back by a creation that comes late', async () => {
    await queues.delete(uid);
    const again = { uid, namespace: 'default', name: 'letters', object: '{}' };
    const options = { resultTtlMs: TTL_MS, maxResultBytes: MAX_RESULT_BYTES };
    expect(await queues.create({ ...again, ...options })).toEqual({ type: 'replayed' });
    expect(await queues.find('default', 'letters')).toBeNull();
    expect(await queues.read(uid)).toBeNull();
    expect(await queues.delete(uid)).toBe('notFound');
    expect(await queues.lose(uid, 'j.1', [1])).toEqual([]);
    expect((await bed.redis.hgetall(bed.shard.keys.workQueue(uid).queue))['deleted']).toBe('1');
  });

  test('into nothing says so', async () => {
    await queues.delete(uid);
    expect(await reserve(1)).toEqual({ type: 'notFound' });
    expect(await queues.seal(uid)).toBe('notFound');
    expect(await queues.commit({ uid, batchId: 'b', retriedIds: [] })).toBe('notFound');
    expect(await queues.clear(uid, 1, [])).toBeNull();
    expect(await settle([done(1)])).toEqual(['gone']);
  });

  test('that is not committed in time is abandoned: its items count for nothing, its keys are free', async () => {
    await bed.settleDue();
    const batchId = randomUUID();
    await reserve(3, { batchId, keys: ['a', 'b', 'c'] });
    expect(await bed.dueAtMs(`wq:${uid}`)).toBe(T0 + LEASE_MS);
    await settle([done(2)]);
    expect(await queues.abandon(uid)).toEqual({ abandoned: 0, nextAtMs: T0 + LEASE_MS });
    bed.clock.advance(LEASE_MS);
    expect(await queues.abandon(uid)).toEqual({ abandoned: 2, nextAtMs: null });
    expect(await queues.abandon(uid)).toEqual({ abandoned: 0, nextAtMs: null });
    expect(await counts()).toEqual({ enqueued: 3, settled: 3, completed: 1, abandoned: 2 });
    expect(await queues.commit({ uid, batchId, retriedIds: [] })).toBe('abandoned');
    expect(await settle([done(1)])).toEqual(['already']);
    expect(await reserve(3, { keys: ['a', 'b', 'c'] })).toMatchObject({
      ids: [4, 2, 5],
      isNew: [true, false, true],
    });
  });

  test('forgets old batches, a few at a time', async () => {
    for (let i = 0; i < 3; i++) await enqueue(1);
    bed.clock.advance(3_600_000);
    await enqueue(1);
    const kept = await bed.redis.hlen(bed.shard.keys.workQueue(uid).batches);
    expect(kept).toBe(2);
  });
});

describe('settle', () => {
  test('counts each item once and keeps what became of it in order', async () => {
    await enqueue(4);
    expect(await settle([done(3, '"c"'), dead(1), done(3)])).toEqual([
      'settled',
      'settled',
      'already',
    ]);
    bed.clock.advance(5);
    expect(await settle([done(1), done(2)])).toEqual(['already', 'settled']);
    expect(await counts()).toEqual({ enqueued: 4, settled: 3, completed: 2, dead: 1 });
    expect(await queues.areSettled(uid, [1, 2, 3, 4])).toEqual([true, true, true, false]);
    const of = { jobUid: pod.uid, podNumber: 1 };
    expect((await queues.outcomes(uid, { after: '', limit: 10 })).outcomes).toEqual([
      { id: 3, outcome: 'completed', attempts: 1, result: '"c"', endedMs: T0, ...of },
      { id: 1, outcome: 'dead', attempts: 3, result: '', endedMs: T0, ...of },
      { id: 2, outcome: 'completed', attempts: 1, result: '', endedMs: T0 + 5, ...of },
    ]);
    const { items } = await queues.listDead(uid, '0');
    expect([...items]).toEqual([[1, '{"error":"x"}']]);
  });

  test('of several pods of a Job at once asks each for its own claim', async () => {
    await enqueue(6);
    const session = pod.session;
    const [first, second] = (await bed.runningJob(session, 2, { completions: null })) as [
      HeldPod,
      HeldPod,
    ];
    const other = await bed.registerSession();
    const answers = await queues.settle({
      uid,
      jobUid: first.uid,
      session,
      jobItems: null,
      pods: [
        { slot: first.slot, podNumber: first.claim.podNumber, items: [done(1), done(2)] },
        { slot: second.slot, podNumber: 99, items: [done(3)] },
        { slot: 77, podNumber: 1, items: [done(4)] },
        { slot: second.slot, podNumber: second.claim.podNumber, items: [done(5), done(1)] },
      ],
    });
    expect(answers).toEqual(['settled', 'settled', 'fenced', 'fenced', 'settled', 'already']);
    expect(await settle([done(6)], { ...first, session: other })).toEqual(['fenced']);
    expect(await counts()).toEqual({ enqueued: 6, settled: 3, completed: 3 });
    const { outcomes } = await queues.outcomes(uid, { after: '', limit: 10 });
    expect(outcomes.map((one) => [one.id, one.podNumber])).toEqual([
      [1, 1],
      [2, 1],
      [5, 2],
    ]);
  });

  test('by pods with one item each is counted for their Job, once', async () => {
    const told = await listen();
    await enqueue(3);
    await settle([done(1)], pod, 2);
    await settle([done(1)], pod, 2);
    expect(await queues.settledBy(pod.uid)).toBe(1);
    await settle([dead(2)], pod, 2);
    expect(await queues.settledBy(pod.uid)).toBe(2);
    // Its other pods need not wait any more, though an item is left and the queue is open.
    expect(await told()).toEqual([uid]);
    await settle([done(3)]);
    expect(await queues.settledBy(pod.uid)).toBe(2);
  });

  test('by a pod that was lost or has ended is refused', async () => {
    await enqueue(2);
    await bed.report([pod], { leave: true });
    expect(await settle([done(1)])).toEqual(['fenced']);
    expect(await counts()).toEqual({ enqueued: 2 });
  });

  test('by a pod that is told to stop counts: it is still the one that runs', async () => {
    await enqueue(1);
    await bed.shard.stopPods({
      uid: pod.uid,
      guard: null,
      pods: [{ slot: pod.slot, podNumber: pod.claim.podNumber, session: pod.session }],
      countAs: 'uncounted',
    });
    expect(await settle([done(1)])).toEqual(['settled']);
  });

  test('pages through outcomes by position', async () => {
    await enqueue(3);
    for (const id of [1, 2, 3]) await settle([done(id)]);
    const first = await queues.outcomes(uid, { after: '', limit: 2 });
    expect(first.outcomes.map((one) => one.id)).toEqual([1, 2]);
    const rest = await queues.outcomes(uid, { after: first.position, limit: 2 });
    expect(rest.outcomes.map((one) => one.id)).toEqual([3]);
    const end = await queues.outcomes(uid, { after: rest.position, limit: 2 });
    expect(end).toEqual({ outcomes: [], position: rest.position });
  });

  test('keeps so many bytes of outcomes, the newest', async () => {
    const count = 400;
    await enqueue(count);
    const payload = JSON.stringify('x'.repeat(1_000));
    for (let id = 1; id <= count; id += 1) await settle([done(id, payload)]);
    const { outcomes } = await queues.outcomes(uid, { after: '', limit: count });
    const bytes = outcomes.length * payload.length;
    expect(bytes).toBeLessThan(MAX_RESULT_BYTES);
    expect(bytes).toBeGreaterThan(MAX_RESULT_BYTES * 0.75);
    expect(outcomes.map((one) => one.id)).toEqual(
      Array.from({ length: outcomes.length }, (_, i) => count - outcomes.length + 1 + i),
    );
    expect(await counts()).toEqual({ enqueued: count, settled: count, completed: count });
  });

  test('expires outcomes no sooner than so long after the last of them', async () => {
    await enqueue(4);
    const { outcomes } = bed.shard.keys.workQueue(uid);
    for (const id of [1, 2, 3, 4]) {
      await settle([done(id)]);
      const ttl = await bed.redis.pttl(outcomes);
      // Redis' own clock goes on, the test's by this much.
      expect(ttl).toBeGreaterThan(TTL_MS - 5_000);
      expect(ttl).toBeLessThanOrEqual((TTL_MS * 17) / 16);
      await bed.redis.pexpire(outcomes, ttl - 3_000);
      bed.clock.advance(3_000);
    }
  });
});

describe('all done', () => {
  async function isDone(): Promise<boolean> {
    return isAllDone((await queues.read(uid))!);
  }

  test('when sealed and every item is settled, told by whichever comes last', async () => {
    const told = await listen();
    await enqueue(2);
    await settle([done(1), done(2)]);
    expect(await isDone()).toBe(false);
    await queues.seal(uid);
    expect(await isDone()).toBe(true);
    expect(await told()).toEqual([uid]);
  });

  test('not before the last item', async () => {
    const told = await listen();
    await enqueue(2);
    await queues.seal(uid);
    await settle([done(1)]);
    expect(await isDone()).toBe(false);
    await settle([dead(2)]);
    expect(await isDone()).toBe(true);
    expect(await told()).toEqual([uid]);
  });

  test('not while a batch is open, though its items ran already', async () => {
    const told = await listen();
    const batchId = randomUUID();
    await reserve(1, { batchId });
    await queues.seal(uid);
    await settle([done(1)]);
    expect(await isDone()).toBe(false);
    await queues.commit({ uid, batchId, retriedIds: [] });
    expect(await isDone()).toBe(true);
    expect(await told()).toEqual([uid]);
  });

  test('when the rest is cleared or abandoned', async () => {
    await enqueue(2);
    await reserve(1);
    await queues.seal(uid);
    expect(await queues.clear(uid, 2, [])).toBe(2);
    expect(await isDone()).toBe(false);
    bed.clock.advance(LEASE_MS);
    await queues.abandon(uid);
    expect(await isDone()).toBe(true);
  });

  test('of an empty work queue as soon as it is sealed', async () => {
    await queues.seal(uid);
    expect(await isDone()).toBe(true);
  });

  test('is told when it is deleted', async () => {
    const told = await listen();
    await queues.delete(uid);
    expect(await told()).toEqual([uid]);
  });
});

describe('clear', () => {
  test.each([2, 7, 8, 15, 16, 300])('settles %d items but those in flight and ended', async (n) => {
    await enqueue(n);
    const inFlight = n > 2 ? [2] : [];
    if (n > 3) await settle([done(3), dead(n)]);
    const ended = n > 3 ? 2 : 0;
    expect(await queues.clear(uid, n, inFlight)).toBe(n - inFlight.length - ended);
    expect(await queues.clear(uid, n, inFlight)).toBe(0);
    expect((await queues.read(uid))!.counts.settled).toBe(n - inFlight.length);
    expect(await enqueue(1)).toEqual([n + 1]);
    expect(await queues.areSettled(uid, [n + 1])).toEqual([false]);
    expect(await settle([done(2)])).toEqual([inFlight.length > 0 ? 'settled' : 'already']);
  });

  test('leaves any number of items in flight', async () => {
    const inFlight: number[] = [];
    for (let i = 0; i < 3; i++) inFlight.push(...(await enqueue(1_000)).filter((id) => id % 7 > 0));
    expect(await queues.clear(uid, 3_000, inFlight)).toBe(3_000 - inFlight.length);
    const ids = Array.from({ length: 3_000 }, (_, i) => i + 1);
    expect(await queues.areSettled(uid, ids)).toEqual(ids.map((id) => id % 7 === 0));
  });

  test('leaves what was enqueued later', async () => {
    await enqueue(20);
    expect(await queues.clear(uid, 10, [])).toBe(10);
    expect(await queues.areSettled(uid, [10, 11])).toEqual([true, false]);
  });
});

describe('dead-lettered items', () => {
  test('that are tried again are dead no more, once', async () => {
    await enqueue(2);
    await settle([dead(1), dead(2)]);
    const batchId = randomUUID();
    await reserve(1, { batchId, deadIds: [1] });
    for (let i = 0; i < 2; i++) await queues.commit({ uid, batchId, retriedIds: [1] });
    expect(await counts()).toEqual({ enqueued: 3, settled: 2, dead: 1, retried: 1 });
    expect([...(await queues.listDead(uid, '0')).items.keys()]).toEqual([2]);
  });

  test('that two try again at once are brought back by one of them', async () => {
    await enqueue(3);
    await settle([dead(1), dead(2), dead(3)]);
    const batchId = randomUUID();
    const first = await reserve(2, { batchId, deadIds: [1, 2] });
    expect(first).toMatchObject({ ids: [4, 5], isNew: [true, true] });
    const second = await reserve(3, { deadIds: [1, 2, 3] });
    expect(second).toMatchObject({ ids: [1, 2, 6], isNew: [false, false, true] });
    // A repetition has the answer of the first time.
    expect(await reserve(2, { batchId, deadIds: [1, 2] })).toEqual(first);
    await queues.commit({ uid, batchId, retriedIds: [1, 2] });
    expect(await reserve(2, { deadIds: [1, 2] })).toMatchObject({ isNew: [false, false] });
    expect(await counts()).toEqual({ enqueued: 6, settled: 3, dead: 1, retried: 2 });
  });

  test('whose producer died may be tried again by another', async () => {
    await enqueue(1);
    await settle([dead(1)]);
    await reserve(1, { deadIds: [1] });
    expect(await reserve(1, { deadIds: [1] })).toMatchObject({ isNew: [false] });
    bed.clock.advance(LEASE_MS);
    expect(await queues.abandon(uid)).toMatchObject({ abandoned: 1 });
    const batchId = randomUUID();
    expect(await reserve(1, { batchId, deadIds: [1] })).toMatchObject({ ids: [3], isNew: [true] });
    await queues.commit({ uid, batchId, retriedIds: [1] });
    expect(await counts()).toEqual({ enqueued: 3, settled: 2, abandoned: 1, retried: 1 });
  });

  test('losses are counted once per pod, and forgotten with the item', async () => {
    await enqueue(2);
    expect(await queues.lose(uid, 'j.1', [1, 2])).toEqual([1, 1]);
    expect(await queues.lose(uid, 'j.1', [1, 2])).toEqual([1, 1]);
    expect(await queues.lose(uid, 'j.2', [1])).toEqual([2]);
    await settle([done(1)]);
    expect(await queues.lose(uid, 'j.3', [1, 2])).toEqual([1, 2]);
    await queues.delete(uid);
    expect(await queues.lose(uid, 'j.4', [1])).toEqual([]);
  });
});
