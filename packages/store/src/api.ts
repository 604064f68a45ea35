/**
 * What the scripts of the store take and answer. One interface per script; the wrappers in
 * `shard.ts` have the same names as the files in `lua/`.
 */

import type {
  ComputeResources,
  ContainerStatus,
  PodPriority,
  PropagationPolicy,
  QuotaDenial,
} from '@drover/shared';

/** The gate of a Job: the numbers every claim checks. Only the controller sets them. */
export interface Gate {
  /** Most active pods that a claim may lead to. 0 closes the gate. Range 0..2^31-1. */
  readonly limit: number;
  /** No pod starts before this time (pod back-off). ms since the epoch; 0 = no hold. */
  readonly notBeforeMs: number;
  /** No pod starts at or after this time (activeDeadlineSeconds). ms since the epoch; 0 = none. */
  readonly deadlineMs: number;
  /** While a failed pod is not judged, no pod starts. */
  readonly holdOnFailure: boolean;
  /** Failures are counted for each index (backoffLimitPerIndex). Left out = false. */
  readonly perIndex?: boolean;
  /**
   * A pod that was told to stop is replaced only when it has ended (podReplacementPolicy Failed). Holds
   * for pods that are told from then on. Left out = false.
   */
  readonly replaceEnded?: boolean;
  /** Each success makes the Job due (successPolicy). Left out = false. */
  readonly lookAtSuccesses?: boolean;
}

/** How often pods of an index failed before; of Jobs that count it (backoffLimitPerIndex). */
export interface IndexFailures {
  /** Failures that count to backoffLimitPerIndex. */
  readonly counted: number;
  /** Failures that a podFailurePolicy ignored. */
  readonly ignored: number;
}

/** No pod of the index failed. */
export const NO_FAILURES: IndexFailures = { counted: 0, ignored: 0 };

/** What of a Job that counts failures for each index is not in its hot state. */
export interface IndexState {
  /** Indexes that failed for good. */
  readonly failedCount: number;
  /** Indexes that waited for their back-off, which is over: `judge` or `openSlots` lets them go. */
  readonly readyCount: number;
  /** When the back-off of another one is over, ms since the epoch; null = none waits. */
  readonly nextReadyMs: number | null;
}

/** Live figures of a Job; they move with every report and carry no resourceVersion. */
export interface HotCounters {
  /** Pods Pending or Running that are not stopping. */
  readonly active: number;
  /** Active pods that run. */
  readonly running: number;
  /** Pods that were told to stop and have not ended. */
  readonly terminating: number;
  /** Successes: of pods, or of indexes for an Indexed Job. */
  readonly succeeded: number;
  /** Failed pods that were counted (judged, or stopped with `failed`). */
  readonly failed: number;
  /** Those of `failed` that count to backoffLimit (a lost pod may not). */
  readonly limitFailures: number;
  /** Failed pods that wait for the controller's verdict. */
  readonly unjudged: number;
  /** Container restarts of the active pods together. */
  readonly restarts: number;
  /** Pods started so far; also the number of the newest pod (numbers begin at 1). */
  readonly podCount: number;
  /** Failed pods in a row, as of `lastFailureMs`. Written by `judge`. */
  readonly failuresInRow: number;
  /** When the last judged failed pod ended; 0 = never. */
  readonly lastFailureMs: number;
  /** When the last pod succeeded; 0 = never. */
  readonly lastSuccessMs: number;
  /** Records of pods that ended which are there. */
  readonly kept: number;
}

/** How a pod ended. */
export type PodOutcome = 'Succeeded' | 'Failed';

/**
 * Why a pod ended, in one byte of its record. The text is what `status.reason` or the
 * container's `terminated.reason` shows.
 */
export const POD_REASONS = [
  'Completed',
  'Error',
  'StartError',
  'DeadlineExceeded',
  'NodeLost',
  'Drained',
  'Deleted',
  'RolledBack',
  'OOMKilled',
  'HandlerTimeout',
  'Evicted',
] as const;
/** One of {@link POD_REASONS}. NodeLost, Drained and RolledBack are disruptions, not faults of the pod. */
export type PodReason = (typeof POD_REASONS)[number];

/** A pod that ended, as kept in its packed record of 27 bytes. */
export interface PodRecord {
  /** 1, 2, 3 ... in order of creation within the Job. */
  readonly podNumber: number;
  /** Completion index; for Jobs that are not Indexed the internal unit of work. */
  readonly index: number;
  /** Number of the node in the shard's node table; 0 = never assigned. */
  readonly nodeNumber: number;
  readonly startMs: number;
  readonly endMs: number;
  /** 0..255; 128+N when ended by signal N. */
  readonly exitCode: number;
  readonly outcome: PodOutcome;
  readonly reason: PodReason;
  /** Something was written to its log stream. */
  readonly hasLog: boolean;
  /** Container restarts, message, return value and the like are in the overlay. */
  readonly hasOverlay: boolean;
  readonly resourceVersion: number;
}

/** A pod that is not terminal: the present content of a slot. */
export interface SlotRecord {
  /** Number of the slot; never reused within a Job. */
  readonly slot: number;
  readonly podNumber: number;
  readonly index: number;
  readonly phase: 'Pending' | 'Running' | 'Stopping';
  /** Random id of the session that holds it, 16 hex digits; '' while Pending. */
  readonly session: string;
  readonly attemptsStarted: number;
  readonly nodeNumber: number;
  readonly createdMs: number;
  /** 0 while Pending. */
  readonly startMs: number;
  readonly restarts: number;
  readonly resourceVersion: number;
  /** Its user deleted it, and it counts for what its end is; left out when that is settled, or does not matter. */
  readonly countsByEnd?: true;
  /** It was told to stop, and its index goes back when it has ended. */
  readonly owesIndex?: true;
  /** Its Job has released it: no figure of the Job knows of it. */
  readonly isFree?: true;
  /** Of pods of its index before it; left out when none failed. */
  readonly failures?: IndexFailures;
  /** What it was granted of the quota of its namespace, see `lua/include/grants.lua`; left out when nothing. */
  readonly grant?: string;
}

/** A container of a pod in the form of the API, without what its template says. */
export type ContainerRecord = Pick<
  ContainerStatus,
  'name' | 'state' | 'lastState' | 'ready' | 'restartCount' | 'started'
>;

/** How a pod is that is more than one container which runs once. */
export interface PodDetails {
  /** Of initContainers and containers alike; one that is missing was not started. */
  readonly containers: readonly ContainerRecord[];
  /** Why volumes are not mounted where the template wants them; left out when they are. */
  readonly unmounted?: string;
}

/** What of a running pod is only for those who look. */
export interface PodNotes {
  /** How far it says it has come. */
  readonly progress?: string;
  /** How its containers are. */
  readonly details?: PodDetails;
}

/** What a finished pod has of its own beyond its record. All optional; bounded by the worker. */
export interface PodOverlay {
  /** Human text, at most 4 KiB. */
  message?: string;
  /** JSON text of a handler's return value, at most 64 KiB. */
  result?: string;
  /** Container restarts. */
  restarts?: number;
  /** Signal that ended the main process, such as `SIGKILL`. */
  signal?: string;
  /** How its containers ended, of a pod with several or with restarts. */
  details?: PodDetails;
  /** Of pods of its index before it; left out when none failed. */
  failures?: IndexFailures;
}

/** A Job as stored: object and status apart, versions beside them. */
export interface StoredJob {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** JSON of {metadata (without resourceVersion, generation), spec}. */
  readonly object: string;
  /** JSON of status as last folded. */
  readonly status: string;
  readonly resourceVersion: number;
  readonly generation: number;
  /** Shard's time of creation; ms since the epoch. */
  readonly createdMs: number;
  /** The slot queue of the Job's pods, `<pool>.<runtime>`. */
  readonly queue: string;
  /** What a worker must offer to run them: a key of `SessionInfo.lanes`, and before it what they request. */
  readonly fittingKey: string;
  /** Complete or Failed is written. */
  readonly finished: boolean;
  /** Who must agree before it goes. */
  readonly finalizers: readonly string[];
  /** When its deletion was asked for while it waits for its finalizers, ms since the epoch; null = it was not. */
  readonly deletionMs: number | null;
  /** Pods that succeeded were removed up to this number, to make room. */
  readonly droppedTo: number;
  /** Failed ones were, up to this number. */
  readonly failedDroppedTo: number;
  /** How many that were, all together. */
  readonly droppedPods: number;
  /** Its pods do not belong to it any more (propagation policy Orphan). */
  readonly orphaned: boolean;
  /** It has released pods, which outlive it. */
  readonly hasFreePods: boolean;
  /** Labels or annotations of its pods were changed. */
  readonly hasChangedPods: boolean;
  /** resourceVersion of the last such change; 0 = none. */
  readonly podsChangedVersion: number;
  /** How many pods it has ever adopted. */
  readonly adoptedPods: number;
  /** Others have adopted pods of it. */
  readonly hasLentPods: boolean;
  /** It may adopt pods by a selector of its user's, and those that there were have been looked through. */
  readonly hasSought: boolean;
  /** Nothing is left of its pods (propagation policy Foreground). */
  readonly emptied: boolean;
  /** It is being resized: everything that is known of indexes from this one on is void; null = it is not. */
  readonly cut: number | null;
  /** It is a pod without a Job: nobody sees it as a Job. */
  readonly bare: boolean;
  /** Of its pods, as of those that were started last. */
  readonly priority: PodPriority;
  /** Deleted: the name is free, the hot state stays until its last pod ended, and with `orphaned` until all are gone. */
  readonly deleted: boolean;
}

/** A due member that was taken. Pass it to `done`. */
export interface Taken {
  /** `job:<uid>`, `session:<id>`, `wq:<uid>`, `cron:<namespace>/<name>`, `gc:<uid of an owner>` or `kept:all`. */
  readonly member: string;
  readonly token: string;
  readonly count: number;
}

/** What was taken at once. */
export interface Taking {
  /** By the shard's clock. */
  readonly nowMs: number;
  /** When the next member is due, ms by the shard's clock; null = none is. */
  readonly nextAtMs: number | null;
  readonly taken: Taken[];
}

/** A failed pod that waits for its verdict. */
export interface UnjudgedRecord extends PodRecord {
  /** How often in a row its index was lost, this time included; 0 = not lost. */
  readonly losses: number;
  /** Of pods of its index before it. */
  readonly failures: IndexFailures;
}

/** Which indexes of a Job could get a pod now. */
export interface IndexSupply {
  /** How many the scripts hand out at all; null = without end (work queue). */
  readonly completions: number | null;
  /** The first that was never given to a pod. */
  readonly cursor: number;
  /** Those to be tried again at once. */
  readonly retryCount: number;
}

/** One atomic look at a Job. */
export interface ObservedJob {
  readonly nowMs: number;
  readonly job: StoredJob;
  /** Bumped by spec changes, controller writes, recorded failures and stops. */
  readonly decisionVersion: number;
  readonly gate: Gate;
  readonly counters: HotCounters;
  readonly supply: IndexSupply;
  /** At most 500 of the pods that wait for a verdict, with their losses in a row. */
  readonly unjudged: readonly UnjudgedRecord[];
  /** Slots that are Pending, lowest pod number first, at most as many as asked for. */
  readonly pendingSlots: readonly number[];
  readonly pendingCount: number;
  /** Lanes of live workers that could run the Job's pods. */
  readonly fittingLanes: number;
  /** Unfinished Jobs with slots on the same queue, this one included. */
  readonly jobsOnQueue: number;
  /**
   * When reports want their figures folded into the status, ms since the epoch. As long as it is to
   * come they make the Job due for nothing less urgent, so a look that comes earlier must plan it anew.
   */
  readonly foldAtMs: number;
  /** Something belongs to one of its pods. */
  readonly hasOwningPods: boolean;
}

/** Guard of every apply script: nothing is written when either has moved. */
export interface DecisionGuard {
  readonly uid: string;
  readonly generation: number;
  readonly decisionVersion: number;
}

/** What becomes of a failed pod. */
export interface Judgement {
  readonly podNumber: number;
  /** `failed`: counted in status.failed. `ignored`: not counted. Either way the index is retried, except `indexFailed`. */
  readonly verdict: 'failed' | 'ignored' | 'indexFailed';
  /** Whether it counts to backoffLimit. */
  readonly countsToLimit: boolean;
  /** When its index may be tried again, ms since the epoch; left out = at once. */
  readonly retryAtMs?: number;
  /** Failures of its index from now on; left out = as they were. Only with the gate's `perIndex`. */
  readonly failures?: IndexFailures;
}

/** What is judged: failed pods, with what follows for the gate and the back-off. */
export interface Verdicts {
  /** At most 500. With none it only sets the gate. */
  readonly judgements: readonly Judgement[];
  readonly gate: Gate;
  readonly failuresInRow: number;
  readonly lastFailureMs: number;
}

/** Input of `judge`. */
export interface JudgeInput extends DecisionGuard, Verdicts {}

/** A status that `openSlots` writes when it opened as many slots as it should. */
export interface NewStatus {
  /** JSON of the whole status. */
  readonly text: string;
  /** As in {@link WriteStatusInput}. */
  readonly critical: boolean;
}

/** Slots that `openSlots` opened. */
export interface Opened {
  readonly type: 'opened';
  /** Numbers of the new slots. */
  readonly slots: number[];
  /** As it is now. */
  readonly decisionVersion: number;
  /** Whether the status was written too. */
  readonly isStatusWritten: boolean;
  /** Why the quota of the namespace allowed no more of them; null = it did. */
  readonly denial: QuotaDenial | null;
}

/** Input of `stopPods`. */
export interface StopInput {
  readonly uid: string;
  /** null for a user's deletion of a pod, which does not depend on a decision. */
  readonly guard: DecisionGuard | null;
  /** Pods as `listSlots` gave them; a slot that moved on is skipped. At most 500. */
  readonly pods: readonly Pick<SlotRecord, 'slot' | 'podNumber' | 'session'>[];
  /**
   * `uncounted`: scale-down, suspend, delete of the Job; the index goes back at once.
   * `failed`: the Job failed; counted at once. `unjudged`: a pod deleted by its user; counted
   * by the controller's verdict. With the gate's `replaceEnded` the index goes back when the pod
   * ended, and a deleted pod counts for what its end is. `cut`: uncounted, because its index leaves
   * the Job; also what was told to stop before is then settled.
   */
  readonly countAs: 'uncounted' | 'failed' | 'unjudged' | 'cut';
}

/** Input of `resizeJob`. */
export interface ResizeInput extends DecisionGuard {
  /** How many the Job has from now on, an integer >= 0. */
  readonly completions: number;
  /** JSON of the whole status that shows it. */
  readonly status: string;
}

/** Input of `writeStatus`. */
export interface WriteStatusInput extends DecisionGuard {
  /** JSON of the whole status. */
  readonly status: string;
  /**
   * Write a terminal condition: refused with 'notSettled' while a pod is active, terminating or
   * unjudged, and of `Complete` while successes are missing; `CompleteEarly` is by a successPolicy.
   * null for an interim status.
   */
  readonly finish: 'Complete' | 'CompleteEarly' | 'Failed' | null;
  /** Conditions change: bumps decisionVersion. False for a fold of counters. */
  readonly critical: boolean;
}

/** A guarded write found another state, or no Job: look again. */
export type Refused = { readonly type: 'moved' } | { readonly type: 'gone' };

/** A new Job for `createJob`. */
export interface NewJob {
  /** Chosen by the caller: the idempotency key. */
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** JSON of {metadata (without resourceVersion, generation), spec}. */
  readonly object: string;
  /** JSON of the first status. */
  readonly status: string;
  /** null = unset (work queue). */
  readonly completions: number | null;
  /** `<pool>.<runtime>`. */
  readonly queue: string;
  /** Key of `SessionInfo.lanes`. */
  readonly fittingKey: string;
  /** Whether the index is shown. */
  readonly indexed: boolean;
  /** Who must agree before it goes. Default: nobody. */
  readonly finalizers?: readonly string[];
  /** What it belongs to. Default: nothing. */
  readonly owners?: readonly Owner[];
  /** It is a pod without a Job, stored as a Job of its own. Default false. */
  readonly bare?: boolean;
  /** What each of its pods takes of quota, see `quotaShare`. Default: nothing but being a pod. */
  readonly share?: string;
}

/** An owner as the index of what belongs to whom has it. */
export interface Owner {
  /** A UUID. */
  readonly uid: string;
  /** Whether a foreground deletion of the owner waits for what belongs to it. */
  readonly blocks: boolean;
  /** Name of the CronJob that the owner is, if it is one and controls it. Left out or null: it is none. */
  readonly cronJob?: string | null;
}

/** Something that belongs to an owner. */
export interface Dependent {
  /** Its member of the due set, `job:<uid>` for a Job. */
  readonly member: string;
  readonly blocks: boolean;
}

/** Which pods that ended are removed to make room. */
export interface PodDrop {
  /** First number that is looked at. */
  readonly from: number;
  /** Last one; not more than one chunk of records is looked at. */
  readonly to: number;
  /** Pods that are removed at most, an integer >= 1. */
  readonly most: number;
  /** Failed ones too. */
  readonly failed: boolean;
}

/** How a Job is deleted. */
export interface DeleteOptions {
  /** Default: as its finalizers say, else Background. */
  readonly policy?: PropagationPolicy | undefined;
  /** Only when this is its resourceVersion. */
  readonly resourceVersion?: number | undefined;
}

/** What `createJob` answers. */
export type Created =
  | {
      readonly type: 'created';
      readonly resourceVersion: number;
      /** Shard's time of creation; ms since the epoch. */
      readonly createdMs: number;
    }
  /** The same uid was created before. */
  | { readonly type: 'replayed' }
  /** Another Job has the name. */
  | { readonly type: 'alreadyExists' }
  /** The quota of the namespace does not allow it. */
  | { readonly type: 'forbidden'; readonly denial: QuotaDenial };

/** A change of a Job's object. */
export interface JobUpdate {
  readonly uid: string;
  /** resourceVersion that the change was made from; null = whatever it is. */
  readonly expectedResourceVersion: number | null;
  readonly object: string;
  /** Bumps generation. */
  readonly specChanged: boolean;
  /** Pods that the changed spec allows at once, 0 when it is suspended: no more are started from then on. Default: as it is. */
  readonly mostActive?: number;
  readonly completions: number | null;
  /** As in {@link NewJob}: a suspended Job may move to another pool. */
  readonly queue: string;
  readonly fittingKey: string;
  /** As in {@link NewJob}; default: as it is. */
  readonly share?: string;
  /** As in {@link NewJob}; default: as they are. */
  readonly finalizers?: readonly string[];
  /** As in {@link NewJob}; default: as they are. */
  readonly owners?: readonly Owner[];
}

/** A stored Job with its live figures. */
export interface JobView extends StoredJob {
  readonly counters: HotCounters;
  readonly gate: Gate;
}

/** A worker session that is alive in a shard, and how much it runs. */
export interface SessionLoad {
  /** 16 hex digits. */
  readonly id: string;
  /** Name of its node. */
  readonly node: string;
  /** Pods that it runs, stopping ones included. */
  readonly podCount: number;
  /** It takes no pods: its node is cordoned, or drains. */
  readonly isWithheld: boolean;
}

/** What a live session has for the pods of a Job, and what of it is taken. */
export interface SessionCapacity extends SessionLoad {
  /** Lanes for these pods; those of all its handlers are the same. */
  readonly lanes: number;
  readonly resources: ComputeResources;
  /** What the pods that it runs requested. */
  readonly taken: ComputeResources;
}

/** What of a pod's metadata its user may change. */
export interface PodMetadataChange {
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly managedFields?: readonly unknown[] | undefined;
}

/** A pod's labels and annotations since its user changed them, in place of those of the template. */
export interface ChangedPod extends PodMetadataChange {
  /** Of the last change. */
  readonly resourceVersion: number;
  /** Its Job has released it: it is nobody's. */
  readonly isFree: boolean;
}

/** A change of a pod of a Job. */
export interface PodChange {
  readonly uid: string;
  readonly podNumber: number;
  /** Where it was seen; 0 = it had ended. */
  readonly slot: number;
  /** resourceVersion that the change was made from; null = whatever it is. */
  readonly expectedResourceVersion: number | null;
  readonly change: PodMetadataChange;
  /** Whether the Job selects its labels then; if not, the Job releases it. */
  readonly isSelected: boolean;
}

/** How an adopted pod stands with the Job that has adopted it. */
export type AdoptedState =
  /** Active; the last is known to run. */
  | 'pending'
  | 'running'
  /** Told to stop, or to be told. The last gives its index back when it has ended. */
  | 'stopping'
  | 'returning'
  /** Nothing is to come of it. */
  | 'ended';

/** A pod that a Job has adopted. It lies with its host: the Job that started it, or what a pod without a Job is stored as. */
export interface AdoptedPod {
  /** 1, 2, 3 ... in order of adoption. */
  readonly number: number;
  readonly hostUid: string;
  /** Its number with the host. */
  readonly podNumber: number;
  /** Its slot with the host; 0 = it had ended when it was adopted. */
  readonly slot: number;
  /** The index that it has of the Job's; null = none. */
  readonly index: number | null;
  readonly state: AdoptedState;
}

/** Who has adopted a pod. */
export interface Adopter {
  /** null: a Job had adopted it, and has let it go. */
  readonly uid: string | null;
  /** Name of the Job. */
  readonly name: string;
  /** Number of the adoption. */
  readonly number: number;
  readonly isCounted: boolean;
  /** Of the last change of it. */
  readonly resourceVersion: number;
}

/** A pod that is to be adopted, as it was seen. */
export interface PodToAdopt {
  readonly podNumber: number;
  /** 0 = it had ended. */
  readonly slot: number;
  /** What its annotation says; null = nothing that is an index. */
  readonly index: number | null;
  /** resourceVersion of the last change of its labels; 0 = none. */
  readonly changedVersion: number;
}

/** A pod as stored: what a slot holds, or a record with its overlay. */
export type StoredPod = (
  | ({ readonly kind: 'slot' } & SlotRecord)
  | ({ readonly kind: 'record'; readonly overlay: PodOverlay | null } & PodRecord)
) & {
  /** Left out: its labels and annotations are those of the template. */
  readonly changed?: ChangedPod;
  /** Left out: no Job has ever adopted it. */
  readonly adopter?: Adopter;
};

/** A worker session as registered in a shard. */
export interface SessionInfo {
  /** 16 hex digits, random. */
  readonly id: string;
  readonly node: string;
  /**
   * Lanes per fitting key: `<pool>/process` or `<pool>/handler/<name>`; one key per thing that
   * the worker can run.
   */
  readonly lanes: Readonly<Record<string, number>>;
  /** What its pods may request together; default nothing. */
  readonly resources?: ComputeResources;
  readonly leaseTtlMs: number;
}

/** Told to a session with its heartbeat (and sooner by pub/sub): stop this pod. */
export interface StopOrder {
  readonly uid: string;
  readonly slot: number;
  readonly podNumber: number;
}

/** The question of a slot's holder for its pod. */
export interface SlotRequest {
  readonly uid: string;
  readonly slot: number;
  /** Deliveries of the QueueJob so far, this one included. */
  readonly attemptsStarted: number;
  /** Session that asks, 16 hex digits. */
  readonly session: string;
  /** Generation of the object that the caller has; 0 = none. */
  readonly knownGeneration: number;
}

/** What `acquire` answers. */
export type AcquireReply =
  | {
      readonly type: 'run';
      readonly claim: Claim;
      readonly generation: number;
      /** The stored object; null when `knownGeneration` is current. */
      readonly job: StoredJob | null;
    }
  /** Slot is unknown, taken back, or its Job is over: finish the QueueJob. */
  | { readonly type: 'gone' }
  /** Gate is closed for the moment: put the QueueJob back until `untilMs`. */
  | { readonly type: 'held'; readonly untilMs: number }
  /** Another live session (or an older delivery of ours) holds it: put it back until `untilMs`. */
  | { readonly type: 'parked'; readonly untilMs: number }
  /** Our session was ended: start a new one; put the QueueJob back. */
  | { readonly type: 'sessionEnded' };

/** The pod that a slot's holder has to run. */
export interface Claim {
  readonly podNumber: number;
  readonly index: number;
  readonly createdMs: number;
  readonly startMs: number;
  /** Container restarts so far: above 0 only when an acquire is answered again. */
  readonly restarts: number;
  /** Of pods of its index before it; left out when none failed. */
  readonly failures?: IndexFailures;
}

/** One ended pod in a gathered report. */
export interface ReportEntry {
  readonly uid: string;
  /** The slot queue that the slot came from. */
  readonly queue: string;
  readonly slot: number;
  readonly attemptsStarted: number;
  readonly podNumber: number;
  readonly outcome: PodOutcome;
  readonly exitCode: number;
  readonly reason: PodReason;
  readonly hasLog: boolean;
  /** Holder does not want another pod (drain, lost lock). */
  readonly leave: boolean;
  /** Holder ran for longer than the quantum: yield when others wait. */
  readonly quantumOver: boolean;
  readonly overlay: PodOverlay | null;
}

/** The answer to one report entry. */
export type ReportAnswer =
  | { readonly type: 'next'; readonly claim: Claim }
  /** Counted (now or before); the slot is closed. Finish the QueueJob. */
  | { readonly type: 'released' }
  /** Counted; the slot's next pod is Pending: put the QueueJob at the back. */
  | { readonly type: 'yield' }
  /** The claim was no longer valid: nothing was counted. Finish the QueueJob. */
  | { readonly type: 'stale' }
  /** Redis lost the claim in a failover: nothing was counted. Finish the QueueJob. */
  | { readonly type: 'rolledBack' };
