import { assert } from './assert.ts';
import {
  COMPLETION_INDEX_LABEL,
  generatedLabels,
  INDEX_FAILURE_COUNT_ANNOTATION,
  INDEX_IGNORED_FAILURE_COUNT_ANNOTATION,
} from './generated.ts';
import type { Job } from './job.ts';
import type { ObjectMeta } from './meta.ts';
import { podHostname, podName, podSuffix, podUid } from './podNames.ts';
import type { Container, EnvVar, PodSpec } from './podTemplate.ts';

/** Where a pod is in its life. The last two are final. */
export const POD_PHASES = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'] as const;
/** One of {@link POD_PHASES}. Drover has no use for Unknown; it is there for clients. */
export type PodPhase = (typeof POD_PHASES)[number];

/** How a container is. Exactly one field is set. */
export interface ContainerState {
  /** Not started, or between two starts. */
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  /** RFC 3339, seconds. */
  readonly running?: { readonly startedAt?: string };
  /** It ended. */
  readonly terminated?: ContainerStateTerminated;
}

/** How a container ended. */
export interface ContainerStateTerminated {
  /** 0..255; 128 + N when signal N ended it. */
  readonly exitCode: number;
  /** Number of the signal that ended it. */
  readonly signal?: number;
  /** Completed, Error, StartError, ... */
  readonly reason?: string;
  /** For people. */
  readonly message?: string;
  /** RFC 3339, seconds. */
  readonly startedAt?: string;
  /** RFC 3339, seconds. */
  readonly finishedAt?: string;
}

/** A container of a pod, as it is now. */
export interface ContainerStatus {
  /** Name of the container. */
  readonly name: string;
  /** How it is. */
  readonly state?: ContainerState;
  /** How the run before this one ended. */
  readonly lastState?: ContainerState;
  /** It runs. */
  readonly ready: boolean;
  /** How often it was started again within its pod. */
  readonly restartCount: number;
  /** Required by clients; may be empty. */
  readonly image: string;
  /** Required by clients; empty. */
  readonly imageID: string;
  /** It was started at least once. */
  readonly started?: boolean;
}

/** A condition of a pod. */
export interface PodCondition {
  /** Ready, PodScheduled, DisruptionTarget, ... */
  readonly type: string;
  /** Whether it holds. */
  readonly status: 'True' | 'False' | 'Unknown';
  /** Why, in one word. */
  readonly reason?: string;
  /** Why, for people. */
  readonly message?: string;
  /** RFC 3339, seconds. */
  readonly lastTransitionTime?: string;
}

/** How a pod is. */
export interface PodStatus {
  /** Where it is in its life. */
  readonly phase: PodPhase;
  /** What else is known of it, by type. */
  readonly conditions?: readonly PodCondition[];
  /** One for each initContainer. */
  readonly initContainerStatuses?: readonly ContainerStatus[];
  /** One for each container. */
  readonly containerStatuses?: readonly ContainerStatus[];
  /** When a worker took it. RFC 3339, seconds. */
  readonly startTime?: string;
  /** Why it is in its phase, in one word: Evicted, NodeLost, ... */
  readonly reason?: string;
  /** Why, for people. */
  readonly message?: string;
  /** Address of its worker's host. */
  readonly hostIP?: string;
  /** Address of the pod; that of its worker's host. */
  readonly podIP?: string;
}

/** One attempt of a Job, as the API shows it; composed from the Job and what is kept of the pod. */
export interface Pod {
  readonly apiVersion: 'v1';
  readonly kind: 'Pod';
  /** See {@link podMetadata}. */
  readonly metadata: ObjectMeta;
  /** The template's, with the node. */
  readonly spec: PodSpec & { readonly nodeName?: string };
  /** How it is. */
  readonly status: PodStatus;
}

/** Which pod of a Job. */
export interface PodIdentity {
  /** From 1, in order of creation. */
  readonly podNumber: number;
  /** Completion index; null when the Job is not Indexed. */
  readonly index: number | null;
  /** How often pods of the index failed before; only with backoffLimitPerIndex. Left out = never. */
  readonly failures?: {
    /** Failures that count to the limit. */
    readonly counted: number;
    /** Failures that a podFailurePolicy ignored. */
    readonly ignored: number;
  };
  /** It is a pod without a Job: name, uid and all the rest are those of what is stored as its Job. */
  readonly bare?: boolean;
}

/** The name of a pod of a Job. */
export function podNameOf({ metadata }: Pick<Job, 'metadata'>, pod: PodIdentity): string {
  if (pod.bare === true) return metadata.name;
  return podName(metadata.name, pod.index, podSuffix(metadata.uid, pod.podNumber));
}

/** The uid of a pod of a Job. */
export function podUidOf({ metadata }: Pick<Job, 'metadata'>, pod: PodIdentity): string {
  return pod.bare === true ? metadata.uid : podUid(metadata.uid, pod.podNumber);
}

/**
 * The metadata of a pod, as a function of its Job and number: name, uid, owner, labels and
 * annotations. The store adds times and resourceVersion.
 */
export function podMetadata(job: Job, pod: PodIdentity): ObjectMeta {
  const { name, namespace, uid } = job.metadata;
  assert(uid !== '', 'only a stored Job has pods');
  if (pod.bare === true) return job.metadata;
  const { labels, annotations } = job.spec.template.metadata;
  const generated = job.spec.manualSelector ? {} : generatedLabels(name, uid);
  const metadata: ObjectMeta = {
    name: podNameOf(job, pod),
    generateName: podName(name, pod.index, ''),
    namespace,
    uid: podUid(uid, pod.podNumber),
    labels: { ...labels, ...generated },
    ownerReferences: [
      {
        apiVersion: 'batch/v1',
        kind: 'Job',
        name,
        uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
  const ownAnnotations = indexAnnotations(job, pod);
  const all = { ...annotations, ...ownAnnotations };
  if (Object.keys(all).length > 0) metadata.annotations = all;
  if (pod.index !== null) {
    metadata.labels = { ...metadata.labels, [COMPLETION_INDEX_LABEL]: `${pod.index}` };
  }
  return metadata;
}

function indexAnnotations(job: Job, pod: PodIdentity): Record<string, string> {
  if (pod.index === null) return {};
  const annotations: Record<string, string> = { [COMPLETION_INDEX_LABEL]: `${pod.index}` };
  if (job.spec.backoffLimitPerIndex !== undefined) {
    const { counted, ignored } = pod.failures ?? { counted: 0, ignored: 0 };
    annotations[INDEX_FAILURE_COUNT_ANNOTATION] = `${counted}`;
    if (ignored > 0) annotations[INDEX_IGNORED_FAILURE_COUNT_ANNOTATION] = `${ignored}`;
  }
  return annotations;
}

/**
 * The spec of a pod: the template's, and for an Indexed Job the hostname `<job>-<index>` and
 * JOB_COMPLETION_INDEX in the environment, unless the user has a variable of that name.
 */
export function podSpec(job: Job, pod: PodIdentity): PodSpec {
  const { spec } = job.spec.template;
  if (pod.index === null) return spec;
  const podsOwn = { ...spec, hostname: podHostname(job.metadata.name, pod.index) };
  podsOwn.containers = spec.containers.map(withCompletionIndex);
  if (spec.initContainers !== undefined) {
    podsOwn.initContainers = spec.initContainers.map(withCompletionIndex);
  }
  return podsOwn;
}

function withCompletionIndex(container: Container): Container {
  const { env = [] } = container;
  if (env.some(({ name }) => name === COMPLETION_INDEX_ENV.name)) return container;
  return { ...container, env: [...env, COMPLETION_INDEX_ENV] };
}

const COMPLETION_INDEX_ENV: EnvVar = {
  name: 'JOB_COMPLETION_INDEX',
  valueFrom: {
    fieldRef: { apiVersion: 'v1', fieldPath: `metadata.labels['${COMPLETION_INDEX_LABEL}']` },
  },
};

/** Whether an initContainer is a sidecar: it runs on beside the containers. */
export function isSidecar({ restartPolicy }: Pick<Container, 'restartPolicy'>): boolean {
  return restartPolicy === 'Always';
}

/**
 * The STATUS column of kubectl: the phase, or what says more: how far its initContainers came, why
 * a container waits or ended, or that the pod is being stopped.
 */
export function podStatusWord({
  metadata,
  spec,
  status,
}: Pick<Pod, 'metadata' | 'status'> & {
  readonly spec: Pick<PodSpec, 'initContainers'>;
}): string {
  let word: string = status.reason ?? status.phase;
  const initializing = initWord(spec.initContainers ?? [], status);
  if (initializing !== null) word = initializing;
  else word = containersWord(word, status);
  const isTerminal = status.phase === 'Succeeded' || status.phase === 'Failed';
  if (metadata.deletionTimestamp === undefined || isTerminal) return word;
  return status.reason === 'NodeLost' ? 'Unknown' : 'Terminating';
}

/** `Init:1/3`, `Init:Error`; null when no initContainer is waited for. */
function initWord(initContainers: readonly Container[], status: PodStatus): string | null {
  for (const [at, container] of (status.initContainerStatuses ?? []).entries()) {
    const { waiting, terminated } = container.state ?? {};
    const spec = initContainers.find(({ name }) => name === container.name);
    if (terminated?.exitCode === 0) continue;
    if (spec !== undefined && isSidecar(spec) && container.started === true) continue;
    // A sidecar that was stopped at the end says nothing of the pod.
    if (spec !== undefined && isSidecar(spec) && terminated !== undefined) continue;
    if (terminated !== undefined) return `Init:${terminatedWord(terminated)}`;
    const reason = waiting?.reason ?? '';
    if (reason !== '' && reason !== 'PodInitializing') return `Init:${reason}`;
    return `Init:${at}/${initContainers.length}`;
  }
  return null;
}

/** The first container that says more than the phase decides. */
function containersWord(phase: string, status: PodStatus): string {
  let word = phase;
  let hasRunning = false;
  for (const { state, ready } of (status.containerStatuses ?? []).toReversed()) {
    const { waiting, running, terminated } = state ?? {};
    if (waiting?.reason !== undefined) word = waiting.reason;
    else if (terminated !== undefined) word = terminatedWord(terminated);
    else if (running !== undefined && ready) hasRunning = true;
  }
  // One container is done, another one goes on.
  if (word !== 'Completed' || !hasRunning) return word;
  return status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True')
    ? 'Running'
    : 'NotReady';
}

function terminatedWord({ reason, signal, exitCode }: ContainerStateTerminated): string {
  if (reason !== undefined) return reason;
  return signal === undefined ? `ExitCode:${exitCode}` : `Signal:${signal}`;
}
