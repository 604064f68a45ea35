import { OUR_CONTROLLER } from '@drover/shared';
import { installationKey, ShardKeys } from '../keys.ts';
import { NodeStore } from '../nodes.ts';
import { ask } from './ask.ts';
import { findWrongGrants } from './quotaGrants.ts';
import { type RedisClient, serversOf } from '../redisClient.ts';

/** Names of Jobs that are read in one go, about. */
const NAMES_PER_STEP = 500;
/** Named in full; of more there is only the number. */
const MOST_NAMES = 10;

/** Some things by name, and how many they are in all. */
export interface Some {
  readonly count: number;
  /** The first ten. */
  readonly names: readonly string[];
}

/** A script that tells the time of the server that has its key. */
const TIME = "return redis.call('TIME')";

/** How one shard stands. */
export interface ShardFacts {
  readonly index: number;
  readonly jobs: number;
  readonly unfinishedJobs: number;
  /** Who listens for what becomes due: one connection for each controller. Null where that may not be asked. */
  readonly controllers: number | null;
  /** How long the longest overdue member waits for a controller, ms; 0: nothing is overdue. */
  readonly overdueMs: number;
  readonly overdue: Some;
  /** Sessions of workers, and those whose lease ran out so long ago that a controller should have ended them. */
  readonly sessions: number;
  readonly lapsedSessions: Some;
  /** Jobs with Pending pods that no worker can run, `<namespace>/<name> (<fitting key>)`. */
  readonly waitingJobs: Some;
  /** Unfinished Jobs that no controller will ever look at: there should be none. */
  readonly stuckJobs: Some;
  /** Namespaces whose quota counts other pods than there are: there should be none. */
  readonly wrongQuotas: Some;
}

/** How an installation stands. */
export interface InstallationFacts {
  /** What the installation says of it, see `layoutRefusal`. Null: there is none under this prefix. */
  readonly layoutVersion: string | null;
  readonly shards: readonly ShardFacts[];
  readonly readyNodes: number;
  /** Nodes whose heartbeat stopped without a word. */
  readonly lostNodes: Some;
}

/** Looks through an installation. Reads only; takes a while where there are many unfinished Jobs. */
export async function inspectInstallation(
  redis: RedisClient,
  prefix: string,
): Promise<InstallationFacts> {
  const settings = await redis.hgetall(installationKey(prefix));
  const version = settings['layoutVersion'];
  if (version === undefined) {
    return { layoutVersion: null, shards: [], readyNodes: 0, lostNodes: some([]) };
  }
  const shardCount = Number(settings['shardCount']);
  const shards: ShardFacts[] = [];
  for (let index = 0; index < shardCount; index++) {
    const keys = new ShardKeys(prefix, index, shardCount);
    shards.push(await inspectShard(redis, keys, index, Number(settings['resyncMs'])));
  }
  const nodes = await new NodeStore(redis, prefix).list();
  const lost = nodes.filter(({ isSilent }) => isSilent).map(({ name }) => name);
  return {
    layoutVersion: version,
    shards,
    readyNodes: nodes.length - lost.length,
    lostNodes: some(lost),
  };
}

async function inspectShard(
  redis: RedisClient,
  keys: ShardKeys,
  index: number,
  resyncMs: number,
): Promise<ShardFacts> {
  const nowMs = await timeOf(redis, keys);
  const [overdue, sessions, waiting] = await Promise.all([
    redis.zrangebyscore(keys.due, '-inf', nowMs, 'WITHSCORES'),
    redis.zrange(keys.sessions, '0', '-1', 'WITHSCORES'),
    redis.smembers(keys.waiting),
  ]);
  const jobs = await readJobs(redis, keys);
  const waitingUids = new Set(waiting);
  const waitingJobs = jobs.filter(({ uid }) => waitingUids.has(uid));
  return {
    index,
    jobs: jobs.length,
    unfinishedJobs: jobs.filter(({ isFinished }) => !isFinished).length,
    controllers: await listeners(redis, keys.wakeChannel).catch(() => null),
    overdueMs: overdue.length === 0 ? 0 : nowMs - Number(overdue[1]),
    overdue: some(overdue.filter((_, i) => i % 2 === 0)),
    sessions: sessions.length / 2,
    lapsedSessions: some(
      sessions.filter((_, i) => i % 2 === 0 && Number(sessions[i + 1]) < nowMs - resyncMs),
    ),
    waitingJobs: some(waitingJobs.map(({ path, fittingKey }) => `${path} (${fittingKey})`)),
    stuckJobs: some(await findStuck(redis, keys, jobs)),
    wrongQuotas: some(
      await findWrongGrants(
        redis,
        keys,
        jobs.map(({ uid }) => uid),
      ),
    ),
  };
}

/** What is read of a Job. */
interface JobLook {
  readonly uid: string;
  /** `<namespace>/<name>`; of a pod without a Job with a `~` before. */
  readonly path: string;
  readonly isFinished: boolean;
  readonly fittingKey: string;
}

async function readJobs(redis: RedisClient, keys: ShardKeys): Promise<JobLook[]> {
  const looks: JobLook[] = [];
  for await (const batch of hashEntries(redis, keys.uids)) {
    const answers = await ask(redis, batch, (pipeline, [, uid]) =>
      pipeline.hmget(keys.job(uid).job, 'finished', 'fittingKey'),
    );
    for (const [i, [path, uid]] of batch.entries()) {
      const [finished, fittingKey] = answers[i] as (string | null)[];
      // One that was removed meanwhile has nothing.
      if (finished === null) continue;
      looks.push({ uid, path, isFinished: finished === '1', fittingKey: fittingKey ?? '' });
    }
  }
  return looks;
}

async function* hashEntries(redis: RedisClient, key: string): AsyncGenerator<[string, string][]> {
  // A field that moves while the hash is scanned comes twice.
  const seen = new Set<string>();
  let cursor = '0';
  do {
    const [next, flat] = await redis.hscan(key, cursor, 'COUNT', NAMES_PER_STEP);
    cursor = next;
    const batch: [string, string][] = [];
    for (let i = 0; i < flat.length; i += 2) {
      if (seen.has(flat[i]!)) continue;
      seen.add(flat[i]!);
      batch.push([flat[i]!, flat[i + 1]!]);
    }
    if (batch.length > 0) yield batch;
  } while (cursor !== '0');
}

/**
 * Unfinished Jobs that are not due, ever. A Job is read at one moment and the due set at another, so it is stuck only
 * when it is so once more.
 */
async function findStuck(
  redis: RedisClient,
  keys: ShardKeys,
  jobs: readonly JobLook[],
): Promise<string[]> {
  const unfinished = jobs.filter(({ isFinished }) => !isFinished);
  const suspects = await notDue(redis, keys, unfinished);
  return (await notDue(redis, keys, suspects)).map(({ path }) => path);
}

async function notDue(
  redis: RedisClient,
  keys: ShardKeys,
  jobs: readonly JobLook[],
): Promise<JobLook[]> {
  const scores = await ask(redis, jobs, (pipeline, { uid }) =>
    pipeline.zscore(keys.due, `job:${uid}`),
  );
  const suspects = jobs.filter((_, i) => scores[i] === null);
  const answers = await ask(redis, suspects, (pipeline, { uid }) =>
    pipeline.hmget(keys.job(uid).job, 'finished', 'object'),
  );
  return suspects.filter((_, i) => {
    const [finished, object] = answers[i] as [string | null, string | null];
    return finished === '0' && object !== null && mustBeDue(object);
  });
}

/** Nobody looks at Jobs that are suspended or that another controller manages. */
function mustBeDue(object: string): boolean {
  const { spec } = JSON.parse(object) as { spec?: { suspend?: boolean; managedBy?: string } };
  return spec?.suspend !== true && (spec?.managedBy ?? OUR_CONTROLLER) === OUR_CONTROLLER;
}

/** The time of the server that holds the shard, ms since the epoch. */
export async function timeOf(redis: RedisClient, keys: ShardKeys): Promise<number> {
  const [seconds, micros] = (await redis.eval(TIME, 1, keys.due)) as [string, string];
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}

/** How many listen on a channel, of whatever process. */
export async function listeners(redis: RedisClient, channel: string): Promise<number> {
  let count = 0;
  // In a cluster each listens at one of the nodes.
  for (const server of await serversOf(redis)) {
    count += ((await server.pubsub('NUMSUB', channel)) as [string, number])[1];
  }
  return count;
}

function some(names: readonly string[]): Some {
  return { count: names.length, names: names.slice(0, MOST_NAMES) };
}
