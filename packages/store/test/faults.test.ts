/** Full memory, and scripts that Redis has forgotten. */
import { ResourceExhaustedError } from '@drover/shared';
import { describe, expect, test } from 'vitest';
import { FAILED, LANE, LEASE_MS, newJob, QUEUE, StoreBed, T0 } from './support/bed.ts';
import { newSessionId } from '../src/session.ts';
import { Store } from '../src/store.ts';

/** A real uid, where uids of pods are made from it. */
const UID = '4be0b0a2-0000-4000-8000-000000000001';

let bed: StoreBed;
StoreBed.forEachTest((fresh) => {
  bed = fresh;
});

/** Redis has no memory left while this runs. */
async function withFullMemory(run: () => Promise<void>): Promise<void> {
  await bed.redis.config('SET', 'maxmemory', '1');
  try {
    await run();
  } finally {
    await bed.redis.config('SET', 'maxmemory', '0');
  }
}

describe('with full memory', () => {
  test('an installation that is there can be opened: who frees some has to', async () => {
    const { prefix } = bed.store;
    await withFullMemory(async () => {
      const opened = await Store.open({ redis: bed.redis, prefix });
      expect(opened.settings).toEqual(bed.store.settings);
      await expect(Store.open({ redis: bed.redis, prefix: `${prefix}-new` })).rejects.toThrow(
        'OOM',
      );
    });
  });

  test('what creates is refused and writes nothing', async () => {
    const uid = await bed.createJob();
    await bed.setGate(uid);
    const guard = await bed.guard(uid);
    const before = await bed.shard.getJobByUid(uid);
    await withFullMemory(async () => {
      const session = { id: newSessionId(), node: 'n', lanes: { [LANE]: 1 }, leaseTtlMs: LEASE_MS };
      const update = {
        uid,
        expectedResourceVersion: null,
        object: '{}',
        specChanged: true,
        completions: 1,
        queue: QUEUE,
        fittingKey: LANE,
      };
      for (const call of [
        () => bed.shard.createJob(newJob('new')),
        () => bed.shard.openSlots(guard, 1),
        () => bed.shard.updateJob(update),
        () => bed.shard.registerSession(session),
      ]) {
        const error = await call().then(
          () => null,
          (thrown: unknown) => thrown,
        );
        expect(error).toBeInstanceOf(ResourceExhaustedError);
        expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
      }
      expect(await bed.shard.getJobByUid(uid)).toEqual(before);
      expect(await bed.shard.getJobByUid('new')).toBeNull();
    });
    expect(await bed.shard.openSlots(guard, 1)).toMatchObject({ type: 'opened', slots: [1] });
  });

  test('a Job that runs goes on to its end', async () => {
    const session = await bed.registerSession();
    await bed.createJob({ uid: UID, completions: 4 });
    await bed.setGate(UID, { limit: 2, holdOnFailure: false });
    const [a, b] = await bed.openSlots(UID, 2);
    await withFullMemory(async () => {
      expect(await bed.shard.take(10, 5000)).toMatchObject({ taken: [{ member: `job:${UID}` }] });
      const pods = [await bed.acquire(UID, a!, session), await bed.acquire(UID, b!, session)];
      expect(await bed.shard.heartbeat(session)).toMatchObject({ type: 'alive' });
      await bed.shard.recordRestart({ uid: UID, slot: a!, podNumber: 1, session, restarts: 1 });
      const answers = await bed.report(pods);
      expect(answers).toMatchObject([{ type: 'next' }, { type: 'next' }]);
      for (const [i, answer] of answers.entries())
        if (answer.type === 'next') pods[i]!.claim = answer.claim;
      await bed.report([pods[0]!], FAILED);
      const look = (await bed.shard.observeJob(UID, 10))!;
      const verdict = {
        podNumber: look.unjudged[0]!.podNumber,
        verdict: 'failed',
        countsToLimit: true,
      } as const;
      const row = { failuresInRow: 1, lastFailureMs: T0 };
      const judged = bed.shard.judge({
        ...(await bed.guard(UID)),
        judgements: [verdict],
        gate: { ...look.gate, limit: 0 },
        ...row,
      });
      expect(await judged).toMatchObject({ type: 'judged' });
      const pod = (await bed.shard.allSlots(UID))[0]!;
      await bed.shard.stopPods({ uid: UID, guard: null, pods: [pod], countAs: 'unjudged' });
      await bed.report([pods[1]!]);
      expect(await bed.shard.removePodRecord(UID, 1)).toBe(true);
    });
  });

  test('a deletion gets through: it is what frees memory', async () => {
    const session = await bed.registerSession();
    const pods = await bed.runningJob(session, 50, { uid: 'u1', completions: 50 });
    await bed.report(pods, { overlay: { message: 'x'.repeat(1000) } });
    const status = {
      ...(await bed.guard('u1')),
      status: '{}',
      finish: 'Complete',
      critical: true,
    } as const;
    await withFullMemory(async () => {
      expect(await bed.shard.writeStatus(status)).toMatchObject({ type: 'written' });
      expect(await bed.shard.deleteJob('u1')).toBe('deleted');
      expect(await bed.shard.observeJob('u1', 10)).toMatchObject({ job: { deleted: true } });
      expect(await bed.shard.purgeJob('u1')).toBe('more');
      expect(await bed.shard.purgeJob('u1')).toBe('purged');
    });
    expect(
      await bed.redis.exists(bed.shard.keys.podChunk('u1', 0), bed.shard.keys.job('u1').overlay),
    ).toBe(0);
  });

  test('lost pods are ended', async () => {
    const session = await bed.registerSession();
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    bed.clock.advance(LEASE_MS);
    await withFullMemory(async () => {
      expect(await bed.shard.expireSession(session)).toMatchObject({ type: 'ended' });
      expect(await bed.shard.endLostPods(session, 'u1', [pod!.slot])).toBe(1);
    });
  });
});

test('scripts that Redis forgot are sent again, also in the middle of many calls', async () => {
  const session = await bed.registerSession();
  const pods = await bed.runningJob(session, 20, { uid: 'u1' });
  await bed.redis.script('FLUSH');
  const reports = pods.map((pod) => bed.report([pod]));
  await bed.redis.script('FLUSH');
  const more = pods.map((pod) =>
    bed.shard.recordRestart({ uid: 'u1', slot: pod.slot, podNumber: 21, session, restarts: 1 }),
  );
  expect((await Promise.all(reports)).flat().every((answer) => answer.type === 'next')).toBe(true);
  await Promise.all(more);
  expect((await bed.rawJob('u1')).hot).toMatchObject({ succeeded: 20, active: 20 });
});

test('a call that waited while Redis was away counts once', async () => {
  const own = await StoreBed.open({ appendOnly: true });
  try {
    const session = await own.registerSession();
    const [pod] = await own.runningJob(session, 1, { uid: 'u1' });
    await own.server.kill();
    const waiting = own.report([pod!]);
    await own.server.restart();
    const answers = await waiting;
    expect(answers).toMatchObject([{ type: 'next', claim: { podNumber: 2 } }]);
    expect(await own.report([pod!])).toEqual(answers);
    expect((await own.rawJob('u1')).hot).toMatchObject({ succeeded: 1, podCount: 2 });
  } finally {
    await own.server.stop();
  }
});
