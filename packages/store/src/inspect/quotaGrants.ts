import type { ShardKeys } from '../keys.ts';
import { SLOT_RECORD_BYTES } from '../records.ts';
import type { RedisClient } from '../redisClient.ts';
import { ask } from './ask.ts';

/**
 * Namespaces of whose quota another number of pods is granted than slots, and pods that have none yet, hold. Slots are
 * read at one moment and sums at another, so a namespace is meant only when it is off by the same number once more.
 *
 * @param uids - Jobs that are there.
 */
export async function findWrongGrants(
  redis: RedisClient,
  keys: ShardKeys,
  uids: readonly string[],
): Promise<string[]> {
  const first = await differences(redis, keys, uids);
  if (first.size === 0) return [];
  const second = await differences(redis, keys, uids);
  return [...first].flatMap(([namespace, by]) => (second.get(namespace) === by ? [namespace] : []));
}

async function differences(
  redis: RedisClient,
  keys: ShardKeys,
  uids: readonly string[],
): Promise<Map<string, number>> {
  const off = new Map<string, number>();
  const used = await redis.hgetall(keys.quotaUsed);
  for (const [field, amount] of Object.entries(used)) {
    const [namespace = '', resource] = field.split(' ');
    if (resource === 'pods') off.set(namespace, Number(amount));
  }
  // Deleted Jobs whose pods have not ended are known by what is due.
  const due = await redis.zrange(keys.due, '0', '-1');
  const ofJobs = due.flatMap((member) => (member.startsWith('job:') ? [member.slice(4)] : []));
  const all = off.size === 0 ? [] : [...new Set([...uids, ...ofJobs])];
  const held = await ask(redis, all, (asked, uid) => asked.hvalsBuffer(keys.job(uid).slots));
  const reserved = await ask(redis, all, (asked, uid) => asked.hget(keys.job(uid).job, 'grant'));
  const grants = [
    ...held.flatMap((slots) => (slots as Buffer[]).map(grantOf)),
    ...reserved.map((grant) => (grant as string | null) ?? ''),
  ];
  for (const grant of grants) {
    const [namespace = ''] = grant.split(' ');
    if (namespace !== '') off.set(namespace, (off.get(namespace) ?? 0) - 1);
  }
  return new Map([...off].filter(([, by]) => by !== 0));
}

/** What lies behind a packed slot; '' = nothing. */
function grantOf(packed: Buffer): string {
  return packed.toString('utf8', SLOT_RECORD_BYTES);
}
