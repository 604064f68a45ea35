/** A shard on a real Redis over a unix socket, with a clock of the test's. */
import { randomUUID } from 'node:crypto';
import type { ComputeResources } from '@drover/shared';
import {
  startRedis,
  type StartRedisOptions,
  TestClock,
  type TestRedis,
  uniquePrefix,
} from '@drover/testkit';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type {
  Claim,
  DecisionGuard,
  Gate,
  NewJob,
  ReportAnswer,
  ReportEntry,
} from '../../src/api.ts';
import { newSessionId } from '../../src/session.ts';
import type { Shard } from '../../src/shard.ts';
import { Store } from '../../src/store.ts';
import { type RawJob, type RawShard, readRaw } from './rawState.ts';

/** A whole second, later than no test expects. */
export const T0 = Date.UTC(2026, 0, 15, 12, 0, 0);
/** The slot queue of all test Jobs. */
export const QUEUE = 'default.process';
/** The fitting key of all test Jobs. */
export const LANE = 'default/process';
export const LEASE_MS = 6_000;
/** Lets everything run that the rest allows. */
export const OPEN_GATE: Gate = { limit: 1000, notBeforeMs: 0, deadlineMs: 0, holdOnFailure: true };

/** A pod that a test's worker runs. */
export interface HeldPod {
  readonly uid: string;
  readonly slot: number;
  readonly session: string;
  readonly attemptsStarted: number;
  claim: Claim;
}

/** Keys of its own on the Redis of a test file. */
export class StoreBed {
  readonly server: TestRedis;
  readonly redis: Redis;
  readonly clock: TestClock;
  readonly store: Store;
  readonly shard: Shard;

  private constructor(server: TestRedis, redis: Redis, clock: TestClock, store: Store) {
    this.server = server;
    this.redis = redis;
    this.clock = clock;
    this.store = store;
    this.shard = store.shards[0]!;
  }

  static async open(options: StartRedisOptions = {}): Promise<StoreBed> {
    const server = await startRedis({ unixSocket: true, ...options });
    return StoreBed.on(server, server.connect());
  }

  static async on(server: TestRedis, redis: Redis): Promise<StoreBed> {
    const clock = new TestClock(T0);
    const store = await Store.open({
      redis,
      prefix: uniquePrefix(),
      testClock: clock.now,
      settings: { leaseTtlMs: LEASE_MS },
    });
    return new StoreBed(server, redis, clock, store);
  }

  /**
   * Opens a server for all tests of a file, and a bed with fresh keys for each of them.
   *
   * @param prepare - Takes the bed before each test.
   */
  static forEachTest(prepare: (bed: StoreBed) => void | Promise<void>): void {
    let server: StoreBed;
    beforeAll(async () => {
      server = await StoreBed.open();
    });
    afterAll(() => server.server.stop());
    beforeEach(async () => {
      await prepare(await server.fresh());
    });
  }

  /** The same server and connection with fresh keys and the clock at T0. */
  async fresh(): Promise<StoreBed> {
    return StoreBed.on(this.server, this.redis);
  }

  async createJob(over: Partial<NewJob> = {}): Promise<string> {
    const uid = over.uid ?? randomUUID();
    await this.shard.createJob({ ...newJob(uid), ...over });
    return uid;
  }

  async registerSession(
    over: {
      node?: string;
      lanes?: Record<string, number>;
      resources?: ComputeResources;
    } = {},
  ): Promise<string> {
    const id = newSessionId();
    const { node = 'node-1', lanes = { [LANE]: 10 }, resources } = over;
    await this.shard.registerSession({
      id,
      node,
      lanes,
      leaseTtlMs: LEASE_MS,
      ...(resources !== undefined && { resources }),
    });
    return id;
  }

  /** What a decision made now would be guarded by. */
  async guard(uid: string): Promise<DecisionGuard> {
    const look = await this.shard.observeJob(uid, 0);
    if (look === null) throw new Error(`no Job ${uid}`);
    return { uid, generation: look.job.generation, decisionVersion: look.decisionVersion };
  }

  async setGate(uid: string, gate: Partial<Gate> = {}): Promise<void> {
    const reply = await this.shard.judge({
      ...(await this.guard(uid)),
      judgements: [],
      gate: { ...OPEN_GATE, ...gate },
      failuresInRow: 0,
      lastFailureMs: 0,
    });
    if (reply.type !== 'judged') throw new Error(reply.type);
  }

  async openSlots(uid: string, count: number): Promise<number[]> {
    const reply = await this.shard.openSlots(await this.guard(uid), count);
    if (reply.type !== 'opened') throw new Error(reply.type);
    return reply.slots;
  }

  /** A Job with an open gate and slots, all of them run by the session. */
  async runningJob(
    session: string,
    count: number,
    over: Partial<NewJob> = {},
    gate: Partial<Gate> = {},
  ): Promise<HeldPod[]> {
    const uid = await this.createJob(over);
    await this.setGate(uid, gate);
    const slots = await this.openSlots(uid, count);
    return Promise.all(slots.map((slot) => this.acquire(uid, slot, session)));
  }

  async acquire(uid: string, slot: number, session: string, attemptsStarted = 1): Promise<HeldPod> {
    const reply = await this.shard.acquire({
      uid,
      slot,
      session,
      attemptsStarted,
      knownGeneration: 0,
    });
    if (reply.type !== 'run') throw new Error(reply.type);
    return { uid, slot, session, attemptsStarted, claim: reply.claim };
  }

  /** Reports ended pods of one session. */
  async report(pods: readonly HeldPod[], over: Partial<ReportEntry> = {}): Promise<ReportAnswer[]> {
    return this.shard.report(
      pods[0]!.session,
      pods.map((pod) => entryOf(pod, over)),
    );
  }

  async raw(uids: readonly string[] = [], sessions: readonly string[] = []): Promise<RawShard> {
    return readRaw(this.redis, this.shard.keys, uids, sessions);
  }

  async rawJob(uid: string): Promise<RawJob> {
    return (await this.raw([uid])).jobs.get(uid)!;
  }

  /** When a member is due; null = not. */
  async dueAtMs(member: string): Promise<number | null> {
    return (await this.raw()).due.get(member) ?? null;
  }

  /** Looks at everything that is due and finds nothing to do, ever. */
  async settleDue(): Promise<string[]> {
    const { taken } = await this.shard.take(100, 5000);
    for (const one of taken) await this.shard.done(one, null);
    return taken.map((one) => one.member).toSorted();
  }
}

/** A Job of 1000 completions, not Indexed. */
export function newJob(uid: string): NewJob {
  return {
    uid,
    namespace: 'default',
    name: `job-${uid}`,
    object: '{"metadata":{},"spec":{}}',
    status: '{}',
    completions: 1000,
    queue: QUEUE,
    fittingKey: LANE,
    indexed: false,
  };
}

/** How a worker reports a pod that succeeded; `over` for any other end. */
export function entryOf(pod: HeldPod, over: Partial<ReportEntry> = {}): ReportEntry {
  return {
    uid: pod.uid,
    queue: QUEUE,
    slot: pod.slot,
    attemptsStarted: pod.attemptsStarted,
    podNumber: pod.claim.podNumber,
    outcome: 'Succeeded',
    exitCode: 0,
    reason: 'Completed',
    hasLog: false,
    leave: false,
    quantumOver: false,
    overlay: null,
    ...over,
  };
}

/** A failed end. */
export const FAILED = { outcome: 'Failed', exitCode: 1, reason: 'Error' } as const;
