/** A store on a real Redis with a clock of the test's, and stand-ins for worker and due loop. */
import { randomUUID } from 'node:crypto';
import {
  HOLD_ANNOTATION,
  KEPT_PODS_ANNOTATION,
  WORK_QUEUE_ANNOTATION,
  type JobStatus,
  type OwnerReference,
  NO_PRIORITY,
} from '@drover/shared';
import {
  type Claim,
  EventRecorder,
  newSessionId,
  type NewEvent,
  type PodOverlay,
  type PodReason,
  type ReportAnswer,
  type Shard,
  Store,
} from '@drover/store';
import { startRedis, TestClock, type TestRedis, uniquePrefix } from '@drover/testkit';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { reconcileOwner } from '../src/garbage.ts';
import { KeptPodsKeeper, type KeptPodsLimits } from '../src/keptPods.ts';
import { JobReconciler, type ReconcileShard } from '../src/reconcile.ts';
import { reconcileSession } from '../src/sessions.ts';

/** A whole second. */
export const T0 = Date.UTC(2026, 0, 15, 12, 0, 0);
const HEARTBEAT_MS = 1500;
/** The fitting key of all test Jobs. */
export const LANE = 'default/handler/work';
/** The slot queue of all test Jobs. */
export const QUEUE = 'default.handler';
export const silent = pino({ level: 'silent' });

/** Fields of a Job's spec as users write them. */
export interface SpecInput {
  parallelism?: number;
  completions?: number;
  completionMode?: 'Indexed' | 'NonIndexed';
  backoffLimit?: number;
  backoffLimitPerIndex?: number;
  maxFailedIndexes?: number;
  podReplacementPolicy?: 'Failed' | 'TerminatingOrFailed';
  podFailurePolicy?: { rules: object[] };
  successPolicy?: { rules: object[] };
  managedBy?: string;
  /** Further fields of the pod template's spec. */
  podSpec?: object;
  activeDeadlineSeconds?: number;
  ttlSecondsAfterFinished?: number;
  suspend?: boolean;
  restartPolicy?: 'Never' | 'OnFailure';
  /** Annotation `drover.dev/hold`. */
  hold?: boolean;
  /** Annotation `drover.dev/kept-pods`. */
  keptPods?: number;
  /** Annotation `drover.dev/work-queue`. */
  workQueue?: string;
  /** As Kubernetes generates it. */
  selector?: object;
  /** Labels of its template, and its selector by hand. */
  select?: Readonly<Record<string, string>>;
}

/** What else a test says about a Job. */
export interface MetadataInput {
  uid?: string;
  finalizers?: string[];
  owners?: OwnerReference[];
}

/** A pod in the hands of a {@link FakeWorker}. */
export interface RunningPod {
  readonly uid: string;
  readonly slot: number;
  claim: Claim;
}

/** One test file's Redis, clock and shard. */
export class TestBed {
  readonly redis: TestRedis;
  readonly clock: TestClock;
  readonly store: Store;
  readonly shard: Shard;
  readonly #workers: FakeWorker[] = [];

  private constructor(redis: TestRedis, clock: TestClock, store: Store) {
    this.redis = redis;
    this.clock = clock;
    this.store = store;
    this.shard = store.shards[0]!;
  }

  static async open(): Promise<TestBed> {
    const redis = await startRedis({ unixSocket: true });
    const clock = new TestClock(T0);
    return new TestBed(redis, clock, await TestBed.#openStore(redis, clock));
  }

  /**
   * Opens a server for all tests of a file, and a bed with fresh keys for each of them.
   *
   * @param prepare - Takes the bed before each test.
   */
  static forEachTest(prepare: (bed: TestBed) => void | Promise<void>): void {
    let server: TestBed;
    beforeAll(async () => {
      server = await TestBed.open();
    });
    afterAll(() => server.redis.stop());
    beforeEach(async () => {
      await prepare(await server.fresh());
    });
  }

  /** The same server with fresh keys and the clock at T0. */
  async fresh(): Promise<TestBed> {
    const clock = new TestClock(T0);
    return new TestBed(this.redis, clock, await TestBed.#openStore(this.redis, clock));
  }

  static async #openStore(redis: TestRedis, clock: TestClock): Promise<Store> {
    return Store.open({
      redis: redis.connect(),
      prefix: uniquePrefix(),
      testClock: clock.now,
      settings: { leaseTtlMs: 6000, resyncMs: 30_000 },
    });
  }

  /** The shard over a connection of its own. */
  otherShard(): Shard {
    return this.shard.on(this.redis.connect());
  }

  async createJob(spec: SpecInput = {}, metadata: MetadataInput = {}): Promise<string> {
    const { uid = randomUUID(), finalizers = [], owners = [] } = metadata;
    await this.shard.createJob({
      uid,
      namespace: 'default',
      name: `job-${uid}`,
      object: objectOf(spec, owners),
      finalizers,
      owners: owners.map((owner) => ({
        uid: owner.uid,
        blocks: owner.blockOwnerDeletion === true,
      })),
      status: '{}',
      completions: completionsOf(spec),
      queue: QUEUE,
      fittingKey: LANE,
      indexed: spec.completionMode === 'Indexed',
    });
    return uid;
  }

  /** A pod without a Job. */
  async createPod(
    metadata: {
      readonly labels?: object;
      readonly annotations?: object;
      ownerReferences?: object[];
    },
    uid: string = randomUUID(),
  ): Promise<string> {
    const spec = {
      parallelism: 1,
      completions: 1,
      backoffLimit: 0,
      template: {
        metadata: {},
        spec: {
          restartPolicy: 'Never',
          terminationGracePeriodSeconds: 30,
          containers: [{ name: 'main' }],
        },
      },
    };
    await this.shard.createJob({
      uid,
      namespace: 'default',
      name: `pod-${uid}`,
      bare: true,
      object: JSON.stringify({ metadata, spec }),
      status: '{}',
      completions: 1,
      indexed: false,
      queue: QUEUE,
      fittingKey: LANE,
    });
    return uid;
  }

  async updateJob(uid: string, spec: SpecInput): Promise<void> {
    await this.shard.updateJob({
      uid,
      expectedResourceVersion: null,
      object: objectOf(spec),
      specChanged: true,
      completions: completionsOf(spec),
      queue: QUEUE,
      fittingKey: LANE,
    });
  }

  async status(uid: string): Promise<JobStatus> {
    const job = await this.shard.getJobByUid(uid);
    if (job === null) throw new Error(`no Job ${uid}`);
    return JSON.parse(job.status) as JobStatus;
  }

  async counters(uid: string) {
    const job = await this.shard.getJobByUid(uid);
    if (job === null) throw new Error(`no Job ${uid}`);
    return job.counters;
  }

  /** A controller of which every step is the test's to make. */
  controller(shard: ReconcileShard = this.shard, limits?: KeptPodsLimits): TestController {
    return new TestController(this, shard, undefined, limits);
  }

  /** A worker with so many lanes. */
  async worker(lanes = 100): Promise<FakeWorker> {
    const worker = new FakeWorker(this.shard);
    this.#workers.push(worker);
    await this.shard.registerSession({
      id: worker.session,
      node: 'node-1',
      lanes: { [LANE]: lanes },
      leaseTtlMs: 6000,
    });
    return worker;
  }

  /** Lets controllers do all that is due now. */
  async settle(...controllers: TestController[]): Promise<void> {
    for (let round = 0; round < 100; round++) {
      const { taken } = await this.shard.take(50, 5000);
      if (taken.length === 0) return;
      for (const one of taken) {
        const controller = controllers[round % controllers.length]!;
        await this.shard.done(one, await controller.look(one.member));
      }
    }
    throw new Error('there is always more to do');
  }

  /** Moves the clock, in steps of a heartbeat, and lets controllers do what has become due. */
  async pass(ms: number, ...controllers: TestController[]): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= HEARTBEAT_MS) {
      this.clock.advance(Math.min(leftMs, HEARTBEAT_MS));
      for (const worker of this.#workers) if (worker.isAlive) await worker.heartbeat();
      await this.settle(...controllers);
    }
  }
}

/** How many Pending slots are named of a Job that is looked at as it is taken: fewer than it may have. */
const PENDING_SEEN = 2;

/** A controller without loop and queues. */
export class TestController {
  /** Slots that were offered, in that order. */
  readonly offered: number[] = [];
  /** Those of them that were called back, should a worker have laid them aside. */
  readonly offeredAgain: number[] = [];
  readonly jobs: JobReconciler;
  /** Bounds on what is kept of pods. */
  readonly kept: KeptPodsKeeper;
  /** What it told; `writeEvents` writes it. */
  readonly told: NewEvent[] = [];
  readonly #bed: TestBed;
  #looks = 0;

  /** @param offer - Instead of a queue. */
  constructor(
    bed: TestBed,
    shard: ReconcileShard,
    offer: (slots: readonly number[]) => Promise<void> = async () => {},
    limits: KeptPodsLimits = { perJob: 100_000, ofShard: 1_000_000 },
  ) {
    this.#bed = bed;
    this.kept = new KeptPodsKeeper(bed.shard, limits, silent);
    this.jobs = new JobReconciler({
      shard,
      offers: {
        offer: async (_job, _shard, slots, _priority, isAgain) => {
          this.offered.push(...slots);
          if (isAgain === true) this.offeredAgain.push(...slots);
          await offer(slots);
        },
      },
      priorities: { refresh: () => {}, of: async () => NO_PRIORITY, inQueue: async () => null },
      backoff: { baseMs: 10_000, capMs: 600_000 },
      resyncMs: 30_000,
      kept: this.kept,
      events: { record: (event) => void this.told.push(event) },
      logger: silent,
    });
  }

  /** Writes what was told and is not written yet. */
  async writeEvents(): Promise<void> {
    const recorder = new EventRecorder({
      events: this.#bed.shard.events,
      onLost: (_count, error) => {
        throw error instanceof Error ? error : new Error('events were lost');
      },
    });
    for (const event of this.told.splice(0)) recorder.record(event);
    await recorder.flush();
  }

  /** One look at a member of the due set. */
  async look(member: string): Promise<number | null> {
    const [kind, id] = member.split(':') as [string, string];
    if (kind === 'session') return reconcileSession(this.#bed.shard, id, silent);
    if (kind === 'kept') return this.kept.reckon();
    if (kind === 'gc') return reconcileOwner(this.#bed.shard, id, silent);
    // Every other one was looked at as it was taken.
    this.#looks += 1;
    const seen = this.#looks % 2 === 0 ? await this.#bed.shard.observeJob(id, PENDING_SEEN) : null;
    return this.jobs.reconcile(id, '', seen);
  }
}

/** A worker that runs pods when the test says so. */
export class FakeWorker {
  readonly session = newSessionId();
  /** Set to false to let its lease run out. */
  isAlive = true;
  readonly #shard: Shard;
  /** Deliveries of each slot so far, as BullMQ counts them. */
  readonly #deliveries = new Map<string, number>();
  /** Deliveries of the slots that it holds, or held last. */
  readonly #held = new Map<string, number>();

  constructor(shard: Shard) {
    this.#shard = shard;
  }

  /** Takes a slot that was offered; null when there is nothing to run in it. */
  async acquire(uid: string, slot: number): Promise<RunningPod | null> {
    const { session } = this;
    const key = `${uid}:${slot}`;
    const attemptsStarted = (this.#deliveries.get(key) ?? 0) + 1;
    this.#deliveries.set(key, attemptsStarted);
    const reply = await this.#shard.acquire({
      uid,
      slot,
      attemptsStarted,
      session,
      knownGeneration: 1,
    });
    if (reply.type !== 'run') return null;
    this.#held.set(key, attemptsStarted);
    return { uid, slot, claim: reply.claim };
  }

  /** Takes every Pending slot of a Job. */
  async acquireAll(uid: string): Promise<RunningPod[]> {
    const pods: RunningPod[] = [];
    for (const slot of await this.#shard.allSlots(uid)) {
      if (slot.phase !== 'Pending') continue;
      const pod = await this.acquire(uid, slot.slot);
      if (pod !== null) pods.push(pod);
    }
    return pods;
  }

  async succeed(pod: RunningPod, { hasLog = false } = {}): Promise<ReportAnswer> {
    return this.#report(pod, 'Succeeded', 'Completed', 0, null, hasLog);
  }

  async fail(
    pod: RunningPod,
    reason: PodReason = 'Error',
    { exitCode = 1, overlay = null }: { exitCode?: number; overlay?: PodOverlay | null } = {},
  ): Promise<ReportAnswer> {
    return this.#report(pod, 'Failed', reason, exitCode, overlay);
  }

  /** Runs pods until no slot of the Job gives one. Answers how many ended. */
  async runAll(pods: RunningPod[], maxCount = Number.POSITIVE_INFINITY): Promise<number> {
    let count = 0;
    const queue = [...pods];
    while (queue.length > 0 && count < maxCount) {
      const pod = queue.shift()!;
      const answer = await this.succeed(pod);
      count++;
      if (answer.type === 'next') queue.push({ ...pod, claim: answer.claim });
    }
    return count;
  }

  async heartbeat(): ReturnType<Shard['heartbeat']> {
    return this.#shard.heartbeat(this.session);
  }

  async #report(
    { uid, slot, claim }: RunningPod,
    outcome: 'Succeeded' | 'Failed',
    reason: PodReason,
    exitCode: number,
    overlay: PodOverlay | null = null,
    hasLog = false,
  ): Promise<ReportAnswer> {
    const [answer] = await this.#shard.report(this.session, [
      {
        uid,
        queue: QUEUE,
        slot,
        podNumber: claim.podNumber,
        attemptsStarted: this.#held.get(`${uid}:${slot}`) ?? 1,
        outcome,
        exitCode,
        reason,
        hasLog,
        leave: false,
        quantumOver: false,
        overlay,
      },
    ]);
    return answer!;
  }
}

function completionsOf(spec: SpecInput): number | null {
  return spec.completions ?? (spec.parallelism === undefined ? 1 : null);
}

/** A reference to a Job of the bed. */
export function ownedBy(uid: string, blockOwnerDeletion = true): OwnerReference {
  return { apiVersion: 'batch/v1', kind: 'Job', name: `job-${uid}`, uid, blockOwnerDeletion };
}

function objectOf(
  {
    restartPolicy = 'Never',
    hold = false,
    workQueue,
    keptPods,
    podSpec,
    select,
    ...spec
  }: SpecInput,
  ownerReferences: readonly OwnerReference[] = [],
): string {
  const completions = completionsOf(spec);
  return JSON.stringify({
    metadata: {
      annotations: {
        ...(hold ? { [HOLD_ANNOTATION]: 'true' } : {}),
        ...(keptPods === undefined ? {} : { [KEPT_PODS_ANNOTATION]: String(keptPods) }),
        ...(workQueue === undefined ? {} : { [WORK_QUEUE_ANNOTATION]: workQueue }),
      },
      ...(ownerReferences.length > 0 && { ownerReferences }),
    },
    spec: {
      parallelism: 1,
      backoffLimit: 6,
      completionMode: 'NonIndexed',
      suspend: false,
      ...spec,
      ...(completions !== null && { completions }),
      ...(select !== undefined && { manualSelector: true, selector: { matchLabels: select } }),
      template: {
        metadata: select === undefined ? {} : { labels: select },
        spec: { restartPolicy, containers: [{ name: 'main' }], ...podSpec },
      },
    },
  });
}
