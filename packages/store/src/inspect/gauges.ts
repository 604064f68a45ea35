import { ITEM_QUEUE_NAME } from '../itemQueue.ts';
import { itemQueuePrefix, ShardKeys, slotQueuePrefix } from '../keys.ts';
import type { RedisClient } from '../redisClient.ts';
import { ask } from './ask.ts';
import { timeOf } from './installation.ts';

/** Work queues of one shard that are looked at: bounds what a look costs. */
const MOST_WORK_QUEUES = 200;

/** How one slot queue stands. */
export interface SlotQueueGauges {
  /** `<pool>.<runtime>`. */
  readonly queue: string;
  /** Unfinished Jobs that opened slots on it. */
  readonly jobs: number;
  /** Slots that a worker may take now. */
  readonly waiting: number;
  /** Slots that workers hold. */
  readonly active: number;
  /** Slots that come back later: nobody had room, or another worker may hold them. */
  readonly delayed: number;
}

/** How the work queues stand, together. */
export interface WorkQueueGauges {
  /** Work queues that exist. */
  readonly count: number;
  /** Of these, those that the other figures are without: there are more than a look reads. */
  readonly unread: number;
  /** Items that are not settled: they wait, or pods have them. */
  readonly outstanding: number;
  readonly completed: number;
  readonly dead: number;
  /** QueueJobs of items, of which each may have many: to be taken, with workers, and to be taken later. */
  readonly queueJobs: {
    readonly waiting: number;
    readonly active: number;
    readonly delayed: number;
  };
}

/** Figures of an installation that cost the same however many Jobs there are. */
export interface InstallationGauges {
  /** Jobs that are stored, finished ones too. */
  readonly jobs: number;
  /** Jobs with Pending pods that more lanes would help. */
  readonly waitingJobs: number;
  /** Members of the due sets, and how long the one waits that is overdue for longest, ms. */
  readonly dueMembers: number;
  readonly dueLagMs: number;
  /** Sessions of workers. */
  readonly sessions: number;
  /** Pods of finished Jobs that are kept. */
  readonly keptPods: number;
  readonly slotQueues: readonly SlotQueueGauges[];
  readonly workQueues: WorkQueueGauges;
}

/** Where {@link readGauges} looks. */
export interface GaugeSource {
  readonly redis: RedisClient;
  readonly prefix: string;
  readonly shardCount: number;
}

/** Reads them: a few short commands for each shard, slot queue and work queue, none for a Job. */
export async function readGauges(source: GaugeSource): Promise<InstallationGauges> {
  const indexes = Array.from({ length: source.shardCount }, (_, index) => index);
  const shards: ShardGauges[] = [];
  for (const index of indexes) shards.push(await readShard(source, index));
  const jobsOn = new Map<string, number>();
  for (const [queue, jobs] of shards.flatMap(({ queues }) => queues)) {
    jobsOn.set(queue, (jobsOn.get(queue) ?? 0) + jobs);
  }
  const names = [...jobsOn.keys()].toSorted();
  const counts = await queueCounts(
    source.redis,
    names.map((queue) => `${slotQueuePrefix(source.prefix, queue)}:${queue}`),
  );
  const sum = (of: (shard: ShardGauges) => number): number =>
    shards.reduce((total, shard) => total + of(shard), 0);
  return {
    jobs: sum(({ jobs }) => jobs),
    waitingJobs: sum(({ waitingJobs }) => waitingJobs),
    dueMembers: sum(({ dueMembers }) => dueMembers),
    dueLagMs: Math.max(0, ...shards.map(({ dueLagMs }) => dueLagMs)),
    sessions: sum(({ sessions }) => sessions),
    keptPods: sum(({ keptPods }) => keptPods),
    slotQueues: names.map((queue, i) => ({ queue, jobs: jobsOn.get(queue) ?? 0, ...counts[i]! })),
    workQueues: {
      count: sum(({ workQueues }) => workQueues.count),
      unread: sum(({ workQueues }) => workQueues.unread),
      outstanding: sum(({ workQueues }) => workQueues.outstanding),
      completed: sum(({ workQueues }) => workQueues.completed),
      dead: sum(({ workQueues }) => workQueues.dead),
      queueJobs: {
        waiting: sum(({ workQueues }) => workQueues.queueJobs.waiting),
        active: sum(({ workQueues }) => workQueues.queueJobs.active),
        delayed: sum(({ workQueues }) => workQueues.queueJobs.delayed),
      },
    },
  };
}

interface ShardGauges {
  readonly jobs: number;
  readonly waitingJobs: number;
  readonly dueMembers: number;
  readonly dueLagMs: number;
  readonly sessions: number;
  readonly keptPods: number;
  readonly queues: readonly (readonly [queue: string, jobs: number])[];
  readonly workQueues: WorkQueueGauges;
}

async function readShard(
  { redis, prefix, shardCount }: GaugeSource,
  index: number,
): Promise<ShardGauges> {
  const keys = new ShardKeys(prefix, index, shardCount);
  const [nowMs, jobs, waitingJobs, dueMembers, due, sessions, keptPods, queues, workQueues] =
    await Promise.all([
      timeOf(redis, keys),
      redis.hlen(keys.uids),
      redis.scard(keys.waiting),
      redis.zcard(keys.due),
      redis.zrange(keys.due, '0', '0', 'WITHSCORES'),
      redis.zcard(keys.sessions),
      redis.get(keys.keptTotal),
      redis.hgetall(keys.queues),
      readWorkQueues(redis, prefix, keys),
    ]);
  // What a controller has in hand is due again at the end of its taking: the first one waits for it.
  const firstMs = due[1] === undefined ? nowMs : Number(due[1]);
  return {
    jobs,
    waitingJobs,
    dueMembers,
    // One that is to be taken at once, whatever the time, has the score 0.
    dueLagMs: firstMs > 0 ? Math.max(0, nowMs - firstMs) : 0,
    sessions,
    keptPods: Number(keptPods ?? 0),
    queues: Object.entries(queues).map(([queue, count]) => [queue, Number(count)] as const),
    workQueues,
  };
}

async function readWorkQueues(
  redis: RedisClient,
  prefix: string,
  keys: ShardKeys,
): Promise<WorkQueueGauges> {
  const [count, paths] = await Promise.all([
    redis.zcard(keys.workQueueNames),
    redis.zrange(keys.workQueueNames, '0', String(MOST_WORK_QUEUES - 1)),
  ]);
  const found = paths.length === 0 ? [] : await redis.hmget(keys.workQueueUids, ...paths);
  const uids = found.filter((uid) => uid !== null);
  const fields = ['enqueued', 'settled', 'completed', 'dead'];
  const answers = await ask(redis, uids, (pipeline, uid) =>
    pipeline.hmget(keys.workQueue(uid).queue, ...fields),
  );
  const totals = [0, 0, 0, 0];
  for (const values of answers as (string | null)[][]) {
    for (const [i, value] of values.entries()) totals[i]! += Number(value ?? 0);
  }
  const [enqueued = 0, settled = 0, completed = 0, dead = 0] = totals;
  const depths = await queueCounts(
    redis,
    uids.map((uid) => `${itemQueuePrefix(prefix, uid)}:${ITEM_QUEUE_NAME}`),
  );
  const sum = (of: (depth: QueueCounts) => number): number =>
    depths.reduce((total, depth) => total + of(depth), 0);
  return {
    count,
    unread: Math.max(0, count - paths.length),
    outstanding: enqueued - settled,
    completed,
    dead,
    queueJobs: {
      waiting: sum(({ waiting }) => waiting),
      active: sum(({ active }) => active),
      delayed: sum(({ delayed }) => delayed),
    },
  };
}

interface QueueCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
}

/** How many QueueJobs BullMQ has in each state. @param queues - Each with its prefix. */
async function queueCounts(redis: RedisClient, queues: readonly string[]): Promise<QueueCounts[]> {
  const [waiting, prioritized, active, delayed] = await Promise.all([
    ask(redis, queues, (pipeline, queue) => pipeline.llen(`${queue}:wait`)),
    ask(redis, queues, (pipeline, queue) => pipeline.zcard(`${queue}:prioritized`)),
    ask(redis, queues, (pipeline, queue) => pipeline.llen(`${queue}:active`)),
    ask(redis, queues, (pipeline, queue) => pipeline.zcard(`${queue}:delayed`)),
  ]);
  return queues.map((_, i) => ({
    waiting: Number(waiting[i]) + Number(prioritized[i]),
    active: Number(active[i]),
    delayed: Number(delayed[i]),
  }));
}
