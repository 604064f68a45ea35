/** No script blocks Redis for longer than 5 ms, with the largest input that the wrappers take. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { DecisionGuard, Judgement, NewJob, Verdicts } from '../src/api.ts';
import { eventPath, type NewEvent } from '../src/events.ts';
import { MAX_JOBS_PER_SCRIPT, MAX_PODS_PER_CALL } from '../src/jobScripts.ts';
import { addItems, dropItems, MAX_DROPPED } from '../src/itemQueue.ts';
import { podLogKey } from '../src/keys.ts';
import { addJobFields } from '../src/migration/migrate.ts';
import { LogKind } from '../src/podLog.ts';
import { MAX_LOG_ENTRIES_PER_CALL, type PodLogChange, writePodLog } from '../src/podLogEntries.ts';
import { MAX_BATCH_ITEMS, MAX_SETTLED_ITEMS } from '../src/workQueueApi.ts';
import {
  entryOf,
  FAILED,
  type HeldPod,
  LANE,
  newJob,
  OPEN_GATE,
  StoreBed,
  T0,
} from './support/bed.ts';

const LIMIT_US = 5_000;
/** The best of at most so many counts: on a busy machine the others were waiting for the processor. */
const ROUNDS = 20;

let server: StoreBed;
let bed: StoreBed;
beforeAll(async () => {
  server = await StoreBed.open({ config: { 'slowlog-log-slower-than': '0' } });
});
afterAll(() => server.server.stop());
beforeEach(async () => {
  bed = await server.fresh();
});

/**
 * The longest script of a call, microseconds, as Redis' slow log has it; or what all of the call took of the
 * processor, where that is less: on a busy machine Redis waits for it in the middle of a script.
 */
async function longestUs(run: () => Promise<unknown>): Promise<number> {
  await bed.redis.slowlog('RESET');
  const before = await processorUs();
  await run();
  const ofAll = (await processorUs()) - before;
  const entries = (await bed.redis.slowlog('GET', '100')) as [
    id: number,
    at: number,
    us: number,
    args: string[],
  ][];
  const scripts = entries.filter(([, , , args]) => /^eval/i.test(args[0]!));
  expect(scripts.length).toBeGreaterThan(0);
  return Math.min(ofAll, Math.max(...scripts.map(([, , us]) => us)));
}

/** Processor time that Redis' main thread has taken so far, microseconds. */
async function processorUs(): Promise<number> {
  const info = await bed.redis.info('cpu');
  const fields = info.matchAll(/^used_cpu_(?:sys|user)_main_thread:([\d.]+)/gm);
  return [...fields].reduce((sum, [, seconds]) => sum + Number(seconds) * 1_000_000, 0);
}

/** Prepares and measures some times on a fresh store each; the shortest time in microseconds. */
async function shortestUs(round: () => Promise<() => Promise<unknown>>): Promise<number> {
  let shortest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < ROUNDS && shortest >= LIMIT_US; i++) {
    bed = await server.fresh();
    shortest = Math.min(shortest, await longestUs(await round()));
  }
  return shortest;
}

/** A Job of which a session holds so many slots. */
async function held(
  count: number,
  indexed = true,
  share = '',
): Promise<{ session: string; pods: HeldPod[] }> {
  const session = await bed.registerSession();
  await bed.createJob({ uid: 'u1', completions: 100_000, indexed, share });
  await bed.setGate('u1', { limit: 10_000 });
  const pods: HeldPod[] = [];
  while (pods.length < count) {
    const slots = await bed.openSlots('u1', Math.min(MAX_PODS_PER_CALL, count - pods.length));
    pods.push(...(await Promise.all(slots.map((slot) => bed.acquire('u1', slot, session)))));
  }
  return { session, pods };
}

/** The pods that {@link forAdoption} prepared. */
let hosted: HeldPod[] = [];

/** 100 pods that Orphan left, for the Job `u2`. */
async function forAdoption(end?: object) {
  hosted = (await held(100)).pods;
  await bed.createJob({ uid: 'u2', name: 'u2', completions: 100_000, indexed: true });
  await bed.setGate('u2');
  await bed.shard.deleteJob('u1', { policy: 'Orphan' });
  expect(await bed.shard.finalizeJob('u1', 'orphan')).toBe('deleted');
  if (end !== undefined) await bed.report(hosted, end);
  const pods = hosted.map(({ slot, claim }, i) => ({
    podNumber: claim.podNumber,
    slot: end === undefined ? slot : 0,
    index: 10 * i,
    changedVersion: 0,
  }));
  return { uid: 'u2', hostUid: 'u1', hostVersion: null, pods };
}

async function judgeAll(guard: DecisionGuard, podNumbers: readonly number[]): Promise<unknown> {
  return bed.shard.judge({
    ...guard,
    judgements: podNumbers.map((podNumber) => ({
      podNumber,
      verdict: 'failed',
      countsToLimit: true,
    })),
    gate: OPEN_GATE,
    failuresInRow: 1,
    lastFailureMs: T0,
  });
}

const PER_INDEX = { limit: 1000, holdOnFailure: false, perIndex: true };

async function judgePerIndex(
  guard: DecisionGuard,
  podNumbers: readonly number[],
  more: Partial<Judgement>,
): Promise<unknown> {
  return bed.shard.judge({
    ...guard,
    judgements: podNumbers.map((podNumber) => ({
      podNumber,
      verdict: 'failed',
      countsToLimit: true,
      failures: { counted: 1, ignored: 0 },
      ...more,
    })),
    gate: { ...OPEN_GATE, ...PER_INDEX },
    failuresInRow: 0,
    lastFailureMs: T0,
  });
}

/** What a controller finds about a new Job. */
const OPENING: Verdicts = {
  judgements: [],
  gate: OPEN_GATE,
  failuresInRow: 0,
  lastFailureMs: 0,
};

/** As many Jobs as one script takes, each as large as most are. */
function manyJobs(): NewJob[] {
  const object = JSON.stringify({ metadata: {}, spec: { template: 'x'.repeat(1000) } });
  return Array.from({ length: MAX_JOBS_PER_SCRIPT }, (_, i) => ({
    ...newJob(`u${i}`),
    object,
    completions: 1,
  }));
}

async function manyGuards(): Promise<DecisionGuard[]> {
  const jobs = manyJobs();
  await Promise.all(jobs.map((job) => bed.shard.createJob(job)));
  return Promise.all(jobs.map(({ uid }) => bed.guard(uid)));
}

async function reserve(keys: string[] | null): Promise<unknown> {
  const [batchId, count] = [randomUUID(), MAX_BATCH_ITEMS];
  return bed.shard.workQueues.reserve({
    uid: 'q1',
    batchId,
    count,
    of: keys === null ? null : { keys },
    leaseMs: 1_000,
  });
}

/** A work queue with so many batches, all of them open. */
async function manyItems(batches: number): Promise<void> {
  await bed.shard.workQueues.create({
    uid: 'q1',
    namespace: 'default',
    name: 'q1',
    object: '{}',
    resultTtlMs: 60_000,
    maxResultBytes: 2 ** 28,
  });
  for (let i = 0; i < batches; i++) await reserve(null);
}

/** Quotas of the namespace, of so many pods and what belongs to them; what runs is counted. */
async function bound(quotas: number, pods: number, wakes = true): Promise<void> {
  const { objects, quotas: ofShard } = bed.shard;
  const hard = {
    pods: String(pods),
    cpu: `${pods * 100}m`,
    'requests.memory': String(pods * 1_000),
    'limits.cpu': `${pods * 200}m`,
    'limits.memory': String(pods * 2_000),
  };
  for (let i = 0; i < quotas; i++) {
    const path = { kind: 'ResourceQuota', namespace: 'default', name: `q${i}` };
    const known = await objects.get(path);
    const object = JSON.stringify({ metadata: {}, spec: { hard } });
    const quota = { ...path, uid: known?.uid ?? randomUUID(), object, finalizerCount: 0 };
    if (known === null) await objects.create(quota);
    else await objects.update({ ...quota, expectedResourceVersion: known.resourceVersion });
  }
  if (!wakes) return;
  const reply = await ofShard.wake('default', '');
  if (reply.type === 'uncounted') await ofShard.wake('default', reply.counting);
}

/** A Job of which most indexes go. */
async function resizing(entries: number): Promise<() => Promise<unknown>> {
  await bed.createJob({ uid: 'u1', completions: 100_000_000, indexed: true });
  await bed.setGate('u1', { limit: 0 });
  const { done, failed, retry, losses } = bed.shard.keys.job('u1');
  const all = Buffer.alloc(12_500_000, 0xff);
  await bed.redis.set(done, all);
  await bed.redis.set(failed, all);
  const indexes = Array.from({ length: entries }, (_, i) => String(1_000 + i));
  for (let from = 0; from < entries; from += 1_000) {
    const some = indexes.slice(from, from + 1_000);
    await bed.redis.zadd(retry, ...some.flatMap((index) => [index, index]));
    await bed.redis.hset(losses, ...some.flatMap((index) => [index, '1']));
  }
  const resize = { ...(await bed.guard('u1')), completions: 500, status: '{}' };
  return () => bed.shard.resizeJob(resize);
}

const CASES: readonly [name: string, round: () => Promise<() => Promise<unknown>>][] = [
  [
    'report of 256 pods that succeeded, with overlays, while pods are watched',
    async () => {
      const { pods } = await held(256);
      await bed.redis.set(bed.shard.keys.podWatchers, '1');
      return () => bed.report(pods, { overlay: { message: 'x'.repeat(200) } });
    },
  ],
  [
    'reportSuccesses of 256 pods',
    async () => {
      const { pods, session } = await held(257);
      // Plans the fold, which would be looked at first.
      await bed.report([pods.pop()!]);
      const entries = pods.map((pod) => entryOf(pod));
      return async () => {
        expect(await bed.shard.reportSuccesses(session, entries)).not.toContain(null);
      };
    },
  ],
  [
    'report of 256 pods that failed',
    async () => {
      const { pods } = await held(256);
      return () => bed.report(pods, { ...FAILED, reason: 'Drained' });
    },
  ],
  [
    'report of a pod each of 64 Jobs',
    async () => {
      const session = await bed.registerSession();
      const pods: HeldPod[] = [];
      for (let i = 0; i < 64; i++)
        pods.push(...(await bed.runningJob(session, 1, { uid: `u${i}` })));
      return () =>
        bed.shard.report(
          session,
          pods.map((pod) => entryOf(pod)),
        );
    },
  ],
  [
    'openSlots of 500 slots',
    async () => {
      await bed.createJob({ uid: 'u1', completions: 100_000 });
      await bed.setGate('u1');
      const guard = await bed.guard('u1');
      return () => bed.shard.openSlots(guard, MAX_PODS_PER_CALL);
    },
  ],
  [
    'openSlots of 500 slots that three quotas bound in all respects',
    async () => {
      await bound(3, 1_000);
      await bed.createJob({ uid: 'u1', completions: 100_000, share: '100 1000 200 2000 0' });
      await bed.setGate('u1');
      const guard = await bed.guard('u1');
      return () => bed.shard.openSlots(guard, MAX_PODS_PER_CALL);
    },
  ],
  [
    'countQuota of 200 slots',
    async () => {
      await held(200);
      await bound(1, 1_000, false);
      const slots = (await bed.shard.allSlots('u1')).map(({ slot }) => slot);
      return () => bed.shard.quotas.count('u1', slots);
    },
  ],
  [
    'addJobFields of 100 Jobs, a page of a migration',
    async () => {
      const uids = await Promise.all(Array.from({ length: 100 }, () => bed.createJob({})));
      const fields = JSON.stringify({ share: '100 1000 200 2000 0' });
      const jobs = uids.map((uid) => ({ key: bed.shard.keys.job(uid).job, fields }));
      return () => addJobFields(bed.redis, jobs);
    },
  ],
  [
    'wakeQuota of 200 Jobs that wait, all of which may go on',
    async () => {
      await bound(3, 0);
      for (let i = 0; i < 200; i++) {
        const uid = await bed.createJob({ share: '100 1000 200 2000 0' });
        await bed.setGate(uid);
        await bed.openSlots(uid, 1);
      }
      await bound(3, 1_000, false);
      return () => bed.shard.quotas.wake('default', '');
    },
  ],
  [
    'report of 200 pods whose slots are closed and give quota back',
    async () => {
      await bound(1, 1_000);
      const { pods } = await held(200, true, '100 1000 200 2000 0');
      return () => bed.report(pods, { leave: true });
    },
  ],
  [
    'adoptPods of 100 running pods whose indexes lie far apart',
    async () => {
      const input = await forAdoption();
      return () => bed.shard.adoption.adopt(input);
    },
  ],
  [
    'adoptPods of 100 pods that have failed',
    async () => {
      const input = await forAdoption(FAILED);
      return () => bed.shard.adoption.adopt(input);
    },
  ],
  [
    'tendAdopted of 100 pods that have ended',
    async () => {
      const { pods, ...input } = await forAdoption();
      await bed.shard.adoption.adopt({ ...input, pods });
      await bed.report(hosted, { leave: true });
      const adopted = await bed.shard.adoption.list('u2');
      return () => bed.shard.adoption.tend('u2', adopted);
    },
  ],
  [
    'stopAdopted and releaseAdopted of 100 running pods',
    async () => {
      await bed.shard.adoption.adopt(await forAdoption());
      const adopted = await bed.shard.adoption.list('u2');
      const guard = await bed.guard('u2');
      return async () => {
        const numbers = adopted.map(({ number }) => number);
        await bed.shard.adoption.stop(guard, numbers, 'uncounted');
        await bed.shard.adoption.release('u2', adopted);
      };
    },
  ],
  [
    'stopPods of 500 running pods',
    async () => {
      await held(MAX_PODS_PER_CALL);
      const pods = await bed.shard.allSlots('u1');
      return () => bed.shard.stopPods({ uid: 'u1', guard: null, pods, countAs: 'unjudged' });
    },
  ],
  [
    'observeJob with 500 failed pods and 1000 slots on offer',
    async () => {
      const { pods } = await held(600);
      for (let from = 0; from < 600; from += 200)
        await bed.report(pods.slice(from, from + 200), FAILED);
      await bed.setGate('u1', { limit: 10_000, holdOnFailure: false });
      for (let i = 0; i < 2; i++) await bed.openSlots('u1', MAX_PODS_PER_CALL);
      return () => bed.shard.observeJob('u1', 1000);
    },
  ],
  [
    'observeJob of 32 Jobs that request this and that, with 500 workers',
    async () => {
      const resources = { cpuMilli: 8_000, memoryBytes: 2 ** 34 };
      for (let i = 0; i < 500; i++) await bed.registerSession({ resources });
      const uids = Array.from({ length: 32 }, (_, i) => `wants-${i}`);
      await Promise.all(
        uids.map((uid, i) =>
          bed.createJob({
            uid,
            name: uid,
            fittingKey: `cpu=${100 + i},memory=${1_000 + i} ${LANE}`,
          }),
        ),
      );
      return () => Promise.all(uids.map((uid) => bed.shard.observeJob(uid, 0)));
    },
  ],
  [
    'judge of 500 pods',
    async () => {
      const { pods } = await held(MAX_PODS_PER_CALL);
      for (let from = 0; from < 500; from += 250)
        await bed.report(pods.slice(from, from + 250), FAILED);
      const guard = await bed.guard('u1');
      return () =>
        judgeAll(
          guard,
          pods.map((pod) => pod.claim.podNumber),
        );
    },
  ],
  [
    'judge of 500 pods with limits for each index, and of 500 indexes whose back-off is over',
    async () => {
      const { pods } = await held(2 * MAX_PODS_PER_CALL);
      await bed.setGate('u1', PER_INDEX);
      const numbers = pods.map((pod) => pod.claim.podNumber);
      for (let from = 0; from < 1000; from += 250)
        await bed.report(pods.slice(from, from + 250), FAILED);
      const delayed = await bed.guard('u1');
      await judgePerIndex(delayed, numbers.slice(500), { retryAtMs: T0 + 1000 });
      bed.clock.advance(1000);
      const guard = await bed.guard('u1');
      return () => judgePerIndex(guard, numbers.slice(0, 500), {});
    },
  ],
  [
    'report of 256 pods of indexes that failed before',
    async () => {
      const { session, pods } = await held(256);
      await bed.setGate('u1', { ...PER_INDEX, limit: 10_000 });
      await bed.report(pods, FAILED);
      const numbers = pods.map((pod) => pod.claim.podNumber);
      await judgePerIndex(await bed.guard('u1'), numbers, {});
      const slots = await bed.openSlots('u1', 256);
      const again = await Promise.all(slots.map((slot) => bed.acquire('u1', slot, session)));
      return () => bed.report(again);
    },
  ],
  [
    'expireSession with 500 claims',
    async () => {
      const { session } = await held(MAX_PODS_PER_CALL);
      return () => bed.shard.expireSession(session, { force: true });
    },
  ],
  [
    'dropPods of a chunk of records, every other of them with an overlay',
    async () => {
      const { pods } = await held(1_000);
      for (let from = 0; from < 1_000; from += 250) {
        const more = (from / 250) % 2 === 0 ? { overlay: { result: '1' } } : {};
        await bed.report(pods.slice(from, from + 250), more);
      }
      return () => bed.shard.dropPods('u1', { from: 1, to: 1_000, most: 1_000, failed: true });
    },
  ],
  [
    'endLostPods of 500 pods',
    async () => {
      const { session, pods } = await held(MAX_PODS_PER_CALL);
      await bed.shard.expireSession(session, { force: true });
      return () =>
        bed.shard.endLostPods(
          session,
          'u1',
          pods.map((pod) => pod.slot),
        );
    },
  ],
  [
    'heartbeat with 500 stop orders',
    async () => {
      const { session } = await held(MAX_PODS_PER_CALL);
      const pods = await bed.shard.allSlots('u1');
      await bed.shard.stopPods({ uid: 'u1', guard: null, pods, countAs: 'unjudged' });
      return () => bed.shard.heartbeat(session);
    },
  ],
  [
    'registerSession while 500 Jobs wait for lanes',
    async () => {
      for (let i = 0; i < 500; i++) await bed.shard.awaitLanes(`u${i}`, LANE, 0);
      return () => bed.registerSession();
    },
  ],
  [
    `createJob of ${MAX_JOBS_PER_SCRIPT} Jobs`,
    async () => {
      const jobs = manyJobs();
      return () => Promise.all(jobs.map((job) => bed.shard.createJob(job)));
    },
  ],
  [
    `createJob of ${MAX_JOBS_PER_SCRIPT} large Jobs`,
    async () => {
      const object = JSON.stringify({ metadata: {}, spec: { template: 'x'.repeat(16_000) } });
      const jobs = manyJobs().map((job) => ({ ...job, object }));
      return () => Promise.all(jobs.map((job) => bed.shard.createJob(job)));
    },
  ],
  [
    `openSlots of ${MAX_JOBS_PER_SCRIPT} new Jobs, with verdict and status`,
    async () => {
      const guards = await manyGuards();
      const status = { text: '{"active":1}', critical: true };
      return () =>
        Promise.all(
          guards.map((guard) => bed.shard.openSlots(guard, 1, { judge: OPENING, status })),
        );
    },
  ],
  [
    `observeJob of ${MAX_JOBS_PER_SCRIPT} Jobs`,
    async () => {
      const guards = await manyGuards();
      return () => Promise.all(guards.map(({ uid }) => bed.shard.observeJob(uid, 500)));
    },
  ],
  [
    `judge of ${MAX_JOBS_PER_SCRIPT} Jobs`,
    async () => {
      const guards = await manyGuards();
      return () => Promise.all(guards.map((guard) => bed.shard.judge({ ...guard, ...OPENING })));
    },
  ],
  [
    `acquire of ${MAX_JOBS_PER_SCRIPT} slots of as many Jobs`,
    async () => {
      const session = await bed.registerSession();
      const guards = await manyGuards();
      await Promise.all(guards.map((guard) => bed.shard.openSlots(guard, 1, { judge: OPENING })));
      return () => Promise.all(guards.map(({ uid }) => bed.acquire(uid, 1, session)));
    },
  ],
  [
    `writeStatus of ${MAX_JOBS_PER_SCRIPT} Jobs that finish`,
    async () => {
      const guards = await manyGuards();
      const finish = { status: '{"failed":1}', finish: 'Failed', critical: true } as const;
      return () =>
        Promise.all(guards.map((guard) => bed.shard.writeStatus({ ...guard, ...finish })));
    },
  ],
  [
    `doneDue of ${MAX_JOBS_PER_SCRIPT} members`,
    async () => {
      await manyGuards();
      const { taken } = await bed.shard.take(MAX_JOBS_PER_SCRIPT, 5000);
      return () => Promise.all(taken.map((one) => bed.shard.done(one, T0 + 1000)));
    },
  ],
  [
    'reserveItems of 1000 items with keys',
    async () => {
      await manyItems(0);
      const keys = Array.from({ length: MAX_BATCH_ITEMS }, (_, i) => `customer/4711/order/${i}`);
      return () => reserve(keys);
    },
  ],
  [
    'addItems of 1000 items, 1 MiB together',
    () => {
      const options = { attempts: 5, backoff: { type: 'exponential', delay: 1_000 } };
      const data = Array.from({ length: MAX_BATCH_ITEMS }, (_, i) =>
        JSON.stringify({ i, d: 'x'.repeat(1_000) }),
      );
      const items = { prefix: 'p', uid: randomUUID(), name: 'item', options, data };
      return Promise.resolve(() => addItems(bed.redis, items));
    },
  ],
  [
    'dropItems of 100 items, half of them no longer the next ones',
    async () => {
      const uid = randomUUID();
      const count = 1_000;
      const data = Array.from({ length: count }, (_, i) =>
        JSON.stringify({ i, d: 'x'.repeat(1_000) }),
      );
      await addItems(bed.redis, { prefix: 'p', uid, name: 'item', options: {}, data });
      const ids = Array.from({ length: MAX_DROPPED }, (_, i) => String(count - 50 - i));
      return () => dropItems(bed.redis, { prefix: 'p', uid, ids });
    },
  ],
  [
    'settleItems of 500 items with results',
    async () => {
      const { session, pods } = await held(2);
      await manyItems(1);
      const payload = JSON.stringify({ text: 'x'.repeat(200) });
      const request = pods.map(({ slot, claim }, pod) => ({
        slot,
        podNumber: claim.podNumber,
        items: Array.from({ length: MAX_SETTLED_ITEMS / 2 }, (_, i) => ({
          id: 1 + 2 * i + pod,
          outcome: i % 2 === 0 ? ('completed' as const) : ('dead' as const),
          attempts: 1,
          payload,
        })),
      }));
      const settle = { uid: 'q1', jobUid: 'u1', session, jobItems: 1, pods: request };
      return () => bed.shard.workQueues.settle(settle);
    },
  ],
  [
    'clearItems of 1,000,000 items, 1000 of them in flight',
    async () => {
      await manyItems(0);
      await bed.redis.hset(bed.shard.keys.workQueue('q1').queue, 'enqueued', 1_000_000);
      const inFlight = Array.from({ length: 1_000 }, (_, i) => 1_000 * (i + 1));
      return () => bed.shard.workQueues.clear('q1', 1_000_000, inFlight);
    },
  ],
  [
    'abandonItems of 8 batches of 1000 items',
    async () => {
      await manyItems(8);
      bed.clock.advance(1_000);
      return () => bed.shard.workQueues.abandon('q1');
    },
  ],
  [
    'createObject and updateObject of 1.5 MB',
    async () => {
      const object = {
        kind: 'ConfigMap',
        namespace: 'default',
        name: 'big',
        uid: 'o1',
        object: JSON.stringify({ data: { key: 'x'.repeat(1_500_000) } }),
        finalizerCount: 0,
      };
      return async () => {
        const created = await bed.shard.objects.create(object);
        const expectedResourceVersion = created.type === 'created' ? created.resourceVersion : 0;
        return await bed.shard.objects.update({ ...object, expectedResourceVersion });
      };
    },
  ],
  [
    'runCronJob of 25 Jobs and 128 notes in place of others',
    async () => {
      const path = { kind: 'CronJob', namespace: 'default', name: 'report' };
      const object = { ...path, uid: 'c1', object: '{}', finalizerCount: 0 };
      const created = await bed.shard.objects.create(object);
      const base = {
        namespace: 'default',
        name: 'report',
        uid: 'c1',
        expectedResourceVersion: created.type === 'created' ? created.resourceVersion : 0,
        object: null,
        checkedMs: T0,
        suspendedMs: 0,
      };
      const notes = (from: number) =>
        Array.from({ length: 128 }, (_, i) => ({
          type: 'started' as const,
          slotMs: T0 + (from + i) * 60_000,
          atMs: T0 + (from + i) * 60_000 + 3,
        }));
      await bed.shard.cronJobs.run({ ...base, runs: 0, notes: notes(0), jobs: [] });
      const owners = [{ uid: 'c1', blocks: true, cronJob: 'report' }];
      const jobs = Array.from({ length: 25 }, (_, i) => ({
        ...newJob(`u${i}`),
        object: JSON.stringify({ text: 'x'.repeat(20_000) }),
        owners,
      }));
      return () => bed.shard.cronJobs.run({ ...base, runs: 1, notes: notes(200), jobs });
    },
  ],
  [
    'writeLog of 500 entries that take the place of 1,000',
    async () => {
      const key = podLogKey(randomUUID(), 'u1', 1);
      const write = (from: number, change: Partial<PodLogChange>) =>
        writePodLog(bed.redis, key, {
          isFirst: false,
          minId: null,
          removedIds: [],
          entries: Array.from({ length: MAX_LOG_ENTRIES_PER_CALL }, (_, i) => ({
            id: `1-${from + i}`,
            container: 'main',
            kind: i % 2 === 0 ? LogKind.stdout : LogKind.stderr,
            run: 0,
            timeMs: T0,
            data: Buffer.alloc(500, 'x'),
          })),
          ...change,
        });
      await write(1, { isFirst: true });
      await write(501, {});
      const removedIds = Array.from({ length: 500 }, (_, i) => `1-${501 + i}`);
      return () => write(1001, { minId: '1-501', removedIds });
    },
  ],
  [
    'recordEvents of 100 that are new, when as many as may be are there and are too old',
    async () => {
      const { events } = bed.shard;
      const write = (batch: number, names: readonly string[]) =>
        events.record(
          'w',
          batch,
          names.map((name) => {
            const about = { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name, uid: 'u' };
            const message = 'x'.repeat(1_000);
            const event: NewEvent = {
              about,
              type: 'Normal',
              reason: 'Started',
              message,
              component: 'c',
            };
            return { event, path: eventPath(event), count: 1, isInAll: false };
          }),
        );
      const names = (batch: number) => Array.from({ length: 100 }, (_, i) => `p${batch}-${i}`);
      for (let batch = 1; batch <= 100; batch++) await write(batch, names(batch));
      bed.clock.advance(2 * 3_600_000);
      return () => write(101, names(101));
    },
  ],
  [
    'deleteEvents of 100, of as many as may be',
    async () => {
      const { events } = bed.shard;
      const named = (batch: number) =>
        Array.from({ length: 100 }, (_, i) => ({ namespace: 'default', name: `p.${batch}-${i}` }));
      for (let batch = 1; batch <= 100; batch++) {
        const about = { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'p', uid: 'u' };
        const event: NewEvent = {
          about,
          type: 'Normal',
          reason: 'R',
          message: 'm',
          component: 'c',
        };
        const some = named(batch).map(({ name }) => ({
          event,
          path: `default/${name}`,
          count: 1,
          isInAll: false,
        }));
        await events.record('w', batch, some);
      }
      return () => events.delete(named(50).map((one) => ({ ...one, version: null })));
    },
  ],
  ['resizeJob of 100,000,000 indexes, the first step', () => resizing(0)],
  ['resizeJob with 20,000 indexes to be tried again, and lost ones', () => resizing(20_000)],
  [
    'takeDue of 100 members of 10,000',
    async () => {
      const due = Array.from({ length: 10_000 }, (_, i) => [String(T0), `job:u${i}`]).flat();
      await bed.redis.zadd(bed.shard.keys.due, ...due);
      return () => bed.shard.take(100, 5000);
    },
  ],
];

test.each(CASES)('%s takes less than 5 ms', async (_name, round) => {
  expect(await shortestUs(round)).toBeLessThan(LIMIT_US);
});
