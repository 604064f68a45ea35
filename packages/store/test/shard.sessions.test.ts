import { newSessionId } from '../src/session.ts';
import { describe, expect, test } from 'vitest';
import { LANE, LEASE_MS, StoreBed, T0 } from './support/bed.ts';

let bed: StoreBed;
StoreBed.forEachTest((fresh) => {
  bed = fresh;
});

describe('offerLanes', () => {
  test('lanes that are not on offer are there for nobody, and Jobs wait for them', async () => {
    const resources = { cpuMilli: 2_000, memoryBytes: 1_000 };
    const id = await bed.registerSession({ lanes: { [LANE]: 4 }, resources });
    const other = await bed.registerSession({ lanes: { [LANE]: 1 }, resources });
    const fittingKey = `cpu=1000,memory=0 ${LANE}`;
    const lanes = async () => [
      await bed.shard.fittingLanes(LANE),
      await bed.shard.fittingLanes(fittingKey),
    ];
    expect(await bed.shard.offerLanes(id, true)).toBe('replayed');
    expect(await bed.shard.offerLanes(id, false)).toBe('changed');
    expect(await bed.shard.offerLanes(id, false)).toBe('replayed');
    expect(await lanes()).toEqual([1, 1]);
    expect(await bed.shard.sessions()).toMatchObject(
      [
        { id, isWithheld: true },
        { id: other, isWithheld: false },
      ].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    );

    const uid = await bed.createJob({ fittingKey });
    expect(await bed.shard.awaitLanes(uid, fittingKey, 1)).toBe('waiting');
    await bed.settleDue();
    expect(await bed.shard.offerLanes(id, true)).toBe('changed');
    expect(await bed.dueAtMs(`job:${uid}`)).toBe(T0);
    expect(await lanes()).toEqual([5, 3]);
  });

  test('are taken away once, also when the session ends', async () => {
    const id = await bed.registerSession({ lanes: { [LANE]: 4 } });
    await bed.registerSession({ lanes: { [LANE]: 3 } });
    await bed.shard.offerLanes(id, false);
    await bed.shard.expireSession(id, { force: true });
    expect(await bed.shard.offerLanes(id, true)).toBe('ended');
    expect(await bed.shard.fittingLanes(LANE)).toBe(3);
  });
});

describe('registerSession', () => {
  test('adds lanes once, however often it is sent', async () => {
    const info = {
      id: newSessionId(),
      node: 'n',
      lanes: { [LANE]: 3, 'p/handler/h': 2 },
      leaseTtlMs: LEASE_MS,
    };
    await bed.shard.registerSession(info);
    await bed.shard.registerSession(info);
    expect(await bed.shard.fittingLanes(LANE)).toBe(3);
    await bed.registerSession({ lanes: { [LANE]: 4 } });
    expect(await bed.shard.fittingLanes(LANE)).toBe(7);
    expect(await bed.shard.fittingLanes('p/handler/h')).toBe(2);
    expect(await bed.shard.fittingLanes('p/handler/other')).toBe(0);
  });

  test('tells how many pods that request something would fit, until the session ends', async () => {
    const resources = { cpuMilli: 2_500, memoryBytes: 1_000 };
    const id = await bed.registerSession({ lanes: { [LANE]: 4, 'p/process': 1 }, resources });
    await bed.registerSession({
      lanes: { [LANE]: 4 },
      resources: { cpuMilli: 90_000, memoryBytes: 299 },
    });
    await bed.registerSession({ lanes: { [`${LANE}-2`]: 4 }, resources });
    const cases = {
      'cpu=1000,memory=0': 2 + 4,
      'cpu=0,memory=100': 4 + 2,
      'cpu=1000,memory=300': 2,
      'cpu=0,memory=1001': 0,
    };
    for (const [requests, fit] of Object.entries(cases)) {
      const fittingKey = `${requests} ${LANE}`;
      expect(await bed.shard.fittingLanes(fittingKey), requests).toBe(fit);
      const uid = await bed.createJob({ fittingKey });
      expect((await bed.shard.observeJob(uid, 0))?.fittingLanes, requests).toBe(fit);
      expect(await bed.shard.awaitLanes(uid, fittingKey, fit)).toBe('waiting');
      expect(await bed.shard.awaitLanes(uid, fittingKey, fit - 1)).toBe('changed');
    }
    await bed.shard.expireSession(id, { force: true });
    expect(await bed.shard.fittingLanes(`cpu=1000,memory=0 ${LANE}`)).toBe(4);
    expect(await bed.shard.fittingLanes('cpu=1,memory=0 p/process')).toBe(0);
  });

  test('numbers nodes, the same for each start of one', async () => {
    await bed.registerSession({ node: 'a' });
    await bed.registerSession({ node: 'b' });
    await bed.registerSession({ node: 'a' });
    expect([...(await bed.shard.nodeNames())]).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
  });

  test('makes Jobs due that wait for lanes', async () => {
    const uid = await bed.createJob();
    await bed.settleDue();
    expect(await bed.shard.awaitLanes(uid, LANE, 0)).toBe('waiting');
    expect(await bed.dueAtMs(`job:${uid}`)).toBeNull();
    await bed.registerSession();
    expect(await bed.dueAtMs(`job:${uid}`)).toBe(T0);
    // Told once: a Job that still waits says so again.
    await bed.settleDue();
    await bed.registerSession();
    expect(await bed.dueAtMs(`job:${uid}`)).toBeNull();
  });

  test('before awaitLanes is noticed by it: the lanes are not those that were seen', async () => {
    const uid = await bed.createJob();
    await bed.settleDue();
    await bed.registerSession();
    expect(await bed.shard.awaitLanes(uid, LANE, 0)).toBe('changed');
    expect(await bed.dueAtMs(`job:${uid}`)).toBe(T0);
  });
});

describe('a lease', () => {
  test('is due at its end, and heartbeats move that', async () => {
    const session = await bed.registerSession();
    expect(await bed.dueAtMs(`session:${session}`)).toBe(T0 + LEASE_MS);
    bed.clock.advance(1_500);
    expect(await bed.shard.heartbeat(session)).toEqual({ type: 'alive', claims: 0, orders: [] });
    expect(await bed.dueAtMs(`session:${session}`)).toBe(T0 + 1_500 + LEASE_MS);
    expect(await bed.shard.expireSession(session)).toEqual({
      type: 'alive',
      untilMs: T0 + 1_500 + LEASE_MS,
    });
  });

  test('is only ever extended, though a clock goes back', async () => {
    const session = await bed.registerSession();
    bed.clock.set(T0 - 5_000);
    await bed.shard.heartbeat(session);
    expect(await bed.dueAtMs(`session:${session}`)).toBe(T0 + LEASE_MS);
  });

  test('that lapsed ends nothing by itself: a heartbeat renews it', async () => {
    const session = await bed.registerSession();
    bed.clock.advance(60_000);
    expect(await bed.shard.heartbeat(session)).toEqual({ type: 'alive', claims: 0, orders: [] });
    expect(await bed.shard.expireSession(session)).toMatchObject({ type: 'alive' });
  });

  test('runs to its last millisecond and not beyond', async () => {
    const session = await bed.registerSession();
    bed.clock.advance(LEASE_MS - 1);
    expect(await bed.shard.expireSession(session)).toEqual({
      type: 'alive',
      untilMs: T0 + LEASE_MS,
    });
    bed.clock.advance(1);
    expect(await bed.shard.expireSession(session)).toEqual({ type: 'ended', claims: [] });
  });
});

describe('an ended session', () => {
  test('is refused for ever, and takes its lanes with it once', async () => {
    const other = await bed.registerSession({ lanes: { [LANE]: 5 } });
    const session = await bed.registerSession({ lanes: { [LANE]: 3 } });
    const uid = await bed.createJob();
    await bed.setGate(uid);
    const [slot] = await bed.openSlots(uid, 1);
    await bed.shard.expireSession(session, { force: true });
    await bed.shard.expireSession(session, { force: true });
    expect(await bed.shard.fittingLanes(LANE)).toBe(5);
    expect(await bed.shard.heartbeat(session)).toEqual({ type: 'ended' });
    const claim = { uid, slot: slot!, attemptsStarted: 1, session, knownGeneration: 0 };
    expect(await bed.shard.acquire(claim)).toEqual({ type: 'sessionEnded' });
    // A registration that comes late does not revive it.
    await bed.shard.registerSession({
      id: session,
      node: 'n',
      lanes: { [LANE]: 3 },
      leaseTtlMs: LEASE_MS,
    });
    expect(await bed.shard.heartbeat(session)).toEqual({ type: 'ended' });
    expect(await bed.shard.fittingLanes(LANE)).toBe(5);
    await bed.shard.expireSession(other, { force: true });
    expect(await bed.redis.exists(bed.shard.keys.lanes)).toBe(0);
  });

  test('names what it holds until endLostPods ended all of it', async () => {
    const session = await bed.registerSession();
    const [a, b] = await bed.runningJob(session, 2, { uid: 'u1' });
    const [c] = await bed.runningJob(session, 1, { uid: 'u2' });
    bed.clock.advance(LEASE_MS);
    const reply = await bed.shard.expireSession(session);
    expect(
      reply.type === 'ended' &&
        reply.claims.toSorted((x, y) => x.uid.localeCompare(y.uid) || x.slot - y.slot),
    ).toEqual([
      { uid: 'u1', slot: a!.slot },
      { uid: 'u1', slot: b!.slot },
      { uid: 'u2', slot: c!.slot },
    ]);
    await bed.settleDue();
    expect(await bed.shard.endLostPods(session, 'u1', [a!.slot, b!.slot])).toBe(2);
    expect(await bed.shard.endLostPods(session, 'u1', [a!.slot, b!.slot])).toBe(0);
    expect(await bed.dueAtMs('job:u1')).toBe(T0 + LEASE_MS);
    expect(await bed.shard.expireSession(session)).toEqual({
      type: 'ended',
      claims: [{ uid: 'u2', slot: c!.slot }],
    });
    await bed.shard.endLostPods(session, 'u2', [c!.slot]);
    expect(await bed.shard.expireSession(session)).toEqual({ type: 'ended', claims: [] });
    expect(await bed.redis.exists(bed.shard.keys.session(session).claims)).toBe(0);
  });

  test('loses its pods as failed, disrupted, with their losses in a row', async () => {
    const session = await bed.registerSession();
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    await bed.shard.expireSession(session, { force: true });
    await bed.shard.endLostPods(session, 'u1', [pod!.slot]);
    const look = (await bed.shard.observeJob('u1', 0))!;
    expect(look.counters).toMatchObject({ active: 0, running: 0, unjudged: 1, failed: 0 });
    expect(look.unjudged).toMatchObject([
      { podNumber: 1, index: 0, reason: 'NodeLost', outcome: 'Failed', losses: 1 },
    ]);
    expect(await bed.shard.getPod('u1', 1)).toMatchObject({ kind: 'record', reason: 'NodeLost' });
  });

  test('has no say any more in the pods that it still holds', async () => {
    const session = await bed.registerSession();
    const [a, b] = await bed.runningJob(session, 2, { uid: 'u1' });
    await bed.shard.expireSession(session, { force: true });
    expect(await bed.report([a!])).toEqual([{ type: 'stale' }]);
    expect((await bed.rawJob('u1')).hot).toMatchObject({ succeeded: 0, active: 2 });
    expect(await bed.shard.endLostPods(session, 'u1', [a!.slot, b!.slot])).toBe(2);
    expect(await bed.report([a!, b!])).toEqual([{ type: 'stale' }, { type: 'stale' }]);
    expect((await bed.rawJob('u1')).hot).toMatchObject({ succeeded: 0, active: 0, unjudged: 2 });
  });

  test('that ended nothing yet keeps its pods: endLostPods refuses a live session', async () => {
    const session = await bed.registerSession();
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    bed.clock.advance(60_000);
    expect(await bed.shard.endLostPods(session, 'u1', [pod!.slot])).toBe(0);
    expect(await bed.report([pod!])).toMatchObject([{ type: 'next' }]);
  });

  test('that lives may itself give up pods that it does not run, and keeps the others', async () => {
    const session = await bed.registerSession();
    const [a, b] = await bed.runningJob(session, 2, { uid: 'u1' });
    expect(await bed.shard.claimsOf(session)).toHaveLength(2);
    const giveUp = () => bed.shard.endLostPods(session, 'u1', [a!.slot], { isOwn: true });
    expect([await giveUp(), await giveUp()]).toEqual([1, 0]);
    expect(await bed.shard.heartbeat(session)).toEqual({ type: 'alive', claims: 1, orders: [] });
    expect(await bed.shard.claimsOf(session)).toEqual([{ uid: 'u1', slot: b!.slot }]);
    expect((await bed.rawJob('u1')).hot).toMatchObject({ active: 1, unjudged: 1 });
    expect(await bed.report([a!, b!])).toMatchObject([{ type: 'stale' }, { type: 'released' }]);
  });
});

describe('a restart of Redis', () => {
  test('gives every lease one more, since nobody could renew', async () => {
    const own = await StoreBed.open({ appendOnly: true });
    try {
      const session = await own.registerSession();
      await own.runningJob(session, 1, { uid: 'u1' });
      own.clock.advance(LEASE_MS + 1);
      await own.server.restart();
      const until = own.clock.now() + LEASE_MS;
      expect(await own.shard.expireSession(session)).toEqual({ type: 'alive', untilMs: until });
      own.clock.advance(LEASE_MS - 1);
      // The restart is known now: the grace does not begin anew.
      expect(await own.shard.expireSession(session)).toEqual({ type: 'alive', untilMs: until });
      own.clock.advance(1);
      expect(await own.shard.expireSession(session)).toMatchObject({
        type: 'ended',
        claims: [{ uid: 'u1' }],
      });
    } finally {
      await own.server.stop();
    }
  });

  test('a heartbeat in the grace period keeps the session', async () => {
    const own = await StoreBed.open({ appendOnly: true });
    try {
      const session = await own.registerSession();
      own.clock.advance(LEASE_MS * 3);
      await own.server.kill();
      await own.server.restart();
      await own.shard.expireSession(session);
      expect(await own.shard.heartbeat(session)).toMatchObject({ type: 'alive' });
      own.clock.advance(LEASE_MS - 1);
      expect(await own.shard.expireSession(session)).toMatchObject({ type: 'alive' });
    } finally {
      await own.server.stop();
    }
  });
});

describe('stop orders', () => {
  test('come with every heartbeat until the pod ended, and wake the worker', async () => {
    const session = await bed.registerSession();
    const [pod] = await bed.runningJob(session, 1, { uid: 'u1' });
    const subscriber = bed.store.openSubscriber();
    const woken = new Promise((resolve) => {
      void subscriber.subscribe(bed.shard.keys.session(session).ordersChannel, resolve).then(() =>
        bed.shard.stopPods({
          uid: 'u1',
          guard: null,
          pods: [{ slot: pod!.slot, podNumber: 1, session }],
          countAs: 'unjudged',
        }),
      );
    });
    await woken;
    subscriber.close();
    const orders = [{ uid: 'u1', slot: pod!.slot, podNumber: 1 }];
    expect(await bed.shard.heartbeat(session)).toEqual({ type: 'alive', claims: 1, orders });
    expect(await bed.shard.heartbeat(session)).toEqual({ type: 'alive', claims: 1, orders });
    expect(await bed.report([pod!])).toEqual([{ type: 'released' }]);
    expect(await bed.shard.heartbeat(session)).toEqual({ type: 'alive', claims: 0, orders: [] });
  });
});
