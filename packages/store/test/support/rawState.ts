/** What lies in Redis, read past the wrappers: tests compare it with what should lie there. */
import type { Redis } from 'ioredis';
import type { IndexFailures, SlotRecord } from '../../src/api.ts';
import { HOT_FIELDS } from '../../src/hot.ts';
import type { ShardKeys } from '../../src/keys.ts';
import { decodeFailures, decodeSlotRecord } from '../../src/records.ts';

/** As lua/include/record.lua has them. */
const PHASES = [
  'Pending',
  'Running',
  'Stopping',
  'Returning',
  'Leaving',
  'Free',
  'FreeStopping',
] as const;

/** All numbers of the hot state by name. */
export type RawHot = Record<(typeof HOT_FIELDS)[number], number>;

/** A slot with the field that only scripts need. */
export interface RawSlot extends Omit<SlotRecord, 'phase'> {
  /** Of those that were told to stop: what their end does. */
  readonly phase: (typeof PHASES)[number];
  /** Pod that the slot had before, 0 = none. */
  readonly previous: number;
  /** The newest delivery that asked for it. */
  readonly asked: number;
}

/** Everything that is kept of a Job, but for its pod records. */
export interface RawJob {
  /** Fields of the Job's hash; empty when there is none. */
  readonly job: Readonly<Record<string, string>>;
  readonly hot: RawHot | null;
  readonly slots: readonly RawSlot[];
  /** Slot to pod number. */
  readonly pending: ReadonlyMap<number, number>;
  /** Indexes to be tried again at once. */
  readonly retry: readonly number[];
  /** Index to the time from which on it may be tried again. */
  readonly delayed: ReadonlyMap<number, number>;
  /** Index to failures of its pods. */
  readonly failures: ReadonlyMap<number, IndexFailures>;
  /** Indexes that failed for good. */
  readonly failedIndexes: readonly number[];
  /** How many those are, as it is stored. */
  readonly failedCount: number;
  /** Pod number to index. */
  readonly unjudged: ReadonlyMap<number, number>;
  /** Index to losses in a row. */
  readonly losses: ReadonlyMap<number, number>;
  /** Pods that it has adopted, by number, as they are stored. */
  readonly adopted: ReadonlyMap<number, string>;
  /** Indexes whose bit is set. */
  readonly done: readonly number[];
}

/** What is kept of a session. */
export interface RawSession {
  readonly isAlive: boolean;
  /** `<uid>:<slot>`, in order. */
  readonly claims: readonly string[];
  /** `<uid>:<slot>` to pod number. */
  readonly orders: ReadonlyMap<string, number>;
}

/** A part of a shard as it is at one moment. */
export interface RawShard {
  readonly clock: number;
  readonly jobs: ReadonlyMap<string, RawJob>;
  readonly sessions: ReadonlyMap<string, RawSession>;
  /** Member to score. */
  readonly due: ReadonlyMap<string, number>;
}

/** Reads Jobs and sessions of a shard. Not in a transaction: Redis refuses those when memory is full. */
export async function readRaw(
  redis: Redis,
  keys: ShardKeys,
  uids: readonly string[],
  sessions: readonly string[],
): Promise<RawShard> {
  const pipeline = redis.pipeline();
  pipeline.get(keys.clock).zrange(keys.due, '0', '-1', 'WITHSCORES');
  for (const uid of uids) {
    const job = keys.job(uid);
    pipeline.hgetall(job.job).getBuffer(job.hot).hgetallBuffer(job.slots);
    pipeline
      .zrange(job.pending, '0', '-1', 'WITHSCORES')
      .zrange(job.retry, '0', '-1', 'WITHSCORES');
    pipeline.hgetallBuffer(job.unjudged).hgetallBuffer(job.losses).getBuffer(job.done);
    pipeline.getBuffer(job.failed).hgetall(job.adopted);
  }
  for (const id of sessions) {
    const session = keys.session(id);
    pipeline.zscore(keys.sessions, id).smembers(session.claims).hgetall(session.orders);
  }
  const replies = ((await pipeline.exec()) ?? []).map(([error, value]) => {
    if (error !== null) throw error;
    return value;
  });
  let at = 0;
  const next = (): unknown => replies[at++];
  const clock = Number((next() as string | null) ?? 0);
  const due = pairs(next() as string[]);
  return {
    clock,
    due,
    jobs: new Map(uids.map((uid) => [uid, readJob(next)])),
    sessions: new Map(sessions.map((id) => [id, readSession(next)])),
  };
}

function readJob(next: () => unknown): RawJob {
  const job = next() as Record<string, string>;
  const hot = next() as Buffer | null;
  const slots = Object.entries(next() as Record<string, Buffer>).map(([slot, packed]) => ({
    ...decodeSlotRecord(Number(slot), packed),
    phase: PHASES[packed.readUInt8(12)]!,
    previous: packed.readUInt32BE(8),
    asked: packed.readUInt32BE(48),
  }));
  const pending = numberPairs(pairs(next() as string[]));
  const tried = [...numberPairs(pairs(next() as string[]))];
  const unjudged = Object.entries(next() as Record<string, Buffer>).map(
    ([pod, record]) => [Number(pod), record.readUInt32BE(0)] as const,
  );
  const setbacks = Object.entries(next() as Record<string, Buffer>);
  const losses = setbacks
    .filter(([field]) => /^\d/.test(field))
    .map(([index, count]) => [Number(index), Number(String(count))] as const);
  const failures = setbacks
    .filter(([field]) => /^f\d/.test(field))
    .map(([field, packed]) => [Number(field.slice(1)), decodeFailures(packed, 0)] as const);
  const done = next() as Buffer | null;
  const failed = next() as Buffer | null;
  const adopted = Object.entries(next() as Record<string, string>);
  return {
    job,
    hot: hot === null ? null : decodeRawHot(hot),
    slots: slots.toSorted((a, b) => a.slot - b.slot),
    pending,
    retry: tried.filter(([, score]) => score < FIRST_TIME).map(([index]) => index),
    delayed: new Map(tried.filter(([, score]) => score >= FIRST_TIME).toSorted(byIndex)),
    failures: new Map(failures.toSorted(byIndex)),
    failedIndexes: failed === null ? [] : setBits(failed),
    failedCount: Number(String(setbacks.find(([field]) => field === 'failed')?.[1] ?? 0)),
    unjudged: new Map(unjudged.toSorted((a, b) => a[0] - b[0])),
    losses: new Map(losses.toSorted((a, b) => a[0] - b[0])),
    adopted: new Map(
      adopted.map(([number, text]) => [Number(number), text] as const).toSorted(byIndex),
    ),
    done: done === null ? [] : setBits(done),
  };
}

/** Scores of indexes that wait for their back-off are times. */
const FIRST_TIME = 2 ** 32;

function byIndex(a: readonly [number, unknown], b: readonly [number, unknown]): number {
  return a[0] - b[0];
}

function readSession(next: () => unknown): RawSession {
  const score = next() as string | null;
  const claims = next() as string[];
  const orders = next() as Record<string, string>;
  return {
    isAlive: score !== null,
    claims: claims.toSorted(),
    orders: new Map(Object.entries(orders).map(([claim, pod]) => [claim, Number(pod)])),
  };
}

function decodeRawHot(packed: Buffer): RawHot {
  return Object.fromEntries(
    HOT_FIELDS.map((field, i) => [field, packed.readDoubleBE(i * 8)]),
  ) as RawHot;
}

/** ZRANGE ... WITHSCORES: a flat list under RESP2, pairs under RESP3. */
function pairs(
  reply: readonly (string | readonly [string, string | number])[],
): Map<string, number> {
  const flat = reply.flat();
  const map = new Map<string, number>();
  for (let i = 0; i < flat.length; i += 2) map.set(String(flat[i]), Number(flat[i + 1]));
  return map;
}

function numberPairs(map: ReadonlyMap<string, number>): Map<number, number> {
  return new Map([...map].map(([key, value]) => [Number(key), value]));
}

function setBits(bitmap: Buffer): number[] {
  const bits: number[] = [];
  for (let i = 0; i < bitmap.length * 8; i++) {
    if (((bitmap[i >> 3] ?? 0) & (0x80 >> (i & 7))) !== 0) bits.push(i);
  }
  return bits;
}
