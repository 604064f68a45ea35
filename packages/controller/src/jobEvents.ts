/** What a controller tells of a Job, for people. Events are told after what they are about was written. */
import {
  COMBINED_PREFIX,
  DEFAULT_EVENT_TTL_MS,
  failureNote,
  failureText,
  leftItemsWarnings,
  type JobCondition,
  type InvolvedObject,
  parseTime,
  podName,
  podNameOf,
  podSuffix,
  podUidOf,
  noPriorityClassText,
  type QuotaDenial,
  quotaDenialText,
} from '@drover/shared';
import {
  composePod,
  type EventSink,
  type ObservedJob,
  type Shard,
  type SlotRecord,
  type StoredJob,
  type UnjudgedRecord,
  unschedulableMessage,
} from '@drover/store';
import type { AdoptedSource } from './adoption.ts';
import { conditionEvents } from './decide/events.ts';
import type { JudgePlan } from './decide/types.ts';
import { jobOf, workQueueOf } from './jobPlan.ts';
import type { JobMemo } from './jobMemo.ts';

/** Who tells it, as in Kubernetes. */
const COMPONENT = 'job-controller';
/** So many pods of a Job are told of one by one; of more, together. */
const TOLD_SINGLY = 9;
/** What a Job of many pods created is told no more often than this. */
const TELL_EVERY_MS = 1_000;
/** Kinds of failures that one look tells of, the latest. */
const MAX_FAILURE_KINDS = 10;

/** What {@link JobEvents} needs of a shard. */
export type EventShard = Pick<
  Shard,
  'listSlots' | 'readRecord' | 'podOverlays' | 'fittingLanes' | 'capacities' | 'sessions'
> & {
  readonly workQueues: Pick<Shard['workQueues'], 'find' | 'read'>;
};

/** Tells what happens to the Jobs of a shard. */
export class JobEvents {
  readonly #shard: EventShard;
  readonly #sink: EventSink;

  constructor(shard: EventShard, sink: EventSink) {
    this.#shard = shard;
    this.#sink = sink;
  }

  /**
   * Tells of the pods that were created since that was told last. Those that workers created by
   * themselves, a slot's next ones, are seen by the Job's pod count.
   *
   * @param podCount - How many there were by now; as a look saw it, or more.
   * @param isLast - No more will come: all are told.
   */
  async created(
    look: ObservedJob,
    memo: JobMemo,
    podCount: number,
    {
      indexed,
      startTime,
      isLast = false,
    }: {
      readonly indexed: boolean;
      /** As the status had it. */
      readonly startTime: string | undefined;
      readonly isLast?: boolean;
    },
  ): Promise<void> {
    const { job, nowMs } = look;
    const told = (memo.toldPods ??= toldBefore(look, startTime));
    const isEarly = podCount > TOLD_SINGLY && nowMs < memo.toldAtMs + TELL_EVERY_MS;
    if (job.bare || podCount <= told || (isEarly && !isLast)) return;
    memo.toldPods = podCount;
    memo.toldAtMs = nowMs;

    const singly: number[] = [];
    for (let n = told + 1; n <= Math.min(podCount, TOLD_SINGLY); n++) singly.push(n);
    const wanted = podCount > TOLD_SINGLY ? [...singly, podCount] : singly;
    const names = await this.#namesOf(look, wanted, indexed);
    const about = referenceOf(job);
    const event = {
      about,
      type: 'Normal',
      reason: 'SuccessfulCreate',
      component: COMPONENT,
    } as const;
    for (const podNumber of singly) {
      const name = names.get(podNumber);
      if (name === undefined) continue;
      this.#sink.record({ ...event, message: `Created pod: ${name}`, count: { inAll: 1 } });
    }
    const last = names.get(podCount);
    if (podCount <= TOLD_SINGLY || last === undefined) return;
    this.#sink.record({
      ...event,
      message: `${COMBINED_PREFIX}Created pod: ${last}`,
      shape: 'created',
      count: { inAll: podCount - TOLD_SINGLY },
    });
  }

  /** Tells that the class that its pods name is not there. */
  noPriorityClass({ job, counters }: ObservedJob, className: string): void {
    if (job.bare) return;
    this.#failedCreate(job, counters.podCount, noPriorityClassText(className), 'class');
  }

  /** Tells that quota allowed no more pods. */
  denied({ job: stored }: ObservedJob, denial: QuotaDenial | null, podCount: number): void {
    // A pod without a Job is denied when it is created.
    if (denial === null || stored.bare) return;
    const { spec } = jobOf(stored);
    const why = quotaDenialText(denial, spec.template.spec);
    this.#failedCreate(stored, podCount, why, `${denial.type} ${denial.quota}`);
  }

  #failedCreate(job: StoredJob, podCount: number, why: string, kind: string): void {
    // Which index it would have had is not known: none was taken for it.
    const name = podName(job.name, null, podSuffix(job.uid, podCount + 1));
    this.#sink.record({
      about: referenceOf(job),
      type: 'Warning',
      reason: 'FailedCreate',
      message: `Error creating: pods "${name}" is forbidden: ${why}`,
      shape: `denied ${kind}`,
      component: COMPONENT,
    });
  }

  /**
   * Tells that pods of a Job wait because no worker fits: of the first of them, once, until one has come.
   *
   * @param pendingCount - How many wait.
   */
  async unschedulable(look: ObservedJob, memo: JobMemo, pendingCount: number): Promise<void> {
    const isStuck = look.fittingLanes === 0 && pendingCount > 0;
    if (memo.toldUnschedulable === isStuck) return;
    memo.toldUnschedulable = isStuck;
    if (!isStuck) return;
    const { job: stored } = look;
    const { slots } = await this.#shard.listSlots(stored.uid, '0');
    const waiting = slots.filter(({ phase }) => phase === 'Pending');
    if (waiting.length === 0) return;
    const first = waiting.reduce((a, b) => (b.podNumber < a.podNumber ? b : a));
    const job = jobOf(stored);
    const view = { fittingKey: stored.fittingKey, counters: { active: 1, running: 0 } };
    const message = await unschedulableMessage(this.#shard, view, job);
    // One came in this moment.
    if (message === null) return;
    const index = job.spec.completionMode === 'Indexed' ? first.index : null;
    const pod = { podNumber: first.podNumber, index, bare: stored.bare };
    const { namespace } = stored;
    const [name, uid] = [podNameOf(job, pod), podUidOf(job, pod)];
    this.#sink.record({
      about: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
      type: 'Warning',
      reason: 'FailedScheduling',
      message,
      component: 'default-scheduler',
      // Whichever controller says it.
      count: { inAll: 1 },
    });
  }

  /** Tells that active pods were told to stop, or were taken back before they began. */
  deleted(
    { job }: ObservedJob,
    memo: JobMemo,
    pods: readonly SlotRecord[],
    indexed: boolean,
  ): void {
    // Of a Job that is deleted its pods go with it: nothing to tell, as in Kubernetes.
    if (job.bare || job.deleted || job.deletionMs !== null) return;
    const about = referenceOf(job);
    const event = {
      about,
      type: 'Normal',
      reason: 'SuccessfulDelete',
      component: COMPONENT,
    } as const;
    const nameOf = ({ podNumber, index }: SlotRecord) =>
      podName(job.name, indexed ? index : null, podSuffix(job.uid, podNumber));
    const room = Math.max(0, TOLD_SINGLY - memo.toldDeleted);
    memo.toldDeleted += pods.length;
    for (const pod of pods.slice(0, room)) {
      this.#sink.record({ ...event, message: `Deleted pod: ${nameOf(pod)}` });
    }
    const rest = pods.slice(room);
    const last = rest.at(-1);
    if (last === undefined) return;
    this.#sink.record({
      ...event,
      message: `${COMBINED_PREFIX}Deleted pod: ${nameOf(last)}`,
      shape: 'deleted',
      count: { more: rest.length },
    });
  }

  /** Tells of failed pods that were judged: those that failed in the same way, as one. */
  async failed(
    look: ObservedJob,
    plan: JudgePlan | null,
    adopted: ReadonlyMap<number, AdoptedSource>,
  ): Promise<void> {
    const { job: stored } = look;
    if (plan === null || plan.judgements.length === 0 || stored.bare) return;
    const judged = new Set(plan.judgements.map(({ podNumber }) => podNumber));
    const kinds = Map.groupBy(
      look.unjudged.filter(({ podNumber }) => judged.has(podNumber)),
      ({ reason, exitCode }) => `${reason} ${exitCode}`,
    );
    const latest = [...kinds.values()]
      .map((pods) => ({ pod: pods.reduce(later), count: pods.length }))
      .toSorted((a, b) => a.pod.endMs - b.pod.endMs)
      .slice(-MAX_FAILURE_KINDS);
    const withOverlay = latest.filter(({ pod }) => pod.hasOverlay);
    const overlays = await this.#shard.podOverlays(
      stored.uid,
      withOverlay.map(({ pod }) => pod.podNumber),
    );
    const job = jobOf(stored);
    const about = referenceOf(stored);
    for (const { pod: record, count } of latest) {
      const overlay = overlays.get(record.podNumber) ?? null;
      const own = { job, pod: record, overlay };
      const pod = composePod({ ...(adopted.get(record.podNumber) ?? own), nodeName: '' });
      this.#sink.record({
        about,
        type: 'Warning',
        reason: pod.status.reason ?? 'PodFailed',
        message: failureNote(pod),
        shape: failureText(pod),
        component: COMPONENT,
        count: { more: count },
      });
    }
  }

  /** Tells what a written status says that is new. */
  conditions(
    { job }: ObservedJob,
    before: readonly JobCondition[],
    after: readonly JobCondition[],
  ): void {
    if (job.bare) return;
    const about = referenceOf(job);
    for (const event of conditionEvents(before, after)) {
      this.#sink.record({ ...event, about, component: COMPONENT });
    }
  }

  /** Tells what a Job that is over left behind: items of its work queue. */
  async finished({ job }: ObservedJob): Promise<void> {
    const name = workQueueOf(job);
    const uid = name === null ? null : await this.#shard.workQueues.find(job.namespace, name);
    const queue = uid === null ? null : await this.#shard.workQueues.read(uid);
    if (name === null || queue === null) return;
    const { enqueued, settled, dead } = queue.counts;
    const about = referenceOf(job);
    for (const warning of leftItemsWarnings(name, { left: enqueued - settled, dead })) {
      this.#sink.record({ ...warning, type: 'Warning', about, component: COMPONENT });
    }
  }

  /** Names of pods by their numbers; of an Indexed Job, as far as their indexes are still known. */
  async #namesOf(
    { job, supply, counters }: ObservedJob,
    podNumbers: readonly number[],
    indexed: boolean,
  ): Promise<Map<number, string>> {
    const nameOf = (podNumber: number, index: number | null) =>
      podName(job.name, index, podSuffix(job.uid, podNumber));
    const names = new Map<number, string>();
    // As long as no index was tried again, each pod has the one after that of the pod before.
    const isInOrder =
      job.adoptedPods === 0 && supply.cursor === counters.podCount && supply.retryCount === 0;
    if (!indexed || isInOrder) {
      for (const n of podNumbers) names.set(n, nameOf(n, indexed ? n - 1 : null));
      return names;
    }
    const { slots } = await this.#shard.listSlots(job.uid, '0');
    const wanted = new Set(podNumbers);
    for (const { podNumber, index } of slots) {
      if (wanted.delete(podNumber)) names.set(podNumber, nameOf(podNumber, index));
    }
    for (const podNumber of wanted) {
      const record = await this.#shard.readRecord(job.uid, podNumber);
      if (record !== null) names.set(podNumber, nameOf(podNumber, record.index));
    }
    return names;
  }
}

/**
 * What a controller that has not seen a Job before, or forgot it, takes as told. What was told in the last hour is
 * known in Redis, and not written again; of older pods would be said that they were created now.
 */
function toldBefore({ counters, nowMs }: ObservedJob, startTime: string | undefined): number {
  const startMs = parseTime(startTime);
  const isRecent = startMs !== null && nowMs < startMs + DEFAULT_EVENT_TTL_MS;
  return isRecent ? 0 : counters.podCount;
}

function later(a: UnjudgedRecord, b: UnjudgedRecord): UnjudgedRecord {
  return b.endMs >= a.endMs ? b : a;
}

function referenceOf({ namespace, name, uid }: StoredJob): InvolvedObject {
  return { apiVersion: 'batch/v1', kind: 'Job', namespace, name, uid };
}
