import type { ChainableCommander } from 'ioredis';

import type { PodOverlay, PodRecord } from './api.ts';
import { RECORDS_PER_CHUNK, type ShardKeys } from './keys.ts';
import { LogField, LogKind } from './podLog.ts';
import { decodePodRecord, isPodRecord, POD_RECORD_BYTES } from './records.ts';
import type { RedisClient } from './redisClient.ts';

/** A pod that ended: its record with what it has beyond it. */
export interface EndedPod extends PodRecord {
  readonly overlay: PodOverlay | null;
}

/** What a pod wrote, in order. */
export type LogPiece =
  | { readonly stream: 'stdout' | 'stderr'; readonly data: Buffer }
  /** So many bytes were dropped here. */
  | { readonly stream: 'dropped'; readonly bytes: number };

/**
 * Reads the ends of the pods `from` to `to` in one or two round trips, however many they are: for
 * who follows a Job with a great many short pods.
 */
export async function readPodEnds(
  redis: RedisClient,
  keys: ShardKeys,
  uid: string,
  range: { readonly from: number; readonly to: number },
): Promise<EndedPod[]> {
  const records = await readRecords(redis, keys, uid, range);
  const numbers = records.filter((pod) => pod.hasOverlay).map((pod) => String(pod.podNumber));
  const overlays = new Map<number, PodOverlay>();
  if (numbers.length > 0) {
    const texts = await redis.hmget(keys.job(uid).overlay, ...numbers);
    for (const [i, text] of texts.entries()) {
      if (text !== null) overlays.set(Number(numbers[i]), JSON.parse(text) as PodOverlay);
    }
  }
  return records.map((pod) => ({ ...pod, overlay: overlays.get(pod.podNumber) ?? null }));
}

async function readRecords(
  redis: RedisClient,
  keys: ShardKeys,
  uid: string,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<PodRecord[]> {
  const parts: { first: number; bytes: Promise<Buffer> }[] = [];
  for (let first = from; first <= to;) {
    const chunk = Math.floor(first / RECORDS_PER_CHUNK);
    const last = Math.min(to, (chunk + 1) * RECORDS_PER_CHUNK - 1);
    const start = (first % RECORDS_PER_CHUNK) * POD_RECORD_BYTES;
    const end = ((last % RECORDS_PER_CHUNK) + 1) * POD_RECORD_BYTES - 1;
    parts.push({ first, bytes: redis.getrangeBuffer(keys.podChunk(uid, chunk), start, end) });
    first = last + 1;
  }
  const records: PodRecord[] = [];
  for (const { first, bytes } of parts) {
    const packed = await bytes;
    for (let at = 0; at + POD_RECORD_BYTES <= packed.length; at += POD_RECORD_BYTES) {
      const one = packed.subarray(at, at + POD_RECORD_BYTES);
      if (isPodRecord(one)) records.push(decodePodRecord(first + at / POD_RECORD_BYTES, one));
    }
  }
  return records;
}

/** Reads whole logs, all at once; the bytes as the programs wrote them. */
export async function readWholeLogs(
  redis: RedisClient,
  logKeys: readonly string[],
): Promise<LogPiece[][]> {
  const replies = await together(redis, logKeys, (to, key) => to.xrangeBuffer(key, '-', '+'));
  return replies.map((entries) =>
    (entries as readonly RawEntry[]).flatMap(([, fields]) => toPiece(fields)),
  );
}

/** Removes whole logs, all at once. */
export async function removeLogs(redis: RedisClient, logKeys: readonly string[]): Promise<void> {
  await together(redis, logKeys, (to, key) => to.unlink(key));
}

type RawEntry = readonly [id: Buffer, fields: readonly Buffer[]];

/** One command for each key, in one write where they may go together. */
async function together(
  redis: RedisClient,
  keys: readonly string[],
  send: (to: RedisClient | ChainableCommander, key: string) => unknown,
): Promise<unknown[]> {
  // Each log lies under a tag of its own, so they can't share a pipeline on a cluster.
  if (redis.isCluster) return await Promise.all(keys.map((key) => send(redis, key)));
  const pipeline = redis.pipeline();
  for (const key of keys) send(pipeline, key);
  return ((await pipeline.exec()) ?? []).map(([error, value]) => {
    if (error !== null) throw error;
    return value;
  });
}

const KIND = Buffer.from(LogField.kind);
const DATA = Buffer.from(LogField.data);

/** The piece of log in a stream's entry; none for an end marker. */
export function toPiece(fields: readonly Buffer[]): LogPiece[] {
  let kind = '';
  let data: Buffer | undefined;
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (fields[i]!.equals(KIND)) kind = fields[i + 1]!.toString();
    else if (fields[i]!.equals(DATA)) data = fields[i + 1]!;
  }
  if (data === undefined) return [];
  switch (kind) {
    case LogKind.stdout:
      return [{ stream: 'stdout', data }];
    case LogKind.stderr:
      return [{ stream: 'stderr', data }];
    case LogKind.dropped:
      return [{ stream: 'dropped', bytes: Number(data.toString()) }];
    default:
      return [];
  }
}
