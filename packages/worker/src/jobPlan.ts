import {
  ARGUMENT_LIST_ANNOTATION,
  CLIENT_ANNOTATION,
  CLIENT_ENV,
  gracePeriodMs,
  itemPerPodOf,
  podMetadata,
  podNameOf,
  podSpec,
  podUidOf,
  readArgumentList,
  resourceFieldValue,
  WORK_QUEUE_ANNOTATION,
  type ArgumentListSettings,
  type ClientConnection,
  type ClientSettings,
  type ComputeResources,
  type Container,
  type DownwardAPIVolumeFile,
  type ItemPerPod,
  type Job,
  type PodIdentity,
  type PodSpec,
  type ResourceFieldSelector,
} from '@drover/shared';
import type { Claim, StoredJob } from '@drover/store';

import type { ClientPlaces } from './client/clientDirectory.ts';
import { NO_CONFIGS, type ConfigRef, type ConfigSet } from './configs/configContent.ts';
import { planContainers, type PlannedContainer } from './containerPlan.ts';
import type { FixedUser } from './process/identity.ts';
import {
  buildEnvironment,
  expandVariables,
  podField,
  type PodFacts,
} from './process/environment.ts';
import type { RunningProcess } from './process/runningProcess.ts';
import { JobTrace } from './tracing.ts';
import { MAX_MESSAGE_BYTES } from './text.ts';
import { planVolumes, volumeRefs, type PlannedVolume, type VolumeOwner } from './volumePlan.ts';

/** The Job as a handler sees it. */
export interface JobFacts {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What a program or a handler is given, with everything expanded. */
export interface PodInvocation {
  readonly command: readonly string[];
  readonly args: readonly string[];
  /** Variables of the pod template. */
  readonly env: Readonly<Record<string, string>>;
}

/** What a pod is given beside what its template says. */
export interface PodExtras {
  /** Variables of a container, before those of its template, which may refer to them. */
  variables(container: string): Readonly<Record<string, string>>;
  /** Directory that is searched for programs after those of PATH; null = none. */
  readonly searchPath: string | null;
  /** Told each start of a container's program. */
  started(container: string, running: RunningProcess): void;
  /** File that a container's program finds as its standard input; undefined = there is nothing to read. */
  input(container: string): string | undefined;
}

/** What the pods of a worker have in common: where they run. */
export interface PlanSurroundings {
  readonly nodeName: string;
  readonly hostIP: string;
  /** What the pods of the worker may request together. */
  readonly resources: ComputeResources;
  /** How to reach Redis, for pods that are clients. */
  readonly client: ClientConnection;
  /** See `baseEnvironment`. */
  readonly baseEnv: Readonly<Record<string, string>>;
  /** Whom all programs run as; null: as the worker, unless their pod says otherwise. */
  readonly programUser?: FixedUser | null;
}

/** What of a Job is stored as its object. */
type StoredObject = Pick<Job, 'metadata' | 'spec'>;

/** Kubernetes' default; validation writes it into every Job, so this is for what came another way. */
const DEFAULT_GRACE_SECONDS = 30;
/** Most bytes of the last words of all containers of a pod. */
const MAX_POD_MESSAGE_BYTES = 12 * 1024;
const HOSTNAME = 'HOSTNAME';
const COMPLETION_INDEX_VARIABLE = 'JOB_COMPLETION_INDEX';
const NO_CONTAINER: Container = { name: '' } as Container;

/**
 * How to run the pods of a Job: read from its template once per generation, so that a pod costs
 * only what differs from pod to pod, and that only when it is asked for.
 */
export class JobPlan {
  readonly uid: string;
  readonly generation: number;
  /** Why no pod can be run from what is stored; null when one can. */
  readonly fault: string | null;
  readonly facts: JobFacts;
  /** When the Job was created, ms since the epoch by the shard's clock. */
  readonly createdMs: number;
  /** The trace it was submitted in; null = its pods are not traced. */
  readonly trace: JobTrace | null;
  readonly indexed: boolean;
  /** null for a work-queue Job. */
  readonly completions: number | null;
  readonly restartPolicy: 'Never' | 'OnFailure';
  /** Between SIGTERM and SIGKILL, ms. */
  readonly graceMs: number;
  /** How long a pod may be active, ms; null = for as long as it takes. */
  readonly activeDeadlineMs: number | null;
  /** Name of the first container. */
  readonly containerName: string;
  /** initContainers and containers, in the order in which they are started. */
  readonly containers: readonly PlannedContainer[];
  readonly volumes: readonly PlannedVolume[];
  /** Whom volumes belong to. */
  readonly volumeOwner: VolumeOwner;
  /** ConfigMaps and Secrets that the volumes are made from. */
  readonly volumeRefs: readonly ConfigRef[];
  /** A handler's name, under `handler`. */
  readonly image: string;
  readonly workingDir: string | undefined;
  /** Annotations of the pod template. */
  readonly annotations: Readonly<Record<string, string>>;
  /** How each pod gets its one item of the Job's work queue; null: they don't take one each. */
  readonly itemPerPod: ItemPerPod | null;
  /** How pods are run that get their arguments from the Job's list; null: they have the template's. */
  readonly argumentList: ArgumentListSettings | null;

  /** What a pod needs to be a client; null when its template does not ask for it. */
  readonly client: ClientSettings | null;

  readonly #surroundings: PlanSurroundings;
  /** Where programs of pods that are clients find it. */
  #clientPlaces: ClientPlaces | null = null;
  /** It is a pod without a Job, stored as a Job of its own. */
  readonly #isBare: boolean;
  readonly #job: Job;
  readonly #container: Container;
  /** Whether command, arguments or environment may differ from pod to pod. */
  readonly #differs: boolean;
  /** The invocation of every pod, when no pod's differs. */
  #shared: PodInvocation | null = null;
  /** What pods that run are given, by pod number. */
  readonly #extras = new Map<number, PodExtras>();
  /** ConfigMaps and Secrets of pods of one container that run, by pod number. */
  readonly #configs = new Map<number, ConfigSet>();
  /** Variables that differ from pod to pod though the template says nothing of them. */
  readonly #ownNames: readonly string[];
  readonly #hasCommonProgram: boolean;
  #common: PodInvocation | null = null;
  /** What pods that run have from the Job's list, by index. */
  readonly #arguments = new Map<number, readonly string[]>();

  constructor(stored: StoredJob, surroundings: PlanSurroundings) {
    const { metadata, spec, fault } = parseObject(stored);
    const template = spec.template.spec;

    this.uid = stored.uid;
    this.generation = stored.generation;
    this.facts = Object.freeze({
      name: stored.name,
      namespace: stored.namespace,
      uid: stored.uid,
      labels: Object.freeze({ ...metadata.labels }),
      annotations: Object.freeze({ ...metadata.annotations }),
    });
    this.createdMs = stored.createdMs;
    this.trace = JobTrace.of(this.facts, stored.createdMs);
    this.indexed = spec.completionMode === 'Indexed';
    this.completions = spec.completions ?? null;
    this.restartPolicy = template.restartPolicy === 'OnFailure' ? 'OnFailure' : 'Never';
    const { terminationGracePeriodSeconds = DEFAULT_GRACE_SECONDS } = template as Partial<PodSpec>;
    this.graceMs = gracePeriodMs({ terminationGracePeriodSeconds });
    const { activeDeadlineSeconds } = template;
    this.activeDeadlineMs =
      activeDeadlineSeconds === undefined ? null : activeDeadlineSeconds * 1000;
    this.annotations = Object.freeze({ ...spec.template.metadata.annotations });
    this.itemPerPod = itemPerPodOf(this.facts.annotations);
    const list = this.annotations[ARGUMENT_LIST_ANNOTATION];
    const reading = list === undefined ? null : readArgumentList(list);
    this.argumentList = reading?.type === 'valid' ? reading.settings : null;
    this.fault = fault ?? (reading?.type === 'invalid' ? reading.message : null);

    this.#surroundings = surroundings;
    this.#isBare = stored.bare;
    // A pod's name and uid are functions of these, so they are never taken from the object's text.
    const { uid, name, namespace } = stored;
    this.#job = { metadata: { ...metadata, uid, name, namespace }, spec } as Job;
    this.#container = template.containers[0] ?? NO_CONTAINER;
    this.containerName = this.#container.name;
    this.image = this.#container.image ?? '';
    this.workingDir = this.#container.workingDir;
    this.client = clientSettings(stored, this.annotations, surroundings.client);
    this.containers = planContainers(
      template,
      this.#privateFiles(),
      surroundings.programUser ?? null,
    );
    this.volumes = planVolumes(template);
    this.volumeRefs = volumeRefs(this.volumes);
    this.volumeOwner = {
      group: (template as Partial<PodSpec>).securityContext?.fsGroup ?? null,
      isShared: this.containers.some(({ identity }) => identity.type === 'user'),
    };
    const { env = [], envFrom = [], command = [], args = [] } = this.#container;
    // Programs of a client are told which pod they are, and traced ones which attempt.
    const isFromTemplate =
      envFrom.length === 0 &&
      env.every(({ valueFrom }) => valueFrom === undefined) &&
      this.client === null &&
      this.trace === null;
    this.#differs = this.indexed || !isFromTemplate;
    const own = this.indexed ? [HOSTNAME, COMPLETION_INDEX_VARIABLE] : [HOSTNAME];
    this.#ownNames = own.filter((one) => !env.some((variable) => variable.name === one));
    // The index is the last variable, so that no other may refer to it.
    const refersToIndex = [...command, ...args].some((text) =>
      text.includes(`$(${COMPLETION_INDEX_VARIABLE})`),
    );
    this.#hasCommonProgram =
      isFromTemplate && this.argumentList === null && !(this.indexed && refersToIndex);
  }

  /** What its programs find in files that are the worker's alone; null = nothing. */
  #privateFiles(): string | null {
    if (this.client !== null) return 'what a client is given';
    if (this.facts.annotations[WORK_QUEUE_ANNOTATION] === undefined) return null;
    return 'items of a work queue';
  }

  /** Names of the containers that run together, without sidecars. */
  get containerNames(): string[] {
    const mains = this.containers.filter(({ role }) => role === 'main');
    return mains.length === 0 ? [this.containerName] : mains.map(({ name }) => name);
  }

  /** The completion index that users see; null when the Job is not Indexed. */
  indexOf(claim: Claim): number | null {
    return this.indexed ? claim.index : null;
  }

  /** metadata.name of a pod. */
  podName(claim: Claim): string {
    return podNameOf(this.#job, this.#identity(claim));
  }

  /** metadata.uid of a pod. */
  podUid(claim: Claim): string {
    return podUidOf(this.#job, this.#identity(claim));
  }

  /** Gives a pod its arguments from the Job's list, as they are, until they are taken back with null. */
  setArguments(claim: Claim, words: readonly string[] | null): void {
    if (words === null) this.#arguments.delete(claim.index);
    else this.#arguments.set(claim.index, words);
  }

  /** Gives a pod something beside its template, until that is taken back with null. */
  setExtras({ podNumber }: Claim, extras: PodExtras | null): void {
    if (extras === null) this.#extras.delete(podNumber);
    else this.#extras.set(podNumber, extras);
  }

  /** Gives a pod what was read for its only container, until that is taken back with null. */
  setConfigs({ podNumber }: Claim, configs: ConfigSet | null): void {
    if (configs === null) this.#configs.delete(podNumber);
    else this.#configs.set(podNumber, configs);
  }

  /** What programs of pods that are clients find on disk; before the first of them starts. */
  setClientPlaces(places: ClientPlaces): void {
    this.#clientPlaces = places;
  }

  /** See {@link PodExtras.input}. */
  inputOf({ podNumber }: Claim, container: string): string | undefined {
    return this.#extras.get(podNumber)?.input(container);
  }

  /** A container's program was started. */
  started({ podNumber }: Claim, container: string, running: RunningProcess): void {
    this.#extras.get(podNumber)?.started(container, running);
  }

  /** A pod is one container without files, hooks and probes. */
  get isPlain(): boolean {
    const areAsWorker = this.containers.every(({ identity }) => identity.type === 'worker');
    const hasHooks = this.containers.some(({ postStart, preStop, startupProbe, livenessProbe }) =>
      [postStart, preStop, startupProbe, livenessProbe].some((one) => one !== null),
    );
    return this.containers.length <= 1 && !this.hasFiles && areAsWorker && !hasHooks;
  }

  /** A pod is a program that is run once and needs nothing but its command: most are. */
  get isSingleRun(): boolean {
    const [container] = this.containers;
    if (!this.isPlain || container === undefined) return false;
    const { restartRule, restartRules, configRefs, fallsBackToLogs, limits } = container;
    if (restartRule !== 'Never' || restartRules.length > 0) return false;
    return configRefs.length === 0 && !fallsBackToLogs && limits === null;
  }

  /** Directories or files are made for each of its pods. */
  get hasFiles(): boolean {
    return this.volumes.length > 0 || this.hasMessages;
  }

  /** Some of its containers get a file for their last words. */
  get hasMessages(): boolean {
    return this.containers.some(({ messagePath }) => messagePath !== null);
  }

  /** Most bytes of the last words of a container; as in Kubernetes, where those of a pod share a limit. */
  get messageBytes(): number {
    return Math.min(
      MAX_MESSAGE_BYTES,
      Math.floor(MAX_POD_MESSAGE_BYTES / Math.max(1, this.containers.length)),
    );
  }

  /**
   * The program of the first container as all pods run it, but for {@link ownVariables}; null when
   * they differ in more than that. One object for all pods.
   */
  commonProgram(claim: Claim): PodInvocation | null {
    if (!this.#hasCommonProgram || this.#extras.has(claim.podNumber)) return null;
    if (this.#common === null) {
      const { command, args, env } = this.invocationOf(this.containerName, claim, {});
      const common: Record<string, string> = { ...this.#surroundings.baseEnv, ...env };
      for (const name of this.#ownNames) delete common[name];
      this.#common = Object.freeze({ command, args, env: Object.freeze(common) });
    }
    return this.#common;
  }

  /** The variables of a pod's program beside those of {@link commonProgram}, each `NAME=value`. */
  ownVariables(claim: Claim): string[] {
    return this.#ownNames.map(
      (name) => `${name}=${name === HOSTNAME ? this.hostname(claim) : claim.index}`,
    );
  }

  /** What to run. Frozen, and one object for all pods when nothing in it differs between them. */
  invocation(claim: Claim): PodInvocation {
    const differs = this.#differs || this.#extras.has(claim.podNumber);
    if (this.#shared !== null && !differs) return this.#shared;
    const invocation = this.invocationOf(this.containerName, claim, {});
    if (!differs) this.#shared = invocation;
    return invocation;
  }

  /**
   * What a container is to run.
   *
   * @param given - Variables before those of the template.
   * @param configs - What was read for it.
   * @throws ConfigProblem when a ConfigMap, a Secret or a key is missing.
   */
  invocationOf(
    name: string,
    claim: Claim,
    given: Readonly<Record<string, string>>,
    configs: ConfigSet = this.#configs.get(claim.podNumber) ?? NO_CONFIGS,
  ): PodInvocation {
    const spec = podSpec(this.#job, this.#identity(claim));
    const container = [...spec.containers, ...(spec.initContainers ?? [])].find(
      (one) => one.name === name,
    );
    const { command = [], args = [], env = [], envFrom = [] } = container ?? NO_CONTAINER;
    const extras = this.#extras.get(claim.podNumber)?.variables(name);
    const before = { ...this.#ownVariables(claim), ...extras, ...given };
    const { resources } = this.#surroundings;
    const resource = (field: ResourceFieldSelector) =>
      resourceFieldValue(field, spec, name, resources);
    const sources = { envFrom, configs, resource };
    const { declared } = buildEnvironment(env, this.#podFacts(claim), {}, before, sources);
    const expand = (text: string): string => expandVariables(text, declared);
    // A list of arguments is for the first container.
    const words = name === this.containerName ? this.#arguments.get(claim.index) : undefined;
    return Object.freeze({
      command: Object.freeze(command.map(expand)),
      args: words ?? Object.freeze(args.map(expand)),
      env: Object.freeze(declared),
    });
  }

  /** The whole environment of a program: a base of the worker's, HOSTNAME, and the template's variables. */
  programEnv(
    claim: Claim,
    { env }: Pick<PodInvocation, 'env'> = this.invocation(claim),
  ): Record<string, string> {
    const { baseEnv } = this.#surroundings;
    const all = { ...baseEnv, HOSTNAME: this.hostname(claim), ...env };
    const ofPod = this.#extras.get(claim.podNumber)?.searchPath;
    const searchPath = ofPod ?? this.#clientPlaces?.searchPath ?? null;
    if (searchPath === null) return all;
    const { PATH = '' } = all as Record<string, string>;
    return { ...all, PATH: PATH === '' ? searchPath : `${PATH}:${searchPath}` };
  }

  /** What its programs are given of the worker's own accord. */
  #ownVariables(claim: Claim): Readonly<Record<string, string>> {
    const parent = this.trace?.traceParentOf(claim.podNumber);
    const variables = this.#clientVariables(claim);
    return parent === undefined ? variables : { TRACEPARENT: parent, ...variables };
  }

  #clientVariables(claim: Claim): Readonly<Record<string, string>> {
    if (this.client === null || this.#clientPlaces === null) return {};
    return {
      [CLIENT_ENV.file]: this.#clientPlaces.file,
      [CLIENT_ENV.namespace]: this.client.namespace,
      [CLIENT_ENV.owner]: JSON.stringify(this.client.owner),
      [CLIENT_ENV.podName]: this.podName(claim),
      [CLIENT_ENV.podUid]: this.podUid(claim),
    };
  }

  /** A field or resource of a pod as the content of a file. */
  fileText(claim: Claim, { fieldRef, resourceFieldRef }: DownwardAPIVolumeFile): string {
    if (fieldRef !== undefined) return podField(fieldRef.fieldPath, this.#podFacts(claim));
    if (resourceFieldRef === undefined) return '';
    const spec = podSpec(this.#job, this.#identity(claim));
    return resourceFieldValue(resourceFieldRef, spec, '', this.#surroundings.resources);
  }

  /** The name of its host that a pod sees. */
  hostname(claim: Claim): string {
    const { hostname, hostnameOverride } = podSpec(this.#job, this.#identity(claim));
    return hostnameOverride ?? (hostname || this.podName(claim));
  }

  #identity(claim: Claim): PodIdentity {
    const { podNumber, failures } = claim;
    const own = { index: this.indexOf(claim), bare: this.#isBare };
    return { podNumber, ...own, ...(failures && { failures }) };
  }

  #podFacts(claim: Claim): PodFacts {
    const identity = this.#identity(claim);
    const {
      name,
      namespace,
      uid,
      labels = {},
      annotations = {},
    } = podMetadata(this.#job, identity);
    const { serviceAccountName } = podSpec(this.#job, identity);
    return {
      name: name ?? '',
      namespace: namespace ?? '',
      uid: uid ?? '',
      labels,
      annotations,
      nodeName: this.#surroundings.nodeName,
      // An empty text is none, as in Kubernetes.
      serviceAccountName: serviceAccountName || 'default',
      hostIP: this.#surroundings.hostIP,
      hostname: this.hostname(claim),
    };
  }
}

/** The claim is held when the object is read, so one that can't be read must fail its pods, not the reader. */
function parseObject(stored: StoredJob): StoredObject & { readonly fault: string | null } {
  try {
    const { metadata, spec } = JSON.parse(stored.object) as StoredObject;
    const fault =
      spec.template.spec.containers.length === 0
        ? 'the stored pod template has no container'
        : null;
    const template = { ...spec.template, metadata: { ...spec.template.metadata } };
    return { metadata, spec: { ...spec, template }, fault };
  } catch (error) {
    const spec = {
      template: { metadata: {}, spec: { containers: [], terminationGracePeriodSeconds: 0 } },
    };
    const fault = `the stored Job can not be read: ${(error as Error).message}`;
    return { metadata: {}, spec, fault } as unknown as StoredObject & { fault: string };
  }
}

function clientSettings(
  { bare, namespace, name, uid }: StoredJob,
  annotations: Readonly<Record<string, string>>,
  connection: ClientConnection,
): ClientSettings | null {
  if (annotations[CLIENT_ANNOTATION] !== 'true') return null;
  const kind = bare ? { apiVersion: 'v1', kind: 'Pod' } : { apiVersion: 'batch/v1', kind: 'Job' };
  const owner = { ...kind, name, uid, controller: true, blockOwnerDeletion: true };
  return Object.freeze({ ...connection, namespace, owner });
}
