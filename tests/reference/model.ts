/**
 * What Kubernetes' Job controller does, written from its documented rules: a list of pods with phases, and one
 * `sync` that looks at them in the documented order. It shares nothing with `decide`, which is compared with it.
 *
 * Times are whole seconds, as they are in the objects that the controller looks at, and ends of pods within one second
 * are seen in one sync, as there. A pod is ready while it runs.
 *
 * Where Drover does something else on purpose a switch says so, with its number in docs/semantics.md. With all of
 * them off it is Kubernetes.
 */
import type {
  Condition,
  FailureRule,
  PodEnd,
  PodRef,
  Side,
  Spec,
  SuccessRule,
  View,
} from './spec.ts';

/** What Drover does otherwise. */
export interface Deviations {
  /** Losses count to no limit and to no delay, but the third in a row of a unit of work. */
  readonly D1: boolean;
  /** With backoffLimitPerIndex a failure counts at once, and an index that waits takes no place. */
  readonly D21: boolean;
  /** How a pod counts that is told to stop, and whether it is replaced before its end, is settled then. */
  readonly D26: boolean;
  /** A pod that its user deleted delays nothing. */
  readonly D27: boolean;
  /** Restarts of a pod that was told to stop do not count any more. */
  readonly D28: boolean;
  /** With podReplacementPolicy Failed a Job grows when pods of a former, larger range have ended. */
  readonly D26growth: boolean;
}

/** Kubernetes itself. */
export const KUBERNETES: Deviations = {
  D1: false,
  D21: false,
  D26: false,
  D27: false,
  D28: false,
  D26growth: false,
};
/** Drover. */
export const DROVER: Deviations = {
  D1: true,
  D21: true,
  D26: true,
  D27: true,
  D28: true,
  D26growth: true,
};

const BASE_MS = 10_000;
const CAP_MS = 600_000;

/** A pod as the API has it, and what is noted on it. */
interface Pod {
  readonly number: number;
  /** Of a Job that is not Indexed the unit of work: the lowest that is free. */
  readonly index: number;
  readonly createdMs: number;
  phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  startMs: number;
  finishedMs: number;
  /** When it was told to stop; null = it was not. */
  deletedMs: number | null;
  deletedBy: 'nobody' | 'user' | 'controller';
  /** It has the tracking finalizer: it may still be counted. */
  tracked: boolean;
  counted: boolean;
  restarts: number;
  disrupted: boolean;
  /** null where nobody knows. */
  exitCodes: readonly number[] | null;
  /** Annotations: how often pods of its index failed before it. */
  readonly failureCount: number;
  readonly ignoredCount: number;
  /** How often its unit was lost in a row, with it. */
  losses: number;
  /** It is replaced when it has ended, if it was told to stop. */
  replacedWhenEnded: boolean;
}

interface Verdict {
  readonly type: 'SuccessCriteriaMet' | 'FailureTarget';
  readonly reason: string;
  readonly message: string;
}

interface Match {
  readonly action: FailureRule['action'];
  readonly message: string;
}

const failure = (reason: string, message: string): Verdict => ({
  type: 'FailureTarget',
  reason,
  message,
});

const BACKOFF_LIMIT = failure(
  'BackoffLimitExceeded',
  'Job has reached the specified backoff limit',
);
const DEADLINE = failure('DeadlineExceeded', 'Job was active longer than specified deadline');
const MAX_FAILED_INDEXES = failure(
  'MaxFailedIndexesExceeded',
  'Job has exceeded the specified maximal number of failed indexes',
);
const FAILED_INDEXES = failure('FailedIndexes', 'Job has failed indexes');
const COMPLETED: Verdict = {
  type: 'SuccessCriteriaMet',
  reason: 'CompletionsReached',
  message: 'Reached expected number of succeeded pods',
};

/** A Job and its pods. */
export class ReferenceJob implements Side {
  #spec: Spec;
  readonly #deviations: Deviations;
  #nowMs: number;
  #hasWorkers = false;
  /** Something changed in this sync: another one follows. */
  #hasMoved = false;
  /** How many indexes are given out, of an Indexed Job. */
  #size: number;
  readonly #pods: Pod[] = [];
  readonly #conditions: Condition[] = [];
  #startMs: number | null = null;
  #completionMs: number | null = null;
  #succeeded = 0;
  #failed = 0;
  /** Those of them that count to backoffLimit. */
  #limitFailures = 0;
  readonly #doneUnits = new Set<number>();
  readonly #failedIndexes = new Set<number>();
  readonly #losses = new Map<number, number>();
  #failuresInRow = 0;
  #lastFailureMs = 0;
  /** What a podFailurePolicy said of pods when they were counted. */
  readonly #matches = new Map<Pod, Match | null>();

  /** @param adopted - Indexes of pods that ran before it came, and that it adopts: the oldest first, a second apart. */
  constructor(spec: Spec, nowMs: number, deviations: Deviations, adopted: readonly number[] = []) {
    this.#spec = spec;
    this.#size = spec.completions ?? 0;
    this.#nowMs = nowMs;
    this.#deviations = deviations;
    for (const [i, index] of adopted.entries()) {
      const startMs = nowMs - 1000 * (adopted.length - i);
      const pod = { ...this.#newPod(index), createdMs: startMs, startMs };
      this.#pods.push({ ...pod, phase: 'Running' });
    }
  }

  get isFinished(): boolean {
    return this.#conditions.some(({ type }) => type === 'Complete' || type === 'Failed');
  }

  // What happens to it

  bringWorkers(): void {
    this.#hasWorkers = true;
  }

  end(ref: PodRef, { exitCodes, drained }: PodEnd): void {
    const pod = this.#find(ref);
    pod.exitCodes = exitCodes;
    if (drained) this.#disrupt(pod);
    this.#terminate(pod, !drained && exitCodes.every((code) => code === 0));
  }

  lose(ref: PodRef): void {
    const pod = this.#find(ref);
    this.#disrupt(pod);
    this.#terminate(pod, false);
  }

  remove(ref: PodRef): void {
    this.#tellToStop(this.#find(ref), 'user');
  }

  restart(ref: PodRef): void {
    this.#find(ref).restarts++;
  }

  edit(change: Partial<Spec>): void {
    this.#spec = { ...this.#spec, ...change };
  }

  /** Lets everything happen that happens by then without anybody's doing. */
  settle(nowMs: number): void {
    this.#nowMs = nowMs;
    for (let i = 0; i < 50; i++) {
      this.#hasMoved = false;
      this.#sync();
      if (this.#hasWorkers) this.#startPods();
      if (!this.#hasMoved) return;
    }
    throw new Error('the model does not come to rest');
  }

  /** When a timer goes off next, ms; infinite = none. */
  get wakeMs(): number {
    if (this.isFinished) return Number.POSITIVE_INFINITY;
    const times = this.#waitingIndexes();
    const deadlineMs = this.#deadlineMs();
    if (deadlineMs !== null) times.push(deadlineMs);
    const backoffMs = this.#backoffEndMs();
    times.push(backoffMs);
    return Math.min(...times.filter((time) => time > this.#nowMs), Number.POSITIVE_INFINITY);
  }

  view(): View {
    const present = this.#pods.filter((pod) => !isTerminal(pod));
    const active = present.filter(isActive);
    return {
      conditions: this.#conditions.map((condition) => ({ ...condition })),
      startMs: this.#startMs,
      completionMs: this.#completionMs,
      active: active.length,
      ready: active.filter(({ phase }) => phase === 'Running').length,
      terminating: present.length - active.length,
      succeeded: this.#succeededCount,
      failed: this.#failed,
      completedIndexes: this.#spec.indexed ? indexText(this.#doneUnits) : '',
      failedIndexes:
        this.#spec.backoffLimitPerIndex === null ? null : indexText(this.#failedIndexes),
      pods: present
        .map((pod) => `${pod.index} ${isActive(pod) ? pod.phase : 'Terminating'}`)
        .toSorted(),
    };
  }

  // Pods

  #find({ index, terminating, at }: PodRef): Pod {
    const found = this.#pods.filter(
      (pod) => pod.index === index && !isTerminal(pod) && isActive(pod) !== terminating,
    );
    return found[at]!;
  }

  #startPods(): void {
    for (const pod of this.#pods) {
      if (pod.phase !== 'Pending') continue;
      pod.phase = 'Running';
      pod.startMs = this.#nowMs;
      this.#hasMoved = true;
    }
  }

  #terminate(pod: Pod, succeeded: boolean): void {
    pod.phase = succeeded ? 'Succeeded' : 'Failed';
    pod.finishedMs = this.#nowMs;
  }

  #disrupt(pod: Pod): void {
    // What becomes of one that was counted changes nothing any more.
    if (!pod.tracked || pod.counted) return;
    pod.disrupted = true;
    const losses = (this.#losses.get(pod.index) ?? 0) + 1;
    this.#losses.set(pod.index, losses);
    pod.losses = losses;
  }

  /** One that runs on no node is gone at once. */
  #tellToStop(pod: Pod, by: 'user' | 'controller'): void {
    this.#hasMoved = true;
    pod.deletedMs = this.#nowMs;
    pod.deletedBy = by;
    pod.replacedWhenEnded = this.#replacesEnded;
    if (pod.phase === 'Pending') this.#terminate(pod, false);
  }

  #create(index: number): void {
    const last = this.#lastFailed(index);
    this.#hasMoved = true;
    this.#pods.push({
      ...this.#newPod(index),
      failureCount: last === null ? 0 : last.failureCount + (this.#countsToIndex(last) ? 1 : 0),
      ignoredCount: last === null ? 0 : last.ignoredCount + (this.#isIgnored(last) ? 1 : 0),
    });
  }

  #newPod(index: number): Pod {
    return {
      number: this.#pods.length + 1,
      index,
      createdMs: this.#nowMs,
      phase: 'Pending',
      startMs: 0,
      finishedMs: 0,
      deletedMs: null,
      deletedBy: 'nobody',
      tracked: true,
      counted: false,
      restarts: 0,
      disrupted: false,
      exitCodes: null,
      failureCount: 0,
      ignoredCount: 0,
      losses: 0,
      replacedWhenEnded: false,
    };
  }

  #lastFailed(index: number): Pod | null {
    return this.#pods.findLast((pod) => pod.index === index && this.#matches.has(pod)) ?? null;
  }

  // The sync

  #sync(): void {
    if (this.isFinished) return;
    if (this.#startMs === null && !this.#spec.suspend) this.#startMs = this.#nowMs;
    this.#clip();
    this.#countEnded();
    const verdict = this.#standing() ?? this.#findVerdict();
    if (verdict !== null) {
      this.#finish(verdict);
      return;
    }
    this.#manage();
    if (this.#isComplete()) {
      this.#finish(COMPLETED);
      return;
    }
    this.#showSuspension();
  }

  /** An elastic Job: what is known of indexes that it does not have any more is forgotten. */
  #clip(): void {
    const { indexed, completions } = this.#spec;
    if (!indexed || completions === null) return;
    for (const known of [this.#doneUnits, this.#failedIndexes, this.#losses]) {
      for (const index of known.keys()) if (index >= completions) known.delete(index);
    }
    for (const pod of this.#pods) {
      if (pod.index < completions) continue;
      // Its index is none: it counts in neither way.
      if (!isActive(pod)) pod.tracked = false;
      this.#matches.delete(pod);
      pod.replacedWhenEnded = false;
    }
    const waits =
      this.#deviations.D26growth &&
      this.#replacesEnded &&
      this.#pods.some((pod) => pod.index >= this.#size && !isTerminal(pod));
    if (completions < this.#size || !waits) this.#size = completions;
  }

  /** Counts pods that are over and were not counted. */
  #countEnded(): void {
    const uncounted = this.#pods.filter((pod) => pod.tracked && !pod.counted);
    const succeeded = uncounted.filter(({ phase }) => phase === 'Succeeded');
    const failed = uncounted.filter((pod) => this.#isFailed(pod));
    for (const pod of succeeded) {
      pod.counted = true;
      this.#losses.delete(pod.index);
      if (!this.#spec.indexed || !this.#doneUnits.has(pod.index)) this.#succeeded++;
      this.#doneUnits.add(pod.index);
    }
    const isFinishing = this.#standing() !== null;
    for (const pod of failed) {
      if (!this.#matches.has(pod)) {
        this.#matches.set(pod, this.#match(pod));
        // A pod that its user deleted says nothing of its index, nor does a lost one end the row.
        if (!pod.disrupted && pod.deletedBy !== 'user') this.#losses.delete(pod.index);
        if (this.#failsIndex(pod)) this.#failedIndexes.add(pod.index);
      }
      if (this.#isHeldBack(pod) && !isFinishing) continue;
      pod.counted = true;
      if (this.#isIgnored(pod)) continue;
      this.#failed++;
      if (this.#countsTo(pod, this.#spec.backoffLimit)) this.#limitFailures++;
    }
    this.#extendRow(
      succeeded,
      failed.filter((pod) => pod.counted && this.#delays(pod)),
    );
  }

  /** A failed pod of an index that goes on is counted when its replacement is there. */
  #isHeldBack(pod: Pod): boolean {
    if (this.#spec.backoffLimitPerIndex === null || this.#deviations.D21) return false;
    if (this.#failedIndexes.has(pod.index)) return false;
    return !this.#pods.some((other) => other.index === pod.index && other.number > pod.number);
  }

  #extendRow(succeeded: readonly Pod[], failed: readonly Pod[]): void {
    // A resumed Job starts without a delay.
    if (this.#spec.suspend) this.#failuresInRow = 0;
    const lastSuccessMs = Math.max(...succeeded.map((pod) => pod.finishedMs));
    const inRow =
      succeeded.length === 0 ? failed : failed.filter((pod) => endOf(pod) > lastSuccessMs);
    if (succeeded.length > 0) this.#failuresInRow = 0;
    if (this.#spec.suspend) return;
    this.#failuresInRow += inRow.length;
    this.#lastFailureMs = Math.max(this.#lastFailureMs, ...inRow.map(endOf));
  }

  #standing(): Verdict | null {
    const found = this.#conditions.find(
      ({ type }) => type === 'SuccessCriteriaMet' || type === 'FailureTarget',
    );
    if (found === undefined) return null;
    return { type: found.type as Verdict['type'], reason: found.reason, message: found.message };
  }

  #findVerdict(): Verdict | null {
    const failing = [...this.#matches].find(([, match]) => match?.action === 'FailJob');
    if (failing) return failure('PodFailurePolicy', failing[1]!.message);
    if (this.#limitFailures > this.#spec.backoffLimit || this.#restartedTooOften()) {
      return BACKOFF_LIMIT;
    }
    const deadlineMs = this.#deadlineMs();
    if (deadlineMs !== null && this.#nowMs >= deadlineMs) return DEADLINE;
    const { maxFailedIndexes, completions } = this.#spec;
    const failedCount = this.#failedIndexes.size;
    if (maxFailedIndexes !== null && failedCount > maxFailedIndexes) return MAX_FAILED_INDEXES;
    if (failedCount > 0 && failedCount + this.#succeededCount >= (completions ?? 0)) {
      return FAILED_INDEXES;
    }
    return this.#findSuccess();
  }

  #restartedTooOften(): boolean {
    const { restartPolicy, backoffLimit } = this.#spec;
    if (restartPolicy !== 'OnFailure') return false;
    const restarts = this.#pods
      .filter((pod) => !isTerminal(pod) && (isActive(pod) || !this.#deviations.D28))
      .reduce((sum, pod) => sum + pod.restarts, 0);
    return backoffLimit === 0 ? restarts > 0 : restarts >= backoffLimit;
  }

  #deadlineMs(): number | null {
    const { activeDeadlineSeconds, suspend } = this.#spec;
    if (activeDeadlineSeconds === null || suspend || this.#startMs === null) return null;
    return this.#startMs + activeDeadlineSeconds * 1000;
  }

  #findSuccess(): Verdict | null {
    const { successRules } = this.#spec;
    if (successRules === null || this.#doneUnits.size === 0) return null;
    const at = successRules.findIndex((rule) => this.#isMet(rule));
    if (at < 0) return null;
    const message = `Matched rules at index ${at}`;
    return { type: 'SuccessCriteriaMet', reason: 'SuccessPolicy', message };
  }

  #isMet({ succeededIndexes, succeededCount }: SuccessRule): boolean {
    const listed = succeededIndexes === undefined ? null : readIndexes(succeededIndexes);
    const wanted = listed?.filter((index) => index < (this.#spec.completions ?? 0));
    const met =
      wanted?.filter((index) => this.#doneUnits.has(index)).length ?? this.#succeededCount;
    return met >= (succeededCount ?? wanted!.length);
  }

  get #succeededCount(): number {
    return this.#spec.indexed ? this.#doneUnits.size : this.#succeeded;
  }

  #isComplete(): boolean {
    const { completions } = this.#spec;
    if (completions !== null) return this.#succeededCount >= completions;
    return this.#succeededCount > 0 && !this.#pods.some(isActive);
  }

  /** The end is fixed: what runs is stopped, and when nothing is left it is told. */
  #finish({ type, reason, message }: Verdict): void {
    const isNew = this.#standing() === null;
    this.#setCondition({ type, status: 'True', reason, message });
    const isFailure = type === 'FailureTarget';
    for (const pod of this.#pods.filter(isActive)) {
      this.#tellToStop(pod, 'controller');
      if (!isFailure || this.#isOutside(pod)) pod.tracked = false;
      else if (this.#deviations.D26) this.#countAsFailed(pod);
    }
    if (isFailure && isNew && this.#deviations.D26) {
      const leaving = this.#pods.filter((pod) => !isTerminal(pod) && pod.tracked && !pod.counted);
      for (const pod of leaving) this.#countAsFailed(pod);
    }
    if (this.#pods.some((pod) => !isTerminal(pod) || this.#isUncounted(pod))) return;
    this.#startMs ??= this.#nowMs;
    const last = isFailure ? 'Failed' : 'Complete';
    this.#setCondition({ type: last, status: 'True', reason, message });
    if (!isFailure) this.#completionMs = this.#nowMs;
  }

  #isUncounted(pod: Pod): boolean {
    return pod.tracked && !pod.counted;
  }

  #countAsFailed(pod: Pod): void {
    pod.counted = true;
    this.#failed++;
  }

  /** Brings the number of pods to what it should be. A sync deletes or creates, never both. */
  #manage(): void {
    const active = this.#pods.filter(isActive);
    const surplus = active.length - this.#wanted(active.length);
    const outside = active.filter((pod) => this.#isOutside(pod));
    const stopped = [
      ...outside,
      ...active.filter((pod) => !outside.includes(pod)).toSorted(forStop),
    ];
    const count = Math.max(surplus, outside.length);
    if (count > 0) {
      for (const pod of stopped.slice(0, count)) {
        // Its finalizer goes first, so that it never counts.
        pod.tracked = false;
        this.#tellToStop(pod, 'controller');
      }
      return;
    }
    const inPlace = this.#replacesEnded
      ? this.#pods.filter((pod) => !isTerminal(pod) && !isActive(pod)).length
      : 0;
    this.#createPods(-surplus - inPlace);
  }

  #isOutside({ index }: Pod): boolean {
    const { indexed, completions } = this.#spec;
    return indexed && index >= (completions ?? 0);
  }

  #wanted(active: number): number {
    const { suspend, parallelism, completions } = this.#spec;
    if (suspend) return 0;
    if (completions === null) return this.#succeededCount > 0 ? active : parallelism;
    const size = this.#spec.indexed ? this.#size : completions;
    return Math.min(parallelism, Math.max(0, size - this.#succeededCount));
  }

  #createPods(count: number): void {
    const { backoffLimitPerIndex } = this.#spec;
    if (count <= 0) return;
    if (backoffLimitPerIndex === null && this.#nowMs < this.#backoffEndMs()) return;
    const waits = (index: number): boolean =>
      backoffLimitPerIndex !== null && this.#readyMs(index) > this.#nowMs;
    if (this.#deviations.D21) {
      for (const index of this.#freeIndexes(count, waits)) this.#create(index);
      return;
    }
    const places = this.#freeIndexes(count, () => false);
    for (const index of places) if (!waits(index)) this.#create(index);
  }

  /** The lowest that have no pod, have not succeeded and have not failed. */
  #freeIndexes(count: number, isLeftOut: (index: number) => boolean): number[] {
    const taken = new Set([...this.#doneUnits, ...this.#failedIndexes]);
    for (const pod of this.#pods) {
      if (isActive(pod)) taken.add(pod.index);
      const keeps = this.#deviations.D26 ? pod.replacedWhenEnded : this.#replacesEnded;
      if (keeps && !isTerminal(pod)) taken.add(pod.index);
    }
    const free: number[] = [];
    const end = this.#spec.indexed ? this.#size : (this.#spec.completions ?? Infinity);
    for (let index = 0; index < end && free.length < count; index++) {
      if (!taken.has(index) && !isLeftOut(index)) free.push(index);
    }
    return free;
  }

  #showSuspension(): void {
    const isShown = this.#conditions.some(
      (one) => one.type === 'Suspended' && one.status === 'True',
    );
    if (this.#spec.suspend) {
      this.#startMs = null;
      const message = 'Job suspended';
      this.#setCondition({ type: 'Suspended', status: 'True', reason: 'JobSuspended', message });
    } else if (isShown) {
      const message = 'Job resumed';
      this.#setCondition({ type: 'Suspended', status: 'False', reason: 'JobResumed', message });
      this.#startMs = this.#nowMs;
    }
  }

  #setCondition(condition: Omit<Condition, 'sinceMs'>): void {
    const at = this.#conditions.findIndex(({ type }) => type === condition.type);
    const next = { ...condition, sinceMs: this.#nowMs };
    if (at < 0) this.#conditions.push(next);
    else if (this.#conditions[at]!.status !== next.status) this.#conditions[at] = next;
  }

  // Rules

  get #replacesEnded(): boolean {
    return this.#spec.podReplacementPolicy === 'Failed' || this.#spec.failureRules !== null;
  }

  #isFailed(pod: Pod): boolean {
    if (pod.phase === 'Failed') return true;
    const keeps = this.#deviations.D26 ? pod.replacedWhenEnded : this.#replacesEnded;
    return pod.deletedMs !== null && pod.phase !== 'Succeeded' && !keeps;
  }

  /** The first rule that matches decides. */
  #match(pod: Pod): Match | null {
    if (pod.phase !== 'Failed') return null;
    for (const [at, rule] of (this.#spec.failureRules ?? []).entries()) {
      const what = this.#whatMatches(rule, pod);
      if (what === null) continue;
      const message = `${what} matching ${rule.action} rule at index ${at}`;
      return { action: rule.action, message };
    }
    return null;
  }

  #whatMatches({ onExitCodes, onPodConditions }: FailureRule, pod: Pod): string | null {
    const { containers } = this.#spec;
    if (onExitCodes !== undefined) {
      const { containerName, operator, values } = onExitCodes;
      const at = (pod.exitCodes ?? []).findIndex((code, i) => {
        if (code === 0 || (containerName !== undefined && containerName !== containers[i]))
          return false;
        return operator === 'In' ? values.includes(code) : !values.includes(code);
      });
      if (at < 0) return null;
      return `Container ${containers[at]} for pod POD failed with exit code ${pod.exitCodes![at]}`;
    }
    const found = onPodConditions?.find(
      ({ type, status }) => type === 'DisruptionTarget' && status === 'True' && pod.disrupted,
    );
    return found === undefined ? null : `Pod POD has condition ${found.type}`;
  }

  #isIgnored(pod: Pod): boolean {
    return this.#matches.get(pod)?.action === 'Ignore';
  }

  #isExcused(pod: Pod): boolean {
    return this.#deviations.D1 && pod.disrupted && pod.losses < 3;
  }

  #countsTo(pod: Pod, limit: number): boolean {
    const match = this.#matches.get(pod) ?? null;
    if (match !== null) return match.action !== 'Ignore';
    return limit === 0 || !this.#isExcused(pod);
  }

  #countsToIndex(pod: Pod): boolean {
    return this.#countsTo(pod, this.#spec.backoffLimitPerIndex ?? 0);
  }

  #failsIndex(pod: Pod): boolean {
    const { backoffLimitPerIndex } = this.#spec;
    if (backoffLimitPerIndex === null) return false;
    if (this.#matches.get(pod)?.action === 'FailIndex') return true;
    return this.#countsToIndex(pod) && pod.failureCount >= backoffLimitPerIndex;
  }

  #delays(pod: Pod): boolean {
    if (this.#deviations.D27 && pod.deletedBy === 'user' && !pod.disrupted) return false;
    const action = this.#matches.get(pod)?.action ?? 'Ignore';
    return !(action === 'Ignore' && this.#isExcused(pod));
  }

  #backoffEndMs(): number {
    if (this.#spec.backoffLimitPerIndex !== null || this.#failuresInRow === 0) return 0;
    return this.#lastFailureMs + delayMs(this.#failuresInRow);
  }

  /** When an index may be tried again. */
  #readyMs(index: number): number {
    const last = this.#lastFailed(index);
    if (last === null || !this.#delays(last)) return 0;
    return endOf(last) + delayMs(last.failureCount + last.ignoredCount + 1);
  }

  #waitingIndexes(): number[] {
    if (this.#spec.backoffLimitPerIndex === null) return [];
    const indexes = new Set([...this.#matches.keys()].map(({ index }) => index));
    return [...indexes].map((index) => this.#readyMs(index));
  }
}

function isTerminal({ phase }: Pod): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

function isActive(pod: Pod): boolean {
  return !isTerminal(pod) && pod.deletedMs === null;
}

/** Of a pod that still runs though it counts as failed: when it was told to stop. */
function endOf(pod: Pod): number {
  return isTerminal(pod) ? pod.finishedMs : (pod.deletedMs ?? pod.createdMs);
}

function delayMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(CAP_MS, BASE_MS * 2 ** (failures - 1));
}

/** Who is stopped first: on no node, not ready, ready for less time, restarted more often, newer. */
function forStop(a: Pod, b: Pod): number {
  const rank = ({ phase }: Pod): number => (phase === 'Pending' ? 0 : 1);
  return (
    rank(a) - rank(b) ||
    b.startMs - a.startMs ||
    b.restarts - a.restarts ||
    b.createdMs - a.createdMs ||
    b.number - a.number
  );
}

/** `0-2,5`; a run of two is `0,1`. */
export function indexText(indexes: ReadonlySet<number>): string {
  const runs: [first: number, last: number][] = [];
  for (const index of [...indexes].toSorted((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] === index - 1) run[1] = index;
    else runs.push([index, index]);
  }
  return runs
    .map(([first, last]) => {
      if (last === first) return `${first}`;
      return `${first}${last === first + 1 ? ',' : '-'}${last}`;
    })
    .join(',');
}

function readIndexes(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
