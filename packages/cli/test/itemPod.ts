import { randomUUID } from 'node:crypto';

import { newSessionId, Store, type ItemEnd } from '@drover/store';
import type { TestRedis } from '@drover/testkit';

/** Settles items of a work queue. */
export type Settle = (queue: string, items: readonly ItemEnd[]) => Promise<void>;

/** A pod that runs, and settles items as a worker does. */
export async function runItemPod(redis: TestRedis, prefix = 'drover'): Promise<Settle> {
  const store = await Store.open({ redis: redis.connect(), prefix });
  const shard = store.shardOf('default');
  const [jobUid, session] = [randomUUID(), newSessionId()];
  await shard.createJob({
    uid: jobUid,
    namespace: 'default',
    name: `job-${jobUid}`,
    object: '{}',
    status: '{}',
    completions: null,
    queue: 'default.process',
    fittingKey: 'default/process',
    indexed: false,
  });
  const lanes = { 'default/process': 1 };
  await shard.registerSession({ id: session, node: 'n', lanes, leaseTtlMs: 600_000 });
  const look = await shard.observeJob(jobUid, 0);
  if (look === null) throw new Error('the Job is not there');
  const { decisionVersion } = look;
  const guard = { uid: jobUid, generation: 1 };
  const gate = { limit: 1, notBeforeMs: 0, deadlineMs: 0, holdOnFailure: true };
  const first = { judgements: [], gate, failuresInRow: 0, lastFailureMs: 0 };
  await shard.judge({ ...guard, decisionVersion, ...first });
  await shard.openSlots({ ...guard, decisionVersion: decisionVersion + 1 }, 1);
  const asked = { uid: jobUid, slot: 1, attemptsStarted: 1, session, knownGeneration: 1 };
  const acquired = await shard.acquire(asked);
  if (acquired.type !== 'run') throw new Error(`the pod does not run: ${acquired.type}`);
  return async (queue, items) => {
    const uid = await shard.workQueues.find('default', queue);
    if (uid === null) throw new Error(`there is no work queue ${queue}`);
    const pods = [{ slot: 1, podNumber: 1, items }];
    await shard.workQueues.settle({ uid, jobUid, session, jobItems: null, pods });
  };
}

/** An item that was completed. */
export function done(id: number, result?: unknown): ItemEnd {
  const payload = result === undefined ? '' : JSON.stringify(result);
  return { id, outcome: 'completed', attempts: 1, payload };
}

/** An item that failed for good. */
export function dead(id: number, data: unknown, error: string): ItemEnd {
  const stored = { data, error, reason: 'Failed', attempts: 3, endedMs: 1_700_000_000_000 };
  return { id, outcome: 'dead', attempts: 3, payload: JSON.stringify(stored) };
}
