import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { reconcileQuota } from '../src/quotas.ts';
import { LANE, QUEUE, silent, TestBed } from './bed.ts';

const NAMESPACE = 'default';
const QUOTA = { kind: 'ResourceQuota', namespace: NAMESPACE, name: 'small', uid: randomUUID() };

let bed: TestBed;
TestBed.forEachTest((fresh) => void (bed = fresh));

function quota(cpu: string): string {
  return JSON.stringify({ metadata: {}, spec: { hard: { 'requests.cpu': cpu } } });
}

/** A Job that wants so many thousandths of a CPU, and was denied them. */
async function denied(cpuMilli: number): Promise<string> {
  const uid = randomUUID();
  const share = `${cpuMilli} 0 0 0 14`;
  const placement = { queue: QUEUE, fittingKey: LANE, indexed: false, share };
  const job = { uid, namespace: NAMESPACE, name: uid, object: '{}', status: '{}', completions: 1 };
  await bed.shard.createJob({ ...job, ...placement });
  const gate = { limit: 1, notBeforeMs: 0, deadlineMs: 0, holdOnFailure: true };
  const guard = { uid, generation: 1, decisionVersion: 1 };
  const verdicts = { judgements: [], gate, failuresInRow: 0, lastFailureMs: 0 };
  const judged = await bed.shard.judge({ ...guard, ...verdicts });
  const decisionVersion = judged.type === 'judged' ? judged.decisionVersion : 0;
  const opened = await bed.shard.openSlots({ ...guard, decisionVersion }, 1);
  expect(opened).toMatchObject({ type: 'opened', slots: [] });
  return uid;
}

test('hundreds of Jobs that want more than there is keep none behind them from what they leave', async () => {
  const { shard } = bed;
  const created = await shard.objects.create({ ...QUOTA, object: quota('0'), finalizerCount: 0 });
  expect(await reconcileQuota(shard, NAMESPACE, silent)).toBeNull();
  await Promise.all(Array.from({ length: 201 }, () => denied(8_000)));
  bed.clock.advance(1);
  const modest = await denied(500);
  // All that was due until now is seen to.
  for (const one of (await shard.take(1_000, 5_000)).taken) await shard.done(one, null);

  const resourceVersion = created.type === 'created' ? created.resourceVersion : 0;
  const raised = { ...QUOTA, object: quota('1'), finalizerCount: 0 };
  await shard.objects.update({ ...raised, expectedResourceVersion: resourceVersion });
  const nextMs = await reconcileQuota(shard, NAMESPACE, silent);

  const due = (await shard.take(1_000, 5_000)).taken.map(({ member }) => member);
  expect(due.filter((member) => member.startsWith('job:'))).toEqual([`job:${modest}`]);
  // It may want nothing any more: another look follows.
  expect(nextMs).toBe(bed.clock.now() + 1_000);
});
