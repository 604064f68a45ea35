/** One history: chaos for a while, then calm, and then everything must be right. */
import { Store } from '@drover/store';
import { TestClock, uniquePrefix } from '@drover/testkit';
import type { Redis } from 'ioredis';
import { checkGrowth, violations } from '../../packages/store/test/support/invariants.ts';
import { type RawShard, readRaw } from '../../packages/store/test/support/rawState.ts';
import { ControllerActor } from './controllerActor.ts';
import { actAsUser, createJob, isAtRest, randomJob, type SimJob } from './jobs.ts';
import { Ledger } from './ledger.ts';
import { SlotQueue } from './queue.ts';
import { Random } from './random.ts';
import { wrongAtEnd } from './verdict.ts';
import { type Behaviour, LEASE_MS, WorkerActor } from './workerActor.ts';
import { type Actor, isFault, type Opportunity, World } from './world.ts';

const CHAOS_STEPS = 1_200;
/** By then every Job has ended, back-off and deadlines included. */
const CALM_MS = 15 * 60_000;
/** Some more, in which nothing may change. */
const REST_MS = 32_000;
/** Scripts that touch no Job and make nothing due sooner: most of all, and not looked at. */
const HARMLESS = /^drover_(heartbeat|takeDue|observeJob)Buffer$/;
const T0 = Date.UTC(2026, 0, 15, 12, 0, 0);

/** See the top of the file. */
export class Simulation {
  readonly seed: number;
  readonly world: World;
  readonly #random: Random;
  readonly #redis: Redis;
  readonly #store: Store;
  readonly #queue: SlotQueue;
  readonly #ledger = new Ledger();
  readonly #jobs: SimJob[] = [];
  readonly #user: Actor;
  /** How often processes die and block. */
  readonly #unrest: number;
  #controllers: ControllerActor[] = [];
  #workers: WorkerActor[] = [];
  readonly #sessions: string[] = [];
  #before: RawShard | null = null;
  #starts = 0;
  #memoryIsFull = false;
  /** What users want and have no answer for. */
  #wishes = 0;
  /** Some Jobs are cured in the calm, so that both ends are reached. */
  readonly #cured = new Set<string>();

  private constructor(seed: number, redis: Redis, store: Store, clock: TestClock) {
    this.seed = seed;
    this.#random = new Random(seed);
    this.#unrest = this.#random.pick([0.2, 1, 1, 3]);
    this.#redis = redis;
    this.#store = store;
    this.world = new World({
      random: this.#random,
      clock,
      redis,
      witness: (script, args, reply) => this.#witness(script, args, reply),
      check: (what) => this.#check(what),
    });
    this.#queue = new SlotQueue(this.world);
    this.#user = this.world.start('user');
  }

  static async open(seed: number, redis: Redis): Promise<Simulation> {
    const clock = new TestClock(T0);
    const store = await Store.open({
      redis,
      prefix: uniquePrefix(),
      testClock: clock.now,
      settings: { leaseTtlMs: LEASE_MS },
    });
    return new Simulation(seed, redis, store, clock);
  }

  get #shard() {
    return this.#store.shards[0]!;
  }

  /** @throws Error with the seed and the end of the trace. */
  async run(): Promise<void> {
    try {
      for (let i = 0; i < 2; i++) this.#startController();
      for (let i = 0; i < this.#random.between(1, 3); i++) this.#startWorker();
      const jobCount = this.#random.between(1, 4);
      for (let i = 0; i < jobCount; i++) this.#jobs.push(randomJob(this.#random, i));
      for (const job of this.#jobs) this.world.note(`${job.uid}: ${JSON.stringify(job)}`);
      await this.#chaos();
      await this.#calm();
      await this.#verdict();
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      const shown =
        process.env['SIMULATION_TRACE'] === undefined
          ? this.world.trace.slice(-60)
          : this.world.trace;
      throw new Error(`seed ${this.seed}: ${text}\n  ${shown.join('\n  ')}`, { cause: error });
    }
  }

  // Processes

  #startController(): void {
    const name = `controller${++this.#starts}`;
    this.#controllers.push(new ControllerActor(this.world, name, this.#shard, this.#queue));
  }

  #startWorker(): void {
    this.#workers.push(
      new WorkerActor({
        world: this.world,
        name: `worker${++this.#starts}`,
        shard: this.#shard,
        queue: this.#queue,
        lanes: this.#random.between(1, 4),
        behaviourOf: (uid) => this.#behaviourOf(uid),
        witness: (uid, podNumber, outcome) => this.#ledger.ended(uid, podNumber, outcome),
      }),
    );
  }

  #behaviourOf(uid: string): Behaviour {
    const { behaviour } = this.#jobs.find((job) => job.uid === uid)!;
    return this.#cured.has(uid) ? { ...behaviour, failRate: 0 } : behaviour;
  }

  #stopWorker(worker: WorkerActor): void {
    if (worker.actor.alive) this.world.kill(worker.actor);
    this.#workers = this.#workers.filter((one) => one !== worker);
  }

  // Chaos

  async #chaos(): Promise<void> {
    const toCreate = [...this.#jobs];
    for (let step = 0; step < CHAOS_STEPS; step++) {
      if (toCreate.length > 0 && this.#random.chance(0.1)) {
        const job = toCreate.shift()!;
        this.#asUser(`creates ${job.uid}`, () =>
          createJob(this.world.shardOf(this.#user, this.#shard), job),
        );
      }
      // Nothing is left to be disturbed.
      if (step % 50 === 0 && toCreate.length === 0 && (await this.#allAtRest())) break;
      await this.#disturb();
      await this.world.step(this.#opportunities(), this.#queue.nextAtMs);
    }
    for (const job of toCreate) {
      this.#asUser(`creates ${job.uid}`, () =>
        createJob(this.world.shardOf(this.#user, this.#shard), job),
      );
    }
  }

  #asUser(what: string, act: () => Promise<unknown>): void {
    this.world.note(`user ${what}`);
    this.#wishes++;
    this.world.spawn(
      (async () => {
        for (;;) {
          try {
            await act();
            this.#wishes--;
            return;
          } catch (error) {
            // Creating is idempotent, and so is the rest: users try again.
            if (!isFault(error)) throw error;
            await this.#later(200);
          }
        }
      })(),
    );
  }

  async #later(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.world.at(this.#user, this.world.nowMs + ms, resolve);
    });
  }

  async #fillMemory(isFull: boolean): Promise<void> {
    this.world.note(isFull ? 'memory is full' : 'there is memory again');
    this.#memoryIsFull = isFull;
    await this.#redis.config('SET', 'maxmemory', isFull ? '1' : '0');
  }

  async #disturb(): Promise<void> {
    const random = this.#random;
    if (random.chance(0.02) && this.#jobs.length > 0) {
      const job = random.pick(this.#jobs);
      this.#asUser(`does something with ${job.uid}`, async () => {
        const what = await actAsUser(this.world.shardOf(this.#user, this.#shard), job, random);
        this.world.note(`user ${what} ${job.uid}`);
      });
    }
    if (this.#controllers.length > 0 && random.chance(0.004 * this.#unrest)) {
      const controller = random.pick(this.#controllers);
      this.world.kill(controller.actor);
      this.#controllers = this.#controllers.filter((one) => one !== controller);
    }
    if (this.#controllers.length < 2 && random.chance(0.05)) this.#startController();
    if (this.#workers.length > 0 && random.chance(0.003 * this.#unrest))
      this.#stopWorker(random.pick(this.#workers));
    if (this.#workers.length < 3 && random.chance(0.03)) this.#startWorker();
    if (this.#workers.length > 0 && random.chance(0.002 * this.#unrest)) {
      const worker = random.pick(this.#workers);
      worker.drain(() => this.#stopWorker(worker));
    }
    const all = [...this.#workers, ...this.#controllers];
    if (all.length > 0 && random.chance(0.003 * this.#unrest)) {
      const someone = random.pick(all);
      const ms = random.pick([300, 3_000, 9_000, 20_000]);
      this.world.note(`${someone.actor.name} is blocked for ${ms} ms`);
      someone.actor.pausedUntilMs = this.world.nowMs + ms;
    }
    if (random.chance(0.001 * this.#unrest)) {
      this.world.note('the queue is lost');
      this.#queue.lose();
    }
    if (random.chance(0.003)) await this.#redis.script('FLUSH');
    if (random.chance(this.#memoryIsFull ? 0.02 : 0.001))
      await this.#fillMemory(!this.#memoryIsFull);
  }

  #opportunities(): Opportunity[] {
    if (!this.#queue.hasWaiting) return [];
    return this.#workers
      .filter((worker) => worker.hasRoom)
      .map((worker) => ({ name: `${worker.actor.name} takes a slot`, run: () => worker.take() }));
  }

  // Calm

  async #calm(): Promise<void> {
    this.world.note('calm');
    this.world.faulty = false;
    await this.#fillMemory(false);
    while (this.#controllers.length < 2) this.#startController();
    for (const { uid, first } of this.#jobs) {
      // Hundreds of failures with their back-off would take hours.
      const isLong = first.backoffLimit > 10 || first.podFailurePolicy !== null;
      if (isLong || this.#random.chance(0.5)) this.#cured.add(uid);
    }
    const stuckAtMs = this.world.nowMs + CALM_MS;
    while (!(await this.#allAtRest())) {
      if (this.world.nowMs > stuckAtMs) {
        const { jobs } = await this.#raw();
        const open = [...jobs].filter(([, job]) => job.hot !== null && job.job['finished'] !== '1');
        throw new Error(
          `stuck: ${JSON.stringify(open.map(([uid, { hot, slots }]) => ({ uid, hot, slots })))}`,
        );
      }
      await this.#pass(1_000);
    }
    await this.#pass(REST_MS);
  }

  /** Lets the time go on by so much, and everything happen that is due meanwhile. */
  async #pass(ms: number): Promise<void> {
    const clock = { isOver: false };
    this.world.at(this.#user, this.world.nowMs + ms, () => {
      clock.isOver = true;
    });
    while (!clock.isOver) {
      // One that drains may still leave.
      while (this.#workers.length < 2) this.#startWorker();
      await this.world.step(this.#opportunities(), this.#queue.nextAtMs);
    }
  }

  async #allAtRest(): Promise<boolean> {
    // What users have asked for and did not get yet may change everything.
    if (this.#wishes > 0) return false;
    for (const { uid, first } of this.#jobs) {
      if (!isAtRest(await this.#shard.getJobByUid(uid), first)) return false;
    }
    return true;
  }

  // Checks

  #witness(script: string, args: readonly unknown[], reply: unknown): void {
    if (script === 'registerSession') {
      const id = String(args[1 + Number(args[0]) + 2]);
      if (!this.#sessions.includes(id)) this.#sessions.push(id);
    }
    this.#ledger.witness(script, args, reply);
  }

  async #raw(): Promise<RawShard> {
    const uids = this.#jobs.map((job) => job.uid);
    return readRaw(this.#redis, this.#shard.keys, uids, this.#sessions);
  }

  async #check(what: string): Promise<void> {
    if (HARMLESS.test(what)) return;
    const after = await this.#raw();
    const found = violations(after);
    if (this.#before !== null) found.push(...checkGrowth(this.#before, after));
    if (found.length > 0) throw new Error(`after ${what}: ${found.join('; ')}`);
    const head = Math.min(...after.due.values());
    const headBefore = Math.min(...(this.#before?.due.values() ?? []));
    this.#before = after;
    if (head >= headBefore) return;
    // Redis tells all controllers, but a message may get lost.
    for (const controller of this.#controllers) {
      if (!this.world.faulty || this.#random.chance(0.85))
        controller.wake(Math.max(head, this.world.nowMs));
    }
  }

  async #verdict(): Promise<void> {
    const wrong: string[] = [];
    for (const job of this.#jobs) {
      for (const text of await wrongAtEnd(this.#shard, job, this.#ledger))
        wrong.push(`${job.uid}: ${text}`);
    }
    const raw = await this.#raw();
    for (const [uid, job] of raw.jobs) {
      const rests = job.hot === null || job.job['finished'] === '1';
      if (rests && raw.due.has(`job:${uid}`)) wrong.push(`${uid} is over, but due`);
    }
    for (const worker of this.#workers) {
      if (worker.isBusy) wrong.push(`${worker.actor.name} still holds a slot`);
    }
    if (this.#queue.hasWaiting || Number.isFinite(this.#queue.nextAtMs))
      wrong.push('the queue is not empty');
    if (wrong.length > 0) throw new Error(wrong.join('; '));
  }
}
