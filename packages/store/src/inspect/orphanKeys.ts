import type { Redis } from 'ioredis';
import { installationKey, itemQueuePrefix, ShardKeys } from '../keys.ts';
import { ask } from './ask.ts';
import { type RedisClient, serversOf } from '../redisClient.ts';

/** Keys per step of the scan, about. */
const KEYS_PER_STEP = 1_000;
/** Suspects that are looked at once more at the end; of more only the number is told. */
const MOST_SUSPECTS = 10_000;

/** What a look through all keys found. */
export interface KeyFacts {
  /** Keys of the installation. */
  readonly keys: number;
  /** Keys of Jobs, sessions and work queues that are not there any more, and that do not end by themselves. */
  readonly orphans: readonly string[];
  /** Deleted Jobs whose last keys nobody will remove, by uid. */
  readonly unpurgedJobs: readonly string[];
}

/** Options of {@link findOrphanKeys}. */
export interface OrphanKeyOptions {
  readonly prefix: string;
  /** Told after each step how many of all keys of this Redis were looked at. */
  readonly onProgress?: (looked: number, total: number) => void;
}

/** Keys of the installation on all servers, step by step. */
async function* allKeys(servers: readonly Redis[], prefix: string): AsyncGenerator<string[]> {
  for (const server of servers) {
    let cursor = '0';
    do {
      const [next, found] = await server.scan(
        cursor,
        'MATCH',
        `{${prefix}:*`,
        'COUNT',
        KEYS_PER_STEP,
      );
      cursor = next;
      yield found;
    } while (cursor !== '0');
  }
}

/** Whose a key is. */
interface Belonging {
  readonly key: string;
  readonly kind: 'job' | 'session' | 'workQueue';
  /** Uid or id of the owner. */
  readonly owner: string;
}

/** Looks at each key of an installation and asks whether its owner is still there. Reads only, by SCAN. */
export async function findOrphanKeys(
  redis: RedisClient,
  options: OrphanKeyOptions,
): Promise<KeyFacts> {
  const { prefix, onProgress } = options;
  const shardCount = Number((await redis.hget(installationKey(prefix), 'shardCount')) ?? 0);
  const shards = Array.from({ length: shardCount }, (_, i) => new ShardKeys(prefix, i, shardCount));
  const owners = new Owners(redis, prefix, shards);
  const servers = await serversOf(redis);
  const sizes = await Promise.all(servers.map((server) => server.dbsize()));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const suspects = new Map<string, Belonging>();
  const unpurged = new Set<string>();
  let [looked, keys] = [0, 0];
  for await (const found of allKeys(servers, prefix)) {
    looked += KEYS_PER_STEP;
    keys += found.length;
    onProgress?.(Math.min(looked, total), total);
    const belongings = found.map((key) => owners.belonging(key)).filter((one) => one !== null);
    for (const one of await owners.ownerless(belongings)) {
      if (suspects.size < MOST_SUSPECTS) suspects.set(one.key, one);
    }
    for (const uid of await owners.unpurged(belongings)) unpurged.add(uid);
  }
  // What went away during the look was no orphan.
  const orphans = await owners.ownerless([...suspects.values()]);
  const jobs = [...unpurged].map((uid): Belonging => ({ key: '', kind: 'job', owner: uid }));
  return {
    keys,
    orphans: orphans.map(({ key }) => key),
    unpurgedJobs: await owners.unpurged(jobs),
  };
}

/** Knows of keys whose they are, and whether those exist. */
class Owners {
  readonly #redis: RedisClient;
  readonly #shards: readonly ShardKeys[];
  readonly #patterns: readonly (readonly [Belonging['kind'], RegExp])[];
  readonly #prefix: string;

  constructor(redis: RedisClient, prefix: string, shards: readonly ShardKeys[]) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#shards = shards;
    const tags = shards.map(({ tag }) => literal(tag)).join('|');
    const own = literal(`{${prefix}`);
    this.#patterns = [
      ['job', new RegExp(`^(?:${tags}):job:([^:]+)`)],
      ['job', new RegExp(`^${own}:log:([^:]+):`)],
      ['session', new RegExp(`^(?:${tags}):session:([^:]+)`)],
      ['workQueue', new RegExp(`^(?:${tags}):wq:([\\da-f]{8}(?:-[\\da-f]{4,12}){4})(?:$|:)`)],
      ['workQueue', new RegExp(`^${own}:wq:([\\w-]{22})}:`)],
    ];
  }

  /** Null: the key belongs to the installation as a whole. */
  belonging(key: string): Belonging | null {
    for (const [kind, pattern] of this.#patterns) {
      const owner = pattern.exec(key)?.[1];
      if (owner !== undefined) return { key, kind, owner };
    }
    return null;
  }

  /** Those whose owner is not there and that will not expire. */
  async ownerless(belongings: readonly Belonging[]): Promise<Belonging[]> {
    const living = await this.#living(belongings);
    const suspects = belongings.filter(({ owner }) => !living.has(owner));
    const ttls = await ask(this.#redis, suspects, (pipeline, { key }) => pipeline.pttl(key));
    // -1: there, without an end.
    return suspects.filter((_, i) => ttls[i] === -1);
  }

  /** Deleted Jobs that are there with all they had, and that no controller will look at. */
  async unpurged(belongings: readonly Belonging[]): Promise<string[]> {
    const uids = [
      ...new Set(belongings.filter(({ kind }) => kind === 'job').map(({ owner }) => owner)),
    ];
    const asked = uids.flatMap((uid) => this.#shards.map((keys) => ({ uid, keys })));
    const fields = ['namespace', 'deleted', 'orphaned'];
    const jobs = await ask(this.#redis, asked, (pipeline, { uid, keys }) =>
      pipeline.hmget(keys.job(uid).job, ...fields),
    );
    const deleted = asked.filter((_, i) => {
      const [namespace, isDeleted, orphaned] = jobs[i] as (string | null)[];
      return namespace !== null && isDeleted === '1' && orphaned !== '1';
    });
    const scores = await ask(this.#redis, deleted, (pipeline, { uid, keys }) =>
      pipeline.zscore(keys.due, `job:${uid}`),
    );
    return deleted.filter((_, i) => scores[i] === null).map(({ uid }) => uid);
  }

  /** Owners that are there, or that are being removed. */
  async #living(belongings: readonly Belonging[]): Promise<Set<string>> {
    const unique = new Map(belongings.map((one) => [one.owner, one]));
    const asked = [...unique.values()].flatMap((one) =>
      this.#shards.map((keys) => ({ ...one, keys })),
    );
    const answers = await ask(this.#redis, asked, (pipeline, { kind, owner, keys }) => {
      if (kind === 'job') return pipeline.hexists(keys.job(owner).job, 'namespace');
      if (kind === 'session') return pipeline.hexists(keys.session(owner).session, 'node');
      return pipeline.hexists(keys.workQueue(this.#uid(owner)).queue, 'namespace');
    });
    const cleanUps = await ask(this.#redis, asked, (pipeline, { owner, keys }) =>
      pipeline.zscore(keys.due, `items:${this.#uid(owner)}`),
    );
    const isThere = (i: number): boolean => answers[i] === 1 || cleanUps[i] !== null;
    return new Set(asked.filter((_, i) => isThere(i)).map(({ owner }) => owner));
  }

  /** The uid of a work queue from what stands for it in a key of BullMQ. */
  #uid(owner: string): string {
    if (owner.length !== 22) return owner;
    const hex = Buffer.from(owner, 'base64url').toString('hex');
    const uid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    return itemQueuePrefix(this.#prefix, uid).includes(`:${owner}}`) ? uid : owner;
  }
}

/** A text for a regular expression; prefixes have letters, digits, `_`, `.` and `-`. */
function literal(text: string): string {
  return text.replaceAll(/[{}.]/g, String.raw`\$&`);
}
