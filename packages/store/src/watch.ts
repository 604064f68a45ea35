import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

import type { ShardKeys } from './keys.ts';
import type { RedisClient } from './redisClient.ts';
import { ServerLoss } from './serverLoss.ts';

/** What changed; the reader fetches the object itself. */
export type WatchEntry =
  | {
      readonly kind: 'Job';
      /** FINISHED: modified, and Complete or Failed is written. */
      readonly type: 'ADDED' | 'MODIFIED' | 'FINISHED' | 'DELETED';
      readonly uid: string;
      readonly namespace: string;
      readonly name: string;
      readonly resourceVersion: number;
    }
  | {
      /** One that is kept as it is. */
      readonly kind: 'Object';
      /** Its kind, as in manifests: `ConfigMap`. */
      readonly of: string;
      readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
      readonly uid: string;
      readonly namespace: string;
      readonly name: string;
      readonly resourceVersion: number;
    }
  | {
      readonly kind: 'Pods';
      readonly uid: string;
      /** First and last pod number that may have changed. */
      readonly from: number;
      readonly to: number;
      readonly resourceVersion: number;
    };

/** The entries after the wanted resourceVersion are gone: list again, then watch from there. */
export class WatchExpiredError extends Error {
  /** Stable code. */
  readonly code = 'WATCH_EXPIRED';
}

/** How long one blocking read lasts; lost data are noticed no later than about this. */
const BLOCK_MS = 5_000;
/** An answer may take so much longer than it was asked to. */
const ANSWER_MS = 5_000;
const HELD_UP_MS = 100;
/** Entries per read. Far fewer than are kept: who missed some that were trimmed gets a full batch. */
const BATCH = 1000;
/** Pod entries are written, but it is not known since when. */
const UNDATED = '?';
/** How long a pod watcher is believed to be there after its last sign. */
const POD_WATCHER_TTL_MS = 15_000;

/** How often it gives a sign. */
const ANNOUNCE_MS = 3_000;
/** Of changes that follow each other more closely than this, some are gathered for so long. */
const GATHER_MS = 20;

/** Options of {@link watchShard}. */
export interface WatchOptions {
  /** Entries after this resourceVersion. */
  readonly since: number;
  /** Also entries of pods. They are written only while somebody watches pods. */
  readonly pods: boolean;
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

/**
 * Batches of changes of a shard, as they come, without end. One blocking read at a time on a
 * connection of its own.
 *
 * @param redis - A connection that nobody else uses; closed when the watch ends.
 * @throws WatchExpiredError when `since` is older than what is kept, at the start or because the
 *   reader fell behind; when no answer comes any more; when the connection was lost, as Redis may have come back without what it
 *   acknowledged last; and when its data are gone.
 */
export async function* watchShard(
  redis: RedisClient,
  keys: ShardKeys,
  options: WatchOptions,
): AsyncGenerator<WatchEntry[]> {
  // Of a connection that is closed already, ioredis waits 2 s for the end, and holds the process.
  const stop = (): void => {
    if (redis.status !== 'end') redis.disconnect();
  };
  const loss = new ServerLoss(redis, keys.tag);
  const silence = new Silence(stop);
  options.signal.addEventListener('abort', stop, { once: true });
  let position = `${options.since}-18446744073709551615`;
  try {
    if (options.signal.aborted) return;
    silence.begin();
    // Those that were not read yet are among them.
    let added = await assertKept(redis, keys, options.since, 0);
    // From here on: what came before was read from the server that is there now.
    if (loss.wasLost)
      throw new WatchExpiredError('the connection was lost: changes may be missing');
    let checkedMs = performance.now();
    let announcedMs = Number.NEGATIVE_INFINITY;
    let readMs = Number.NEGATIVE_INFINITY;
    while (!options.signal.aborted) {
      silence.begin();
      if (options.pods && performance.now() - announcedMs >= ANNOUNCE_MS) {
        await announcePodWatcher(redis, keys);
        announcedMs = performance.now();
      }
      const reply = await redis.xread(
        'COUNT',
        BATCH,
        'BLOCK',
        BLOCK_MS,
        'STREAMS',
        keys.watch,
        position,
      );
      if (loss.wasLost) {
        throw new WatchExpiredError('the connection was lost: changes may be missing');
      }
      const entries = streamEntries(reply);
      const sinceReadMs = performance.now() - readMs;
      readMs = performance.now();
      // Of the position before this batch, so that a gap before its first entry is seen too.
      if (entries.length === BATCH || performance.now() - checkedMs >= BLOCK_MS) {
        added = await assertKept(redis, keys, versionOf(position), added);
        checkedMs = performance.now();
      }
      position = entries.at(-1)?.[0] ?? position;
      silence.end();
      yield entries.map(([id, fields]) => parseEntry(id, fields));
      // Pods of a busy Job change thousands of times a second: each read would find one change.
      if (options.pods && sinceReadMs < GATHER_MS && entries.length < BATCH) {
        await pause(GATHER_MS, options.signal);
      }
    }
  } catch (error) {
    if (options.signal.aborted) return;
    if (silence.wasTooLong)
      throw new WatchExpiredError('the connection is silent', { cause: error });
    throw isDemotion(error)
      ? new WatchExpiredError('another server took over', { cause: error })
      : error;
  } finally {
    options.signal.removeEventListener('abort', stop);
    silence.end();
    loss.close();
    stop();
  }
}

/**
 * The changes of a shard after a resourceVersion up to now.
 *
 * @throws WatchExpiredError when they are not all kept.
 */
export async function readChanges(
  redis: RedisClient,
  keys: ShardKeys,
  since: number,
): Promise<WatchEntry[]> {
  const added = await assertKept(redis, keys, since, 0);
  const found = await redis.xrange(keys.watch, `(${since}-18446744073709551615`, '+');
  // Of what was trimmed in between, some may be missing.
  await assertKept(redis, keys, since, added);
  return found.map(([id, fields]) => parseEntry(id, fields));
}

/** The resourceVersion of a shard's newest entry; 0 when there is none. */
export async function lastChange(redis: RedisClient, keys: ShardKeys): Promise<number> {
  const [newest] = await redis.xrevrange(keys.watch, '+', '-', 'COUNT', 1);
  return newest === undefined ? 0 : versionOf(newest[0]);
}

/**
 * Asks for pod entries before the first blocking read, so that no change in between is missed.
 *
 * @returns A resourceVersion: every change of a pod after it has an entry.
 */
export async function announcePodWatcher(redis: RedisClient, keys: ShardKeys): Promise<number> {
  const known = await redis.getex(keys.podWatchers, 'PX', POD_WATCHER_TTL_MS);
  if (known !== null && known !== UNDATED) return Number(known);
  // From here on entries are written; only then can be said since when.
  await redis.set(keys.podWatchers, UNDATED, 'PX', POD_WATCHER_TTL_MS, 'NX');
  const since = (await redis.get(keys.clock)) ?? '0';
  await redis.set(keys.podWatchers, since, 'PX', POD_WATCHER_TTL_MS, 'XX');
  return Number(since);
}

/**
 * Makes sure that all entries after `since` are there, and that it is still the stream that had
 * at least `knownAdded` entries in its life. Answers how many it had by now.
 */
async function assertKept(
  redis: RedisClient,
  keys: ShardKeys,
  since: number,
  knownAdded: number,
): Promise<number> {
  const newest = Number((await redis.get(keys.clock)) ?? 0);
  if (since > newest) throw new WatchExpiredError(`resourceVersion ${since} is not known here`);
  const exists = (await redis.exists(keys.watch)) === 1;
  const info = exists ? infoMap(await redis.xinfo('STREAM', keys.watch)) : new Map();
  const added = Number(info.get('entries-added') ?? 0);
  if (added < knownAdded) throw new WatchExpiredError('the data of Redis were replaced');
  const first = info.get('first-entry') as RawEntry | null | undefined;
  const oldest = versionOf(first?.[0] ?? '0');
  // Redis does not say up to where it trimmed: what is older than the oldest entry may have been told.
  const wasTrimmed = added > Number(info.get('length') ?? 0);
  if (wasTrimmed && since < oldest) {
    throw new WatchExpiredError(
      `resourceVersion ${since} is too old: the oldest kept is ${oldest}`,
    );
  }
  return added;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}

/** Ends a connection over which no answer comes: half of it may be gone, and TCP finds out after minutes. */
class Silence {
  readonly #stop: () => void;
  #timer: NodeJS.Timeout | null = null;
  #wasTooLong = false;

  constructor(stop: () => void) {
    this.#stop = stop;
  }

  /** Whether that is why it ended. */
  get wasTooLong(): boolean {
    return this.#wasTooLong;
  }

  /** From now on there is something to wait for. */
  begin(): void {
    this.end();
    this.#timer = setTimeout(() => {
      // What came while this process was held up is read first.
      this.#timer = setTimeout(() => {
        this.#wasTooLong = true;
        this.#stop();
      }, HELD_UP_MS);
    }, BLOCK_MS + ANSWER_MS);
  }

  /** It came. */
  end(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** What a server says to those whom it keeps waiting when it becomes a replica. */
function isDemotion(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('UNBLOCKED');
}

/** The resourceVersion in the id of an entry. */
function versionOf(id: string): number {
  return Number(id.split('-')[0]);
}

/** XINFO's answer, a map under RESP3 and a flat list under RESP2. */
function infoMap(reply: unknown): ReadonlyMap<string, unknown> {
  if (!Array.isArray(reply)) return new Map(Object.entries(reply as Record<string, unknown>));
  const map = new Map<string, unknown>();
  for (let i = 0; i < reply.length; i += 2) map.set(String(reply[i]), reply[i + 1]);
  return map;
}

type RawEntry = [id: string, fields: string[]];

/** ioredis gives a map under RESP3 and nested lists under RESP2. */
function streamEntries(reply: unknown): RawEntry[] {
  if (reply === null || reply === undefined) return [];
  if (Array.isArray(reply)) return (reply[0] as [string, RawEntry[]])[1];
  return Object.values(reply as Record<string, RawEntry[]>)[0] ?? [];
}

function parseEntry(id: string, flat: readonly string[]): WatchEntry {
  const fields = new Map<string, string>();
  for (let i = 0; i < flat.length; i += 2) fields.set(flat[i]!, flat[i + 1]!);
  const resourceVersion = versionOf(id);
  const uid = fields.get('u');
  assert(uid !== undefined, 'watch entry without a uid');
  if (fields.get('k') === 'Pods') {
    return {
      kind: 'Pods',
      uid,
      from: Number(fields.get('f')),
      to: Number(fields.get('t')),
      resourceVersion,
    };
  }
  const named = { uid, namespace: fields.get('s')!, name: fields.get('n')!, resourceVersion };
  const of = fields.get('k')!;
  if (of === 'Job') {
    return {
      kind: 'Job',
      type: fields.get('e') as 'ADDED' | 'MODIFIED' | 'FINISHED' | 'DELETED',
      ...named,
    };
  }
  return {
    kind: 'Object',
    of,
    type: fields.get('e') as 'ADDED' | 'MODIFIED' | 'DELETED',
    ...named,
  };
}
