/** Controllers that work on the same Jobs at the same moment, beside a worker and a user. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { afterAll, beforeAll, test } from 'vitest';
import { type RunningPod, type SpecInput, TestBed } from './bed.ts';

let server: TestBed;

beforeAll(async () => {
  server = await TestBed.open();
});
afterAll(() => server.redis.stop());

type Action =
  | { type: 'acquire' }
  | { type: 'succeed'; pick: number }
  | { type: 'fail'; pick: number }
  | { type: 'deletePod'; pick: number }
  | { type: 'scale'; parallelism: number }
  | { type: 'suspend'; suspend: boolean }
  | { type: 'wait'; ms: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ type: 'acquire' as const }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('succeed' as const), pick: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('fail' as const), pick: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('deletePod' as const), pick: fc.nat(9) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('scale' as const), parallelism: fc.nat(6) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('suspend' as const), suspend: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('wait' as const),
      ms: fc.integer({ min: 1, max: 1400 }),
    }),
  },
);

test('three controllers at once: parallelism holds, counts are exact, and the Job completes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 12 }),
      fc.boolean(),
      fc.array(fc.tuple(action, fc.boolean()), { maxLength: 40 }),
      async (parallelism, completions, indexed, steps) => {
        await new History(await server.fresh(), {
          parallelism,
          completions,
          backoffLimit: 1000,
          completionMode: indexed ? 'Indexed' : 'NonIndexed',
        }).play(steps);
      },
    ),
    { numRuns: 60 },
  );
}, 120_000);

/** One Job, its worker, its user, and three controllers. */
class History {
  readonly #bed: TestBed;
  #spec: SpecInput;
  #uid = '';
  /** Pods that the worker runs; those that were told to stop are in here as well. */
  readonly #running: RunningPod[] = [];
  #failedCount = 0;
  readonly #deleted = new Set<number>();

  constructor(bed: TestBed, spec: SpecInput) {
    this.#bed = bed;
    this.#spec = spec;
  }

  async play(steps: [Action, boolean][]): Promise<void> {
    const bed = this.#bed;
    const controllers = [
      bed.controller(bed.otherShard()),
      bed.controller(bed.otherShard()),
      bed.controller(bed.otherShard()),
    ];
    const reconcile = async () => {
      await Promise.all(controllers.map((one) => one.jobs.reconcile(this.#uid)));
    };
    const worker = await bed.worker(100);
    this.#uid = await bed.createJob(this.#spec);

    for (const [step, together] of steps) {
      // At once with the controllers, or before them.
      const act = this.#act(step, worker);
      if (!together) await act;
      await Promise.all([act, reconcile()]);
      await this.#check();
      await worker.heartbeat();
    }

    await this.#update({ ...this.#spec, parallelism: 3, suspend: false });
    for (let round = 0; round < 300; round++) {
      await reconcile();
      if ((await bed.shard.getJobByUid(this.#uid))?.finished) break;
      this.#running.push(...(await worker.acquireAll(this.#uid)));
      for (const pod of this.#running.splice(0)) {
        const answer = await worker.succeed(pod);
        if (answer.type === 'next') this.#running.push({ ...pod, claim: answer.claim });
      }
      await this.#check();
      bed.clock.advance(1000);
      await worker.heartbeat();
    }
    await this.#checkEnd();
  }

  async #act(step: Action, worker: Awaited<ReturnType<TestBed['worker']>>): Promise<void> {
    const take = (pick: number): RunningPod | undefined =>
      this.#running.splice(pick % Math.max(1, this.#running.length), 1)[0];
    switch (step.type) {
      case 'acquire':
        this.#running.push(...(await worker.acquireAll(this.#uid)));
        return;
      case 'succeed': {
        const pod = take(step.pick);
        if (pod === undefined) return;
        const answer = await worker.succeed(pod);
        if (answer.type === 'next') this.#running.push({ ...pod, claim: answer.claim });
        return;
      }
      case 'fail': {
        const pod = take(step.pick);
        if (pod !== undefined) await worker.fail(pod);
        return;
      }
      case 'deletePod': {
        const slots = await this.#bed.shard.allSlots(this.#uid);
        const slot = slots[step.pick % Math.max(1, slots.length)];
        if (slot === undefined) return;
        const pods = [slot];
        await this.#bed.shard.stopPods({ uid: this.#uid, guard: null, pods, countAs: 'unjudged' });
        this.#deleted.add(slot.podNumber);
        return;
      }
      case 'scale':
        await this.#update({ ...this.#spec, parallelism: step.parallelism });
        return;
      case 'suspend':
        await this.#update({ ...this.#spec, suspend: step.suspend });
        return;
      case 'wait':
        this.#bed.clock.advance(step.ms);
        return;
    }
  }

  async #update(spec: SpecInput): Promise<void> {
    this.#spec = spec;
    await this.#bed.updateJob(this.#uid, spec);
  }

  /** What must hold at every moment. */
  async #check(): Promise<void> {
    const counters = await this.#bed.counters(this.#uid);
    const slots = await this.#bed.shard.allSlots(this.#uid);
    const active = slots.filter((slot) => slot.phase !== 'Stopping');
    assert.deepEqual(
      [counters.active, counters.running, counters.terminating],
      [
        active.length,
        slots.filter((slot) => slot.phase === 'Running').length,
        slots.length - active.length,
      ],
    );
    // Controllers had the last word, so a lowered limit holds too.
    const { parallelism = 1, completions = 1, suspend = false } = this.#spec;
    const most = suspend ? 0 : Math.min(parallelism, completions - counters.succeeded);
    assert(active.length <= most, `${active.length} active pods, at most ${most} are allowed`);
    const indexes = new Set(active.map((slot) => slot.index));
    assert.equal(indexes.size, active.length, 'an index runs twice');
    assert(counters.failed >= this.#failedCount, 'failed went down');
    this.#failedCount = counters.failed;
  }

  async #checkEnd(): Promise<void> {
    const { completions = 1, completionMode } = this.#spec;
    const status = await this.#bed.status(this.#uid);
    assert.deepEqual(
      status.conditions?.map((one) => one.type).filter((type) => type !== 'Suspended'),
      ['SuccessCriteriaMet', 'Complete'],
    );
    assert.equal(status.succeeded, completions);
    const { pods } = await this.#bed.shard.listPods(this.#uid, { limit: 10_000 });
    const failed = pods.filter((pod) => pod.kind === 'record' && pod.outcome === 'Failed');
    const recorded = new Set(failed.map((pod) => pod.podNumber));
    // A deleted pod may leave no record when nobody had it yet; it was counted all the same.
    const atLeast = [...recorded].filter((pod) => !this.#deleted.has(pod)).length;
    const atMost = new Set([...recorded, ...this.#deleted]).size;
    const count = status.failed ?? 0;
    assert(count >= atLeast && count <= atMost, `${count} is not in ${atLeast}..${atMost}`);
    if (completionMode === 'Indexed') {
      const last = completions - 1;
      const text = last === 0 ? '0' : last === 1 ? '0,1' : `0-${last}`;
      assert.equal(status.completedIndexes, text);
    }
  }
}
