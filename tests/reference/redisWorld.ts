/** One Job on a real Redis, under the real reconciler, its pods run by sessions of the test's. */
import { randomUUID } from 'node:crypto';
import {
  COMPLETION_INDEX_LABEL,
  formatIndexIntervals,
  type JobStatus,
  parseTime,
  NO_PRIORITY,
} from '@drover/shared';
import { newSessionId, type Shard, type SlotRecord } from '@drover/store';
import { pino } from 'pino';
import { JobReconciler } from '../../packages/controller/src/reconcile.ts';
import type { PodEnd, PodRef, Side, Spec, View } from './spec.ts';

const LANE = 'default/process';
const QUEUE = 'default.process';
const RESYNC_MS = 30_000;

/** A pod that has not ended, and what it is stored with: the Job, or a pod without a Job that the Job has adopted. */
interface Located {
  readonly uid: string;
  readonly slot: SlotRecord;
  readonly index: number;
}

/** See the top of the file. */
export class RedisWorld implements Side<Promise<void>> {
  readonly #shard: Shard;
  readonly #uid = randomUUID();
  readonly #reconciler: JobReconciler;
  #spec: Spec;
  #hasWorkers = false;
  /** Pods without a Job that it adopts, with their indexes. */
  readonly #hosts = new Map<string, number>();
  /** Pods that a report gave out at this very time: Kubernetes would have looked first. */
  readonly #fresh = new Set<number>();

  private constructor(shard: Shard, spec: Spec) {
    this.#shard = shard;
    this.#spec = spec;
    this.#reconciler = new JobReconciler({
      shard,
      offers: { offer: async () => {} },
      priorities: { refresh: () => {}, of: async () => NO_PRIORITY, inQueue: async () => null },
      backoff: { baseMs: 10_000, capMs: 600_000 },
      resyncMs: RESYNC_MS,
      kept: { trim: async () => false, finished: async () => {} },
      events: { record: () => {} },
      logger: pino({ level: 'silent' }),
    });
  }

  /**
   * @param adopted - Indexes of pods without a Job that run before it comes, and that it adopts.
   * @param pass - Lets a second go by.
   */
  static async create(
    shard: Shard,
    spec: Spec,
    adopted: readonly number[] = [],
    pass: () => void = () => {},
  ): Promise<RedisWorld> {
    const world = new RedisWorld(shard, spec);
    for (const index of adopted) {
      await world.#createPod(index);
      pass();
    }
    const job = { uid: world.#uid, object: world.#objectOf(spec), completions: spec.completions };
    await shard.createJob({ ...placed(job), indexed: spec.indexed });
    return world;
  }

  async #createPod(index: number): Promise<void> {
    const uid = randomUUID();
    this.#hosts.set(uid, index);
    const annotations = { [COMPLETION_INDEX_LABEL]: String(index) };
    const spec = {
      parallelism: 1,
      completions: 1,
      backoffLimit: 0,
      template: { metadata: {}, spec: { restartPolicy: 'Never', containers: [{ name: 'main' }] } },
    };
    const object = JSON.stringify({ metadata: { labels: this.#labels, annotations }, spec });
    await this.#shard.createJob({ ...placed({ uid, object, completions: 1 }), bare: true });
    await this.#reconciler.reconcile(uid);
    await this.#startPods(uid);
  }

  get #labels(): Readonly<Record<string, string>> {
    return { job: this.#uid };
  }

  #objectOf(spec: Spec): string {
    return objectOf(spec, this.#hosts.size > 0 ? this.#labels : null);
  }

  async bringWorkers(): Promise<void> {
    this.#hasWorkers = true;
  }

  async end(ref: PodRef, { exitCodes, drained }: PodEnd): Promise<void> {
    const exitCode = exitCodes.find((code) => code !== 0) ?? 0;
    await this.#report(await this.#find(ref), exitCode, drained);
  }

  async lose(ref: PodRef): Promise<void> {
    const { uid, slot } = await this.#find(ref);
    await this.#shard.expireSession(slot.session, { force: true });
    await this.#shard.endLostPods(slot.session, uid, [slot.slot]);
  }

  async remove(ref: PodRef): Promise<void> {
    const { uid, slot } = await this.#find(ref);
    if (uid !== this.#uid) await this.#shard.deleteJob(uid, { policy: 'Foreground' });
    else await this.#shard.stopPods({ uid, guard: null, pods: [slot], countAs: 'unjudged' });
  }

  async restart(ref: PodRef): Promise<void> {
    const { uid, slot: held } = await this.#find(ref);
    const { slot, podNumber, session, restarts } = held;
    const told = { uid, slot, podNumber, session, restarts: restarts + 1 };
    await this.#shard.recordRestart(told);
  }

  async edit(change: Partial<Spec>): Promise<void> {
    this.#spec = { ...this.#spec, ...change };
    await this.#shard.updateJob({
      uid: this.#uid,
      expectedResourceVersion: null,
      object: this.#objectOf(this.#spec),
      specChanged: true,
      completions: this.#spec.completions,
      queue: QUEUE,
      fittingKey: LANE,
    });
  }

  /** Lets everything happen that happens now without anybody's doing. */
  async settle(nowMs: number): Promise<void> {
    for (let round = 0; ; round++) {
      if (round === 20) throw new Error('the reconciler does not come to rest');
      for (const host of this.#hosts.keys()) await this.#reconciler.reconcile(host);
      const nextAtMs = await this.#reconciler.reconcile(this.#uid);
      const isDue = nextAtMs !== null && nextAtMs <= nowMs;
      const hasStarted = this.#hasWorkers && (await this.#startPods(this.#uid));
      if (!(await this.#endFresh()) && !hasStarted && !isDue && round >= this.#restRounds) break;
    }
    this.#fresh.clear();
  }

  async view(): Promise<View> {
    const job = (await this.#shard.getJobByUid(this.#uid))!;
    const pods = await this.#located();
    const status = JSON.parse(job.status) as JobStatus;
    const { completions, indexed, backoffLimitPerIndex } = this.#spec;
    // Of a finished Job what is written stands, whatever its spec says since.
    const end = job.finished ? Number.POSITIVE_INFINITY : (completions ?? 0);
    const text = (bitmap: Buffer): string =>
      formatIndexIntervals(bitmap, Math.min(end, 8 * bitmap.length));
    const { active, running, terminating, succeeded, failed } = job.counters;
    return {
      conditions: (status.conditions ?? []).map((one) => ({
        type: one.type,
        status: one.status,
        reason: one.reason ?? '',
        message: (one.message ?? '').replace(/(for pod|^Pod) \S+/, '$1 POD'),
        sinceMs: parseTime(one.lastTransitionTime)!,
      })),
      startMs: parseTime(status.startTime),
      completionMs: parseTime(status.completionTime),
      active,
      ready: running,
      terminating,
      succeeded,
      failed,
      completedIndexes: indexed ? text(await this.#shard.doneBitmap(this.#uid)) : '',
      failedIndexes:
        backoffLimitPerIndex === null ? null : text(await this.#shard.failedBitmap(this.#uid)),
      pods: pods
        .map(({ index, slot }) => `${index} ${isTold(slot) ? 'Terminating' : slot.phase}`)
        .toSorted(),
    };
  }

  /** What was told to a pod that was adopted comes to its worker by way of its host: one more look at both. */
  get #restRounds(): number {
    return this.#hosts.size > 0 ? 2 : 0;
  }

  async #located(): Promise<Located[]> {
    const own = (await this.#shard.allSlots(this.#uid)).map((slot) => ({
      uid: this.#uid,
      slot,
      index: slot.index,
    }));
    const adopted = await Promise.all(
      [...this.#hosts].map(async ([uid, index]) =>
        (await this.#shard.allSlots(uid)).map((slot) => ({ uid, slot, index })),
      ),
    );
    return [...own, ...adopted.flat()];
  }

  async #find({ index, terminating, at }: PodRef): Promise<Located> {
    const found = (await this.#located()).filter(
      (one) => one.index === index && isTold(one.slot) === terminating,
    );
    return found.toSorted(
      (a, b) => a.slot.createdMs - b.slot.createdMs || a.slot.podNumber - b.slot.podNumber,
    )[at]!;
  }

  async #startPods(uid: string): Promise<boolean> {
    const pending = (await this.#shard.allSlots(uid)).filter((one) => one.phase === 'Pending');
    let hasStarted = false;
    for (const { slot, attemptsStarted } of pending) {
      const session = newSessionId();
      const worker = { id: session, node: session, lanes: { [LANE]: 1 }, leaseTtlMs: 6_000 };
      await this.#shard.registerSession(worker);
      const asked = { uid, slot, session, knownGeneration: 0 };
      const answer = await this.#shard.acquire({ ...asked, attemptsStarted: attemptsStarted + 1 });
      hasStarted ||= answer.type === 'run';
    }
    return hasStarted;
  }

  async #endFresh(): Promise<boolean> {
    if (this.#fresh.size === 0) return false;
    const told = (await this.#shard.allSlots(this.#uid)).filter(
      ({ phase, podNumber }) => phase === 'Stopping' && this.#fresh.has(podNumber),
    );
    const uid = this.#uid;
    for (const slot of told) await this.#report({ uid, slot }, 143, false);
    return told.length > 0;
  }

  async #report(
    { uid, slot }: Pick<Located, 'uid' | 'slot'>,
    exitCode: number,
    drained: boolean,
  ): Promise<void> {
    const [answer] = await this.#shard.report(slot.session, [
      {
        uid,
        queue: QUEUE,
        slot: slot.slot,
        attemptsStarted: slot.attemptsStarted,
        podNumber: slot.podNumber,
        outcome: exitCode === 0 ? 'Succeeded' : 'Failed',
        exitCode,
        reason: drained ? 'Drained' : exitCode === 0 ? 'Completed' : 'Error',
        hasLog: false,
        leave: drained,
        quantumOver: false,
        overlay: null,
      },
    ]);
    if (answer?.type === 'next') this.#fresh.add(answer.claim.podNumber);
  }
}

function isTold({ phase }: SlotRecord): boolean {
  return phase === 'Stopping';
}

function placed(job: { uid: string; object: string; completions: number | null }) {
  const names = { namespace: 'default', name: `job-${job.uid}` };
  return { ...job, ...names, status: '{}', queue: QUEUE, fittingKey: LANE, indexed: false };
}

/** @param labels - What it selects, when it adopts pods. */
function objectOf(
  { indexed, failureRules, successRules, containers, ...spec }: Spec,
  labels: Readonly<Record<string, string>> | null,
): string {
  const { restartPolicy, ...others } = spec;
  const given = Object.entries(others).filter(([, value]) => value !== null);
  return JSON.stringify({
    metadata: {},
    spec: {
      ...Object.fromEntries(given),
      completionMode: indexed ? 'Indexed' : 'NonIndexed',
      ...(failureRules !== null && { podFailurePolicy: { rules: failureRules } }),
      ...(successRules !== null && { successPolicy: { rules: successRules } }),
      ...(labels !== null && { manualSelector: true, selector: { matchLabels: labels } }),
      template: {
        metadata: labels === null ? {} : { labels },
        spec: { restartPolicy, containers: containers.map((name) => ({ name })) },
      },
    },
  });
}
