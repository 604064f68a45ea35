/** Jobs that replace pods only when they ended: what becomes of pods that were told to stop. */
import { expect, test } from 'vitest';
import type { StopInput } from '../src/api.ts';
import { FAILED, type HeldPod, OPEN_GATE, StoreBed } from './support/bed.ts';
import { violations } from './support/invariants.ts';

const GATE = { ...OPEN_GATE, limit: 2, replaceEnded: true };

let bed: StoreBed;
let session: string;
let pods: HeldPod[];
StoreBed.forEachTest(async (fresh) => {
  bed = fresh;
  session = await bed.registerSession();
  pods = await bed.runningJob(
    session,
    2,
    { uid: 'u1', completions: 10, indexed: true, namespace: 'default' },
    GATE,
  );
});

async function stop(count: number, countAs: StopInput['countAs']): Promise<void> {
  const slots = (await bed.shard.allSlots('u1')).toSorted((a, b) => a.slot - b.slot);
  const guard = countAs === 'unjudged' ? null : await bed.guard('u1');
  const some = slots.slice(0, count);
  const reply = await bed.shard.stopPods({ uid: 'u1', guard, pods: some, countAs });
  expect(reply).toMatchObject({ type: 'stopped', count });
}

async function numbers() {
  const { hot, retry, unjudged, done } = await bed.rawJob('u1');
  expect(violations(await bed.raw(['u1'], [session]))).toEqual([]);
  const { active, terminating, succeeded, failed } = hot!;
  return { active, terminating, succeeded, failed, retry, unjudged: unjudged.size, done };
}

const NOTHING = {
  active: 1,
  terminating: 1,
  succeeded: 0,
  failed: 0,
  retry: [],
  unjudged: 0,
  done: [],
};

test('scaled down: its index goes back when it has ended, and so does its place', async () => {
  await stop(1, 'uncounted');
  expect(await numbers()).toEqual(NOTHING);
  expect(await bed.openSlots('u1', 2)).toEqual([]);
  await bed.settleDue();
  expect(await bed.report([pods[0]!])).toEqual([{ type: 'released' }]);
  expect(await numbers()).toEqual({ ...NOTHING, terminating: 0, retry: [0] });
  expect(await bed.settleDue()).toEqual(['job:u1']);
  expect(await bed.openSlots('u1', 2)).toHaveLength(1);
});

test('of two of them each makes the Job due with its end', async () => {
  await stop(2, 'uncounted');
  await bed.settleDue();
  await bed.report([pods[1]!], FAILED);
  expect(await numbers()).toEqual({ ...NOTHING, active: 0, retry: [1] });
  expect(await bed.settleDue()).toEqual(['job:u1']);
});

test('deleted by its user: it counts for what its end is, and leaves no record', async () => {
  await stop(2, 'unjudged');
  expect(await numbers()).toEqual({ ...NOTHING, active: 0, terminating: 2 });
  const [slot] = await bed.shard.allSlots('u1');
  expect(slot).toMatchObject({ phase: 'Stopping', countsByEnd: true });
  await bed.report([pods[0]!]);
  expect(await numbers()).toEqual({ ...NOTHING, active: 0, succeeded: 1, done: [0] });
  await bed.report([pods[1]!], { ...FAILED, exitCode: 143 });
  const look = (await bed.shard.observeJob('u1', 0))!;
  expect(look.unjudged).toMatchObject([{ podNumber: 2, reason: 'Deleted', exitCode: 143 }]);
  expect(look.counters.kept).toBe(0);
  expect((await bed.shard.listPods('u1', { limit: 9 })).pods).toEqual([]);
});

test('deleted by its user, and handed over by its worker: a disruption', async () => {
  await stop(1, 'unjudged');
  await bed.report([pods[0]!], { ...FAILED, reason: 'Drained' });
  const { unjudged } = (await bed.shard.observeJob('u1', 0))!;
  expect(unjudged).toMatchObject([{ reason: 'Drained', losses: 1 }]);
});

test('deleted by its user, and its worker is lost: a loss like any other', async () => {
  await stop(1, 'unjudged');
  await bed.shard.expireSession(session, { force: true });
  await bed.shard.endLostPods(session, 'u1', [pods[0]!.slot]);
  const { unjudged } = (await bed.shard.observeJob('u1', 0))!;
  expect(unjudged).toMatchObject([{ reason: 'NodeLost', losses: 1 }]);
});

test('deleted by its user before a worker had it: at once', async () => {
  await bed.setGate('u1', { ...GATE, limit: 3 });
  const [slot] = await bed.openSlots('u1', 1);
  const waiting = (await bed.shard.allSlots('u1')).filter((one) => one.slot === slot);
  await bed.shard.stopPods({ uid: 'u1', guard: null, pods: waiting, countAs: 'unjudged' });
  expect(await numbers()).toEqual({ ...NOTHING, active: 2, terminating: 0, unjudged: 1 });
});

test('its worker is lost: what it owed is settled', async () => {
  await stop(1, 'unjudged');
  const [, other] = (await bed.shard.allSlots('u1')).toSorted((a, b) => a.slot - b.slot);
  const guard = await bed.guard('u1');
  await bed.shard.stopPods({ uid: 'u1', guard, pods: [other!], countAs: 'uncounted' });
  await bed.shard.expireSession(session, { force: true });
  expect(await bed.shard.endLostPods(session, 'u1', [pods[0]!.slot, pods[1]!.slot])).toBe(2);
  expect(await numbers()).toEqual({
    ...NOTHING,
    active: 0,
    terminating: 0,
    retry: [1],
    unjudged: 1,
  });
});

test('the Job fails: what its user deleted is counted failed, whatever its end', async () => {
  await stop(1, 'unjudged');
  await stop(2, 'failed');
  expect(await numbers()).toEqual({ ...NOTHING, active: 0, terminating: 2, failed: 2 });
  await bed.report(pods);
  expect(await numbers()).toEqual({ ...NOTHING, active: 0, terminating: 0, failed: 2 });
});
