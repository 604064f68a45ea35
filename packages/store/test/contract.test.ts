/** Headers of the scripts against what the wrappers really send, and what they make of each reply. */
import { readdirSync, readFileSync } from 'node:fs';
import { EVENT_KIND } from '@drover/shared';
import type { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { LAYOUT_VERSION } from '../src/migration/layout.ts';
import { addJobFields, moveLayout } from '../src/migration/migrate.ts';
import type { ReportEntry } from '../src/api.ts';
import { HOT_FIELDS } from '../src/hot.ts';
import {
  installationKey,
  itemQueueKeys,
  nodeKeys,
  podLogKey,
  ShardKeys,
  tokenKey,
} from '../src/keys.ts';
import { addItems, dropItems, ITEM_QUEUE_NAME } from '../src/itemQueue.ts';
import { LogKind } from '../src/podLog.ts';
import { writePodLog } from '../src/podLogEntries.ts';
import { POD_RECORD_BYTES, SLOT_RECORD_BYTES } from '../src/records.ts';
import {
  SCRIPT_NAMES,
  scriptFiles,
  type ScriptName,
  type ScriptReply,
  scriptSource,
} from '../src/scripts.ts';
import { Shard } from '../src/shard.ts';
import { newJob, OPEN_GATE } from './support/bed.ts';
import { camelCase, type Contract, keyPattern, readContract } from './support/contracts.ts';

const UID = '4be0b0a2-0000-4000-8000-000000000001';
const OTHER = '4be0b0a2-0000-4000-8000-000000000002';
const SESSION = '00112233445566aa';
const OTHER_SESSION = '00112233445566bb';
const GUARD = { uid: UID, generation: 1, decisionVersion: 2 };

const CLIENT_EVENT = { metadata: { name: 'o.1', namespace: 'default' }, reason: 'Seen' };

const OBJECT = {
  kind: 'ConfigMap',
  namespace: 'default',
  name: 'settings',
  uid: UID,
  object: '{}',
  finalizerCount: 0,
};

const ADOPTED = {
  number: 3,
  hostUid: OTHER,
  podNumber: 5000,
  slot: 2,
  index: null,
  state: 'running',
} as const;
const ADOPTION = {
  uid: UID,
  hostUid: OTHER,
  hostVersion: null,
  pods: [
    { podNumber: 1, slot: 1, index: 0, changedVersion: 0 },
    { podNumber: 5000, slot: 0, index: null, changedVersion: 7 },
  ],
};

const CRON_RUN = {
  namespace: 'default',
  name: 'report',
  uid: UID,
  runs: 0,
  expectedResourceVersion: 7,
  object: '{}',
  checkedMs: 60_000,
  suspendedMs: 0,
  notes: [{ type: 'started', slotMs: 60_000, atMs: 60_001 }],
  jobs: [newJob(UID)],
} as const;

interface Sent {
  readonly script: string;
  readonly keys: readonly string[];
  readonly args: readonly unknown[];
}

/** A connection that notes what is sent and answers what the test wants. */
class Recorder {
  readonly sent: Sent[] = [];
  readonly redis: Redis;
  readonly shard: Shard;
  readonly keys = new ShardKeys('t', 0, 1);

  constructor(reply: ScriptReply) {
    const redis = new Proxy(
      {},
      {
        has: () => true,
        get: (_target, name: string) => {
          const script = /^drover_(\w+)Buffer$/.exec(name)?.[1];
          if (script !== undefined) {
            return async (keyCount: number, ...rest: unknown[]): Promise<ScriptReply> => {
              this.sent.push({
                script,
                keys: rest.slice(0, keyCount) as string[],
                args: rest.slice(keyCount),
              });
              return reply;
            };
          }
          // Reads beside the scripts: a slot per asked one, and records to be removed.
          if (name === 'hmgetBuffer') {
            return async (_key: string, ...slots: string[]) =>
              slots.map(() => Buffer.alloc(SLOT_RECORD_BYTES));
          }
          // Pods that a Job has released.
          if (name === 'hgetall') return async () => ({ 1: '1', 5000: '0' });
          if (name === 'pipeline') return () => pipeline();
          return async () => null;
        },
      },
    );
    this.redis = redis as Redis;
    this.shard = new Shard({
      redis: this.redis,
      keys: this.keys,
      prefix: 't',
      index: 0,
      leaseTtlMs: 6000,
      testClock: null,
    });
  }
}

/** What `readJobs` finds: nothing. */
function pipeline() {
  const replies: [null, unknown][] = [];
  const api = {
    hgetall: () => (replies.push([null, {}]), api),
    getBuffer: () => (replies.push([null, null]), api),
    exec: async () => replies,
  };
  return api;
}

function entry(uid: string, slot: number, podNumber: number): ReportEntry {
  return {
    uid,
    queue: 'default.process',
    slot,
    podNumber,
    attemptsStarted: 1,
    outcome: 'Succeeded',
    exitCode: 0,
    reason: 'Completed',
    hasLog: false,
    leave: false,
    quantumOver: false,
    overlay: null,
  };
}

function answer(code: number): Buffer {
  const buffer = Buffer.alloc(15);
  buffer[0] = code;
  return buffer;
}

/** The answer of `report` that is longer than the others. */
const RETRY = 6;
const RUN = [1, '7', '3', '10', '20', 0, '1', [], Buffer.alloc(8)] as unknown as ScriptReply;
const PER_INDEX_GATE = { ...OPEN_GATE, perIndex: true };

/** Why quota does not allow something, as scripts say it. */
const DENIAL = Buffer.from('{"quota":"q","type":"exceeded","resources":[]}');

interface Case {
  /** Calls the wrapper; with variable parts, more than one of each. */
  readonly call: (shard: Shard, redis: Redis) => Promise<unknown>;
  /** A raw reply for a code. Default: the code itself. */
  readonly reply?: (code: number) => ScriptReply;
  /** What the wrapper makes of codes where it is not the code's name. */
  readonly results?: Readonly<Record<number, unknown>>;
  /** A reply that has no code, and what becomes of it. */
  readonly plain?: readonly [reply: ScriptReply, result: unknown];
}

const CASES: Record<ScriptName, Case> = {
  addJobFields: {
    call: async (shard, redis) =>
      await addJobFields(
        redis,
        [UID, OTHER].map((uid) => ({ key: shard.keys.job(uid).job, fields: '{}' })),
      ),
    plain: [2, 2],
  },
  moveLayout: {
    call: async (_shard, redis) =>
      await moveLayout(redis, installationKey('t'), { expected: '2', layout: '2>3', cursor: '' }),
  },
  abandonItems: {
    call: (shard) => shard.workQueues.abandon(UID),
    plain: [[3, Buffer.from('70')], { abandoned: 3, nextAtMs: 70 }],
  },
  clearItems: {
    call: (shard) => shard.workQueues.clear(UID, 10, [3, 4]),
    results: { [-1]: null },
    plain: [5, 5],
  },
  commitItems: {
    call: (shard) => shard.workQueues.commit({ uid: UID, batchId: 'b', retriedIds: [3, 4] }),
  },
  createWorkQueue: {
    call: (shard) =>
      shard.workQueues.create({
        uid: UID,
        namespace: 'default',
        name: 'letters',
        object: '{}',
        resultTtlMs: 5,
        maxResultBytes: 6,
      }),
    reply: (code) => (code === 1 ? [1, Buffer.from('8'), Buffer.from('2')] : [code]),
  },
  deleteWorkQueue: { call: (shard) => shard.workQueues.delete(UID) },
  loseItems: {
    call: (shard) => shard.workQueues.lose(UID, 'j.1', [3, 4]),
    plain: [
      [1, 2],
      [1, 2],
    ],
  },
  reserveItems: {
    call: (shard) =>
      shard.workQueues.reserve({
        uid: UID,
        batchId: 'b',
        count: 3,
        of: { keys: ['a', 'b', 'c'] },
        leaseMs: 5,
      }),
    reply: (code) => (code === 1 ? [1, 8, 2, 0, 5, 0] : code === -3 ? [-3, 9] : [code]),
  },
  sealWorkQueue: { call: (shard) => shard.workQueues.seal(UID) },
  settleItems: {
    call: async (shard) =>
      (
        await shard.workQueues.settle({
          uid: UID,
          jobUid: OTHER,
          session: SESSION,
          jobItems: null,
          pods: [1, 2].map((slot) => ({
            slot,
            podNumber: slot,
            items: [{ id: slot, outcome: 'completed', attempts: 1, payload: '' }],
          })),
        })
      )[0],
    reply: (code) => Buffer.from([code, code]),
  },
  acquire: {
    call: (shard) =>
      shard.acquire({
        uid: UID,
        slot: 1,
        attemptsStarted: 1,
        session: SESSION,
        knownGeneration: 1,
      }),
    reply: (code) => [code === 1 ? RUN : [code, Buffer.from('30')]],
  },
  changePod: {
    call: (shard) =>
      shard.changePod({
        uid: UID,
        podNumber: 1,
        slot: 1,
        expectedResourceVersion: 7,
        change: { labels: { a: '1' } },
        isSelected: true,
      }),
  },
  adoptPods: {
    call: async (shard) => (await shard.adoption.adopt(ADOPTION))[0],
    reply: (code) => [code, code],
  },
  tendAdopted: {
    call: (shard) => shard.adoption.tend(UID, [ADOPTED, { ...ADOPTED, number: 4, podNumber: 1 }]),
    reply: (code) => [code, 0],
    results: {
      0: { changed: false, runOn: [] },
      1: { changed: true, runOn: [] },
      2: { changed: false, runOn: [ADOPTED] },
    },
  },
  stopAdopted: {
    call: (shard) => shard.adoption.stop(GUARD, [1, 2], 'cut'),
    reply: (code) => [code, 0],
    plain: [[5, 1], { type: 'stopped', decisionVersion: 5 }],
  },
  releaseAdopted: { call: (shard) => shard.adoption.release(UID, [ADOPTED]), plain: [1, 1] },
  awaitLanes: { call: (shard) => shard.awaitLanes(UID, 'default/process', 0) },
  countQuota: { call: (shard) => shard.quotas.count(UID, [1, 2]), plain: [2, 2] },
  createJob: {
    call: (shard) => shard.createJob(newJob(UID)),
    reply: (code) => [code === 1 ? [1, Buffer.from('8'), Buffer.from('2')] : [code, DENIAL]],
  },
  createObject: {
    call: (shard) => shard.objects.create(OBJECT),
    reply: (code) => (code === 1 ? [1, Buffer.from('8'), Buffer.from('2')] : [code, DENIAL]),
  },
  updateObject: {
    call: (shard) => shard.objects.update({ ...OBJECT, expectedResourceVersion: 7 }),
    reply: (code) => (code > 0 ? [code, Buffer.from('8')] : [code]),
  },
  observeCronJob: {
    call: (shard) => shard.cronJobs.observe('default', 'o'),
    plain: [[Buffer.from('7')], null],
  },
  runCronJob: {
    call: (shard) => shard.cronJobs.run(CRON_RUN),
    reply: (code) => [code, 1, DENIAL],
  },
  deleteObject: { call: (shard) => shard.objects.delete(OBJECT) },
  recordEvents: {
    call: (shard) =>
      shard.events.record(
        'w1',
        1,
        ['a', 'b'].map((name) => ({
          event: {
            about: { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name, uid: UID },
            type: 'Normal',
            reason: 'Started',
            message: 'Started container main',
            component: 'worker',
          },
          path: `default/${name}.0011223344556677`,
          count: 1,
          isInAll: false,
        })),
      ),
  },
  writeEvent: {
    call: (shard) => shard.events.write(EVENT_KIND.schema.parse(CLIENT_EVENT), null),
    reply: (code) => (code >= 0 ? [code, Buffer.from('8')] : [code]),
  },
  deleteEvents: {
    call: async (shard) =>
      (await shard.events.delete([{ namespace: 'default', name: 'pi.1', version: null }]))[0],
    reply: (code) => [code],
  },
  deleteJob: { call: (shard) => shard.deleteJob(UID) },
  finalizeJob: { call: (shard) => shard.finalizeJob(UID, 'orphan') },
  doneDue: {
    call: (shard) => shard.done({ member: `job:${UID}`, token: 't', count: 1 }, null),
    reply: (code) => [code],
  },
  dropPods: {
    call: (shard) => shard.dropPods(UID, { from: 1, to: 5000, most: 9, failed: false }),
    plain: [[3, 1024], { removed: 3, next: 1024 }],
  },
  endLostPods: {
    call: (shard) => shard.endLostPods(SESSION, UID, [1, 2, 3]),
    results: { [-1]: 0 },
    plain: [3, 3],
  },
  expireSession: {
    call: (shard) => shard.expireSession(SESSION),
    reply: (code) => (code === 1 ? [1, Buffer.from('30')] : [0, Buffer.from(`${UID}:5`)]),
  },
  heartbeat: {
    call: (shard) => shard.heartbeat(SESSION),
    plain: [
      [2, [Buffer.from(`${UID}:5`), Buffer.from('9')]],
      { type: 'alive', claims: 2, orders: [{ uid: UID, slot: 5, podNumber: 9 }] },
    ],
  },
  judge: {
    call: (shard) =>
      shard.judge({
        ...GUARD,
        judgements: [
          { podNumber: 1, verdict: 'failed', countsToLimit: true },
          { podNumber: 2, verdict: 'ignored', countsToLimit: false },
        ],
        gate: PER_INDEX_GATE,
        failuresInRow: 0,
        lastFailureMs: 0,
      }),
    reply: (code) => [code],
    plain: [[9], { type: 'judged', decisionVersion: 9 }],
  },
  keepForFailures: {
    call: (shard) => shard.keepForFailures(UID, 5),
    plain: [1, undefined],
  },
  observeJob: {
    call: (shard) => shard.observeJob(UID, 10),
    plain: [[Buffer.from('5'), null], null],
  },
  openSlots: {
    call: (shard) => shard.openSlots(GUARD, 2, { perIndex: true }),
    reply: (code) => [[code]],
    plain: [
      [[9, 1, DENIAL, 4, 5]],
      {
        type: 'opened',
        slots: [4, 5],
        decisionVersion: 9,
        isStatusWritten: true,
        denial: { quota: 'q', type: 'exceeded', resources: [] },
      },
    ],
  },
  purgeJob: { call: (shard) => shard.purgeJob(UID) },
  writeContainers: {
    call: (shard) =>
      shard.writeContainers({
        uid: UID,
        slot: 1,
        podNumber: 1,
        session: SESSION,
        details: { containers: [] },
        ttlMs: 1000,
      }),
  },
  recordRestart: {
    call: (shard) =>
      shard.recordRestart({ uid: UID, slot: 1, podNumber: 1, session: SESSION, restarts: 1 }),
  },
  registerSession: {
    call: (shard) =>
      shard.registerSession({
        id: SESSION,
        node: 'n',
        lanes: { 'p/process': 1, 'p/handler/a': 2 },
        leaseTtlMs: 6000,
      }),
    results: { 0: undefined, 1: undefined },
  },
  offerLanes: { call: (shard) => shard.offerLanes(SESSION, false) },
  removePod: {
    call: (shard) => shard.removePodRecord(UID, 2000),
    results: { [-1]: false, 0: false, 1: true },
  },
  report: {
    call: async (shard) =>
      (
        await shard.report(SESSION, [entry(UID, 1, 1), entry(OTHER, 1, 5000), entry(UID, 2, 1024)])
      )[0]!,
    reply: (code) => {
      const failures = Buffer.alloc(code === RETRY ? 8 : 0, 1);
      return Buffer.concat(Array.from({ length: 3 }, () => [answer(code), failures]).flat());
    },
    results: {
      [RETRY]: {
        type: 'next',
        claim: {
          podNumber: 0,
          index: 0,
          createdMs: 0,
          startMs: 0,
          restarts: 0,
          failures: { counted: 0x01010101, ignored: 0x01010101 },
        },
      },
    },
  },
  reportSuccesses: {
    call: async (shard) => {
      const some = [entry(UID, 1, 1), { ...entry(OTHER, 1, 5000), quantumOver: true }];
      return (await shard.reportSuccesses(SESSION, [...some, entry(UID, 2, 1024)]))[0];
    },
    reply: (code) => [Buffer.concat([answer(code), answer(code)]), Buffer.alloc(0)],
  },
  resizeJob: {
    call: (shard) => shard.resizeJob({ ...GUARD, completions: 5, status: '{}' }),
    reply: (code) => {
      if (code === 0) return [0, ...['-', '7', '8', '-'].map((one) => Buffer.from(one))];
      return code === 1 ? [1, 9] : [code];
    },
    results: {
      0: { type: 'more', from: ['-', '7', '8', '-'] },
      1: { type: 'resized', decisionVersion: 9 },
    },
  },
  stopPods: {
    call: (shard) =>
      shard.stopPods({
        uid: UID,
        guard: GUARD,
        pods: [
          { slot: 1, podNumber: 1, session: SESSION },
          { slot: 2, podNumber: 2, session: '' },
          { slot: 3, podNumber: 3, session: OTHER_SESSION },
        ],
        countAs: 'uncounted',
      }),
    reply: (code) => [code, 0],
    plain: [[8, 2], { type: 'stopped', count: 2, decisionVersion: 8 }],
  },
  takeAndObserve: {
    call: async (shard) => {
      const { nowMs, taken, look } = await shard.takeAndObserve(10, 5000, UID, 9);
      return [nowMs, taken.map((one) => [one.member, one.count]), look];
    },
    plain: [
      [[Buffer.from('5'), Buffer.from(''), Buffer.from(`job:${OTHER}`), Buffer.from('3')], null],
      [5, [[`job:${OTHER}`, 3]], null],
    ],
  },
  takeDue: {
    call: async (shard) => {
      const { nowMs, nextAtMs, taken } = await shard.take(10, 5000);
      return [nowMs, nextAtMs, taken.map((one) => [one.member, one.count])];
    },
    plain: [
      [Buffer.from('5'), Buffer.from(''), Buffer.from(`job:${UID}`), Buffer.from('3')],
      [5, null, [[`job:${UID}`, 3]]],
    ],
  },
  trigger: { call: (shard) => shard.trigger(`job:${UID}`, 5), results: { 1: undefined } },
  updateJob: {
    call: (shard) =>
      shard.updateJob({
        uid: UID,
        expectedResourceVersion: 1,
        object: '{}',
        specChanged: true,
        completions: null,
        queue: 'p.process',
        fittingKey: 'p/process',
      }),
  },
  wakeQuota: {
    call: (shard) => shard.quotas.wake('default', ''),
    reply: (code) =>
      code === 1 ? [1, Buffer.from('5'), 2, 3, Buffer.from('')] : [code, Buffer.from('7')],
  },
  addItems: {
    call: (_shard, redis) =>
      addItems(redis, { prefix: 't', uid: UID, name: 'item', options: {}, data: ['{}', '{}'] }),
    plain: [1, undefined],
  },
  dropItems: {
    call: (_shard, redis) => dropItems(redis, { prefix: 't', uid: UID, ids: ['5', '6'] }),
    plain: [[5], new Set(['5'])],
  },
  writeLog: {
    call: (_shard, redis) => {
      const line = { container: 'c', kind: LogKind.stdout, run: 0, timeMs: 5, data: Buffer.of(1) };
      return writePodLog(redis, podLogKey('t', UID, 1), {
        isFirst: true,
        minId: '4-0',
        removedIds: ['5-0', '5-1'],
        entries: [
          { ...line, id: '6-0' },
          { ...line, id: '6-1' },
        ],
      });
    },
  },
  writeStatus: {
    call: (shard) => shard.writeStatus({ ...GUARD, status: '{}', finish: null, critical: false }),
    reply: (code) => [code],
    plain: [[9], { type: 'written', decisionVersion: 9 }],
  },
};

/** Scripts that add to what is stored are refused when memory is full; all others go on. */
const CREATING = [
  'adoptPods',
  'addItems',
  'addJobFields',
  'countQuota',
  'changePod',
  'writeContainers',
  'createJob',
  'createObject',
  'createWorkQueue',
  'openSlots',
  'registerSession',
  'recordEvents',
  'reserveItems',
  'runCronJob',
  'updateJob',
  'updateObject',
  'writeEvent',
  'writeLog',
];
const READING = ['observeCronJob', 'observeJob'];

test('every file in lua/ is a script, and every script has its file', () => {
  expect(scriptFiles()).toEqual([...SCRIPT_NAMES].toSorted());
});

test('the hot state has the same fields in the same order on both sides', () => {
  const lua = readFileSync(new URL('../lua/include/hot.lua', import.meta.url), 'utf8');
  const read = /local\n([\w,\s]*?)= struct.unpack\(HOT/.exec(lua)?.[1] ?? '';
  expect([...read.matchAll(/\w+/g)].map(([name]) => name)).toEqual([...HOT_FIELDS]);
  const written = /struct.pack\(HOT,([\s\S]*?)\)\)/.exec(lua)?.[1] ?? '';
  expect([...written.matchAll(/hot\.(\w+)/g)].map((match) => match[1])).toEqual([...HOT_FIELDS]);

  // The hot path has them as variables of its own; one has another name there.
  const names = HOT_FIELDS.map((name) => (name === 'restarts' ? 'jobRestarts' : name));
  for (const script of ['report', 'reportSuccesses']) {
    const text = readFileSync(new URL(`../lua/${script}.lua`, import.meta.url), 'utf8');
    const taken = /(?:local|then)\s+(generation[\w,\s]*?)= unpackStruct\(HOT/.exec(text)?.[1] ?? '';
    expect([...taken.matchAll(/\w+/g)].map(([name]) => name)).toEqual(names);
    const put = /pack\(HOT,([\s\S]*?)\)/.exec(text)?.[1] ?? '';
    expect([...put.matchAll(/\w+/g)].map(([name]) => name)).toEqual(names);
  }
});

test('records have the same size on both sides', () => {
  const lua = readFileSync(new URL('../lua/include/record.lua', import.meta.url), 'utf8');
  const sizeOf = (format: string): number =>
    [...format.matchAll(/I(\d)|c(\d+)|B/g)].reduce(
      (sum, match) => sum + Number(match[1] ?? match[2] ?? 1),
      0,
    );
  const slot = /SLOT = '>([^x]+)(x+)'/.exec(lua);
  expect(sizeOf(slot?.[1] ?? '') + (slot?.[2] ?? '').length).toBe(SLOT_RECORD_BYTES);
  expect(sizeOf(/POD = '>(\S+)'/.exec(lua)?.[1] ?? '')).toBe(POD_RECORD_BYTES);
  expect(lua).toContain(`POD_BYTES, PODS_PER_CHUNK = ${POD_RECORD_BYTES}, 1024`);
});

test('every shared block is used, and every block that is asked for is there', () => {
  const blocks = readdirSync(new URL('../lua/include/', import.meta.url)).map((file) =>
    file.replace('.lua', ''),
  );
  const asked = SCRIPT_NAMES.flatMap((name) =>
    [...readContract(name).body.matchAll(/^-- @include (\w+)$/gm)].map((match) => match[1]!),
  );
  for (const block of blocks) {
    const text = readFileSync(new URL(`../lua/include/${block}.lua`, import.meta.url), 'utf8');
    asked.push(...[...text.matchAll(/^-- @include (\w+)$/gm)].map((match) => match[1]!));
  }
  expect([...new Set(asked)].toSorted()).toEqual(blocks.toSorted());
  for (const name of SCRIPT_NAMES) expect(scriptSource(name)).not.toContain('@include');
});

describe.each(SCRIPT_NAMES)('%s', (name) => {
  const contract: Contract = readContract(name);
  const one = CASES[name];

  test('has a header with its name and callers', () => {
    expect(contract.name).toBe(name);
    expect(contract.caller).not.toBe('');
  });

  test('runs when memory is full, unless it creates', () => {
    const want = READING.includes(name) ? 'no-writes' : CREATING.includes(name) ? '' : 'allow-oom';
    expect(contract.flags).toBe(want);
  });

  test('is sent the keys and arguments of its header', async () => {
    const recorder = new Recorder(firstReply(contract, one));
    await one.call(recorder.shard, recorder.redis);
    const [sent] = recorder.sent.filter((call) => call.script === name);
    expect(sent, 'the wrapper called the script').toBeDefined();
    const { keys, args } = sent!;
    const fixed = contract.keys.map((key) => key.pattern);
    for (const [i, pattern] of fixed.entries()) {
      expect(keys[i], `KEYS[${i + 1}]`).toMatch(keyPattern(pattern, recorder.keys.tag));
    }
    expectRepeated(keys.slice(fixed.length), contract, recorder.keys.tag);
    expect(args.length - contract.argumentCount > 0, 'has variable arguments').toBe(
      contract.hasMoreArguments,
    );
    expect(args.length).toBeGreaterThanOrEqual(contract.argumentCount);
    // One hash tag: the script runs on a cluster.
    expect(new Set(keys.map((key) => /^\{.*?\}/.exec(key)?.[0])).size).toBe(1);
  });

  test('uses all of its fixed keys and arguments, and no other', () => {
    for (const [what, count, open] of [
      ['KEYS', contract.keys.length, contract.repeatedKeys.length > 0],
      ['ARGV', contract.argumentCount, contract.hasMoreArguments],
    ] as const) {
      const used = new Set(
        [...contract.body.matchAll(new RegExp(`${what}\\[(\\d+)\\]`, 'g'))].map((m) =>
          Number(m[1]),
        ),
      );
      const all = Array.from({ length: count }, (_, i) => i + 1);
      expect([...used].filter((n) => n > count && !open)).toEqual([]);
      // What no line names by its number may be named in a loop.
      const unused = all.filter((n) => !used.has(n));
      expect(unused, `${what} that are not used`).toEqual([]);
    }
  });

  test.each([...contract.codes])('its code %i means %s to the wrapper', async (code, meaning) => {
    const recorder = new Recorder(one.reply?.(code) ?? code);
    const result = await one.call(recorder.shard, recorder.redis);
    const isNamed = one.results === undefined || !(code in one.results);
    expect(isNamed ? typeOf(result) : result).toEqual(
      isNamed ? camelCase(meaning) : one.results[code],
    );
  });

  test('answers in no other way than the header says', async () => {
    const [reply, result] = one.plain ?? [firstReply(contract, one), null];
    const recorder = new Recorder(reply);
    const got = await one.call(recorder.shard, recorder.redis);
    expect(one.plain === undefined ? null : got).toEqual(result);
    const returned = [...contract.body.matchAll(/\breturn (?:\{ )?(-\d+)/g)].map((match) =>
      Number(match[1]),
    );
    for (const code of returned) expect([...contract.codes.keys()]).toContain(code);
  });
});

/** The `type` of an answer, or the answer itself where it is but a name. */
function typeOf(result: unknown): unknown {
  return typeof result === 'object' && result !== null && 'type' in result ? result.type : result;
}

function firstReply(contract: Contract, one: Case): ScriptReply {
  if (one.plain !== undefined) return one.plain[0];
  const code = [...contract.codes.keys()][0]!;
  return one.reply?.(code) ?? code;
}

/** The rest of the keys are rounds of the repeated ones; the last of them may come several times. */
function expectRepeated(rest: readonly string[], contract: Contract, tag: string): void {
  const patterns = contract.repeatedKeys.map((key) => keyPattern(key.pattern, tag));
  expect(rest.length > 1, 'has variable keys').toBe(patterns.length > 0);
  if (patterns.length === 0) return;
  let at = 0;
  while (at < rest.length) {
    for (const [i, pattern] of patterns.entries()) {
      expect(rest[at], `variable key ${i + 1}`).toMatch(pattern);
      at++;
    }
    while (at < rest.length && patterns.at(-1)!.test(rest[at]!)) at++;
  }
}

/** Keys of docs/redis-schema.md with their types. */
function describedKeys(): ReadonlyMap<string, string> {
  const schema = readFileSync(new URL('../../../docs/redis-schema.md', import.meta.url), 'utf8');
  return new Map(
    [...schema.matchAll(/^\| `([^`]+)` \| (string|hash|list|set|zset|stream) \|/gm)].map(
      (match) => [match[1]!, match[2]!],
    ),
  );
}

test('docs/redis-schema.md is of this layout version', () => {
  const schema = readFileSync(new URL('../../../docs/redis-schema.md', import.meta.url), 'utf8');
  expect(schema).toContain(`Layout version ${LAYOUT_VERSION}:`);
});

test('every key of the scripts is described in docs/redis-schema.md with its type', () => {
  const described = describedKeys();
  for (const name of SCRIPT_NAMES) {
    const { keys, repeatedKeys } = readContract(name);
    for (const { pattern, type } of [...keys, ...repeatedKeys]) {
      expect(described.get(pattern), `${pattern} of ${name}.lua`).toBe(type);
    }
  }
});

test('every key that is made is described there, and every key that is described is made', () => {
  const keys = new ShardKeys('P', 0, 1);
  const ofSession = keys.session('<id>');
  const made: string[] = [
    ...Object.values(keys).filter((value): value is string => typeof value === 'string'),
    ...Object.values(keys.job('<uid>')),
    ofSession.session,
    ofSession.claims,
    ofSession.orders,
    ...Object.values(keys.workQueue('<uid>')),
    keys.awaitedWorkQueue('<namespace>', '<name>'),
    keys.objectNames('<kind>'),
    keys.object('<kind>', '<namespace>', '<name>'),
    keys.objectRecord('<kind>', '<namespace>', '<name>'),
    keys.podChunk('<uid>', '<chunk>' as unknown as number),
    keys.podProgress('<uid>', '<pod>' as unknown as number),
    keys.podContainers('<uid>', '<pod>' as unknown as number),
  ]
    .filter(
      (key) =>
        ![
          keys.tag,
          keys.wakeChannel,
          keys.workQueueChannel,
          keys.objectChannel,
          keys.eventChannel,
        ].includes(key),
    )
    .map((key) => key.replace(keys.tag, '<tag>'));
  const nodes = nodeKeys('P');
  made.push(installationKey('P'), nodes.objects, nodes.leases, nodes.cordons, tokenKey('P'));
  made.push(...Object.values(itemQueueKeys('P', '<uid>', ITEM_QUEUE_NAME)));
  made.push(podLogKey('P', '<uid>', '<pod>' as unknown as number));
  expect([...describedKeys().keys()].toSorted()).toEqual(made.toSorted());
});
