/**
 * `decide` in a plain world: its verdicts are applied to the model of the scripts that packages/store compares with
 * the scripts themselves, as packages/controller applies them to Redis, and pods run as workers run them. Nothing is
 * asynchronous, so that very many histories fit into a run.
 */
import { decide } from '../../packages/controller/src/decide/decide.ts';
import { DEFAULT_BACKOFF } from '../../packages/controller/src/decide/backoff.ts';
import { toWholeSeconds } from '../../packages/controller/src/decide/limits.ts';
import { stopOrder } from '../../packages/controller/src/decide/stopOrder.ts';
import type {
  Counters,
  Decision,
  DecideSpec,
  JudgePlan,
  Next,
  Observed,
  Standing,
  SuccessRule,
  UnjudgedPod,
} from '../../packages/controller/src/decide/types.ts';
import { NO_FAILURES, type SlotRecord, type StopInput } from '../../packages/store/src/api.ts';
import { Model, ModelJob, type ModelSlot } from '../../packages/store/test/support/model.ts';
import {
  formatIndexIntervals,
  parseIndexIntervals,
} from '../../packages/shared/src/indexIntervals.ts';
import { parseTime } from '../../packages/shared/src/time.ts';
import type { PodEnd, PodRef, Side, Spec, View } from './spec.ts';

const UID = 'job';
const MAX_PASSES = 60;
const LEASE_MS = 6_000;

/** A failed pod that waits for its verdict, beside what the model of the store knows. */
interface Ended {
  readonly startMs: number;
  readonly endMs: number;
  readonly exitCodes: readonly number[] | null;
  readonly disrupted: boolean;
}

/** One Job under `decide`. */
export class PlainWorld implements Side {
  readonly #model = new Model();
  readonly #job: ModelJob;
  #spec: Spec;
  #nowMs: number;
  #hasWorkers = false;
  #sessions = 0;
  #standing: Standing = { startTimeMs: null, completionTimeMs: null, conditions: [] };
  readonly #ended = new Map<number, Ended>();
  /** Pods that a report gave out at this very time: Kubernetes would have looked first. */
  readonly #fresh = new Set<number>();
  #nextMs = 0;

  constructor(spec: Spec, nowMs: number) {
    this.#spec = spec;
    this.#nowMs = nowMs;
    this.#job = new ModelJob(UID, spec.completions, spec.indexed, nowMs);
    this.#model.jobs.set(UID, this.#job);
  }

  // What happens to it

  bringWorkers(): void {
    this.#hasWorkers = true;
    this.#nextMs = 0;
  }

  end(ref: PodRef, { exitCodes, drained }: PodEnd): void {
    const [number, slot] = this.#find(ref);
    const failed = drained || exitCodes.some((code) => code !== 0);
    this.#note(slot, exitCodes, drained);
    this.#report(number, slot, failed, drained);
  }

  lose(ref: PodRef): void {
    const [number, slot] = this.#find(ref);
    this.#note(slot, null, true);
    this.#model.sessions.get(slot.session)!.ended = true;
    this.#model.endLostPods(slot.session, UID, [number], this.#nowMs);
    this.#nextMs = 0;
  }

  remove(ref: PodRef): void {
    const [number, slot] = this.#find(ref);
    this.#note(slot, null, false);
    this.#stop([number], 'unjudged', null);
    this.#nextMs = 0;
  }

  restart(ref: PodRef): void {
    const [number, { pod, session, restarts }] = this.#find(ref);
    this.#job.recordRestart(number, pod, session, restarts + 1, this.#nowMs);
    this.#nextMs = 0;
  }

  edit(change: Partial<Spec>): void {
    this.#spec = { ...this.#spec, ...change };
    this.#job.generation++;
    this.#job.decisionVersion++;
    this.#nextMs = 0;
  }

  /** When a controller looks next, ms; infinite = when something happens. */
  get wakeMs(): number {
    return this.#nextMs;
  }

  settle(nowMs: number): void {
    this.#nowMs = nowMs;
    for (let pass = 0; pass < MAX_PASSES; pass++) {
      if (this.wakeMs > nowMs) {
        this.#fresh.clear();
        return;
      }
      if (this.#pass()) this.#nextMs = 0;
      if (this.#hasWorkers && this.#startPods()) this.#nextMs = 0;
    }
    throw new Error('decide does not come to rest');
  }

  view(): View {
    const job = this.#job;
    const slots = [...job.slots.values()];
    const { indexed, backoffLimitPerIndex } = this.#spec;
    const end = job.completions ?? 0;
    return {
      conditions: this.#standing.conditions.map(
        ({ type, status, reason = '', message = '', lastTransitionTime }) => ({
          type,
          status,
          reason,
          message,
          sinceMs: parseTime(lastTransitionTime)!,
        }),
      ),
      startMs: this.#standing.startTimeMs,
      completionMs: this.#standing.completionTimeMs,
      active: job.active,
      ready: job.count('Running'),
      terminating: job.terminating,
      succeeded: job.succeeded,
      failed: job.failed,
      completedIndexes: indexed ? formatIndexIntervals(bitsOf(job.done), end) : '',
      failedIndexes:
        backoffLimitPerIndex === null ? null : formatIndexIntervals(bitsOf(job.failedIndexes), end),
      pods: slots
        .map(({ index, phase }) => `${index} ${isTold(phase) ? 'Terminating' : phase}`)
        .toSorted(),
    };
  }

  // Workers

  #find({ index, terminating, at }: PodRef): [number, ModelSlot] {
    const found = [...this.#job.slots]
      .filter(([, slot]) => slot.index === index && isTold(slot.phase) === terminating)
      .toSorted(([, a], [, b]) => a.pod - b.pod);
    return found[at]!;
  }

  #note({ pod, startMs }: ModelSlot, exitCodes: Ended['exitCodes'], disrupted: boolean): void {
    const endMs = this.#nowMs;
    // One that never started has the time of its end for both.
    this.#ended.set(pod, { startMs: startMs || endMs, endMs, exitCodes, disrupted });
  }

  #startPods(): boolean {
    let started = false;
    for (const [number, slot] of this.#job.slots) {
      if (slot.phase !== 'Pending') continue;
      const session = `session ${++this.#sessions}`;
      this.#model.sessions.set(session, { leaseEndMs: Number.POSITIVE_INFINITY, ended: false });
      const asked = { uid: UID, slot: number, attemptsStarted: slot.asked + 1, session };
      const answer = this.#model.acquire(asked, LEASE_MS, this.#nowMs);
      started ||= answer[0] === 'run';
    }
    return started;
  }

  #report(number: number, slot: ModelSlot, failed: boolean, drained: boolean): void {
    const [answer] = this.#model.report(
      slot.session,
      [
        {
          uid: UID,
          queue: '',
          slot: number,
          attemptsStarted: slot.attempts,
          podNumber: slot.pod,
          outcome: failed ? 'Failed' : 'Succeeded',
          exitCode: 0,
          reason: drained ? 'Drained' : failed ? 'Error' : 'Completed',
          hasLog: false,
          leave: drained,
          quantumOver: false,
          overlay: null,
        },
      ],
      this.#nowMs,
    );
    if (answer?.type === 'next') this.#fresh.add(answer.claim.podNumber);
    // At once, or to fold the figures within a second: here that is the same second.
    this.#nextMs = 0;
  }

  // The controller

  /** One look; whether another has to follow at once. */
  #pass(): boolean {
    this.#job.dueAtMs = null;
    const { decisionVersion, generation } = this.#job;
    const guard = { generation, decisionVersion };
    const decision = decide(this.#observe(), this.#nowMs, DEFAULT_BACKOFF);
    switch (decision.type) {
      case 'resize':
        return this.#resize(decision);
      case 'suspend':
        this.#judge(decision.judge);
        if (decision.stopsPods) return this.#stopActive('uncounted');
        return this.#show(decision.standing, null, decision.next);
      case 'end':
        this.#judge(decision.judge);
        if (!this.#show(decision.standing, decision.finish, decision.next)) {
          if (decision.stopsPodsAs === null) return false;
          return this.#stopActive(decision.stopsPodsAs);
        }
        return true;
      case 'converge':
        return this.#converge(decision, guard);
      case 'rest':
        this.#setNext(decision.next);
        return false;
      default:
        throw new Error(`a Job that nobody deletes is to ${decision.type}`);
    }
  }

  #resize(decision: Extract<Decision, { type: 'resize' }>): boolean {
    const { judge, from, completions } = decision;
    this.#judge(judge);
    const inTheWay = [...this.#job.slots].filter(
      ([, { index, phase }]) => from !== null && index >= from && phase !== 'Stopping',
    );
    const numbers = inTheWay.map(([number]) => number);
    if (numbers.length > 0) this.#stop(numbers, 'cut', this.#guard);
    else this.#job.resize(this.#guard, completions);
    return true;
  }

  #converge(decision: Extract<Decision, { type: 'converge' }>, guard: typeof GUARD): boolean {
    this.#judge(decision.judge);
    const { pods, standing, next } = decision;
    if (pods.type === 'open') {
      const { generation } = guard;
      const { decisionVersion } = this.#job;
      this.#job.openSlots({ generation, decisionVersion }, pods.count, this.#nowMs);
    } else if (pods.type === 'stop') {
      const chosen = stopOrder(this.#slotRecords(), pods.count);
      this.#stop(
        chosen.map(({ slot }) => slot),
        'uncounted',
        this.#guard,
      );
      return true;
    } else if (pods.type === 'stopPending') throw new Error('nobody holds the Job');
    return this.#show(standing, null, next);
  }

  get #guard(): typeof GUARD {
    const { generation, decisionVersion } = this.#job;
    return { generation, decisionVersion };
  }

  #judge(plan: JudgePlan | null): void {
    if (plan === null) return;
    const { judgements, gate, failuresInRow, lastFailureMs } = plan;
    const row = { failuresInRow, lastFailureMs };
    this.#job.judge(this.#guard, judgements, gate, row, this.#nowMs);
  }

  /** Whether the end had to be put off. */
  #show(
    standing: Standing,
    finish: 'Complete' | 'CompleteEarly' | 'Failed' | null,
    next: Next,
  ): boolean {
    if (this.#job.writeStatus(this.#guard, finish, false) !== 'written') return true;
    const { startTimeMs, completionTimeMs, conditions } = standing;
    this.#standing = {
      startTimeMs: startTimeMs === null ? null : toWholeSeconds(startTimeMs),
      completionTimeMs,
      conditions,
    };
    this.#setNext(next);
    return false;
  }

  #setNext(next: Next): void {
    // Nothing may need the resync: it is for what is lost, and here nothing is.
    this.#nextMs =
      next.type === 'at' || next.type === 'until' ? next.atMs : Number.POSITIVE_INFINITY;
  }

  #stopActive(countAs: StopInput['countAs']): boolean {
    const told = countAs === 'failed' ? 'Leaving' : null;
    const slots = [...this.#job.slots].filter(([, { phase }]) => !isTold(phase) || phase === told);
    this.#stop(
      slots.map(([number]) => number),
      countAs,
      this.#guard,
    );
    return true;
  }

  #stop(numbers: readonly number[], countAs: StopInput['countAs'], guard: StopGuard): void {
    const wanted = new Set(numbers);
    const pods = this.#slotRecords().filter(({ slot }) => wanted.has(slot));
    const guarded = guard === null ? null : { uid: UID, ...guard };
    this.#job.stopPods({ uid: UID, guard: guarded, pods, countAs }, this.#nowMs);
    for (const { slot: number } of pods) {
      const slot = this.#job.slots.get(number);
      if (slot === undefined || !this.#fresh.has(slot.pod)) continue;
      this.#report(number, slot, true, false);
    }
  }

  #slotRecords(): SlotRecord[] {
    return [...this.#job.slots].map(([slot, one]) => ({
      slot,
      podNumber: one.pod,
      index: one.index,
      phase: isTold(one.phase) ? 'Stopping' : (one.phase as 'Pending' | 'Running'),
      session: one.session,
      attemptsStarted: one.attempts,
      nodeNumber: 1,
      createdMs: one.createdMs,
      startMs: one.startMs,
      restarts: one.restarts,
      resourceVersion: 1,
      ...(one.phase === 'Leaving' && { countsByEnd: true as const }),
    }));
  }

  #observe(): Observed {
    const job = this.#job;
    const { backoffLimitPerIndex } = this.#spec;
    const delayed = [...job.delayed.values()];
    const ready = delayed.filter((atMs) => atMs <= this.#nowMs).length;
    const waiting = delayed.filter((atMs) => atMs > this.#nowMs);
    return {
      spec: specOf(this.#spec),
      status: this.#standing,
      finished: job.finished,
      deletion: null,
      orphaned: false,
      deleted: false,
      held: false,
      gate: job.gate,
      counters: this.#counters(),
      unjudged: [...job.unjudged].map(([pod, { index, reason }]) =>
        this.#unjudged(pod, index, reason),
      ),
      done: bitsOf(job.done),
      startableCount:
        job.completions === null
          ? Number.POSITIVE_INFINITY
          : job.retry.size + Math.max(0, job.completions - job.cursor),
      indexes:
        backoffLimitPerIndex === null
          ? null
          : {
              failedCount: job.failedIndexes.size,
              readyCount: ready,
              nextReadyMs: waiting.length === 0 ? null : Math.min(...waiting),
            },
      range: this.#spec.indexed
        ? { end: job.completions!, cut: null, hasTail: this.#hasTail() }
        : null,
      pendingCount: job.count('Pending'),
      fittingLanes: 100,
      reserves: false,
      jobsOnQueue: 1,
    };
  }

  #hasTail(): boolean {
    const end = this.#job.completions!;
    if (this.#spec.completions! <= end || this.#spec.podReplacementPolicy !== 'Failed')
      return false;
    return [...this.#job.slots.values()].some(({ index }) => index >= end);
  }

  #unjudged(podNumber: number, index: number, reason: string): UnjudgedPod {
    const { startMs, endMs, exitCodes, disrupted } = this.#ended.get(podNumber)!;
    const names = this.#spec.containers;
    return {
      podNumber,
      index,
      reason,
      startMs,
      endMs,
      losses: disrupted ? (this.#job.losses.get(index) ?? 0) : 0,
      failures: this.#job.failures.get(index) ?? NO_FAILURES,
      ...(this.#spec.failureRules !== null && {
        facts: {
          path: 'POD',
          containers: (exitCodes ?? []).map((exitCode, i) => ({ name: names[i]!, exitCode })),
          conditions: disrupted ? [{ type: 'DisruptionTarget', status: 'True' }] : [],
        },
      }),
    };
  }

  #counters(): Counters {
    const job = this.#job;
    const running = [...job.slots.values()].filter(({ phase }) => phase === 'Running');
    return {
      active: job.active,
      running: running.length,
      terminating: job.terminating,
      succeeded: job.succeeded,
      failed: job.failed,
      limitFailures: job.limitFailures,
      unjudged: job.unjudged.size,
      restarts: running.reduce((sum, { restarts }) => sum + restarts, 0),
      failuresInRow: job.failuresInRow,
      lastFailureMs: job.lastFailureMs,
      lastSuccessMs: job.lastSuccessMs,
      kept: job.records.size,
    };
  }
}

const GUARD = { generation: 0, decisionVersion: 0 };
type StopGuard = typeof GUARD | null;

function isTold(phase: ModelSlot['phase']): boolean {
  return phase === 'Stopping' || phase === 'Returning' || phase === 'Leaving';
}

function bitsOf(indexes: ReadonlySet<number>): Uint8Array {
  const bits = new Uint8Array((Math.max(-1, ...indexes) >> 3) + 1);
  for (const index of indexes) bits[index >> 3]! |= 0x80 >> (index & 7);
  return bits;
}

function specOf(spec: Spec): DecideSpec {
  const { suspend, restartPolicy, podReplacementPolicy, failureRules, successRules, ...rest } =
    spec;
  return {
    ...rest,
    suspended: suspend,
    restartsContainers: restartPolicy === 'OnFailure',
    ttlSecondsAfterFinished: null,
    isForeign: false,
    failureRules: failureRules as DecideSpec['failureRules'],
    successRules: (successRules ?? []).map(({ succeededIndexes, succeededCount }): SuccessRule => {
      if (succeededIndexes === undefined) return { indexes: null, count: succeededCount! };
      const indexes = parseIndexIntervals(succeededIndexes, spec.completions ?? 0);
      const all = indexes.reduce((sum, { first, last }) => sum + last - first + 1, 0);
      return { indexes, count: succeededCount ?? all };
    }),
    replacesEnded: podReplacementPolicy === 'Failed',
  };
}
