/**
 * A controller that dies between any two of its steps, or right after one was done but before it
 * knew: another one takes over with nothing but the state, and the outcome is the same.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ReconcileShard } from '../src/reconcile.ts';
import { type FakeWorker, type SpecInput, TestBed, TestController } from './bed.ts';

let server: TestBed;

beforeAll(async () => {
  server = await TestBed.open();
});
afterAll(() => server.redis.stop());

class Crash extends Error {}

/** Steps that write; reads in between change nothing. */
const WRITES = new Set([
  'judge',
  'openSlots',
  'stopPods',
  'writeStatus',
  'awaitLanes',
  'markContended',
  'purgeJob',
]);

/** Dies at a step, all of a controller's steps counted together. */
class Fuse {
  readonly #at: number;
  readonly #when: 'before' | 'after';
  #count = 0;

  constructor(at: number, when: 'before' | 'after') {
    this.#at = at;
    this.#when = when;
  }

  get hasBlown(): boolean {
    return this.#count >= this.#at;
  }

  async step<T>(work: () => Promise<T>): Promise<T> {
    if (this.hasBlown) throw new Crash();
    this.#count += 1;
    const isLast = this.hasBlown;
    if (isLast && this.#when === 'before') throw new Crash();
    const result = await work();
    if (isLast) throw new Crash();
    return result;
  }

  /** The shard with its writes over this fuse. */
  wrap(shard: ReconcileShard): ReconcileShard {
    return new Proxy(shard, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target) as unknown;
        if (typeof value !== 'function') return value;
        const call = (...args: unknown[]) => Reflect.apply(value, target, args) as Promise<unknown>;
        if (!WRITES.has(String(name))) return call;
        return async (...args: unknown[]) => this.step(async () => call(...args));
      },
    });
  }
}

/** A history of a Job, as seen by its users; `settle` lets controllers work. */
interface Scenario {
  readonly name: string;
  readonly spec: SpecInput;
  readonly play: (
    stage: { bed: TestBed; uid: string; worker: FakeWorker },
    settle: () => Promise<void>,
  ) => Promise<void>;
  readonly want: object;
}

const scenarios: Scenario[] = [
  {
    name: 'a Job with a failed pod that completes',
    spec: { parallelism: 3, completions: 6 },
    play: async ({ uid, worker }, settle) => {
      await settle();
      const [first, ...others] = await worker.acquireAll(uid);
      await worker.fail(first!);
      await settle();
      await worker.runAll(others);
      await settle();
      await worker.runAll(await worker.acquireAll(uid));
    },
    want: {
      succeeded: 6,
      failed: 1,
      ready: 0,
      terminating: 0,
      conditions: [{ reason: 'CompletionsReached' }, { type: 'Complete' }],
    },
  },
  {
    name: 'a Job that fails while pods run',
    spec: { parallelism: 3, completions: 6, backoffLimit: 0 },
    play: async ({ uid, worker }, settle) => {
      await settle();
      const [first, second, third] = await worker.acquireAll(uid);
      await worker.fail(first!);
      await settle();
      await worker.succeed(second!);
      await settle();
      await worker.fail(third!);
    },
    want: {
      failed: 3,
      terminating: 0,
      conditions: [
        { type: 'FailureTarget', reason: 'BackoffLimitExceeded' },
        { type: 'Failed', reason: 'BackoffLimitExceeded' },
      ],
    },
  },
  {
    name: 'a Job that fails by a rule of its podFailurePolicy',
    spec: {
      parallelism: 2,
      completions: 4,
      podReplacementPolicy: 'Failed',
      podFailurePolicy: {
        rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } }],
      },
    },
    play: async ({ uid, worker }, settle) => {
      await settle();
      const [first, second] = await worker.acquireAll(uid);
      await worker.fail(first!, 'Error', { exitCode: 42 });
      await settle();
      await worker.fail(second!);
    },
    want: {
      failed: 2,
      terminating: 0,
      conditions: [
        { type: 'FailureTarget', reason: 'PodFailurePolicy' },
        { type: 'Failed', reason: 'PodFailurePolicy' },
      ],
    },
  },
  {
    name: 'a Job that is scaled down, suspended, resumed and completes',
    spec: { parallelism: 4, completions: 5 },
    play: async ({ bed, uid, worker }, settle) => {
      await settle();
      const pods = await worker.acquireAll(uid);
      await bed.updateJob(uid, { parallelism: 2, completions: 5 });
      await settle();
      await bed.updateJob(uid, { parallelism: 2, completions: 5, suspend: true });
      await settle();
      for (const pod of pods) await worker.fail(pod);
      await settle();
      await bed.updateJob(uid, { parallelism: 2, completions: 5 });
      await settle();
      await worker.runAll(await worker.acquireAll(uid));
    },
    want: {
      succeeded: 5,
      terminating: 0,
      conditions: [
        { type: 'Suspended', status: 'False' },
        { type: 'SuccessCriteriaMet' },
        { type: 'Complete' },
      ],
    },
  },
  {
    name: 'a Job that runs into its deadline',
    spec: { parallelism: 2, completions: 6, activeDeadlineSeconds: 60 },
    play: async ({ uid, worker }, settle) => {
      await settle();
      const [first, second] = await worker.acquireAll(uid);
      for (let i = 0; i < 5; i++) await settle();
      await worker.fail(first!);
      await worker.succeed(second!);
    },
    want: {
      failed: 2,
      conditions: [{ type: 'FailureTarget', reason: 'DeadlineExceeded' }, { type: 'Failed' }],
    },
  },
];

/** Plays a scenario with a controller that dies at a step. Answers whether it came to that. */
async function play(scenario: Scenario, at: number, when: 'before' | 'after'): Promise<boolean> {
  const bed = await server.fresh();
  const worker = await bed.worker(100);
  const uid = await bed.createJob(scenario.spec);
  const fuse = new Fuse(at, when);
  const offered = new Set<number>();
  const makeController = (shard: ReconcileShard, mine: Fuse | null): TestController =>
    new TestController(bed, shard, async (slots) => {
      const add = async () => slots.forEach((slot) => offered.add(slot));
      await (mine === null ? add() : mine.step(add));
    });
  let controller = makeController(fuse.wrap(bed.shard), fuse);
  const settle = async () => {
    // Again after the end of a taking: then what the dead one had taken comes back.
    let rounds = 3;
    for (let round = 0; round < rounds; round++) {
      try {
        await bed.settle(controller);
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        controller = makeController(bed.otherShard(), null);
        rounds = round + 3;
      }
      await worker.heartbeat();
      bed.clock.advance(5000);
    }
    // What a controller opened and did not live to offer, the next one offered.
    const pending = (await bed.shard.allSlots(uid)).filter((slot) => slot.phase === 'Pending');
    expect(pending.filter((slot) => !offered.has(slot.slot))).toEqual([]);
  };

  await scenario.play({ bed, uid, worker }, settle);
  await settle();
  const where = `${scenario.name}, dead ${when} step ${at}`;
  const { active, running, terminating, unjudged } = await bed.counters(uid);
  expect({
    where,
    status: await bed.status(uid),
    left: { active, running, terminating, unjudged },
    slots: await bed.shard.allSlots(uid),
  }).toMatchObject({
    where,
    status: scenario.want,
    left: { active: 0, running: 0, terminating: 0, unjudged: 0 },
    slots: [],
  });
  return fuse.hasBlown;
}

describe('a controller that dies between two steps', () => {
  for (const scenario of scenarios) {
    for (const when of ['before', 'after'] as const) {
      test(`${scenario.name}: dead ${when} each step`, { timeout: 60_000 }, async () => {
        let at = 1;
        while (await play(scenario, at, when)) at += 1;
        // Fewer steps than this would mean that nothing was tested.
        expect(at).toBeGreaterThan(6);
      });
    }
  }

  test('the deletion of a Job is finished by the next', async () => {
    for (let at = 1; ; at++) {
      const bed = await server.fresh();
      const worker = await bed.worker(100);
      const fuse = new Fuse(at, 'after');
      const uid = await bed.createJob({ parallelism: 3, completions: 6 });
      await bed.settle(bed.controller());
      const pods = await worker.acquireAll(uid);
      await bed.shard.deleteJob(uid);
      let controller = bed.controller(fuse.wrap(bed.shard));
      for (let round = 0; round < 4; round++) {
        await bed.settle(controller).catch((error: unknown) => {
          if (!(error instanceof Crash)) throw error;
          controller = bed.controller();
        });
        if (round === 1) for (const pod of pods) await worker.fail(pod);
        bed.clock.advance(5000);
        await worker.heartbeat();
      }
      expect(await bed.shard.getJobByUid(uid)).toBeNull();
      if (!fuse.hasBlown) break;
    }
  });
});
