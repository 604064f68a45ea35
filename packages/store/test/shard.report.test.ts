import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ReportEntry } from '../src/api.ts';
import { entryOf, FAILED, type HeldPod, LANE, QUEUE, StoreBed, T0 } from './support/bed.ts';
import { violations } from './support/invariants.ts';

let server: StoreBed;
let bed: StoreBed;
let session: string;
beforeAll(async () => {
  server = await StoreBed.open();
});
afterAll(() => server.server.stop());
beforeEach(async () => {
  bed = await server.fresh();
  session = await bed.registerSession();
});

async function hot(uid = 'u1') {
  return (await bed.rawJob(uid)).hot!;
}

describe('a pod that succeeded', () => {
  test('is counted, recorded, and followed by the next one in its slot', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    bed.clock.advance(40);
    const next = { podNumber: 2, index: 1, createdMs: T0 + 40, startMs: T0 + 40, restarts: 0 };
    expect(await bed.report([pod!])).toEqual([{ type: 'next', claim: next }]);
    expect(await hot()).toMatchObject({
      succeeded: 1,
      active: 1,
      running: 1,
      podCount: 2,
      lastSuccessMs: T0 + 40,
    });
    expect(await bed.shard.getPod('u1', 1)).toMatchObject({
      kind: 'record',
      index: 0,
      nodeNumber: 1,
      startMs: T0,
      endMs: T0 + 40,
      exitCode: 0,
      outcome: 'Succeeded',
      reason: 'Completed',
      hasLog: false,
      hasOverlay: false,
      overlay: null,
    });
  });

  test('sent again gets the same answer, and is counted once', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    const first = await bed.report([pod!]);
    bed.clock.advance(5);
    expect(await bed.report([pod!])).toEqual(first);
    expect(await hot()).toMatchObject({ succeeded: 1, podCount: 2 });
  });

  test('sent again gets the next pod also when that was told to stop: only its holder can end it', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    const first = await bed.report([pod!]);
    const stopping = [{ slot: pod!.slot, podNumber: 2, session }];
    await bed.shard.stopPods({ uid: 'u1', guard: null, pods: stopping, countAs: 'unjudged' });
    expect(await bed.report([pod!])).toEqual(first);
    pod!.claim = (first[0] as { claim: HeldPod['claim'] }).claim;
    expect(await bed.report([pod!])).toEqual([{ type: 'released' }]);
    expect(await hot()).toMatchObject({ succeeded: 1, terminating: 0, unjudged: 1 });
  });

  test('sent again when its successor ended too is stale', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    const [answer] = await bed.report([pod!]);
    await bed.report([{ ...pod!, claim: (answer as { claim: HeldPod['claim'] }).claim }]);
    expect(await bed.report([pod!])).toEqual([{ type: 'stale' }]);
    expect(await hot()).toMatchObject({ succeeded: 2, podCount: 3 });
  });

  test('as the last one closes its slot and makes the Job due at once', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1', completions: 1 });
    await bed.settleDue();
    expect(await bed.report([pod!])).toEqual([{ type: 'released' }]);
    expect(await bed.dueAtMs('job:u1')).toBe(T0);
    expect(await hot()).toMatchObject({ succeeded: 1, active: 0 });
    expect((await bed.raw([], [session])).sessions.get(session)?.claims).toEqual([]);
  });

  test('before that makes it due for a fold, once in a second', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    await bed.settleDue();
    const [answer] = await bed.report([pod!]);
    expect(await bed.dueAtMs('job:u1')).toBe(T0 + 1_000);
    bed.clock.advance(1_000);
    await bed.settleDue();
    await bed.report([{ ...pod!, claim: (answer as { claim: HeldPod['claim'] }).claim }]);
    expect(await bed.dueAtMs('job:u1')).toBe(T0 + 2_000);
  });

  test('of a work-queue Job is followed by none, and makes it due; others go on to their end', async () => {
    const [a, b] = await bed.runningJob(session, 2, { uid: 'u1', completions: null }, { limit: 2 });
    await bed.settleDue();
    expect(await bed.report([a!])).toEqual([{ type: 'released' }]);
    expect(await bed.dueAtMs('job:u1')).toBe(T0);
    await bed.settleDue();
    expect(await bed.report([b!])).toEqual([{ type: 'released' }]);
    // The last pod ended: the Job may be complete now.
    expect(await bed.dueAtMs('job:u1')).toBe(T0);
    expect(await hot()).toMatchObject({ succeeded: 2, active: 0, podCount: 2 });
  });

  test('whose worker leaves is followed by none here: the Job is due, to open another slot', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    await bed.settleDue();
    expect(await bed.report([pod!], { leave: true })).toEqual([{ type: 'released' }]);
    expect(await bed.dueAtMs('job:u1')).toBe(T0);
  });

  test('of an index whose bit is set already is recorded but not counted', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1', completions: 5, indexed: true });
    await bed.redis.setbit(bed.shard.keys.job('u1').done, 0, 1);
    await bed.report([pod!]);
    expect(await hot()).toMatchObject({ succeeded: 0 });
    expect(await bed.shard.getPod('u1', 1)).toMatchObject({ outcome: 'Succeeded' });
  });

  test('sets the bit of its index', async () => {
    const pods = await bed.runningJob(session, 3, { uid: 'u1', completions: 12, indexed: true });
    await bed.report([pods[0]!, pods[2]!]);
    expect((await bed.rawJob('u1')).done).toEqual([0, 2]);
    expect([...(await bed.shard.doneBitmap('u1'))]).toEqual([0b1010_0000]);
  });

  test('keeps what it says in its overlay', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    const overlay = { message: 'três', result: '{"n":1}', restarts: 2, signal: 'SIGTERM' };
    await bed.report([pod!], { overlay, hasLog: true });
    expect(await bed.shard.getPod('u1', 1)).toMatchObject({
      hasLog: true,
      hasOverlay: true,
      overlay,
    });
  });
});

describe('a pod that failed', () => {
  test('waits for its verdict, closes its slot and makes the Job due', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    const { decisionVersion } = await bed.guard('u1');
    await bed.settleDue();
    expect(await bed.report([pod!], { ...FAILED, exitCode: 3 })).toEqual([{ type: 'released' }]);
    expect(await hot()).toMatchObject({
      active: 0,
      failed: 0,
      unjudged: 1,
      decisionVersion: decisionVersion + 1,
    });
    expect(await bed.dueAtMs('job:u1')).toBe(T0);
    const look = await bed.shard.observeJob('u1', 0);
    expect(look?.unjudged).toMatchObject([
      { podNumber: 1, index: 0, exitCode: 3, reason: 'Error', losses: 0 },
    ]);
    expect(await bed.shard.getPod('u1', 1)).toMatchObject({ outcome: 'Failed', exitCode: 3 });
  });

  test('sent again is stale, and counted once', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    await bed.report([pod!], FAILED);
    expect(await bed.report([pod!], FAILED)).toEqual([{ type: 'stale' }]);
    expect(await hot()).toMatchObject({ unjudged: 1 });
  });

  test('holds the gate for all that end with it, wherever it stands in the batch', async () => {
    const pods = await bed.runningJob(session, 3, { uid: 'u1' });
    const entries = pods.map((pod, i) => entryOf(pod, i === 2 ? FAILED : {}));
    expect(await bed.shard.report(session, entries)).toEqual(
      Array.from({ length: 3 }, () => ({ type: 'released' })),
    );
    expect(await hot()).toMatchObject({ succeeded: 2, unjudged: 1, active: 0 });
  });

  test('does not, where the gate has no hold', async () => {
    const pods = await bed.runningJob(session, 2, { uid: 'u1' }, { holdOnFailure: false });
    const entries = [entryOf(pods[0]!, FAILED), entryOf(pods[1]!)];
    expect(await bed.shard.report(session, entries)).toMatchObject([
      { type: 'released' },
      { type: 'next' },
    ]);
  });

  test.each(['Drained', 'RolledBack'] as const)(
    'as %s counts a loss of its index',
    async (reason) => {
      const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
      await bed.report([pod!], { ...FAILED, reason });
      expect((await bed.shard.observeJob('u1', 0))?.unjudged).toMatchObject([
        { reason, losses: 1 },
      ]);
    },
  );

  test.each([
    ['a success', {}],
    ['an ordinary failure', FAILED],
  ])('losses in a row end with %s', async (_name, end) => {
    let [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    await bed.report([pod!], { ...FAILED, reason: 'Drained' });
    await retry(1);
    expect([...(await bed.rawJob('u1')).losses]).toEqual([[0, 1]]);
    const [slot] = await bed.openSlots('u1', 1);
    pod = await bed.acquire('u1', slot!, session);
    expect(pod.claim.index).toBe(0);
    await bed.report([pod], end);
    expect(await bed.rawJob('u1')).toMatchObject({ losses: new Map(), hot: { lossCount: 0 } });
  });
});

async function retry(podNumber: number): Promise<void> {
  await bed.shard.judge({
    ...(await bed.guard('u1')),
    judgements: [{ podNumber, verdict: 'failed', countsToLimit: false }],
    gate: { limit: 1, notBeforeMs: 0, deadlineMs: 0, holdOnFailure: true },
    failuresInRow: 0,
    lastFailureMs: 0,
  });
}

describe('the gate', () => {
  test.each([
    ['with limit 0', { limit: 0 }],
    ['in the pod back-off', { notBeforeMs: T0 + 1 }],
    ['at the deadline', { deadlineMs: T0 }],
  ])('%s gives no next pod', async (_name, gate) => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    await bed.setGate('u1', gate);
    expect(await bed.report([pod!])).toEqual([{ type: 'released' }]);
  });

  test('after a lower limit lets the excess only shrink', async () => {
    const pods = await bed.runningJob(session, 4, { uid: 'u1' }, { limit: 4 });
    await bed.setGate('u1', { limit: 2 });
    expect(await bed.report([pods[0]!])).toEqual([{ type: 'released' }]);
    expect(await bed.report([pods[1]!])).toEqual([{ type: 'released' }]);
    expect(await bed.report([pods[2]!])).toMatchObject([{ type: 'next' }]);
    expect(await hot()).toMatchObject({ active: 2 });
  });

  test('is lowered by a changed spec at once, whether a controller runs or not, and never raised by it', async () => {
    const pods = await bed.runningJob(session, 3, { uid: 'u1' }, { limit: 3 });
    const update = {
      uid: 'u1',
      expectedResourceVersion: null,
      object: '{}',
      specChanged: true,
      completions: 1000,
      queue: QUEUE,
      fittingKey: LANE,
    };
    await bed.shard.updateJob({ ...update, mostActive: 2 });
    expect(await bed.report([pods[0]!])).toEqual([{ type: 'released' }]);
    expect(await bed.report([pods[1]!])).toMatchObject([{ type: 'next' }]);
    await bed.shard.updateJob({ ...update, mostActive: 0 });
    await bed.shard.updateJob({ ...update, mostActive: 2 });
    expect(await bed.report([pods[2]!])).toEqual([{ type: 'released' }]);
  });

  test('near the end lets no more run than are left to do', async () => {
    const pods = await bed.runningJob(session, 3, { uid: 'u1', completions: 4 });
    expect(await bed.report(pods.slice(0, 2))).toMatchObject([
      { type: 'next' },
      { type: 'released' },
    ]);
    expect(await hot()).toMatchObject({ succeeded: 2, active: 2 });
  });
});

describe('yield', () => {
  test('after the quantum, when others wait: the next pod is Pending', async () => {
    await bed.shard.markContended(QUEUE, T0 + 1_000);
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    expect(await bed.report([pod!], { quantumOver: true })).toEqual([{ type: 'yield' }]);
    // Sent again it is still that.
    expect(await bed.report([pod!], { quantumOver: true })).toEqual([{ type: 'yield' }]);
    const raw = await bed.raw(['u1'], [session]);
    expect(raw.jobs.get('u1')!.hot).toMatchObject({ active: 1, running: 0, succeeded: 1 });
    expect(raw.sessions.get(session)!.claims).toEqual([]);
    expect(violations(raw)).toEqual([]);
  });

  test.each([
    ['within the quantum', {}, 1_000],
    ['when the mark of the queue is over', { quantumOver: true }, 0],
  ])('not %s', async (_name, over, markMs) => {
    await bed.shard.markContended(QUEUE, T0 + markMs);
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    expect(await bed.report([pod!], over)).toMatchObject([{ type: 'next' }]);
  });
});

describe('a claim that is not valid', () => {
  test('of another session, another delivery or another slot counts nothing', async () => {
    const other = await bed.registerSession();
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    const strangers: [string, Partial<ReportEntry>][] = [
      [other, {}],
      [session, { attemptsStarted: 2 }],
      [session, { slot: 99 }],
      [session, { uid: 'none' }],
    ];
    for (const [from, over] of strangers) {
      expect(await bed.shard.report(from, [entryOf(pod!, over)])).toEqual([{ type: 'stale' }]);
    }
    expect(await hot()).toMatchObject({ succeeded: 0, active: 1 });
  });

  test('newer than what Redis knows, as after a failover: what Redis believes to run ends as rolled back', async () => {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    const lost = { ...pod!, claim: { ...pod!.claim, podNumber: 7 } };
    expect(await bed.report([lost], { overlay: { message: 'of pod 7' } })).toEqual([
      { type: 'rolledBack' },
    ]);
    expect(await hot()).toMatchObject({ succeeded: 0, active: 0, unjudged: 1 });
    expect(await bed.shard.getPod('u1', 1)).toMatchObject({ reason: 'RolledBack', overlay: null });
    expect((await bed.shard.observeJob('u1', 0))?.unjudged).toMatchObject([
      { reason: 'RolledBack', losses: 1 },
    ]);
  });
});

describe('a stopping pod', () => {
  async function stopped(countAs: 'uncounted' | 'failed' | 'unjudged'): Promise<HeldPod> {
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' }, { limit: 1 });
    const pods = [{ slot: pod!.slot, podNumber: 1, session }];
    const guard = countAs === 'unjudged' ? null : await bed.guard('u1');
    await bed.shard.stopPods({ uid: 'u1', guard, pods, countAs });
    await bed.settleDue();
    return pod!;
  }

  test.each([
    ['uncounted', { failed: 0, unjudged: 0 }],
    ['failed', { failed: 1, unjudged: 0 }],
    ['unjudged', { failed: 0, unjudged: 1 }],
  ] as const)('that was stopped as %s ends so, whatever its exit code', async (countAs, want) => {
    for (const end of [{}, FAILED]) {
      bed = await server.fresh();
      session = await bed.registerSession();
      const pod = await stopped(countAs);
      expect(await hot()).toMatchObject({ active: 0, terminating: 1, ...want });
      expect(await bed.report([pod], end)).toEqual([{ type: 'released' }]);
      expect(await hot()).toMatchObject({ active: 0, terminating: 0, succeeded: 0, ...want });
      // Somebody may wait for the last one to be gone.
      expect(await bed.dueAtMs('job:u1')).toBe(T0);
      expect(await bed.shard.getPod('u1', 1)).toBeNull();
    }
  });

  test('leaves room for another while it ends', async () => {
    const pod = await stopped('uncounted');
    const [slot] = await bed.openSlots('u1', 5);
    expect(slot).toBe(pod.slot + 1);
    const replacement = await bed.acquire('u1', slot!, session);
    expect(replacement.claim).toMatchObject({ podNumber: 2, index: 0 });
    expect(await hot()).toMatchObject({ active: 1, terminating: 1 });
    expect(violations(await bed.raw(['u1'], [session]))).toEqual([]);
  });
});

describe('a batch', () => {
  test('of 256 pods of two Jobs answers each in its place', async () => {
    const a = await bed.runningJob(session, 128, { uid: 'a', completions: 200, indexed: true });
    const b = await bed.runningJob(session, 128, { uid: 'b', completions: 128 });
    const mixed = a.flatMap((pod, i) => [pod, b[i]!]);
    const answers = await bed.report(mixed);
    expect(answers).toHaveLength(256);
    const ofA = answers.filter((_, i) => i % 2 === 0);
    const ofB = answers.filter((_, i) => i % 2 === 1);
    // 128 of 200 done: 72 are left to run at once.
    expect(ofA.map((answer) => answer.type)).toEqual(
      Array.from({ length: 128 }, (_, i) => (i < 72 ? 'next' : 'released')),
    );
    expect(
      ofA.slice(0, 72).map((answer) => (answer.type === 'next' ? answer.claim.index : null)),
    ).toEqual(Array.from({ length: 72 }, (_, i) => 128 + i));
    expect(ofB.every((answer) => answer.type === 'released')).toBe(true);
    expect(await hot('a')).toMatchObject({ succeeded: 128, active: 72, podCount: 200 });
    expect(await hot('b')).toMatchObject({ succeeded: 128, active: 0 });
    expect(violations(await bed.raw(['a', 'b'], [session]))).toEqual([]);
    expect(await bed.report(mixed)).toEqual(
      answers.map((answer) => (answer.type === 'next' ? answer : { type: 'stale' })),
    );
  });

  test('over the border of a chunk of records keeps all of them', async () => {
    const pods = await bed.runningJob(session, 1, { uid: 'u1', completions: 1200 });
    const held = pods[0]!;
    while (held.claim.podNumber < 1020) {
      const [answer] = await bed.report([held]);
      held.claim = (answer as { claim: HeldPod['claim'] }).claim;
    }
    const more = await bed.openSlots('u1', 10);
    const crew = [
      held,
      ...(await Promise.all(more.map((slot) => bed.acquire('u1', slot, session)))),
    ];
    expect(crew.map((pod) => pod.claim.podNumber)).toEqual(
      Array.from({ length: 11 }, (_, i) => 1020 + i),
    );
    await bed.report(crew.toReversed());
    for (const podNumber of [1019, 1020, 1023, 1024, 1030]) {
      expect(await bed.shard.getPod('u1', podNumber)).toMatchObject({
        kind: 'record',
        podNumber,
        index: podNumber - 1,
      });
    }
    const { pods: page } = await bed.shard.listPods('u1', { after: 1020, limit: 6 });
    expect(page.map((pod) => pod.podNumber)).toEqual([1021, 1022, 1023, 1024, 1025, 1026]);
  });
});
