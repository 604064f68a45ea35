import {
  checkServer,
  layoutRefusal,
  UnsuitableRedisError,
  type InstallationFacts,
  type KeyFacts,
  type ServerFacts,
  type ShardFacts,
  type Some,
} from '@drover/store';

/** `ok`: as it should be. `warning`: works, and may hurt. `problem`: Jobs do not run, or something may get lost. */
export type Level = 'ok' | 'warning' | 'problem';

/** One thing that was looked at. */
export interface Finding {
  /** Stable, for scripts. */
  readonly check: string;
  readonly level: Level;
  /** What was found. */
  readonly message: string;
  /** What to do; empty when all is well. */
  readonly advice: readonly string[];
}

/** From here on a machine is slow to answer, ms. */
const SLOW_MS = 5;
/** Clocks that differ by more confuse people who compare times, ms. */
const CLOCK_DIFFERS_MS = 1_000;
/** Due members are taken at once, and within ten seconds when a message was lost. */
const OVERDUE_MS = 20_000;
/** Parts of a limit that are too near to it. */
const [NEAR, VERY_NEAR] = [0.75, 0.9];

const ok = (check: string, message: string): Finding => ({
  check,
  level: 'ok',
  message,
  advice: [],
});

function warning(check: string, message: string, ...advice: string[]): Finding {
  return { check, level: 'warning', message, advice };
}

function problem(check: string, message: string, ...advice: string[]): Finding {
  return { check, level: 'problem', message, advice };
}

/** How one came to a server. */
export interface Visit {
  readonly address: string;
  /** By the address of its cluster: the other nodes are seen too. */
  readonly isOfCluster: boolean;
}

/** What is to be said of a Redis. */
export function judgeServer(facts: ServerFacts, { address, isOfCluster }: Visit): Finding[] {
  const findings = [
    judgeVersion(facts, address),
    isOfCluster ? judgeNode(facts) : judgeRole(facts, address),
    judgePolicy(facts),
    judgeMemory(facts),
    judgePersistence(facts),
    judgeConnections(facts),
    judgeRoundTrip(facts),
    judgeClock(facts),
  ];
  if (!isOfCluster) return findings;
  return findings.map((finding, i) =>
    i === 0 ? finding : { ...finding, message: `${address}: ${finding.message}` },
  );
}

function judgeVersion({ software, version, uptimeSeconds }: ServerFacts, address: string): Finding {
  const name = `${software === 'valkey' ? 'Valkey' : 'Redis'} ${version} at ${address}`;
  const refusal = refusalOf(`${software}_version:${version}`);
  return refusal === null
    ? ok('redis.version', `${name}, up ${daysText(uptimeSeconds)}`)
    : problem('redis.version', refusal, 'upgrade it');
}

function judgeNode({ clusterState, replicas }: ServerFacts): Finding {
  if (clusterState !== 'ok') {
    return problem(
      'redis.role',
      `the cluster's state is ${clusterState ?? '?'}: some of its masters can not be reached and have no replica`,
      'see CLUSTER NODES there',
    );
  }
  if (replicas > 0) return ok('redis.role', `a master of the cluster, replicas: ${replicas}`);
  return warning(
    'redis.role',
    'a master of the cluster without a replica: when it dies, nobody takes its place',
    'add a replica, or let something start it again at once',
  );
}

function judgeRole({ role, isCluster }: ServerFacts, address: string): Finding {
  if (isCluster) {
    return problem(
      'redis.role',
      'it is a node of a Redis Cluster, of which this address shows that node alone',
      `give the address of the cluster: redis+cluster://${address}`,
    );
  }
  if (role === 'master') return ok('redis.role', 'it takes writes');
  return problem(
    'redis.role',
    `its role is ${role}: it takes no writes`,
    'give the address of its master, or of its Sentinels: redis+sentinel://HOST:PORT,HOST:PORT?name=MASTER',
  );
}

function judgePolicy({ maxmemoryPolicy, evictedKeys }: ServerFacts): Finding {
  const refusal = refusalOf(
    `redis_version:99\nmaxmemory_policy:${maxmemoryPolicy ?? 'noeviction'}`,
  );
  if (refusal !== null) return problem('redis.eviction', refusal);
  if (evictedKeys === 0) return ok('redis.eviction', 'maxmemory-policy is noeviction');
  return problem(
    'redis.eviction',
    `it dropped ${evictedKeys} keys to make room since it started, perhaps such of Drover`,
    'maxmemory-policy is noeviction now; look at what is said of objects below',
  );
}

/** What the store says when it refuses such a server. */
function refusalOf(info: string): string | null {
  try {
    checkServer(info);
    return null;
  } catch (error) {
    if (error instanceof UnsuitableRedisError) return error.message;
    throw error;
  }
}

function judgeMemory({ usedBytes, maxBytes, systemBytes }: ServerFacts): Finding {
  const used = bytesText(usedBytes);
  const [limit, what] =
    maxBytes > 0 ? [maxBytes, 'maxmemory'] : [systemBytes, "the machine's memory"];
  if (limit === 0) return ok('redis.memory', `it uses ${used}`);
  const message = `it uses ${used} of ${bytesText(limit)} (${what})`;
  const advice = [
    'raise maxmemory, or give finished Jobs a ttlSecondsAfterFinished; a full Redis takes no new Jobs and items',
  ];
  if (usedBytes >= limit * VERY_NEAR) return problem('redis.memory', message, ...advice);
  return usedBytes >= limit * NEAR
    ? warning('redis.memory', message, ...advice)
    : ok('redis.memory', message);
}

function judgePersistence(facts: ServerFacts): Finding {
  const { hasAppendOnlyFile, appendfsync, persistenceErrors } = facts;
  if (persistenceErrors.length > 0) {
    return problem(
      'redis.persistence',
      `it could not write to its disk: ${persistenceErrors.join(', ')}`,
      'make room there and look at its log; until then it may refuse all writes',
    );
  }
  if (!hasAppendOnlyFile) {
    return warning(
      'redis.persistence',
      'it has no append-only file: when it dies, what it accepted since its last snapshot is lost',
      'set appendonly yes (now: CONFIG SET appendonly yes, and the same in redis.conf)',
    );
  }
  if (appendfsync === 'no') {
    return warning(
      'redis.persistence',
      'appendfsync is no: when its machine dies, what it accepted in the last half minute may be lost',
      'set appendfsync everysec, or always where nothing accepted may be lost',
    );
  }
  const kept =
    appendfsync === 'always'
      ? 'what it accepted stays when its machine dies'
      : 'when its machine dies, at most about the last second is lost (appendfsync always: nothing)';
  return ok(
    'redis.persistence',
    `append-only file with appendfsync ${appendfsync ?? '?'}: ${kept}`,
  );
}

function judgeConnections({
  connectedClients,
  maxClients,
  idleTimeoutSeconds,
}: ServerFacts): Finding {
  const check = 'redis.connections';
  if (idleTimeoutSeconds !== null && idleTimeoutSeconds > 0) {
    return warning(
      check,
      `it closes connections that are idle for ${idleTimeoutSeconds} s: everybody has to connect anew again and again`,
      'set timeout 0',
    );
  }
  if (maxClients === 0) return ok(check, `${connectedClients} connections`);
  const message = `${connectedClients} connections of ${maxClients}`;
  if (connectedClients < maxClients * NEAR) return ok(check, message);
  return warning(
    check,
    message,
    'raise maxclients: a worker has about five, a controller three, a client two',
  );
}

function judgeRoundTrip({ roundTrip: { medianMs, highestMs } }: ServerFacts): Finding {
  const message = `it answers in ${msText(medianMs)} (median; highest ${msText(highestMs)})`;
  if (medianMs < SLOW_MS) return ok('redis.latency', message);
  return warning(
    'redis.latency',
    message,
    'each pod waits for it at its end and its start: run workers near Redis',
  );
}

function judgeClock({ clockOffsetMs }: ServerFacts): Finding {
  const off = Math.abs(clockOffsetMs);
  const side = clockOffsetMs > 0 ? 'ahead of' : 'behind';
  if (off < CLOCK_DIFFERS_MS) return ok('redis.clock', 'its clock and that of this machine agree');
  return warning(
    'redis.clock',
    `its clock is ${msText(off)} ${side} that of this machine`,
    'let both keep time by NTP: leases do not depend on it, but deadlines and times of logs are compared by people',
  );
}

/** What is to be said of an installation. */
export function judgeInstallation(facts: InstallationFacts, prefix: string): Finding[] {
  const { layoutVersion, shards, readyNodes, lostNodes } = facts;
  if (layoutVersion === null) {
    return [
      warning(
        'installation',
        `there is no installation under the prefix ${prefix}`,
        'start a controller and workers, or name another one with --prefix',
      ),
    ];
  }
  const refusal = layoutRefusal(layoutVersion, prefix);
  if (refusal !== null) return [problem('installation', refusal.message, refusal.advice)];
  const unfinished = shards.reduce((sum, { unfinishedJobs }) => sum + unfinishedJobs, 0);
  return [
    judgeControllers(shards),
    judgeWorkers(readyNodes, lostNodes, unfinished),
    judgeWaiting(shards),
    judgeJobs(shards, unfinished),
    ...judgeQuotas(shards),
  ];
}

function judgeControllers(shards: readonly ShardFacts[]): Finding {
  const counts = shards.map(({ controllers }) => controllers);
  const known = counts.filter((count) => count !== null);
  const overdueMs = Math.max(...shards.map((shard) => shard.overdueMs));
  const lapsed = shards.flatMap(({ lapsedSessions }) => lapsedSessions.names);
  const check = 'controllers';
  const start = 'start one: `drover controller`';
  if (known.length > 0 && Math.min(...known) === 0)
    return problem(check, 'no controller runs', start);
  if (overdueMs > OVERDUE_MS) {
    const { names, count } = together(shards.map(({ overdue }) => overdue));
    return problem(
      check,
      `${count} looks are due and were not taken, the longest for ${Math.round(overdueMs / 1000)} s: ${listText(names, count)}`,
      known.length > 0 ? 'see the log of the controllers' : start,
    );
  }
  if (lapsed.length > 0) {
    return problem(
      check,
      `workers are gone whose pods nobody ended: sessions ${lapsed.join(', ')}`,
      start,
    );
  }
  const running =
    known.length === 0
      ? 'controllers are not counted (PUBSUB is not allowed)'
      : plural(Math.min(...known), 'controller runs', 'controllers run');
  return ok(check, `${running}, nothing is overdue`);
}

function judgeWorkers(ready: number, lost: Some, unfinished: number): Finding {
  const check = 'workers';
  if (ready === 0) {
    const message = `no worker runs${unfinished > 0 ? `, and ${plural(unfinished, 'Job is', 'Jobs are')} not finished` : ''}`;
    return (unfinished > 0 ? problem : warning)(check, message, 'start some: `drover worker`');
  }
  const message = plural(ready, 'worker is ready', 'workers are ready');
  if (lost.count === 0) return ok(check, message);
  return warning(
    check,
    `${message}; without a word went ${listText(lost.names, lost.count)}`,
    'their pods were replaced; look why they died (out of memory, machine gone)',
  );
}

function judgeWaiting(shards: readonly ShardFacts[]): Finding {
  const { names, count } = together(shards.map(({ waitingJobs }) => waitingJobs));
  if (count === 0) return ok('jobs.waiting', 'no Job waits for a worker that could run it');
  return warning(
    'jobs.waiting',
    `${plural(count, 'Job waits', 'Jobs wait')} for a worker that can run it: ${listText(names, count)}`,
    'in brackets: pool, runtime and handler that are wanted; `drover describe job/NAME` says what is missing',
  );
}

/** Nothing is said of what few have, when it is as it should be. */
function judgeQuotas(shards: readonly ShardFacts[]): Finding[] {
  const wrong = together(shards.map(({ wrongQuotas }) => wrongQuotas));
  if (wrong.count === 0) return [];
  return [
    problem(
      'quotas',
      `quotas count other pods than there are in ${listText(wrong.names, wrong.count)}`,
      'this must not be: please report it',
    ),
  ];
}

function judgeJobs(shards: readonly ShardFacts[], unfinished: number): Finding {
  const stuck = together(shards.map(({ stuckJobs }) => stuckJobs));
  const all = shards.reduce((sum, { jobs }) => sum + jobs, 0);
  if (stuck.count === 0) {
    return ok(
      'jobs.stuck',
      `${plural(all, 'Job', 'Jobs')}, ${unfinished} not finished, none is stuck`,
    );
  }
  return problem(
    'jobs.stuck',
    `no controller will look at ${listText(stuck.names, stuck.count)}`,
    'this must not be: please report it. Any change of the Job, such as `drover scale`, makes a controller look',
  );
}

/** What is to be said of keys. */
export function judgeKeys({ keys, orphans, unpurgedJobs }: KeyFacts): Finding[] {
  const found: Finding[] = [];
  if (unpurgedJobs.length > 0) {
    found.push(
      problem(
        'keys.deleted',
        `nobody will remove what is left of deleted Jobs: ${listText(unpurgedJobs.slice(0, 10), unpurgedJobs.length)}`,
        'this must not be: please report it',
      ),
    );
  }
  if (orphans.length > 0) {
    found.push(
      problem(
        'keys.orphans',
        `of ${keys} keys ${orphans.length} belong to nothing: ${listText(orphans.slice(0, 10), orphans.length)}`,
        'this must not be: please report it. They only take memory, and may be removed with UNLINK',
      ),
    );
  }
  return found.length > 0
    ? found
    : [ok('keys', `${plural(keys, 'key', 'keys')}, each belongs to something`)];
}

function together(parts: readonly Some[]): Some {
  return {
    count: parts.reduce((sum, { count }) => sum + count, 0),
    names: parts.flatMap(({ names }) => names).slice(0, 10),
  };
}

function listText(names: readonly string[], count: number): string {
  const more = count - names.length;
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function plural(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

function bytesText(bytes: number): string {
  const gigabytes = bytes / 2 ** 30;
  return gigabytes >= 1 ? `${gigabytes.toFixed(1)} GiB` : `${Math.ceil(bytes / 2 ** 20)} MiB`;
}

function msText(ms: number): string {
  return ms >= 1_000 ? `${(ms / 1_000).toFixed(1)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

function daysText(seconds: number): string {
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400
    ? `${Math.floor(seconds / 3_600)} h`
    : `${Math.floor(seconds / 86_400)} d`;
}
