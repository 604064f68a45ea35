/** Keys of a Redis as a text file: a line of JSON for each, whatever is in it as DUMP gives it. */
import { readFileSync } from 'node:fs';

import type { Redis } from 'ioredis';

/** First line: where the rest comes from. */
export interface FixtureHead {
  /** Commit whose processes filled it. */
  readonly commit: string;
  /** Version of the Redis that dumped it; older ones can not read it. */
  readonly redis: string;
  /** Layout of the keys. */
  readonly layoutVersion: number;
}

/** A further line. */
interface FixtureKey {
  /** With `P` in the place of the prefix. */
  readonly key: string;
  /** How long it still lived; -1 = without an end. */
  readonly ttlMs: number;
  /** DUMP, base64. */
  readonly dump: string;
}

/** Writes all keys of an installation down. */
export async function dumpInstallation(
  redis: Redis,
  prefix: string,
  head: FixtureHead,
): Promise<string> {
  const keys: string[] = [];
  for (let cursor = '', isFirst = true; isFirst || cursor !== '0'; isFirst = false) {
    const [next, found] = await redis.scan(cursor || '0', 'MATCH', `{${prefix}:*`, 'COUNT', 1_000);
    cursor = next;
    keys.push(...found);
  }
  const lines: string[] = [JSON.stringify(head)];
  for (const key of [...new Set(keys)].toSorted()) {
    const [ttlMs, dump] = await Promise.all([redis.pttl(key), redis.dumpBuffer(key)]);
    if (dump === null) continue;
    const line: FixtureKey = {
      key: key.replace(`{${prefix}:`, '{P:'),
      ttlMs,
      dump: dump.toString('base64'),
    };
    lines.push(JSON.stringify(line));
  }
  return `${lines.join('\n')}\n`;
}

/** As if so much time had passed since: what lived no longer, locks of BullMQ for one, is gone. */
const PASSED_MS = 60_000;

/** Brings what was dumped back, under another prefix: no value names it. */
export async function restoreInstallation(
  redis: Redis,
  prefix: string,
  file: URL,
): Promise<FixtureHead> {
  const [head = '', ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
  await Promise.all(
    lines.map(async (line) => {
      const { key, ttlMs, dump } = JSON.parse(line) as FixtureKey;
      if (ttlMs >= 0 && ttlMs <= PASSED_MS) return;
      const value = Buffer.from(dump, 'base64');
      await redis.restore(
        key.replace('{P:', `{${prefix}:`),
        ttlMs === -1 ? 0 : ttlMs - PASSED_MS,
        value,
      );
    }),
  );
  return JSON.parse(head) as FixtureHead;
}
