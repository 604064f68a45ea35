/**
 * Pods that a Job has adopted: those that are nobody's and that it selects. They stay where they are, with their host (the
 * Job that started them, or what a pod without a Job is stored as), and count for the Job that has adopted them.
 */
import {
  OUR_CONTROLLER,
  podMetadata,
  selectorFromObject,
  type Job,
  type LabelSelector,
} from '@drover/shared';
import {
  type AdoptedPod,
  adoptionOf,
  type EventSink,
  isOutOfMemory,
  type ObservedJob,
  type PodOverlay,
  type PodRecord,
  type Shard,
  type SlotRecord,
  type StoredJob,
  type StoredPod,
} from '@drover/store';
import type { Logger } from 'pino';
import {
  type AdoptingJob,
  adopterFor,
  inAdoptionOrder,
  type LoosePod,
  saidIndex,
  selects,
} from './decide/adopt.ts';
import { jobOf } from './jobPlan.ts';
import type { JobMemo } from './jobMemo.ts';

/** What adoption needs of a shard. */
export type AdoptionShard = Pick<
  Shard,
  | 'adoption'
  | 'deleteJob'
  | 'getJobByUid'
  | 'hostsOfLoosePods'
  | 'loosePods'
  | 'readPods'
  | 'removePodRecord'
  | 'stopPods'
>;

/** How often pods are read anew that changed while they were being adopted. */
const MAX_ATTEMPTS = 5;

/** Labels by which a pod says which Job is to have it. */
const JOB_UID_LABELS = ['batch.kubernetes.io/controller-uid', 'controller-uid'] as const;

const WHY_NOT = {
  tooMany: 'the Job has adopted 500 pods, and can not adopt more',
  tooFar: 'its completion index lies 1,000 or more behind those that the Job has given out',
} as const;

/** A pod that is nobody's, with where it was found. */
interface Found extends LoosePod {
  readonly stored: StoredPod;
  readonly name: string;
}

/** A Job that may adopt, as stored. */
interface Candidate extends AdoptingJob {
  readonly stored: StoredJob;
}

/** An active adopted pod as one that may be stopped. */
export type AdoptedSlot = SlotRecord & { readonly adoption: AdoptedPod };

/** What a failed adopted pod was, where it lies. */
export interface AdoptedSource {
  /** Its host, whose template it ran. */
  readonly job: Job;
  readonly isBare: boolean;
  /** As its host knows it. */
  readonly pod: PodRecord;
  readonly overlay: PodOverlay | null;
}

/** Looks after adopted pods of the Jobs of a shard. */
export class Adoptions {
  readonly #shard: AdoptionShard;
  readonly #events: EventSink;
  readonly #logger: Logger;

  constructor(shard: AdoptionShard, events: EventSink, logger: Logger) {
    this.#shard = shard;
    this.#events = events;
    this.#logger = logger;
  }

  /** What became of the pods that a Job has adopted. True: its figures changed by it. */
  async tend({ uid, adoptedPods }: StoredJob): Promise<boolean> {
    if (adoptedPods === 0) return false;
    const pods = await this.#shard.adoption.list(uid);
    const live = pods.filter(({ state }) => state !== 'ended');
    const { changed, runOn } = await this.#shard.adoption.tend(uid, live);
    await Promise.all(runOn.map((pod) => this.#tellToStop(pod)));
    return changed;
  }

  /** As if their users had deleted them, where they lie. */
  async #tellToStop({ hostUid, podNumber, slot }: AdoptedPod): Promise<void> {
    const host = await this.#shard.getJobByUid(hostUid);
    const [pod] = host === null ? [] : await this.#shard.readPods(hostUid, [{ podNumber, slot }]);
    if (host === null || pod?.kind !== 'slot' || pod.phase === 'Stopping') return;
    if (host.bare) {
      const policy = pod.phase === 'Pending' ? 'Background' : 'Foreground';
      await this.#shard.deleteJob(hostUid, { policy });
      return;
    }
    await this.#shard.stopPods({ uid: hostUid, guard: null, pods: [pod], countAs: 'unjudged' });
  }

  /** Pods of a host may have changed, or ended: the Jobs that have adopted some see what became of them. */
  async tendLent({ uid: hostUid, hasLentPods }: StoredJob): Promise<void> {
    if (!hasLentPods) return;
    const adopters = [...(await this.#shard.adoption.adopters(hostUid))];
    const live = adopters.filter(([, { uid, isCounted }]) => uid !== null && !isCounted);
    const byJob = Map.groupBy(live, ([, { uid }]) => uid ?? '');
    for (const [uid, its] of byJob) {
      const pods = its.map(([podNumber, { number }]) => ({ number, hostUid, podNumber }));
      // Those that are still to be told are told when the Job is looked at.
      await this.#shard.adoption.tend(uid, pods);
    }
  }

  /**
   * Looks through the pods of its namespace for a Job with a selector of its user's, once, before it starts any. From then
   * on pods that come to be nobody's are shown to it.
   *
   * @returns Whether that was done now.
   */
  async seek(job: StoredJob, memo: JobMemo): Promise<boolean> {
    if (job.hasSought || !memo.selectsByHand) return false;
    const candidate = candidateOf(job);
    if (candidate === null) return false;
    try {
      // Before the look: what comes to be nobody's meanwhile is shown to it.
      await this.#shard.adoption.select(job);
      for await (const host of this.#shard.hostsOfLoosePods(job.namespace)) {
        await this.#adoptFrom(host, [candidate]);
      }
      await this.#shard.adoption.noteSought(job.uid);
      return true;
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      this.#logger.debug({ err: error }, 'Redis has no memory for adopted pods');
      return false;
    }
  }

  /**
   * Shows pods of a host that are nobody's to the Jobs that may select them; lets adopted ones go that are not selected any
   * more. Once for each change of what is selected by.
   */
  async show(host: StoredJob, memo: JobMemo): Promise<void> {
    const { bare, orphaned, hasFreePods, deleted, resourceVersion, podsChangedVersion } = host;
    if (!orphaned && !hasFreePods && (!bare || deleted)) return;
    const marker = `${bare ? resourceVersion : 0} ${podsChangedVersion} ${deleted} ${orphaned}`;
    if (memo.shownPods === marker) return;
    try {
      if (await this.#showNow(host)) memo.shownPods = marker;
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      this.#logger.debug({ err: error }, 'Redis has no memory for adopted pods');
    }
  }

  /** False: the pod has no slot yet. */
  async #showNow(host: StoredJob): Promise<boolean> {
    const candidates = await this.#candidates(host.namespace);
    if (candidates.length === 0 && !saysOtherwise(host)) return true;
    const pods = await this.#find(host);
    if (pods.length === 0) return false;
    await this.#release(host, pods);
    const named = new Set(pods.flatMap(({ labels }) => JOB_UID_LABELS.map((key) => labels[key])));
    for (const uid of named) {
      if (uid === undefined || candidates.some((one) => one.uid === uid)) continue;
      const job = await this.#shard.getJobByUid(uid);
      const candidate = job !== null && job.namespace === host.namespace ? candidateOf(job) : null;
      if (candidate !== null) candidates.push(candidate);
    }
    await this.#adoptFrom(host, candidates, pods);
    return true;
  }

  /** Jobs with a selector of their user's; those that are over are forgotten. */
  async #candidates(namespace: string): Promise<Candidate[]> {
    const { adoption } = this.#shard;
    const uids = await adoption.selecting(namespace);
    const jobs = await Promise.all(uids.map((uid) => this.#shard.getJobByUid(uid)));
    const candidates: Candidate[] = [];
    for (const job of jobs) {
      const candidate = job === null ? null : candidateOf(job);
      if (candidate !== null) candidates.push(candidate);
      else if (job !== null && (job.finished || job.deleted)) await adoption.unselect(job);
    }
    return candidates;
  }

  /** @param first - The pods of the host, when they were read already. */
  async #adoptFrom(
    host: StoredJob,
    candidates: readonly Candidate[],
    first?: readonly Found[],
  ): Promise<void> {
    if (candidates.length === 0) return;
    let pods = first ?? (await this.#find(host));
    let present: StoredJob | null = host;
    for (let attempt = 1; present !== null && attempt <= MAX_ATTEMPTS; attempt++) {
      if (!(await this.#adoptOnce(present, candidates, pods))) return;
      present = await this.#shard.getJobByUid(host.uid);
      if (present !== null) pods = await this.#find(present);
    }
  }

  /** Answers whether a pod was not as it was seen. */
  async #adoptOnce(
    host: StoredJob,
    candidates: readonly Candidate[],
    pods: readonly Found[],
  ): Promise<boolean> {
    const loose = pods.filter(({ stored }) => (stored.adopter?.uid ?? null) === null);
    const wanted = Map.groupBy(loose, (pod) => adopterFor(pod, candidates));
    let isMoved = false;
    for (const [candidate, its] of wanted) {
      if (candidate === null) continue;
      const ordered = inAdoptionOrder(its);
      const answers = await this.#shard.adoption.adopt({
        uid: candidate.uid,
        hostUid: host.uid,
        hostVersion: host.bare ? host.resourceVersion : null,
        pods: ordered.map((pod) => ({
          podNumber: pod.stored.podNumber,
          slot: pod.stored.kind === 'slot' ? pod.stored.slot : 0,
          index: saidIndex(pod),
          changedVersion: pod.stored.changed?.resourceVersion ?? 0,
        })),
      });
      for (const [i, answer] of answers.entries()) {
        isMoved ||= answer === 'moved';
        if (answer === 'tooMany' || answer === 'tooFar') {
          this.#tellLimit(candidate.stored, ordered[i]!.name, answer);
        }
      }
      const count = answers.filter((answer) => answer === 'adopted').length;
      if (count > 0) this.#logger.info({ jobUid: candidate.uid, count }, 'adopted pods');
    }
    return isMoved;
  }

  #tellLimit({ namespace, name, uid }: StoredJob, pod: string, why: keyof typeof WHY_NOT): void {
    this.#events.record({
      about: { apiVersion: 'batch/v1', kind: 'Job', namespace, name, uid },
      type: 'Warning',
      reason: 'FailedAdoption',
      message: `Pod "${pod}" is not adopted: ${WHY_NOT[why]}`,
      shape: `adoption ${why}`,
      component: 'job-controller',
    });
  }

  async #release(host: StoredJob, pods: readonly Found[]): Promise<void> {
    const owned = pods.filter(({ stored }) => (stored.adopter?.uid ?? null) !== null);
    for (const [uid, its] of Map.groupBy(owned, ({ stored }) => stored.adopter?.uid ?? '')) {
      const job = await this.#shard.getJobByUid(uid);
      const candidate = job === null ? null : candidateOf(job);
      if (candidate === null) continue;
      const left = its.filter((pod) => !selects(candidate, pod));
      if (left.length === 0) continue;
      const numbers = new Set(left.map(({ stored }) => stored.adopter?.number));
      const adopted = await this.#shard.adoption.list(uid);
      // What the end of one means that was told to stop is settled.
      const going = adopted.filter(
        (pod) =>
          pod.hostUid === host.uid &&
          numbers.has(pod.number) &&
          pod.state !== 'stopping' &&
          pod.state !== 'returning',
      );
      await this.#shard.adoption.release(uid, going);
    }
  }

  async #find(host: StoredJob): Promise<Found[]> {
    const pods = await this.#shard.loosePods(host);
    const job = jobOf(host);
    // One that no controller has given a slot yet is not ready to be anybody's.
    return pods
      .filter((stored) => stored.kind === 'record' || stored.slot > 0)
      .map((stored) => asFound(job, host.bare, stored));
  }

  /** Active adopted pods as those that may be stopped; only of Jobs that have adopted some. */
  async slots({ uid, adoptedPods }: StoredJob): Promise<AdoptedSlot[]> {
    if (adoptedPods === 0) return [];
    const adopted = (await this.#shard.adoption.list(uid)).filter(
      ({ state }) => state !== 'ended' && state !== 'stopping',
    );
    const found = await Promise.all(
      [...Map.groupBy(adopted, ({ hostUid }) => hostUid)].map(async ([hostUid, its]) => {
        const pods = await this.#shard.readPods(hostUid, its);
        const byNumber = new Map(pods.map((pod) => [pod.podNumber, pod]));
        return its.map((adoption) => asSlot(adoption, byNumber.get(adoption.podNumber)));
      }),
    );
    return found.flat();
  }

  /** What the failed adopted pods were that wait for their verdict, by their numbers there. */
  async sources({ job, unjudged }: ObservedJob): Promise<ReadonlyMap<number, AdoptedSource>> {
    const sources = new Map<number, AdoptedSource>();
    if (job.adoptedPods === 0) return sources;
    const failed = unjudged.filter(({ podNumber }) => adoptionOf(podNumber) !== null);
    if (failed.length === 0) return sources;
    const adopted = new Map(
      (await this.#shard.adoption.list(job.uid)).map((pod) => [pod.number, pod]),
    );
    for (const pod of failed) {
      const adoption = adopted.get(adoptionOf(pod.podNumber)!);
      const host = adoption === undefined ? null : await this.#shard.getJobByUid(adoption.hostUid);
      if (adoption === undefined || host === null) continue;
      const [stored] = await this.#shard.readPods(host.uid, [{ ...adoption, slot: 0 }]);
      const own = stored?.kind === 'record' ? stored : { ...pod, podNumber: adoption.podNumber };
      sources.set(pod.podNumber, {
        job: jobOf(host),
        isBare: host.bare,
        pod: own,
        overlay: stored?.kind === 'record' ? stored.overlay : null,
      });
    }
    return sources;
  }
}

/** Lets all go that a Job has adopted: it is deleted with the policy Orphan. */
export async function releaseAdopted(shard: AdoptionShard, job: StoredJob): Promise<void> {
  if (job.adoptedPods === 0) return;
  await shard.adoption.release(job.uid, await shard.adoption.list(job.uid));
}

/** Removes what is kept of adopted pods that have ended, with their Job, which is deleted. */
export async function removeAdopted(shard: AdoptionShard, job: StoredJob): Promise<void> {
  if (job.adoptedPods === 0) return;
  const pods = (await shard.adoption.list(job.uid)).filter(({ state }) => state === 'ended');
  for (const { hostUid, podNumber, slot } of pods) {
    const host = await shard.getJobByUid(hostUid);
    if (host === null) continue;
    if (!host.bare) await shard.removePodRecord(hostUid, podNumber);
    else if (!host.deleted) {
      const [pod] = await shard.readPods(hostUid, [{ podNumber, slot }]);
      const policy = pod?.kind === 'slot' ? 'Foreground' : 'Background';
      await shard.deleteJob(hostUid, { policy });
    }
  }
  await shard.adoption.release(job.uid, pods);
}

/** A Job as one that may adopt; null = it adopts nothing. */
function candidateOf(stored: StoredJob): Candidate | null {
  const { finished, deleted, deletionMs, bare, orphaned, uid, createdMs } = stored;
  if (finished || deleted || deletionMs !== null || bare || orphaned) return null;
  const { spec } = jobOf(stored);
  if ((spec.managedBy ?? OUR_CONTROLLER) !== OUR_CONTROLLER) return null;
  const selector: LabelSelector = spec.selector ?? {};
  return { stored, uid, createdMs, selector: selectorFromObject(selector) };
}

/** What of a pod's metadata adoption looks at. Whose it was when its Job started it does not matter any more. */
function asFound(job: Job, bare: boolean, stored: StoredPod): Found {
  const index = job.spec.completionMode === 'Indexed' ? stored.index : null;
  const generated = podMetadata(job, { podNumber: stored.podNumber, index, bare });
  const { labels = {}, annotations = {} } = stored.changed ?? generated;
  return {
    stored,
    name: generated.name,
    labels,
    annotations,
    owners: bare ? (generated.ownerReferences ?? []) : [],
    phase: stored.kind === 'record' ? stored.outcome : stored.phase,
  };
}

/** Whether labels of its pods may name a Job, or one has adopted some. */
function saysOtherwise({ bare, object, hasChangedPods, hasLentPods }: StoredJob): boolean {
  if (hasLentPods || hasChangedPods) return true;
  return bare && object.includes('controller-uid');
}

function asSlot(adoption: AdoptedPod, stored: StoredPod | undefined): AdoptedSlot {
  const { slot, podNumber, index, state } = adoption;
  const isTold = state === 'returning';
  const known = stored?.kind === 'slot' ? stored : null;
  return {
    slot,
    podNumber,
    index: index ?? 0,
    phase: isTold ? 'Stopping' : state === 'running' ? 'Running' : 'Pending',
    session: '',
    attemptsStarted: 0,
    nodeNumber: 0,
    createdMs: known?.createdMs ?? 0,
    startMs: known?.startMs ?? 0,
    restarts: known?.restarts ?? 0,
    resourceVersion: 0,
    ...(isTold && { owesIndex: true }),
    adoption,
  };
}
