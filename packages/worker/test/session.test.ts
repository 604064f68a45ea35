import type { SessionInfo, StopOrder } from '@drover/store';
import { waitFor } from '@drover/testkit';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';

import { Reporter } from '../src/reporter.ts';
import { SessionKeeper, type Session } from '../src/session.ts';
import type { ControlPort, HeartbeatReply } from '../src/shardPort.ts';

const logger = pino({ level: 'silent' });
const keepers: SessionKeeper[] = [];

afterEach(async () => {
  await Promise.all(keepers.splice(0).map((keeper) => keeper.close(false)));
});

/** A shard whose answers the test decides. */
class FakeShard implements ControlPort {
  readonly registered: SessionInfo[] = [];
  readonly ended: string[] = [];
  heartbeats = 0;
  answer: (session: string) => Promise<HeartbeatReply> = async () => ({
    type: 'alive',
    claims: 0,
    orders: [],
  });

  async registerSession(info: SessionInfo): Promise<void> {
    this.registered.push(info);
  }

  heartbeat(session: string): Promise<HeartbeatReply> {
    this.heartbeats += 1;
    return this.answer(session);
  }

  async endSession(session: string): Promise<void> {
    this.ended.push(session);
  }

  acquire(): never {
    throw new Error('not part of this test');
  }

  recordRestart(): never {
    throw new Error('not part of this test');
  }
}

function setUp(over: { heartbeatMs?: number; leaseTtlMs?: number } = {}): {
  shard: FakeShard;
  keeper: SessionKeeper;
  seen: { orders: StopOrder[]; ended: Session[]; reconnects: number };
} {
  const shard = new FakeShard();
  const seen = { orders: [] as StopOrder[], ended: [] as Session[], reconnects: 0 };
  const keeper = new SessionKeeper({
    port: shard,
    reconnect: () => {
      seen.reconnects += 1;
    },
    node: 'node-1',
    lanes: { 'default/process': 2 },
    resources: { cpuMilli: 0, memoryBytes: 0 },
    leaseTtlMs: over.leaseTtlMs ?? 1_000,
    heartbeatMs: over.heartbeatMs ?? 10,
    logger,
    createReporter: (session) =>
      new Reporter({
        session,
        logger,
        transport: { send: () => new Promise(() => {}), reconnect: () => {} },
      }),
    onRegistered: () => {},
    onOrders: (_session, orders) => seen.orders.push(...orders),
    onClaims: () => undefined,
    onEnded: (session) => seen.ended.push(session),
  });
  keepers.push(keeper);
  return { shard, keeper, seen };
}

describe('SessionKeeper', () => {
  test('registers, renews, and hands orders on', async () => {
    const { shard, keeper, seen } = setUp();
    const session = await keeper.start();
    expect(session.id).toMatch(/^[0-9a-f]{16}$/);
    expect(shard.registered).toEqual([
      {
        id: session.id,
        node: 'node-1',
        lanes: { 'default/process': 2 },
        resources: { cpuMilli: 0, memoryBytes: 0 },
        leaseTtlMs: 1_000,
      },
    ]);
    await waitFor(() => shard.heartbeats >= 3);
    const order = { uid: 'u', slot: 1, podNumber: 7 };
    shard.answer = async () => ({ type: 'alive', claims: 0, orders: [order] });
    await waitFor(() => seen.orders.length > 0);
    expect(seen.orders[0]).toEqual(order);
  });

  test('an ended session is given up, and another one with a new id is begun', async () => {
    const { shard, keeper, seen } = setUp();
    const first = await keeper.start();
    shard.answer = async (session) =>
      session === first.id ? { type: 'ended' } : { type: 'alive', claims: 0, orders: [] };
    await waitFor(() => shard.registered.length === 2);
    const second = await keeper.current();
    expect(second.id).not.toBe(first.id);
    expect(first.ended).toBe(true);
    expect(second.ended).toBe(false);
    expect(seen.ended).toEqual([first]);
    expect(keeper.stats.sessionsEnded).toBe(1);
  });

  test('while no session is there, whoever asks for one waits for the next', async () => {
    const { shard, keeper } = setUp();
    const first = await keeper.start();
    const registration = Promise.withResolvers<void>();
    shard.registerSession = async (info) => {
      await registration.promise;
      shard.registered.push(info);
    };
    keeper.noticeEnded(first);
    const waiting = keeper.current();
    expect(waiting).toBeInstanceOf(Promise);
    registration.resolve();
    expect((await waiting).id).toBe(shard.registered.at(-1)!.id);
  });

  test('a heartbeat that hangs is asked again over a new connection, and a lapsed lease alone ends nothing', async () => {
    const { shard, keeper, seen } = setUp({ heartbeatMs: 20, leaseTtlMs: 50 });
    const session = await keeper.start();
    shard.answer = () => new Promise(() => {});
    await waitFor(() => keeper.stats.leaseLapses > 0 && seen.reconnects > 0);
    expect(session.ended).toBe(false);
    shard.answer = async () => ({ type: 'alive', claims: 0, orders: [] });
    const before = shard.heartbeats;
    await waitFor(() => shard.heartbeats >= before + 3);
    // Not how many lapses there were by now: a busy machine makes one more of a lease of 50 ms.
    expect(keeper.current()).toBe(session);
    expect(session.ended).toBe(false);
  });

  test('a wake-up asks at once', async () => {
    const { shard, keeper } = setUp({ heartbeatMs: 60_000 });
    await keeper.start();
    expect(shard.heartbeats).toBe(0);
    keeper.wake();
    expect(shard.heartbeats).toBe(1);
  });

  test('closing ends the session in Redis and stops the heartbeat', async () => {
    const { shard, keeper } = setUp();
    const session = await keeper.start();
    await keeper.close(true);
    expect(shard.ended).toEqual([session.id]);
    await expect(keeper.current()).rejects.toThrow('closed');
  });
});
