import { randomUUID } from 'node:crypto';

import { startRedis, uniquePrefix, type TestRedis } from '@drover/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Store, type Shard } from '../src/index.ts';

const SESSION = '00000000000000aa';
const LANE = 'default/process';

let server: TestRedis;
let shard: Shard;

beforeAll(async () => {
  server = await startRedis();
  const store = await Store.open({ redis: server.connect(), prefix: uniquePrefix() });
  shard = store.shardOf('default');
  await shard.registerSession({
    id: SESSION,
    node: 'node-1',
    lanes: { [LANE]: 2 },
    leaseTtlMs: 60_000,
  });
});

afterAll(async () => {
  await server.stop();
});

/** A Job with two pods that run and wrote something. */
async function twoPodsWithLogs(): Promise<{ uid: string; logs: string[] }> {
  const uid = randomUUID();
  await shard.createJob({
    uid,
    namespace: 'default',
    name: `job-${uid}`,
    object: '{"metadata":{},"spec":{}}',
    status: '{}',
    completions: 2,
    queue: 'default.process',
    fittingKey: LANE,
    indexed: false,
  });
  const gate = { limit: 2, notBeforeMs: 0, deadlineMs: 0, holdOnFailure: true };
  const guard = { uid, generation: 1, decisionVersion: 1 };
  await shard.judge({ ...guard, judgements: [], gate, failuresInRow: 0, lastFailureMs: 0 });
  const opened = await shard.openSlots({ ...guard, decisionVersion: 2 }, 2);
  if (opened.type !== 'opened') throw new Error(opened.type);
  const redis = server.connect();
  const logs: string[] = [];
  for (const slot of opened.slots) {
    const request = { uid, slot, attemptsStarted: 1, session: SESSION, knownGeneration: 0 };
    const reply = await shard.acquire(request);
    if (reply.type !== 'run') throw new Error(reply.type);
    const key = shard.podLogKey(uid, reply.claim.podNumber);
    await redis.xadd(key, '*', 'data', 'hello');
    logs.push(key);
  }
  return { uid, logs };
}

/** Reports the end of every pod that runs or stops. */
async function endAllPods(uid: string): Promise<void> {
  const entries = (await shard.allSlots(uid)).map(({ slot, podNumber }) => ({
    uid,
    queue: 'default.process',
    slot,
    attemptsStarted: 1,
    podNumber,
    outcome: 'Succeeded' as const,
    exitCode: 0,
    reason: 'Completed' as const,
    hasLog: true,
    leave: false,
    quantumOver: false,
    overlay: null,
  }));
  await shard.report(SESSION, entries);
}

test('the purge of a deleted Job removes the logs of pods that were stopped, too', async () => {
  const { uid, logs } = await twoPodsWithLogs();
  const [first] = await shard.allSlots(uid);
  await shard.stopPods({ uid, guard: null, pods: [first!], countAs: 'uncounted' });
  await shard.deleteJob(uid);
  await endAllPods(uid);
  while ((await shard.purgeJob(uid)) !== 'purged');
  expect(await server.connect().exists(...logs)).toBe(0);
});
