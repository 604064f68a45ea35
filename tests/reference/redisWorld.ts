/** One Job on a real Redis, under the real reconciler, its pods run by sessions of the test's. */
import { randomUUID } from 'node:crypto';
import { formatIndexIntervals, type JobStatus, parseTime, NO_PRIORITY } from '@drover/shared';
import { newSessionId, type Shard, type SlotRecord } from '@drover/store';
import { pino } from 'pino';
import { JobReconciler } from '../../packages/controller/src/reconcile.ts';
import type { PodEnd, PodRef, Side, Spec, View } from './spec.ts';

const LANE = 'default/process';
const QUEUE = 'default.process';
const RESYNC_MS = 30_000;

/** See the top of the file. */
export class RedisWorld implements Side<Promise<void>> {
  readonly #shard: Shard;
  readonly #uid = randomUUID();
  readonly #reconciler: JobReconciler;
  #spec: Spec;
  #hasWorkers = false;
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

  static async create(shard: Shard, spec: Spec): Promise<RedisWorld> {
    const world = new RedisWorld(shard, spec);
    await shard.createJob({
      uid: world.#uid,
      namespace: 'default',
      name: `job-${world.#uid}`,
      object: objectOf(spec),
      status: '{}',
      completions: spec.completions,
      queue: QUEUE,
      fittingKey: LANE,
      indexed: spec.indexed,
    });
    return world;
  }

  async bringWorkers(): Promise<void> {
    this.#hasWorkers = true;
  }

  async end(ref: PodRef, { exitCodes, drained }: PodEnd): Promise<void> {
    const exitCode = exitCodes.find((code) => code !== 0) ?? 0;
    await this.#report(await this.#find(ref), exitCode, drained);
  }

  async lose(ref: PodRef): Promise<void> {
    const { session, slot } = await this.#find(ref);
    await this.#shard.expireSession(session, { force: true });
    await this.#shard.endLostPods(session, this.#uid, [slot]);
  }

  async remove(ref: PodRef): Promise<void> {
    const pods = [await this.#find(ref)];
    await this.#shard.stopPods({ uid: this.#uid, guard: null, pods, countAs: 'unjudged' });
  }

  async restart(ref: PodRef): Promise<void> {
    const { slot, podNumber, session, restarts } = await this.#find(ref);
    const told = { uid: this.#uid, slot, podNumber, session, restarts: restarts + 1 };
    await this.#shard.recordRestart(told);
  }

  async edit(change: Partial<Spec>): Promise<void> {
    this.#spec = { ...this.#spec, ...change };
    await this.#shard.updateJob({
      uid: this.#uid,
      expectedResourceVersion: null,
      object: objectOf(this.#spec),
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
      const nextAtMs = await this.#reconciler.reconcile(this.#uid);
      const isDue = nextAtMs !== null && nextAtMs <= nowMs;
      const hasStarted = this.#hasWorkers && (await this.#startPods());
      if (!(await this.#endFresh()) && !hasStarted && !isDue) break;
    }
    this.#fresh.clear();
  }

  async view(): Promise<View> {
    const job = (await this.#shard.getJobByUid(this.#uid))!;
    const slots = await this.#shard.allSlots(this.#uid);
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
      pods: slots
        .map(({ index, phase }) => `${index} ${phase === 'Stopping' ? 'Terminating' : phase}`)
        .toSorted(),
    };
  }

  async #find({ index, terminating, at }: PodRef): Promise<SlotRecord> {
    const found = (await this.#shard.allSlots(this.#uid)).filter(
      (slot) => slot.index === index && (slot.phase === 'Stopping') === terminating,
    );
    return found.toSorted((a, b) => a.podNumber - b.podNumber)[at]!;
  }

  async #startPods(): Promise<boolean> {
    const pending = (await this.#shard.allSlots(this.#uid)).filter(
      (one) => one.phase === 'Pending',
    );
    let hasStarted = false;
    for (const { slot, attemptsStarted } of pending) {
      const session = newSessionId();
      const worker = { id: session, node: session, lanes: { [LANE]: 1 }, leaseTtlMs: 6_000 };
      await this.#shard.registerSession(worker);
      const asked = { uid: this.#uid, slot, session, knownGeneration: 0 };
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
    for (const slot of told) await this.#report(slot, 143, false);
    return told.length > 0;
  }

  async #report(slot: SlotRecord, exitCode: number, drained: boolean): Promise<void> {
    const [answer] = await this.#shard.report(slot.session, [
      {
        uid: this.#uid,
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

function objectOf({ indexed, failureRules, successRules, containers, ...spec }: Spec): string {
  const { restartPolicy, ...others } = spec;
  const given = Object.entries(others).filter(([, value]) => value !== null);
  return JSON.stringify({
    metadata: {},
    spec: {
      ...Object.fromEntries(given),
      completionMode: indexed ? 'Indexed' : 'NonIndexed',
      ...(failureRules !== null && { podFailurePolicy: { rules: failureRules } }),
      ...(successRules !== null && { successPolicy: { rules: successRules } }),
      template: {
        metadata: {},
        spec: { restartPolicy, containers: containers.map((name) => ({ name })) },
      },
    },
  });
}
