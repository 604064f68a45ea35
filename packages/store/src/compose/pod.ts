import { constants } from 'node:os';
import {
  type ContainerStateTerminated,
  formatTime,
  gracePeriodMs,
  parseTime,
  type Job,
  type OwnerReference,
  type Pod,
  type PodCondition,
  podMetadata,
  podSpec,
  type PodStatus,
  PROGRESS_ANNOTATION,
  RESULT_ANNOTATION,
} from '@drover/shared';
import type {
  Adopter,
  ChangedPod,
  PodNotes,
  PodOverlay,
  PodReason,
  PodRecord,
  SlotRecord,
  StoredPod,
} from '../api.ts';
import {
  type ContainerStatuses,
  defaultStatuses,
  podConditions,
  unmountedCondition,
  withDetails,
} from './containers.ts';
import { formatVersion } from './job.ts';

/** What a pod is composed from: the Job's template and what is known of the pod itself. */
export interface PodSource {
  /** The Job as composed; its metadata and template are used. */
  readonly job: Job;
  /** The content of a slot, or the record of a pod that ended. */
  readonly pod: SlotRecord | PodRecord;
  /** What an ended pod has of its own; null for none. */
  readonly overlay: PodOverlay | null;
  /** Name of the node that the pod was given to; '' for none. */
  readonly nodeName: string;
  /** It is a pod without a Job; `job` is what it is stored as. */
  readonly isBare?: boolean;
  /** What its user changed of it. */
  readonly changed?: ChangedPod | undefined;
  /** Who has adopted it. */
  readonly adopter?: Adopter | undefined;
  /** It has outlived its Job, whose deletion left its pods behind. */
  readonly isOrphan?: boolean;
  /** For a Pending pod: why no worker takes it, in words. */
  readonly pendingMessage?: string;
  /** For a running pod: what its worker says of it. */
  readonly notes?: PodNotes | undefined;
}

/** Stands for no adopter. */
const NOBODY: Adopter = { uid: null, name: '', number: 0, isCounted: true, resourceVersion: 0 };
/** resourceVersions are ms * 4096 or more, so the time of the last change can be told from them. */
const VERSIONS_PER_MS = 4096;
/** Why a pod is Failed though its program is not to blame. */
const DISRUPTIONS: Partial<Record<PodReason, string>> = {
  NodeLost: 'the worker that ran the pod is gone',
  Drained: 'the worker was shut down while the pod ran',
  RolledBack: 'Redis lost the claim of the pod in a failover',
};
/** Reasons that are shown as the pod's own, not as its container's. */
const POD_LEVEL_REASONS: ReadonlySet<PodReason> = new Set([
  'NodeLost',
  'Drained',
  'RolledBack',
  'Deleted',
  'DeadlineExceeded',
  'Evicted',
]);

/**
 * A pod as the API shows it, with the names, labels, annotations and owner that the Job controller
 * of Kubernetes gives. Pure: the same parts make the same pod.
 */
export function composePod(source: PodSource): Pod {
  const { job, pod, nodeName } = source;
  const index = job.spec.completionMode === 'Indexed' ? pod.index : null;
  const failures = isEnded(pod) ? source.overlay?.failures : pod.failures;
  const own = { index, bare: source.isBare === true, ...(failures && { failures }) };
  const identity = { podNumber: pod.podNumber, ...own };
  const { nodeName: _template, ...spec } = podSpec(job, identity);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: composeMetadata(source, podMetadata(job, identity)),
    spec: nodeName === '' ? spec : { ...spec, nodeName },
    status: isEnded(pod) ? endedStatus(source, pod) : activeStatus(source, pod),
  };
}

function isEnded(pod: SlotRecord | PodRecord): pod is PodRecord {
  return 'outcome' in pod;
}

function composeMetadata(source: PodSource, generated: Pod['metadata']): Pod['metadata'] {
  const { job, pod, overlay, changed, adopter, isBare = false } = source;
  const isOrphan = source.isOrphan === true || changed?.isFree === true;
  const { ownerReferences, ...own } = isBare ? bareMetadata(generated) : generated;
  // Of a pod without a Job labels and the like change apart from the rest.
  const ownVersion = isBare ? Number(generated.resourceVersion ?? 0) : 0;
  const metadata: Pod['metadata'] = {
    ...own,
    ...changedMetadata(changed),
    ...ownersField(isOrphan ? [] : ownerReferences, adopter),
    resourceVersion: formatVersion(
      Math.max(versionOfPod({ ...pod, changed, adopter }), ownVersion),
    ),
    creationTimestamp: formatTime(isEnded(pod) ? pod.startMs : pod.createdMs),
  };
  if (overlay?.result !== undefined) {
    metadata.annotations = { ...metadata.annotations, [RESULT_ANNOTATION]: overlay.result };
  }
  if (isEnded(pod)) return metadata;
  const progress = source.notes?.progress;
  if (progress !== undefined) {
    metadata.annotations = { ...metadata.annotations, [PROGRESS_ANNOTATION]: progress };
  }
  // Kubernetes keeps a pod until it is counted; here the script that ends a pod counts it.
  const isCountedYet = (isOrphan || isBare) && (adopter ?? NOBODY).isCounted;
  if (!isCountedYet) metadata.finalizers = ['batch.kubernetes.io/job-tracking'];
  const askedMs = isBare ? parseTime(job.metadata.deletionTimestamp) : null;
  if (pod.phase === 'Stopping' || askedMs !== null) {
    const toldMs = askedMs ?? Math.floor(pod.resourceVersion / VERSIONS_PER_MS);
    const graceMs = gracePeriodMs(job.spec.template.spec);
    metadata.deletionTimestamp = formatTime(toldMs + graceMs);
    metadata.deletionGracePeriodSeconds = Math.round(graceMs / 1000);
  }
  return metadata;
}

function ownersField(
  own: readonly OwnerReference[] = [],
  adopter: Adopter = NOBODY,
): Pick<Pod['metadata'], 'ownerReferences'> {
  const { uid, name } = adopter;
  const ref = { apiVersion: 'batch/v1', kind: 'Job', name, controller: true };
  const all = uid === null ? [...own] : [...own, { ...ref, uid, blockOwnerDeletion: true }];
  return all.length === 0 ? {} : { ownerReferences: all };
}

/** The version of a pod: that of its last change, whichever it was. */
export function versionOfPod({
  resourceVersion,
  changed,
  adopter,
}: Pick<StoredPod, 'resourceVersion'> & {
  readonly changed?: ChangedPod | undefined;
  readonly adopter?: Adopter | undefined;
}): number {
  return Math.max(resourceVersion, changed?.resourceVersion ?? 0, adopter?.resourceVersion ?? 0);
}

function changedMetadata(changed: ChangedPod | undefined): Partial<Pod['metadata']> {
  if (changed === undefined) return {};
  const { labels, annotations, managedFields } = changed;
  return {
    labels: { ...labels },
    annotations: annotations && { ...annotations },
    ...(managedFields && { managedFields: [...managedFields] }),
  };
}

/** What of the Job that a pod is stored as is not the pod's own: how it is deleted, and its versions. */
function bareMetadata(metadata: Pod['metadata']): Pod['metadata'] {
  const {
    finalizers: _finalizers,
    generation: _generation,
    deletionTimestamp: _at,
    deletionGracePeriodSeconds: _grace,
    ...own
  } = metadata;
  return own;
}

function activeStatus(source: PodSource, pod: SlotRecord): PodStatus {
  if (pod.phase === 'Pending') return pendingStatus(source, pod);
  const startedAt = formatTime(pod.startMs);
  const { spec } = source.job.spec.template;
  const details = source.notes?.details;
  const isInitializing = details === undefined && (spec.initContainers ?? []).length > 0;
  const running = {
    ready: pod.phase === 'Running',
    started: true,
    // Of several containers nobody knows yet whose they are.
    restartCount: spec.containers.length > 1 ? 0 : pod.restarts,
    state: { running: { startedAt } },
  };
  const statuses = withDetails(
    spec,
    defaultStatuses(spec, isInitializing ? null : running),
    details,
  );
  const conditions = podConditions(spec, statuses, startedAt, pod.phase === 'Running');
  const initialized = conditions.some(
    ({ type, status }) => type === 'Initialized' && status === 'True',
  );
  return {
    // As in Kubernetes: a pod is Pending until its initContainers have succeeded, and as long as a container waits
    // for something that it needs before its first start.
    phase: initialized && !isHeldUp(statuses) ? 'Running' : 'Pending',
    conditions: [...conditions, ...unmountedCondition(details, startedAt)],
    startTime: startedAt,
    ...statuses,
  };
}

/** A container can not be started for the first time; one that only takes its time says no more than that. */
function isHeldUp({ containerStatuses = [] }: ContainerStatuses): boolean {
  return containerStatuses.some(
    ({ state, restartCount }) => restartCount === 0 && state?.waiting?.message !== undefined,
  );
}

function pendingStatus({ pendingMessage }: PodSource, pod: SlotRecord): PodStatus {
  const message = pendingMessage ?? 'all lanes of the workers that fit are taken';
  const scheduled = condition('PodScheduled', 'False', formatTime(pod.createdMs));
  return {
    phase: 'Pending',
    conditions: [{ ...scheduled, reason: 'Unschedulable', message }],
  };
}

function endedStatus(source: PodSource, pod: PodRecord): PodStatus {
  const startedAt = formatTime(pod.startMs);
  const finishedAt = formatTime(pod.endMs);
  const disruption = DISRUPTIONS[pod.reason];
  const { spec } = source.job.spec.template;
  const details = source.overlay?.details;
  const ended = {
    ready: false,
    started: false,
    restartCount: source.overlay?.restarts ?? 0,
    state: { terminated: terminatedState(source, pod, startedAt, finishedAt) },
  };
  const statuses = withDetails(spec, defaultStatuses(spec, ended), details);
  const notReady = { reason: pod.outcome === 'Succeeded' ? 'PodCompleted' : 'PodFailed' };
  const [, initialized] = podConditions(spec, statuses, startedAt, false);
  const conditions: PodCondition[] = [
    condition('PodScheduled', pod.nodeNumber === 0 ? 'False' : 'True', startedAt),
    initialized ?? condition('Initialized', 'True', startedAt),
    { ...condition('ContainersReady', 'False', finishedAt), ...notReady },
    { ...condition('Ready', 'False', finishedAt), ...notReady },
    ...unmountedCondition(details, startedAt),
  ];
  if (disruption !== undefined) {
    const target = condition('DisruptionTarget', 'True', finishedAt);
    conditions.push({ ...target, reason: pod.reason, message: disruption });
  }
  const message = source.overlay?.message ?? disruption;
  return {
    phase: pod.outcome,
    conditions,
    startTime: startedAt,
    ...statuses,
    ...(POD_LEVEL_REASONS.has(pod.reason) ? { reason: pod.reason } : {}),
    ...(POD_LEVEL_REASONS.has(pod.reason) && message !== undefined ? { message } : {}),
  };
}

function terminatedState(
  { overlay }: PodSource,
  pod: PodRecord,
  startedAt: string,
  finishedAt: string,
): ContainerStateTerminated {
  const signal = signalNumber(overlay?.signal);
  return {
    exitCode: pod.exitCode,
    reason: containerReason(pod),
    ...(overlay?.message === undefined ? {} : { message: overlay.message }),
    ...(signal === null ? {} : { signal }),
    startedAt,
    finishedAt,
  };
}

function signalNumber(name: string | undefined): number | null {
  const numbers: Readonly<Record<string, number>> = constants.signals;
  return name === undefined ? null : (numbers[name] ?? null);
}

/** The container's reason. Of a disruption it says more than that the container ended. */
function containerReason(pod: PodRecord): string {
  if (DISRUPTIONS[pod.reason] !== undefined) return pod.reason;
  if (!POD_LEVEL_REASONS.has(pod.reason)) return pod.reason;
  return pod.exitCode === 0 ? 'Completed' : 'Error';
}

function condition(type: string, status: 'True' | 'False', time: string): PodCondition {
  return { type, status, lastTransitionTime: time };
}
