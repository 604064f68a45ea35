import { readFileSync } from 'node:fs';

import {
  LAYOUT_VERSION,
  type InstallationFacts,
  type ServerFacts,
  type ShardFacts,
} from '@drover/store';
import { describe, expect, test } from 'vitest';

import {
  judgeInstallation,
  judgeKeys,
  judgeServer,
  type Finding,
} from '../../src/doctor/findings.ts';

const NONE = { count: 0, names: [] };

const SERVER: ServerFacts = {
  software: 'redis',
  version: '7.0.15',
  uptimeSeconds: 7_200,
  role: 'master',
  isCluster: false,
  clusterState: null,
  replicas: 0,
  maxmemoryPolicy: 'noeviction',
  usedBytes: 2 ** 30,
  maxBytes: 2 ** 32,
  systemBytes: 2 ** 34,
  evictedKeys: 0,
  connectedClients: 20,
  maxClients: 10_000,
  hasAppendOnlyFile: true,
  appendfsync: 'everysec',
  idleTimeoutSeconds: 0,
  persistenceErrors: [],
  roundTrip: { medianMs: 0.2, highestMs: 1 },
  clockOffsetMs: 3,
};

const SHARD: ShardFacts = {
  index: 0,
  jobs: 3,
  unfinishedJobs: 1,
  controllers: 1,
  overdueMs: 0,
  overdue: NONE,
  sessions: 2,
  lapsedSessions: NONE,
  waitingJobs: NONE,
  stuckJobs: NONE,
  wrongQuotas: NONE,
};

const INSTALLATION: InstallationFacts = {
  layoutVersion: String(LAYOUT_VERSION),
  shards: [SHARD],
  readyNodes: 2,
  lostNodes: NONE,
};

const remarks = (findings: readonly Finding[]) =>
  findings.filter(({ level }) => level !== 'ok').map(({ check, level }) => `${level} ${check}`);

const ofServer = (over: Partial<ServerFacts>, isOfCluster = false) =>
  judgeServer({ ...SERVER, ...over }, { address: 'host:6379', isOfCluster });
const ofNode = (over: Partial<ServerFacts>) =>
  ofServer({ isCluster: true, clusterState: 'ok', replicas: 1, ...over }, true);
const ofShard = (over: Partial<ShardFacts>, more: Partial<InstallationFacts> = {}) =>
  judgeInstallation({ ...INSTALLATION, shards: [{ ...SHARD, ...over }], ...more }, 'drover');

test('all is well: each look is told, and none has an advice', () => {
  const all = [
    ...ofServer({}),
    ...ofShard({}),
    ...judgeKeys({ keys: 9, orphans: [], unpurgedJobs: [] }),
  ];
  expect(remarks(all)).toEqual([]);
  expect(all.every(({ advice }) => advice.length === 0)).toBe(true);
  expect(all[0]!.message).toBe('Redis 7.0.15 at host:6379, up 2 h');
});

test('docs/operations.md names each of them', () => {
  const docs = readFileSync(new URL('../../../../docs/operations.md', import.meta.url), 'utf8');
  const all = [...ofServer({}), ...ofShard({}), ...ofShard({}, { layoutVersion: null })];
  for (const { check } of all) expect(docs).toContain(`| \`${check}\` |`);
});

describe('a Redis', () => {
  test.each<[string, Partial<ServerFacts>, string[]]>([
    ['too old', { version: '6.2.1' }, ['problem redis.version']],
    ['Valkey', { software: 'valkey', version: '8.1.0' }, []],
    ['a replica', { role: 'slave' }, ['problem redis.role']],
    ['a node of a cluster', { isCluster: true }, ['problem redis.role']],
    ['that evicts', { maxmemoryPolicy: 'allkeys-lru' }, ['problem redis.eviction']],
    ['that evicted before', { evictedKeys: 3 }, ['problem redis.eviction']],
    ['at three quarters of its memory', { usedBytes: 3 * 2 ** 30 }, ['warning redis.memory']],
    ['nearly full', { usedBytes: 3.7 * 2 ** 30 }, ['problem redis.memory']],
    [
      'without a limit, on a full machine',
      { maxBytes: 0, usedBytes: 2 ** 34 },
      ['problem redis.memory'],
    ],
    ['without an append-only file', { hasAppendOnlyFile: false }, ['warning redis.persistence']],
    ['that never syncs', { appendfsync: 'no' }, ['warning redis.persistence']],
    ['whose CONFIG is closed', { appendfsync: null, idleTimeoutSeconds: null }, []],
    [
      'that can not write',
      { persistenceErrors: ['aof_last_write_status'] },
      ['problem redis.persistence'],
    ],
    ['that closes idle connections', { idleTimeoutSeconds: 60 }, ['warning redis.connections']],
    ['with many connections', { connectedClients: 9_000 }, ['warning redis.connections']],
    ['far away', { roundTrip: { medianMs: 40, highestMs: 90 } }, ['warning redis.latency']],
    ['with another time', { clockOffsetMs: -61_000 }, ['warning redis.clock']],
  ])('%s', (_, over, expected) => {
    expect(remarks(ofServer(over))).toEqual(expected);
  });
});

describe('a master of a cluster', () => {
  test.each<[string, Partial<ServerFacts>, string[]]>([
    ['that has a replica', {}, []],
    ['that has none', { replicas: 0 }, ['warning redis.role']],
    ['of a cluster that is down', { clusterState: 'fail' }, ['problem redis.role']],
  ])('%s', (_, over, expected) => {
    expect(remarks(ofNode(over))).toEqual(expected);
  });

  test('each look says which one', () => {
    expect(ofNode({}).every(({ message }) => message.includes('host:6379'))).toBe(true);
  });
});

describe('an installation', () => {
  test.each<[string, Partial<ShardFacts>, Partial<InstallationFacts>, string[]]>([
    ['that is not there', {}, { layoutVersion: null }, ['warning installation']],
    ['of another layout', {}, { layoutVersion: '1' }, ['problem installation']],
    ['without controllers', { controllers: 0 }, {}, ['problem controllers']],
    [
      'whose controllers can not be counted, and that do nothing',
      { controllers: null, overdueMs: 30_000, overdue: { count: 1, names: ['job:1'] } },
      {},
      ['problem controllers'],
    ],
    [
      'whose controllers have much to do',
      { overdueMs: 5_000, overdue: { count: 1, names: ['job:1'] } },
      {},
      [],
    ],
    [
      'with sessions that nobody ended',
      { lapsedSessions: { count: 1, names: ['a'] } },
      {},
      ['problem controllers'],
    ],
    ['without workers', {}, { readyNodes: 0 }, ['problem workers']],
    ['without workers and Jobs', { unfinishedJobs: 0 }, { readyNodes: 0 }, ['warning workers']],
    ['with a worker that went', {}, { lostNodes: { count: 1, names: ['w'] } }, ['warning workers']],
    [
      'with a Job that no worker can run',
      { waitingJobs: { count: 1, names: ['a/b'] } },
      {},
      ['warning jobs.waiting'],
    ],
    [
      'with a quota that is off',
      { wrongQuotas: { count: 1, names: ['a'] } },
      {},
      ['problem quotas'],
    ],
    ['with a stuck Job', { stuckJobs: { count: 1, names: ['a/b'] } }, {}, ['problem jobs.stuck']],
  ])('%s', (_, over, more, expected) => {
    expect(remarks(ofShard(over, more))).toEqual(expected);
  });

  test('names ten of many', () => {
    const names = Array.from({ length: 10 }, (_, i) => `default/job-${i}`);
    const text = ofShard({ stuckJobs: { count: 12, names } }).find(
      ({ check }) => check === 'jobs.stuck',
    )!;
    expect(text.message).toBe(`no controller will look at ${names.join(', ')} and 2 more`);
  });

  test('keys that belong to nothing, and deleted Jobs that stay', () => {
    const findings = judgeKeys({
      keys: 9,
      orphans: ['{drover:0}:job:x:slots'],
      unpurgedJobs: ['y'],
    });
    expect(remarks(findings)).toEqual(['problem keys.deleted', 'problem keys.orphans']);
  });
});
