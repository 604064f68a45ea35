/**
 * Every Redis key, channel and hash tag of Drover is made here; docs/redis-schema.md describes them.
 */

/** Number of Redis Cluster hash slots. */
const CLUSTER_SLOTS = 16_384;

/** Pod records per chunk. */
export const RECORDS_PER_CHUNK = 1024;

/** CRC16 (XMODEM) as Redis Cluster uses it to place a hash tag. */
export function hashSlot(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) {
      crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
    }
  }
  return crc % CLUSTER_SLOTS;
}

/**
 * The hash tag of a shard, without braces. A suffix is searched that puts shard i of n into the i-th
 * part of the hash slots, so that shards spread evenly over the masters of a cluster.
 */
export function shardTag(prefix: string, shard: number, shardCount: number): string {
  const from = Math.floor((shard * CLUSTER_SLOTS) / shardCount);
  const to = Math.floor(((shard + 1) * CLUSTER_SLOTS) / shardCount);
  for (let salt = 0; ; salt++) {
    const tag = salt === 0 ? `${prefix}:${shard}` : `${prefix}:${shard}:${salt}`;
    const slot = hashSlot(tag);
    if (slot >= from && slot < to) return tag;
  }
}

/** The shard that holds everything of a namespace. FNV-1a, so that it never changes with a library. */
export function shardIndexOf(namespace: string, shardCount: number): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(namespace)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return hash % shardCount;
}

/** Key of the installation's settings; under its own tag. */
export function installationKey(prefix: string): string {
  return `{${prefix}:installation}:settings`;
}

/** Keys of the node registry; one fixed tag. */
export function nodeKeys(prefix: string): {
  readonly objects: string;
  readonly leases: string;
  readonly cordons: string;
  /** Pub/sub channel; the message is the name of a node whose cordon changed. */
  readonly cordonChannel: string;
} {
  const tag = `{${prefix}:nodes}`;
  return {
    objects: `${tag}:objects`,
    leases: `${tag}:leases`,
    cordons: `${tag}:cordons`,
    cordonChannel: `${tag}:cordons:wake`,
  };
}

/** Key of the tokens of API servers; under its own tag. */
export function tokenKey(prefix: string): string {
  return `{${prefix}:tokens}:records`;
}

/** The log stream of a pod, under its own tag so that logs spread over a cluster. */
export function podLogKey(prefix: string, jobUid: string, podNumber: number): string {
  return `{${prefix}:log:${jobUid}:${podNumber}}`;
}

/** BullMQ's prefix for a slot queue: a tag of its own. */
export function slotQueuePrefix(prefix: string, queue: string): string {
  return `{${prefix}:q:${queue}}`;
}

/**
 * BullMQ's prefix for the items of a work queue: a tag of its own. A uid is written in 22 characters there: each
 * QueueJob has it in its key, and each of BullMQ's scripts gets it 15 times.
 */
export function itemQueuePrefix(prefix: string, uid: string): string {
  return `{${prefix}:wq:${UUID.test(uid) ? Buffer.from(uid.replaceAll('-', ''), 'hex').toString('base64url') : uid}}`;
}

/** Keys of BullMQ's queue of a work queue's items that `addItems` writes or reads. */
export interface ItemQueueKeys {
  readonly wait: string;
  readonly meta: string;
  readonly id: string;
  readonly active: string;
  readonly marker: string;
}

/** Makes them, as BullMQ does. */
export function itemQueueKeys(prefix: string, uid: string, name: string): ItemQueueKeys {
  const queue = `${itemQueuePrefix(prefix, uid)}:${name}`;
  return {
    wait: `${queue}:wait`,
    meta: `${queue}:meta`,
    id: `${queue}:id`,
    active: `${queue}:active`,
    marker: `${queue}:marker`,
  };
}

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

/** Jobs whose keys are remembered, about: a bound on memory. */
const REMEMBERED_JOBS = 1_000;

/** Keys of one Job within its shard. */
export interface JobKeys {
  readonly job: string;
  readonly hot: string;
  readonly slots: string;
  readonly pending: string;
  readonly done: string;
  readonly failed: string;
  readonly retry: string;
  readonly unjudged: string;
  readonly losses: string;
  readonly overlay: string;
  /** Labels and annotations of pods whose user changed them. */
  readonly changed: string;
  /** Pods that the Job has released, with their slots. */
  readonly free: string;
  /** Pods that the Job has adopted. */
  readonly adopted: string;
  /** Who has adopted pods of the Job. */
  readonly adopters: string;
  /** Arguments of the indexes, for a Job with an argument list. */
  readonly args: string;
  /** Indexes whose ends are counted to halt such a Job. */
  readonly ended: string;
}

/** Keys of one worker session within a shard. */
export interface SessionKeys {
  readonly session: string;
  readonly claims: string;
  readonly orders: string;
  /** Pub/sub channel that says that orders wait. */
  readonly ordersChannel: string;
}

/** Keys of one work queue within its shard. */
export interface WorkQueueKeys {
  readonly queue: string;
  readonly settled: string;
  readonly outcomes: string;
  readonly dead: string;
  readonly losses: string;
  readonly keys: string;
  readonly batches: string;
  readonly open: string;
  readonly committed: string;
  readonly abandoned: string;
  readonly retrying: string;
}

/** Keys and channels of one shard. */
export class ShardKeys {
  /** The hash tag with braces. */
  readonly tag: string;
  /** The last resourceVersion, and so the last time seen. */
  readonly clock: string;
  readonly meta: string;
  /** Written so that replicas can be asked whether they have what came before. */
  readonly replicated: string;
  readonly due: string;
  readonly dueTaken: string;
  readonly dueCounts: string;
  readonly names: string;
  readonly uids: string;
  readonly watch: string;
  readonly podWatchers: string;
  readonly sessions: string;
  readonly lanes: string;
  /** What the live sessions have for pods that request something. */
  readonly capacity: string;
  readonly waiting: string;
  readonly nodes: string;
  readonly queues: string;
  readonly contended: string;
  /** Finished Jobs by when they finished, as long as pods of theirs are kept. */
  readonly kept: string;
  /** Those of which only failed pods are left. */
  readonly keptFailed: string;
  /** How many pods of finished Jobs are kept. */
  readonly keptTotal: string;
  /** What belongs to which owner. */
  readonly owned: string;
  /** Deleted Jobs whose pods were left behind. */
  readonly orphaned: string;
  /** What ResourceQuotas allow, by namespace. */
  readonly quotaHard: string;
  /** What is granted of them, by namespace and resource. */
  readonly quotaUsed: string;
  /** Jobs that were denied some of them. */
  readonly quotaWaiting: string;
  /** Jobs whose pods have labels or annotations of their own. */
  readonly changed: string;
  /** Jobs whose selectors their users have chosen. */
  readonly selecting: string;
  /** Pub/sub channel that wakes controllers; the message is a time in ms. */
  readonly wakeChannel: string;
  readonly workQueueNames: string;
  readonly workQueueUids: string;
  /** Pub/sub channel; the message is the uid of a work queue that is all done, or deleted. */
  readonly workQueueChannel: string;
  /** Pub/sub channel; the message is `<kind> <namespace>/<name>` of a kept object that changed. */
  readonly objectChannel: string;
  /** Events by `<namespace>/<name>`. */
  readonly events: string;
  readonly eventNames: string;
  /** Names of events by when they happened last. */
  readonly eventVersions: string;
  /** Pub/sub channel; the message is the resourceVersion of an event that was just written. */
  readonly eventChannel: string;
  readonly #jobs = new Map<string, JobKeys>();

  constructor(prefix: string, shard: number, shardCount: number) {
    const tag = `{${shardTag(prefix, shard, shardCount)}}`;
    this.tag = tag;
    this.clock = `${tag}:clock`;
    this.meta = `${tag}:meta`;
    this.replicated = `${tag}:replicated`;
    this.due = `${tag}:due`;
    this.dueTaken = `${tag}:due:taken`;
    this.dueCounts = `${tag}:due:counts`;
    this.names = `${tag}:jobs:names`;
    this.uids = `${tag}:jobs:uids`;
    this.watch = `${tag}:watch`;
    this.podWatchers = `${tag}:watchers:pods`;
    this.sessions = `${tag}:sessions`;
    this.lanes = `${tag}:lanes`;
    this.capacity = `${tag}:capacity`;
    this.waiting = `${tag}:waiting`;
    this.nodes = `${tag}:nodes`;
    this.queues = `${tag}:queues`;
    this.contended = `${tag}:contended`;
    this.kept = `${tag}:kept`;
    this.keptFailed = `${tag}:kept:failed`;
    this.keptTotal = `${tag}:kept:total`;
    this.owned = `${tag}:owned`;
    this.orphaned = `${tag}:jobs:orphaned`;
    this.quotaHard = `${tag}:quota:hard`;
    this.quotaUsed = `${tag}:quota:used`;
    this.quotaWaiting = `${tag}:quota:waiting`;
    this.changed = `${tag}:jobs:changed`;
    this.selecting = `${tag}:jobs:selecting`;
    this.wakeChannel = `${tag}:wake`;
    this.workQueueNames = `${tag}:wq:names`;
    this.workQueueUids = `${tag}:wq:uids`;
    this.workQueueChannel = `${tag}:wq:wake`;
    this.objectChannel = `${tag}:objects:wake`;
    this.events = `${tag}:events`;
    this.eventNames = `${tag}:events:names`;
    this.eventVersions = `${tag}:events:versions`;
    this.eventChannel = `${tag}:events:wake`;
  }

  /** Keys of a Job. Remembered, since every report asks for them. */
  job(uid: string): JobKeys {
    let keys = this.#jobs.get(uid);
    if (keys === undefined) {
      if (this.#jobs.size >= REMEMBERED_JOBS) this.#jobs.clear();
      keys = this.#jobKeys(uid);
      this.#jobs.set(uid, keys);
    }
    return keys;
  }

  #jobKeys(uid: string): JobKeys {
    const job = `${this.tag}:job:${uid}`;
    return {
      job,
      hot: `${job}:hot`,
      slots: `${job}:slots`,
      pending: `${job}:pending`,
      done: `${job}:done`,
      failed: `${job}:failed`,
      retry: `${job}:retry`,
      unjudged: `${job}:unjudged`,
      losses: `${job}:losses`,
      overlay: `${job}:overlay`,
      changed: `${job}:changed`,
      free: `${job}:free`,
      adopted: `${job}:adopted`,
      adopters: `${job}:adopters`,
      args: `${job}:args`,
      ended: `${job}:ended`,
    };
  }

  /** The string that holds a chunk of a Job's pod records: pods 1024 n .. 1024 n + 1023. */
  podChunk(uid: string, chunk: number): string {
    return `${this.tag}:job:${uid}:pods:${chunk}`;
  }

  /** What a running pod says of its progress, a string that expires. */
  podProgress(uid: string, podNumber: number): string {
    return `${this.tag}:job:${uid}:progress:${podNumber}`;
  }

  /** How the containers of a running pod are, a string that expires. */
  podContainers(uid: string, podNumber: number): string {
    return `${this.tag}:job:${uid}:containers:${podNumber}`;
  }

  /** Keys of a work queue. */
  workQueue(uid: string): WorkQueueKeys {
    const queue = `${this.tag}:wq:${uid}`;
    return {
      queue,
      settled: `${queue}:settled`,
      outcomes: `${queue}:outcomes`,
      dead: `${queue}:dead`,
      losses: `${queue}:losses`,
      keys: `${queue}:keys`,
      batches: `${queue}:batches`,
      open: `${queue}:open`,
      committed: `${queue}:committed`,
      abandoned: `${queue}:abandoned`,
      retrying: `${queue}:retrying`,
    };
  }

  /** Uids of the Jobs that name a work queue which does not exist. */
  awaitedWorkQueue(namespace: string, name: string): string {
    return `${this.tag}:wq:awaited:${namespace}:${name}`;
  }

  /** Names of the kept objects of a kind: `<namespace>/<name>`. */
  objectNames(kind: string): string {
    return `${this.tag}:objects:${kind}`;
  }

  /** The hash of a kept object. */
  object(kind: string, namespace: string, name: string): string {
    return `${this.tag}:object:${kind}:${namespace}:${name}`;
  }

  /** The hash of what the controller notes of a kept object. */
  objectRecord(kind: string, namespace: string, name: string): string {
    return `${this.object(kind, namespace, name)}:record`;
  }

  /** Keys of a session. */
  session(id: string): SessionKeys {
    const session = `${this.tag}:session:${id}`;
    return {
      session,
      claims: `${session}:claims`,
      orders: `${session}:orders`,
      ordersChannel: `${session}:wake`,
    };
  }
}
