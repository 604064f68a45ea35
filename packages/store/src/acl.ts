import { createHash } from 'node:crypto';

/** Who uses an installation's Redis: its own processes, programs that submit, and who only looks. */
export const ACL_ROLES = ['controller', 'worker', 'producer', 'server', 'reader'] as const;

/** One of {@link ACL_ROLES}. */
export type AclRole = (typeof ACL_ROLES)[number];

/** A user of Redis for a role. */
export interface AclUser {
  readonly role: AclRole;
  /** `<prefix>-<role>`. */
  readonly name: string;
  /** Rules as ACL SETUSER takes them for a user that is new or `reset`, without a password: nobody can log in until there is one. */
  readonly rules: readonly string[];
}

/** What every connection needs: ioredis' greeting, its look at INFO and at a cluster, and transactions. */
const CONNECTION = [
  'asking',
  'auth',
  'cluster|info',
  'cluster|slots',
  'discard',
  'echo',
  'exec',
  'hello',
  'info',
  'multi',
  'ping',
  'quit',
  'readonly',
  'readwrite',
  'select',
  'time',
];

/** CLIENT but for what concerns others. Taken away one by one: the rest is not the same in all versions of Redis. */
const CLIENT = [
  '+client',
  ...['kill', 'list', 'no-evict', 'pause', 'reply', 'tracking', 'unblock', 'unpause'].map(
    (name) => `-client|${name}`,
  ),
];

/** Scripts, and channels. What a script does is checked again, command by command. */
const SCRIPTS = ['eval', 'evalsha'];
const LISTENING = ['psubscribe', 'pubsub|numsub', 'punsubscribe', 'subscribe', 'unsubscribe'];

/** Commands that change nothing: all that Drover's scripts and BullMQ's have of them, and what the clients ask directly. */
const READING = [
  'bitcount',
  'bitfield_ro',
  'exists',
  'get',
  'getbit',
  'getrange',
  'hexists',
  'hget',
  'hgetall',
  'hkeys',
  'hlen',
  'hmget',
  'hscan',
  'hvals',
  'lindex',
  'llen',
  'lpos',
  'lrange',
  'mget',
  'pttl',
  'scard',
  'sismember',
  'smembers',
  'srandmember',
  'sscan',
  'strlen',
  'type',
  'xinfo|stream',
  'xlen',
  'xrange',
  'xread',
  'xrevrange',
  'zcard',
  'zcount',
  'zlexcount',
  'zmscore',
  'zrange',
  'zrangebylex',
  'zrangebyscore',
  'zrevrange',
  'zrevrangebyscore',
  'zscan',
  'zscore',
];

/** The same of those that change something. */
const WRITING = [
  'bitfield',
  'bzpopmin',
  'decrby',
  'del',
  'expire',
  'getex',
  'hdel',
  'hincrby',
  'hmset',
  'hset',
  'hsetnx',
  'incr',
  'incrby',
  'lpop',
  'lpush',
  'lrem',
  'lset',
  'ltrim',
  'mset',
  'persist',
  'pexpire',
  'pexpireat',
  'publish',
  'rename',
  'rpop',
  'rpoplpush',
  'rpush',
  'sadd',
  'set',
  'setbit',
  'setrange',
  'spop',
  'srem',
  'unlink',
  'wait',
  'xadd',
  'xdel',
  'xtrim',
  'zadd',
  'zpopmin',
  'zrem',
  'zremrangebyrank',
  'zremrangebyscore',
];

/** What `drover doctor` asks the server itself. */
const INSPECTING = ['config|get', 'dbsize', 'scan'];

const SERVICE = [...CONNECTION, ...SCRIPTS, ...LISTENING, ...READING, ...WRITING];

/** What a producer writes in a shard: Jobs and work queues, and what says that something is to be done. */
const PRODUCER_KEYS = [
  'clock',
  'due',
  'due:counts',
  'due:taken',
  'job:*',
  'jobs:*',
  'owned',
  'queues',
  'quota:*',
  'replicated',
  'watch',
  'watchers:pods',
  'wq:*',
];

/** What it reads there beside that, to say what pods wait for and what happened. */
const PRODUCER_READS = [
  'capacity',
  'contended',
  'events*',
  'kept*',
  'lanes',
  'meta',
  'nodes',
  'object:PriorityClass:*',
  'objects:PriorityClass',
  'session:*',
  'sessions',
  'waiting',
];

interface Rights {
  readonly commands: readonly string[];
  readonly keys: readonly string[];
  /** Further sets of commands with keys of their own. */
  readonly selectors?: readonly string[];
}

/**
 * The users of an installation, each with what its role needs and nothing else. Keys are named by
 * patterns of the installation's prefix, so that others on the same Redis are out of reach.
 *
 * A script names its keys as ones that it may write, whatever it does: so keys of a role that reads by
 * scripts are open to both, and its commands keep it from writing.
 */
export function aclUsers(prefix: string): AclUser[] {
  return ACL_ROLES.map((role) => {
    const { commands, keys, selectors = [] } = rightsOf(role, prefix);
    return {
      role,
      name: `${prefix}-${role}`,
      rules: [
        'on',
        ...keys,
        `&{${prefix}:*`,
        '-@all',
        ...CLIENT,
        ...commands.map((command) => `+${command}`),
        ...selectors,
      ],
    };
  });
}

/** How Redis writes a password down in an ACL. */
export function aclPassword(password: string): string {
  return `#${createHash('sha256').update(password).digest('hex')}`;
}

function rightsOf(role: AclRole, prefix: string): Rights {
  const of = (part: string): string => `{${prefix}:${part}`;
  // A digit: the tags of shards have one there, and no other tag.
  const shards = `~${of('[0-9]*')}`;
  const settings = `%R~${of('installation}:settings')}`;
  const itemQueues = `~${of('wq:*')}`;
  const slotQueues = `~${of('q:*')}`;
  const nodes = `~${of('nodes}:*')}`;
  switch (role) {
    case 'controller':
      return {
        commands: SERVICE,
        keys: [
          `~${of('installation}:settings')}`,
          shards,
          slotQueues,
          itemQueues,
          nodes,
          `~${of('log:*')}`,
        ],
      };
    case 'worker':
      return {
        commands: SERVICE,
        keys: [settings, shards, slotQueues, itemQueues, nodes, `~${of('log:*')}`],
      };
    case 'producer': {
      const inShards = (name: string): string => of(`[0-9]*}:${name}`);
      return {
        commands: SERVICE,
        keys: [
          settings,
          ...PRODUCER_KEYS.map((name) => `~${inShards(name)}`),
          ...PRODUCER_READS.map((name) => `%R~${inShards(name)}`),
          itemQueues,
          `%R~${of('nodes}:*')}`,
          `%R~${of('log:*')}`,
        ],
      };
    }
    case 'server':
      // Logs, since that of a pod goes with the pod that it deletes.
      return {
        commands: SERVICE,
        keys: [settings, shards, itemQueues, nodes, `~${of('tokens}:records')}`, `~${of('log:*')}`],
      };
    case 'reader':
      return {
        commands: [...CONNECTION, ...SCRIPTS, ...LISTENING, ...READING, ...INSPECTING],
        keys: [settings, shards, slotQueues, itemQueues, nodes, `%R~${of('log:*')}`],
        // Who watches pods has to say so: their changes are written down only then.
        selectors: [`(~${of('[0-9]*}:watchers:pods')} +getex +set)`],
      };
  }
}
