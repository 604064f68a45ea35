import { describe, expect, test } from 'vitest';
import type { PodDetails, StopInput } from '../src/api.ts';
import { FAILED, type HeldPod, OPEN_GATE, StoreBed, T0 } from './support/bed.ts';
import { violations } from './support/invariants.ts';

let bed: StoreBed;
let session: string;
StoreBed.forEachTest(async (fresh) => {
  bed = fresh;
  session = await bed.registerSession();
});

async function hot() {
  return (await bed.rawJob('u1')).hot!;
}

async function stop(over: Partial<StopInput> = {}) {
  const pods = (await bed.shard.allSlots('u1')).filter((slot) => slot.phase !== 'Stopping');
  return bed.shard.stopPods({ uid: 'u1', guard: null, pods, countAs: 'uncounted', ...over });
}

describe('stopPods', () => {
  test('takes a Pending pod away at once and gives its index back', async () => {
    await bed.createJob({ uid: 'u1' });
    await bed.setGate('u1', { limit: 2 });
    await bed.openSlots('u1', 2);
    const { decisionVersion } = await bed.guard('u1');
    expect(await stop()).toEqual({
      type: 'stopped',
      count: 2,
      decisionVersion: decisionVersion + 1,
    });
    expect(await bed.rawJob('u1')).toMatchObject({
      slots: [],
      retry: [0, 1],
      hot: { active: 0, terminating: 0 },
    });
    expect(await stop()).toMatchObject({ type: 'stopped', count: 0 });
  });

  test('marks a running one; a second run stops nothing more', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    await bed.shard.recordRestart({
      uid: 'u1',
      slot: pod!.slot,
      podNumber: 1,
      session,
      restarts: 2,
    });
    const input = { pods: [{ slot: pod!.slot, podNumber: 1, session }] };
    expect(await stop(input)).toMatchObject({ count: 1 });
    expect(await stop(input)).toMatchObject({ count: 0 });
    expect(await hot()).toMatchObject({ active: 0, running: 0, terminating: 1, restarts: 0 });
    expect((await bed.rawJob('u1')).slots).toMatchObject([{ phase: 'Stopping', restarts: 2 }]);
    expect(violations(await bed.raw(['u1'], [session]))).toEqual([]);
  });

  test('passes over a slot that moved on since it was listed', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    const listed = await bed.shard.allSlots('u1');
    await bed.report([pod!]);
    expect(await stop({ pods: listed })).toMatchObject({ count: 0 });
    // A slot that was Pending when it was listed and runs now is not stopped as Pending.
    const [slot] = await bed.openSlots('u1', 1);
    const pending = (await bed.shard.allSlots('u1')).filter((one) => one.slot === slot);
    await bed.acquire('u1', slot!, session);
    expect(await stop({ pods: pending })).toMatchObject({ count: 0 });
    expect(await hot()).toMatchObject({ active: 2, running: 2 });
  });

  test('with a guard writes nothing when the decision is old, and triggers nothing', async () => {
    await bed.runningJob(session, 1, { uid: 'u1' });
    const guard = await bed.guard('u1');
    await bed.setGate('u1');
    await bed.settleDue();
    expect(await stop({ guard })).toEqual({ type: 'moved' });
    expect(await stop({ guard: await bed.guard('u1') })).toMatchObject({ count: 1 });
    expect(await bed.dueAtMs('job:u1')).toBeNull();
    expect(
      await bed.shard.stopPods({ uid: 'none', guard: null, pods: [], countAs: 'failed' }),
    ).toEqual({ type: 'gone' });
  });

  test('without one, for a pod that its user deleted, leaves the verdict to the controller', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    await bed.settleDue();
    bed.clock.advance(10);
    await stop({ countAs: 'unjudged', pods: [{ slot: pod!.slot, podNumber: 1, session }] });
    expect(await bed.dueAtMs('job:u1')).toBe(T0 + 10);
    const look = await bed.shard.observeJob('u1', 0);
    expect(look?.unjudged).toMatchObject([
      { podNumber: 1, index: 0, reason: 'Deleted', startMs: T0, endMs: T0 + 10, losses: 0 },
    ]);
  });

  test('as failed counts it and gives no index back', async () => {
    await bed.runningJob(session, 2, { uid: 'u1' });
    await stop({ countAs: 'failed' });
    expect(await bed.rawJob('u1')).toMatchObject({
      retry: [],
      hot: { failed: 2, terminating: 2, limitFailures: 0 },
    });
  });

  test('of 450 pods takes all of them, under one guard', async () => {
    await bed.runningJob(session, 450, { uid: 'u1' });
    const guard = await bed.guard('u1');
    expect(await stop({ guard })).toEqual({
      type: 'stopped',
      count: 450,
      decisionVersion: guard.decisionVersion + 3,
    });
    expect(await hot()).toMatchObject({
      active: 0,
      terminating: 450,
      decisionVersion: guard.decisionVersion + 3,
    });
    expect(violations(await bed.raw(['u1'], [session]))).toEqual([]);
    expect(await stop({ guard })).toEqual({ type: 'moved' });
    await bed.shard.expireSession(session, { force: true });
    const slots = (await bed.shard.allSlots('u1')).map((one) => one.slot);
    expect(await bed.shard.endLostPods(session, 'u1', slots)).toBe(450);
    expect(violations(await bed.raw(['u1'], [session]))).toEqual([]);
  });

  test('of pods of several sessions tells each its own', async () => {
    const other = await bed.registerSession();
    await bed.createJob({ uid: 'u1' });
    await bed.setGate('u1');
    const slots = await bed.openSlots('u1', 3);
    await bed.acquire('u1', slots[0]!, session);
    await bed.acquire('u1', slots[1]!, other);
    expect(await stop()).toMatchObject({ count: 3 });
    const orders = [session, other].map((id) => bed.shard.heartbeat(id));
    expect(await Promise.all(orders)).toEqual([
      { type: 'alive', claims: 1, orders: [{ uid: 'u1', slot: slots[0], podNumber: 1 }] },
      { type: 'alive', claims: 1, orders: [{ uid: 'u1', slot: slots[1], podNumber: 2 }] },
    ]);
  });
});

describe('judge', () => {
  async function failing(count: number): Promise<HeldPod[]> {
    const pods = await bed.runningJob(session, count, { uid: 'u1', completions: 10 });
    await bed.report(pods, FAILED);
    return pods;
  }

  test('counts by verdict, gives indexes back and sets the gate, once', async () => {
    await failing(4);
    const input = {
      ...(await bed.guard('u1')),
      judgements: [
        { podNumber: 1, verdict: 'failed', countsToLimit: true },
        { podNumber: 2, verdict: 'failed', countsToLimit: false },
        { podNumber: 3, verdict: 'ignored', countsToLimit: false },
        { podNumber: 4, verdict: 'failed', countsToLimit: true },
        { podNumber: 77, verdict: 'failed', countsToLimit: true },
      ],
      gate: { limit: 3, notBeforeMs: T0 + 10_000, deadlineMs: T0 + 20_000, holdOnFailure: false },
      failuresInRow: 2,
      lastFailureMs: T0,
    } as const;
    const { decisionVersion } = input;
    expect(await bed.shard.judge(input)).toEqual({
      type: 'judged',
      decisionVersion: decisionVersion + 1,
    });
    expect(await bed.shard.judge(input)).toEqual({ type: 'moved' });
    const look = (await bed.shard.observeJob('u1', 0))!;
    expect(look).toMatchObject({
      gate: input.gate,
      unjudged: [],
      counters: { failed: 3, limitFailures: 2, unjudged: 0, failuresInRow: 2, lastFailureMs: T0 },
    });
    expect((await bed.rawJob('u1')).retry).toEqual([0, 1, 2, 3]);
    expect(await bed.shard.judge({ ...input, uid: 'none' })).toEqual({ type: 'gone' });
  });

  test('sees at most 500 failed pods at a time, and gets through more', async () => {
    const pods = await bed.runningJob(session, 400, { uid: 'u1', completions: 2000 });
    const more = await bed.openSlots('u1', 300);
    for (const slot of more) pods.push(await bed.acquire('u1', slot, session));
    for (let from = 0; from < 700; from += 200)
      await bed.report(pods.slice(from, from + 200), FAILED);
    let judged = 0;
    for (let round = 0; judged < 700; round++) {
      expect(round).toBeLessThan(5);
      const look = (await bed.shard.observeJob('u1', 0))!;
      expect(look.counters.unjudged).toBe(700 - judged);
      expect(look.unjudged.length).toBeGreaterThan(0);
      expect(look.unjudged.length).toBeLessThanOrEqual(500);
      await bed.shard.judge({
        ...(await bed.guard('u1')),
        judgements: look.unjudged.map(({ podNumber }) => ({
          podNumber,
          verdict: 'failed',
          countsToLimit: true,
        })),
        gate: OPEN_GATE,
        failuresInRow: 1,
        lastFailureMs: T0,
      });
      judged += look.unjudged.length;
    }
    expect(await hot()).toMatchObject({ failed: 700, unjudged: 0, retryCount: 700 });
  });
});

describe('writeStatus', () => {
  async function finish(kind: 'Complete' | 'Failed') {
    return bed.shard.writeStatus({
      ...(await bed.guard('u1')),
      status: '{"end":1}',
      finish: kind,
      critical: true,
    });
  }

  test('of a fold moves the resourceVersion, not the decisionVersion', async () => {
    await bed.createJob({ uid: 'u1' });
    const before = await bed.shard.getJobByUid('u1');
    const guard = await bed.guard('u1');
    const write = { ...guard, status: '{"active":1}', finish: null, critical: false };
    expect(await bed.shard.writeStatus(write)).toEqual({
      type: 'written',
      decisionVersion: guard.decisionVersion,
    });
    const after = await bed.shard.getJobByUid('u1');
    expect(after?.status).toBe('{"active":1}');
    expect(after!.resourceVersion).toBeGreaterThan(before!.resourceVersion);
    expect(await bed.shard.writeStatus({ ...write, critical: true })).toMatchObject({
      type: 'written',
    });
    expect(await bed.shard.writeStatus(write)).toEqual({ type: 'moved' });
  });

  test.each([
    ['active', async (_pod: HeldPod) => {}],
    ['terminating', async () => void (await stop())],
    ['not judged', async (pod: HeldPod) => void (await bed.report([pod], FAILED))],
  ])('does not end a Job with a pod that is %s', async (_name, prepare) => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1', completions: 1 });
    await prepare(pod!);
    expect(await finish('Failed')).toEqual({ type: 'notSettled' });
    expect(await bed.shard.getJobByUid('u1')).toMatchObject({ finished: false, status: '{}' });
  });

  test('does not say Complete while successes are missing', async () => {
    const [a, b] = await bed.runningJob(session, 2, { uid: 'u1', completions: 2 });
    await bed.report([a!]);
    await stop({ pods: [{ slot: b!.slot, podNumber: 2, session }] });
    await bed.report([b!]);
    expect(await finish('Complete')).toEqual({ type: 'notSettled' });
    expect(await finish('Failed')).toMatchObject({ type: 'written' });
  });

  test('that ends a Job is final: the gate is closed, and what was decided before is refused', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1', completions: 1 });
    await bed.report([pod!]);
    const guard = await bed.guard('u1');
    expect(await finish('Complete')).toMatchObject({ type: 'written' });
    expect(await bed.shard.getJobByUid('u1')).toMatchObject({
      finished: true,
      status: '{"end":1}',
    });
    expect(await hot()).toMatchObject({ limit: 0, onQueue: 0 });
    const late = { ...guard, status: '{"late":1}', finish: 'Failed', critical: true } as const;
    expect(await bed.shard.writeStatus(late)).toEqual({ type: 'moved' });
  });

  test('of a deleted Job finds none', async () => {
    await bed.createJob({ uid: 'u1' });
    const guard = await bed.guard('u1');
    await bed.shard.deleteJob('u1');
    const write = { ...guard, status: '{}', finish: null, critical: true };
    expect(await bed.shard.writeStatus(write)).toEqual({ type: 'gone' });
  });
});

describe('recordRestart', () => {
  test('counts what the worker says in all, and makes the Job due', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    await bed.settleDue();
    const { decisionVersion } = await bed.guard('u1');
    const restart = { uid: 'u1', slot: pod!.slot, podNumber: 1, session, restarts: 1 };
    expect(await bed.shard.recordRestart(restart)).toBe('recorded');
    expect(await bed.shard.recordRestart(restart)).toBe('replayed');
    expect(await bed.shard.recordRestart({ ...restart, restarts: 3 })).toBe('recorded');
    expect(await bed.shard.recordRestart({ ...restart, restarts: 2 })).toBe('replayed');
    expect(await hot()).toMatchObject({ restarts: 3, decisionVersion: decisionVersion + 2 });
    expect(await bed.dueAtMs('job:u1')).toBe(T0);
    await bed.report([pod!]);
    expect(await hot()).toMatchObject({ restarts: 0 });
  });

  test('of a claim that is not valid is stale, of a stopping pod says so', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    const restart = { uid: 'u1', slot: pod!.slot, podNumber: 1, session, restarts: 1 };
    const other = await bed.registerSession();
    for (const over of [{ podNumber: 2 }, { slot: 99 }, { session: other }, { uid: 'none' }]) {
      expect(await bed.shard.recordRestart({ ...restart, ...over })).toBe('stale');
    }
    await stop();
    expect(await bed.shard.recordRestart(restart)).toBe('stopping');
    expect(await hot()).toMatchObject({ restarts: 0 });
  });
});

describe('writeContainers', () => {
  const details = (word: string): PodDetails => ({
    containers: [
      { name: 'a', ready: false, restartCount: 0, state: { waiting: { reason: word } } },
    ],
  });
  const notes = async () => (await bed.shard.podNotes('u1', [1, 2])).get(1)?.details;

  test('shows how containers are, as a change of the pod', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    const before = (await bed.shard.allSlots('u1'))[0]!;
    const write = { uid: 'u1', slot: pod!.slot, podNumber: 1, session, ttlMs: 60_000 };
    expect(await notes()).toBeUndefined();
    expect(await bed.shard.writeContainers({ ...write, details: details('A') })).toBe('written');
    expect(await bed.shard.writeContainers({ ...write, details: details('B') })).toBe('written');
    expect(await notes()).toEqual(details('B'));
    const { resourceVersion, ...after } = (await bed.shard.allSlots('u1'))[0]!;
    expect(resourceVersion).toBeGreaterThan(before.resourceVersion);
    expect({ ...after, resourceVersion: before.resourceVersion }).toEqual(before);
  });

  test('of a claim that is not valid is stale, of a stopping pod changes no time', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    const write = {
      uid: 'u1',
      slot: pod!.slot,
      podNumber: 1,
      session,
      ttlMs: 60_000,
      details: details('A'),
    };
    const other = await bed.registerSession();
    for (const over of [{ podNumber: 2 }, { slot: 99 }, { session: other }, { uid: 'none' }]) {
      expect(await bed.shard.writeContainers({ ...write, ...over })).toBe('stale');
    }
    expect(await notes()).toBeUndefined();
    await stop();
    const before = await bed.shard.allSlots('u1');
    expect(await bed.shard.writeContainers(write)).toBe('written');
    expect(await bed.shard.allSlots('u1')).toEqual(before);
    expect(await notes()).toEqual(details('A'));
  });
});

describe('pods', () => {
  test('are listed by number, wherever they are, and page without gaps while they end', async () => {
    const pods = await bed.runningJob(session, 3, { uid: 'u1', completions: 30 }, { limit: 3 });
    for (let round = 0; round < 4; round++) {
      for (const [i, answer] of (await bed.report(pods)).entries()) {
        if (answer.type === 'next') pods[i]!.claim = answer.claim;
      }
    }
    const seen: number[] = [];
    let after = 0;
    for (;;) {
      const { pods: page, next } = await bed.shard.listPods('u1', { after, limit: 4 });
      seen.push(...page.map((pod) => pod.podNumber));
      // One ends while the list is read.
      const [answer] = await bed.report([pods[0]!]);
      if (answer?.type === 'next') pods[0]!.claim = answer.claim;
      if (next === null) break;
      after = next;
    }
    expect(seen.slice(0, 15)).toEqual(Array.from({ length: 15 }, (_, i) => i + 1));
    expect(new Set(seen).size).toBe(seen.length);
  });

  test('that are removed are gone with overlay and log; the counts stay', async () => {
    const [pod] = await bed.runningJob(session, 1);
    const { uid } = pod!;
    await bed.report([pod!], { hasLog: true, overlay: { message: 'x' } });
    const log = bed.shard.podLogKey(uid, 1);
    await bed.redis.xadd(log, '*', 'a', 'b');
    expect((await bed.rawJob(uid)).hot).toMatchObject({ succeeded: 1, kept: 1 });
    expect(await bed.shard.removePodRecord(uid, 1)).toBe(true);
    expect(await bed.shard.removePodRecord(uid, 1)).toBe(false);
    expect(await bed.shard.removePodRecord(uid, 5000)).toBe(false);
    expect(await bed.shard.getPod(uid, 1)).toBeNull();
    expect(await bed.redis.exists(log, bed.shard.keys.job(uid).overlay)).toBe(0);
    expect((await bed.shard.listPods(uid, { limit: 10 })).pods.map((one) => one.podNumber)).toEqual(
      [2],
    );
    expect((await bed.rawJob(uid)).hot).toMatchObject({ succeeded: 1, kept: 0 });
  });

  test('that never were are not found', async () => {
    await bed.createJob({ uid: 'u1' });
    expect(await bed.shard.getPod('u1', 1)).toBeNull();
    expect(await bed.shard.getPod('none', 1)).toBeNull();
    expect(await bed.shard.listPods('none', { limit: 10 })).toEqual({ pods: [], next: null });
  });

  test('keep what their records can hold at most', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    // A year, and every bit of an exit code.
    bed.clock.advance(365 * 86_400_000);
    await bed.shard.heartbeat(session);
    await bed.report([pod!], {
      outcome: 'Failed',
      exitCode: 255,
      reason: 'HandlerTimeout',
      hasLog: true,
    });
    expect(await bed.shard.getPod('u1', 1)).toMatchObject({
      startMs: T0,
      endMs: T0 + 365 * 86_400_000,
      exitCode: 255,
      reason: 'HandlerTimeout',
      hasLog: true,
    });
    const record = await bed.shard.getPod('u1', 1);
    expect(record!.resourceVersion).toBe(await bed.shard.resourceVersion());
  });
});
