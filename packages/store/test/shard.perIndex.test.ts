/** Jobs that count failures for each index: their retries, what their pods know of it, indexes that failed. */
import { expect, test } from 'vitest';
import type { Judgement } from '../src/api.ts';
import { entryOf, FAILED, type HeldPod, OPEN_GATE, StoreBed, T0 } from './support/bed.ts';

const GATE = { ...OPEN_GATE, holdOnFailure: false, perIndex: true };
const ONCE = { counted: 1, ignored: 0 };

let bed: StoreBed;
let session: string;
StoreBed.forEachTest(async (fresh) => {
  bed = fresh;
  session = await bed.registerSession();
});

/** Pods of the first indexes, all of them running. */
async function running(count: number, completions = 100): Promise<HeldPod[]> {
  return bed.runningJob(session, count, { uid: 'u1', completions, indexed: true }, GATE);
}

async function judge(...judgements: readonly Partial<Judgement>[]): Promise<void> {
  const reply = await bed.shard.judge({
    ...(await bed.guard('u1')),
    judgements: judgements.map((one, i) => ({
      podNumber: i + 1,
      verdict: 'failed',
      countsToLimit: true,
      ...one,
    })),
    gate: GATE,
    failuresInRow: 0,
    lastFailureMs: 0,
  });
  expect(reply.type).toBe('judged');
}

async function open(count: number): Promise<HeldPod[]> {
  const reply = await bed.shard.openSlots(await bed.guard('u1'), count, { perIndex: true });
  if (reply.type !== 'opened') throw new Error(reply.type);
  return Promise.all(reply.slots.map((slot) => bed.acquire('u1', slot, session)));
}

test('a failed pod holds up no other, and its index is tried again when its time has come', async () => {
  const [first, second] = await running(2);
  await bed.report([first!], FAILED);
  const [next] = await bed.report([second!]);
  expect(next).toMatchObject({ type: 'next', claim: { index: 2 } });

  await judge({ failures: ONCE, retryAtMs: T0 + 1000 });
  expect(await bed.shard.indexState('u1', T0)).toEqual({
    failedCount: 0,
    readyCount: 0,
    nextReadyMs: T0 + 1000,
  });
  expect((await open(1)).map((pod) => pod.claim.index)).toEqual([3]);

  bed.clock.advance(1000);
  expect(await bed.shard.indexState('u1', T0 + 1000)).toEqual({
    failedCount: 0,
    readyCount: 1,
    nextReadyMs: null,
  });
  await judge();
  expect((await bed.rawJob('u1')).retry).toEqual([0]);
  const [retried] = await open(1);
  expect(retried!.claim).toMatchObject({ index: 0, failures: ONCE });
});

test('the next pod of a slot that takes up a failed index is told of its failures', async () => {
  const [first, second, third] = await running(3);
  await bed.report([first!], FAILED);
  await judge({ failures: { counted: 2, ignored: 1 } });
  const answers = await bed.report([second!, third!]);
  expect(answers).toMatchObject([
    { type: 'next', claim: { index: 0, failures: { counted: 2, ignored: 1 } } },
    { type: 'next', claim: { index: 3 } },
  ]);
  expect(answers[1]).not.toHaveProperty('claim.failures');
  // The same report again, as after a lost answer.
  expect(await bed.report([second!, third!])).toEqual(answers);
  // So is a delivery that asks again, and whoever reads the slot, whatever was written into it since.
  const { uid, slot, claim } = second!;
  const podNumber = answers[0]!.type === 'next' ? answers[0]!.claim.podNumber : 0;
  expect(podNumber).toBeGreaterThan(claim.podNumber);
  await bed.shard.recordRestart({ uid, slot, podNumber, session, restarts: 1 });
  await bed.shard.writeContainers({
    uid,
    slot,
    podNumber,
    session,
    details: { containers: [] },
    ttlMs: 1000,
  });
  const again = await bed.acquire(uid, slot, session);
  expect(again.claim.failures).toEqual({ counted: 2, ignored: 1 });
  const pods = await bed.shard.allSlots('u1');
  await bed.shard.stopPods({ uid, guard: null, pods, countAs: 'unjudged' });
  const stopping = (await bed.shard.allSlots('u1')).find((one) => one.slot === slot);
  expect(stopping).toMatchObject({ phase: 'Stopping', failures: { counted: 2, ignored: 1 } });
});

test('a success ends the failures of an index, a failure for good too', async () => {
  const [first, second] = await running(2);
  await bed.report([first!, second!], FAILED);
  await judge({ failures: ONCE }, { failures: ONCE });
  const [one, two] = await open(2);
  await bed.report([one!]);
  await bed.report([two!], FAILED);
  await judge({ podNumber: two!.claim.podNumber, verdict: 'indexFailed' });
  const raw = await bed.rawJob('u1');
  expect(raw).toMatchObject({ retry: [], done: [0], failedIndexes: [1], failedCount: 1 });
  expect(raw.failures.size).toBe(0);
  expect((await bed.shard.indexState('u1', T0)).failedCount).toBe(1);
  expect([...(await bed.shard.failedBitmap('u1'))]).toEqual([0b0100_0000]);
});

test('verdicts that come with new slots count for these', async () => {
  const [first] = await running(1, 2);
  await bed.report([first!], FAILED);
  const guard = await bed.guard('u1');
  const judgement = {
    podNumber: 1,
    verdict: 'failed',
    countsToLimit: true,
    failures: ONCE,
  } as const;
  const verdicts = { judgements: [judgement], gate: GATE, failuresInRow: 0, lastFailureMs: 0 };
  const reply = await bed.shard.openSlots(guard, 2, { judge: verdicts, perIndex: true });
  expect(reply).toMatchObject({ type: 'opened', slots: [2, 3] });
  const slots = (await bed.shard.allSlots('u1')).toSorted((a, b) => a.index - b.index);
  expect(slots.map(({ index, failures }) => ({ index, failures }))).toEqual([
    { index: 0, failures: ONCE },
    { index: 1, failures: undefined },
  ]);
});

test('a pod that nobody reported keeps what was known of its index', async () => {
  const pods = await running(2);
  await bed.report(pods, FAILED);
  await judge({ failures: ONCE }, { failures: { counted: 0, ignored: 3 } });
  const [lost, rolledBack] = await open(2);
  const { uid, slot, attemptsStarted } = rolledBack!;
  const newer = rolledBack!.claim.podNumber + 1;
  const entry = entryOf(rolledBack!, { uid, slot, attemptsStarted, podNumber: newer });
  expect(await bed.shard.report(session, [entry])).toEqual([{ type: 'rolledBack' }]);
  await bed.shard.expireSession(session, { force: true });
  expect(await bed.shard.endLostPods(session, 'u1', [lost!.slot])).toBe(1);
  const overlayOf = async (podNumber: number): Promise<unknown> => {
    const pod = await bed.shard.getPod('u1', podNumber);
    return pod?.kind === 'record' ? pod.overlay : null;
  };
  expect(await overlayOf(lost!.claim.podNumber)).toEqual({ failures: ONCE });
  expect(await overlayOf(rolledBack!.claim.podNumber)).toEqual({
    failures: { counted: 0, ignored: 3 },
  });
});
