import { describe, expect, test } from 'vitest';
import { FAILED, LANE, LEASE_MS, newJob, QUEUE, StoreBed, T0 } from './support/bed.ts';

let bed: StoreBed;
let session: string;
let other: string;
StoreBed.forEachTest(async (fresh) => {
  bed = fresh;
  session = await bed.registerSession({ node: 'a' });
  other = await bed.registerSession({ node: 'b' });
});

/** Opens one slot of a Job u1; answers its number. */
async function openOne(gate: Parameters<StoreBed['setGate']>[1] = {}): Promise<number> {
  await bed.createJob({ uid: 'u1' });
  await bed.setGate('u1', gate);
  return (await bed.openSlots('u1', 1))[0]!;
}

async function ask(
  slot: number,
  over: { session?: string; attemptsStarted?: number; knownGeneration?: number } = {},
) {
  return bed.shard.acquire({
    uid: 'u1',
    slot,
    attemptsStarted: 1,
    session,
    knownGeneration: 1,
    ...over,
  });
}

describe('a Pending slot', () => {
  test('is given with its pod, which runs from now on', async () => {
    const slot = await openOne();
    bed.clock.advance(250);
    expect(await ask(slot)).toEqual({
      type: 'run',
      claim: { podNumber: 1, index: 0, createdMs: T0, startMs: T0 + 250, restarts: 0 },
      generation: 1,
      job: null,
    });
    const raw = await bed.raw(['u1'], [session]);
    expect(raw.jobs.get('u1')!.slots).toMatchObject([
      { slot, phase: 'Running', session, attemptsStarted: 1, nodeNumber: 1, startMs: T0 + 250 },
    ]);
    expect(raw.jobs.get('u1')!.hot).toMatchObject({ active: 1, running: 1 });
    expect(raw.sessions.get(session)!.claims).toEqual([`u1:${slot}`]);
    expect((await bed.shard.getPod('u1', 1))?.kind).toBe('slot');
  });

  test('comes with the Job when the asker does not have the present generation', async () => {
    const slot = await openOne();
    const reply = await ask(slot, { knownGeneration: 0 });
    expect(reply.type === 'run' && reply.job).toMatchObject({
      uid: 'u1',
      namespace: 'default',
      generation: 1,
    });
    const update = {
      uid: 'u1',
      object: '{"v":2}',
      completions: 1000,
      queue: QUEUE,
      fittingKey: LANE,
    };
    await bed.shard.updateJob({ ...update, expectedResourceVersion: null, specChanged: true });
    const again = await ask(slot, { knownGeneration: 1 });
    expect(again).toMatchObject({ type: 'run', generation: 2, job: { object: '{"v":2}' } });
  });

  test('is held while a failed pod is not judged, if the gate says so', async () => {
    await bed.createJob({ uid: 'u1' });
    await bed.setGate('u1');
    const [first, second] = await bed.openSlots('u1', 2);
    const pod = await bed.acquire('u1', first!, session);
    await bed.report([pod], FAILED);
    expect(await ask(second!)).toEqual({ type: 'held', untilMs: T0 + 20 });
    await bed.setGate('u1', { holdOnFailure: false });
    // That very question, sent again and late: its QueueJob was put back, nobody would run the pod.
    expect(await ask(second!)).toEqual({ type: 'held', untilMs: T0 + 20 });
    expect(await ask(second!, { attemptsStarted: 2 })).toMatchObject({ type: 'run' });
  });

  test.each([
    ['one millisecond before the deadline is given', 999, 'run'],
    ['at the deadline is held', 1_000, 'held'],
  ])('%s', async (_name, afterMs, want) => {
    const slot = await openOne({ deadlineMs: T0 + 1_000 });
    bed.clock.advance(afterMs);
    expect((await ask(slot)).type).toBe(want);
  });

  test('of a pod that exists already is given in the pod back-off: that holds up new ones', async () => {
    const slot = await openOne();
    await bed.setGate('u1', { notBeforeMs: T0 + 10_000, limit: 1 });
    expect(await ask(slot)).toMatchObject({ type: 'run' });
  });

  test('that its holder yielded is not given for a question from before that', async () => {
    await bed.shard.markContended(QUEUE, T0 + 60_000);
    const slot = await openOne();
    const pod = await bed.acquire('u1', slot, session, 4);
    expect(await bed.report([pod], { quantumOver: true })).toEqual([{ type: 'yield' }]);
    expect(await ask(slot, { attemptsStarted: 4 })).toEqual({ type: 'held', untilMs: T0 + 20 });
    expect(await ask(slot, { attemptsStarted: 3, session: other })).toMatchObject({ type: 'held' });
    expect(await ask(slot, { attemptsStarted: 5, session: other })).toMatchObject({
      type: 'run',
      claim: { podNumber: 2 },
    });
  });
});

describe('a slot that is held', () => {
  test('is not given later to a delivery that was parked before', async () => {
    await bed.shard.markContended(QUEUE, T0 + 60_000);
    const slot = await openOne();
    const pod = await bed.acquire('u1', slot, session);
    expect(await ask(slot, { session: other, attemptsStarted: 2 })).toMatchObject({
      type: 'parked',
    });
    await bed.shard.recordRestart({ uid: 'u1', slot, podNumber: 1, session, restarts: 1 });
    const [next] = await bed.report([pod]);
    if (next?.type === 'next') pod.claim = next.claim;
    expect(await bed.report([pod], { quantumOver: true })).toEqual([{ type: 'yield' }]);
    expect(await ask(slot, { session: other, attemptsStarted: 2 })).toMatchObject({ type: 'held' });
    expect(await ask(slot, { session: other, attemptsStarted: 3 })).toMatchObject({ type: 'run' });
  });

  test('gives the same delivery the same claim again', async () => {
    const slot = await openOne();
    const first = await ask(slot);
    bed.clock.advance(100);
    expect(await ask(slot)).toEqual(first);
    expect((await bed.rawJob('u1')).hot).toMatchObject({ active: 1, running: 1 });
  });

  test('gives it with the restarts that were recorded', async () => {
    const slot = await openOne();
    await ask(slot);
    await bed.shard.recordRestart({ uid: 'u1', slot, podNumber: 1, session, restarts: 2 });
    expect(await ask(slot)).toMatchObject({ claim: { restarts: 2 } });
  });

  test('gives it to its holder also when the pod was told to stop meanwhile: only the holder can end it', async () => {
    const slot = await openOne();
    const first = await ask(slot);
    await bed.shard.stopPods({
      uid: 'u1',
      guard: null,
      pods: [{ slot, podNumber: 1, session }],
      countAs: 'unjudged',
    });
    expect(await ask(slot)).toEqual(first);
    expect(await bed.report([await bed.acquire('u1', slot, session)])).toEqual([
      { type: 'released' },
    ]);
    expect((await bed.rawJob('u1')).slots).toEqual([]);
  });

  test('is gone for an older delivery of its holder', async () => {
    const slot = await openOne();
    await ask(slot, { attemptsStarted: 3 });
    expect(await ask(slot, { attemptsStarted: 2 })).toEqual({ type: 'gone' });
  });

  test('parks a newer delivery of its holder for a lease', async () => {
    const slot = await openOne();
    await ask(slot);
    expect(await ask(slot, { attemptsStarted: 2 })).toEqual({
      type: 'parked',
      untilMs: T0 + LEASE_MS,
    });
  });

  test('parks a delivery to another session until the end of the holder’s lease', async () => {
    const slot = await openOne();
    await ask(slot);
    bed.clock.advance(1_000);
    await bed.shard.heartbeat(session);
    const parked = await ask(slot, { session: other, attemptsStarted: 2 });
    expect(parked).toEqual({ type: 'parked', untilMs: T0 + 1_000 + LEASE_MS });
  });

  test('makes a holder due whose lease ran out, and parks until the controller ended it', async () => {
    const slot = await openOne();
    await ask(slot);
    bed.clock.advance(3_000);
    await bed.shard.heartbeat(other);
    bed.clock.advance(LEASE_MS - 3_000);
    await bed.settleDue();
    expect(await bed.dueAtMs(`session:${session}`)).toBeNull();
    const parked = { type: 'parked', untilMs: T0 + LEASE_MS + 200 };
    expect(await ask(slot, { session: other, attemptsStarted: 2 })).toEqual(parked);
    expect(await bed.dueAtMs(`session:${session}`)).toBe(T0 + LEASE_MS);
    await bed.shard.expireSession(session);
    expect(await ask(slot, { session: other, attemptsStarted: 2 })).toEqual(parked);
    await bed.shard.endLostPods(session, 'u1', [slot]);
    expect(await ask(slot, { session: other, attemptsStarted: 2 })).toEqual({ type: 'gone' });
  });
});

test('a slot that is closed, or was never opened, is gone', async () => {
  const slot = await openOne();
  const pod = await bed.acquire('u1', slot, session);
  await bed.report([pod], { leave: true });
  expect(await ask(slot)).toEqual({ type: 'gone' });
  expect(await ask(99)).toEqual({ type: 'gone' });
  expect(
    await bed.shard.acquire({
      uid: 'none',
      slot: 1,
      attemptsStarted: 1,
      session,
      knownGeneration: 0,
    }),
  ).toEqual({ type: 'gone' });
});

test('slot numbers are never used twice, also when all were closed', async () => {
  const slot = await openOne();
  await bed.report([await bed.acquire('u1', slot, session)], { leave: true });
  expect(await bed.openSlots('u1', 2)).toEqual([slot + 1, slot + 2]);
});

describe('openSlots', () => {
  test('opens as far as the gate allows, lowest index first', async () => {
    await bed.createJob({ uid: 'u1', completions: 3 });
    await bed.setGate('u1', { limit: 2 });
    expect(await bed.openSlots('u1', 5)).toEqual([1, 2]);
    expect(await bed.openSlots('u1', 5)).toEqual([]);
    await bed.setGate('u1', { limit: 9 });
    expect(await bed.openSlots('u1', 5)).toEqual([3]);
    const { slots, pending } = await bed.rawJob('u1');
    expect(slots.map((slot) => [slot.slot, slot.podNumber, slot.index, slot.phase])).toEqual([
      [1, 1, 0, 'Pending'],
      [2, 2, 1, 'Pending'],
      [3, 3, 2, 'Pending'],
    ]);
    expect([...pending.keys()]).toEqual([1, 2, 3]);
  });

  test.each([
    ['a closed gate', { limit: 0 }],
    ['a gate that opens later', { notBeforeMs: T0 + 1 }],
    ['a deadline that is reached', { deadlineMs: T0 }],
  ])('opens nothing with %s', async (_name, gate) => {
    await bed.createJob({ uid: 'u1' });
    await bed.setGate('u1', gate);
    expect(await bed.openSlots('u1', 5)).toEqual([]);
  });

  test('takes an index that is to be tried again before a fresh one', async () => {
    await bed.createJob({ uid: 'u1' });
    await bed.setGate('u1', { holdOnFailure: false });
    const [a, b] = await bed.openSlots('u1', 2);
    const failing = await bed.acquire('u1', b!, session);
    await bed.acquire('u1', a!, session);
    await bed.report([failing], FAILED);
    await bed.shard.judge({
      ...(await bed.guard('u1')),
      judgements: [{ podNumber: 2, verdict: 'failed', countsToLimit: true }],
      gate: { limit: 9, notBeforeMs: 0, deadlineMs: 0, holdOnFailure: true },
      failuresInRow: 1,
      lastFailureMs: T0,
    });
    await bed.openSlots('u1', 2);
    expect((await bed.rawJob('u1')).slots.map((slot) => slot.index)).toEqual([0, 1, 2]);
  });

  test('after the first success of a work-queue Job opens nothing', async () => {
    await bed.createJob({ uid: 'u1', completions: null });
    await bed.setGate('u1', { limit: 2 });
    const [slot] = await bed.openSlots('u1', 1);
    await bed.report([await bed.acquire('u1', slot!, session)]);
    await bed.setGate('u1', { limit: 2 });
    expect(await bed.openSlots('u1', 2)).toEqual([]);
  });

  test('from an older decision is refused', async () => {
    await bed.createJob({ uid: 'u1' });
    const old = await bed.guard('u1');
    await bed.setGate('u1');
    expect(await bed.shard.openSlots(old, 1)).toEqual({ type: 'moved' });
    expect(await bed.shard.openSlots({ ...old, uid: 'none' }, 1)).toEqual({ type: 'gone' });
  });

  test('of a finished Job is refused, though its gate was opened again', async () => {
    await bed.createJob({ uid: 'u1', completions: 0 });
    const guard = await bed.guard('u1');
    await bed.shard.writeStatus({ ...guard, status: '{}', finish: 'Complete', critical: true });
    await bed.setGate('u1');
    expect(await bed.shard.openSlots(await bed.guard('u1'), 1)).toEqual({ type: 'gone' });
  });

  test('counts a Job once on its queue until it is finished', async () => {
    await bed.createJob({ uid: 'u1', completions: 1 });
    await bed.setGate('u1');
    const [slot] = await bed.openSlots('u1', 1);
    await bed.shard.createJob({ ...newJob('u2') });
    await bed.setGate('u2');
    await bed.openSlots('u2', 2);
    expect((await bed.shard.observeJob('u1', 0))?.jobsOnQueue).toBe(2);
    await bed.report([await bed.acquire('u1', slot!, session)]);
    const finish = {
      ...(await bed.guard('u1')),
      status: '{}',
      finish: 'Complete',
      critical: true,
    } as const;
    expect(await bed.shard.writeStatus(finish)).toMatchObject({ type: 'written' });
    expect((await bed.shard.observeJob('u2', 0))?.jobsOnQueue).toBe(1);
  });
});
