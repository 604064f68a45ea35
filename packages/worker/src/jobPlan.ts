import { gracePeriodMs, podHostname, podName, podSuffix, podUid } from '@drover/shared';
import type { Claim, StoredJob } from '@drover/store';

import {
  buildEnvironment,
  expandVariables,
  type EnvironmentVariable,
  type PodFacts,
} from './process/environment.ts';

/** The part of a stored Job that a worker reads. Other fields are nobody's business here. */
interface StoredObject {
  readonly metadata?: {
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  readonly spec?: {
    readonly completions?: number | null;
    readonly completionMode?: string;
    readonly template?: {
      readonly metadata?: {
        readonly labels?: Record<string, string>;
        readonly annotations?: Record<string, string>;
      };
      readonly spec?: {
        readonly containers?: readonly StoredContainer[];
        readonly restartPolicy?: string;
        readonly terminationGracePeriodSeconds?: number;
        readonly hostname?: string;
        readonly serviceAccountName?: string;
      };
    };
  };
}

interface StoredContainer {
  readonly name: string;
  readonly image?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly EnvironmentVariable[];
  readonly workingDir?: string;
}

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

const INDEX_LABEL = 'batch.kubernetes.io/job-completion-index';
const INDEX_ENV = 'JOB_COMPLETION_INDEX';
/** Kubernetes' default of terminationGracePeriodSeconds. */
const DEFAULT_GRACE_SECONDS = 30;

/** What does not differ between the workers' pods: environment of the worker and where it runs. */
export interface PlanSurroundings {
  readonly nodeName: string;
  readonly hostIP: string;
  /** See `baseEnvironment`. */
  readonly baseEnv: Readonly<Record<string, string>>;
}

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
  readonly indexed: boolean;
  /** null for a work-queue Job. */
  readonly completions: number | null;
  readonly restartPolicy: 'Never' | 'OnFailure';
  /** Between SIGTERM and SIGKILL, ms. */
  readonly graceMs: number;
  readonly containerName: string;
  /** A handler's name, under `handler`. */
  readonly image: string;
  readonly workingDir: string | undefined;
  /** Annotations of the pod template. */
  readonly annotations: Readonly<Record<string, string>>;

  readonly #surroundings: PlanSurroundings;
  readonly #container: StoredContainer;
  readonly #env: readonly EnvironmentVariable[];
  readonly #labels: Readonly<Record<string, string>>;
  readonly #hostname: string | undefined;
  readonly #serviceAccountName: string;
  /** The invocation of every pod, when no pod's differs. */
  #shared: PodInvocation | null = null;
  readonly #differs: boolean;

  constructor(stored: StoredJob, surroundings: PlanSurroundings) {
    const { metadata = {}, spec = {} } = parseObject(stored.object);
    const template = spec.template ?? {};
    const podSpec = template.spec ?? {};
    const container = podSpec.containers?.[0] ?? { name: '' };
    this.fault =
      podSpec.containers?.[0] === undefined ? 'the stored pod template has no container' : null;

    this.uid = stored.uid;
    this.generation = stored.generation;
    this.facts = Object.freeze({
      name: stored.name,
      namespace: stored.namespace,
      uid: stored.uid,
      labels: Object.freeze({ ...metadata.labels }),
      annotations: Object.freeze({ ...metadata.annotations }),
    });
    this.indexed = spec.completionMode === 'Indexed';
    this.completions = spec.completions ?? null;
    this.restartPolicy = podSpec.restartPolicy === 'OnFailure' ? 'OnFailure' : 'Never';
    const { terminationGracePeriodSeconds = DEFAULT_GRACE_SECONDS } = podSpec;
    this.graceMs = gracePeriodMs({ terminationGracePeriodSeconds });
    this.containerName = container.name;
    this.image = container.image ?? '';
    this.workingDir = container.workingDir;
    this.annotations = Object.freeze({ ...template.metadata?.annotations });

    this.#surroundings = surroundings;
    this.#container = container;
    this.#env = this.#withIndex(container.env ?? []);
    this.#labels = Object.freeze({
      ...template.metadata?.labels,
      'controller-uid': stored.uid,
      'job-name': stored.name,
      'batch.kubernetes.io/controller-uid': stored.uid,
      'batch.kubernetes.io/job-name': stored.name,
    });
    // An empty text is no hostname, as in Kubernetes.
    this.#hostname = podSpec.hostname === '' ? undefined : podSpec.hostname;
    this.#serviceAccountName = podSpec.serviceAccountName || 'default';
    this.#differs = this.#env.some((variable) => variable.valueFrom?.fieldRef !== undefined);
  }

  /** The completion index that users see; null when the Job is not Indexed. */
  indexOf(claim: Claim): number | null {
    return this.indexed ? claim.index : null;
  }

  /** metadata.name of a pod. */
  podName(claim: Claim): string {
    return podName(this.facts.name, this.indexOf(claim), podSuffix(this.uid, claim.podNumber));
  }

  /** metadata.uid of a pod. */
  podUid(claim: Claim): string {
    return podUid(this.uid, claim.podNumber);
  }

  /** Host name that a pod sees. */
  hostname(claim: Claim): string {
    if (this.indexed) return podHostname(this.facts.name, claim.index);
    return this.#hostname ?? this.podName(claim);
  }

  /** What to run. Frozen, and one object for all pods when nothing in it differs between them. */
  invocation(claim: Claim): PodInvocation {
    if (this.#shared !== null) return this.#shared;
    const { declared } = buildEnvironment(this.#env, this.#podFacts(claim), {});
    const expand = (text: string): string => expandVariables(text, declared);
    const invocation = Object.freeze({
      command: Object.freeze((this.#container.command ?? []).map(expand)),
      args: Object.freeze((this.#container.args ?? []).map(expand)),
      env: Object.freeze(declared),
    });
    if (!this.#differs) this.#shared = invocation;
    return invocation;
  }

  /** The whole environment of a program: a base of the worker's, HOSTNAME, and the template's variables. */
  programEnv(claim: Claim): Record<string, string> {
    const { env } = this.invocation(claim);
    return { ...this.#surroundings.baseEnv, HOSTNAME: this.hostname(claim), ...env };
  }

  #podFacts(claim: Claim): PodFacts {
    return {
      name: this.podName(claim),
      namespace: this.facts.namespace,
      uid: this.podUid(claim),
      labels: this.indexed ? { ...this.#labels, [INDEX_LABEL]: `${claim.index}` } : this.#labels,
      annotations: this.indexed
        ? { ...this.annotations, [INDEX_LABEL]: `${claim.index}` }
        : this.annotations,
      nodeName: this.#surroundings.nodeName,
      serviceAccountName: this.#serviceAccountName,
      hostIP: this.#surroundings.hostIP,
      hostname: this.hostname(claim),
    };
  }

  /** As the Job controller does: appended, and left alone where the template has the name. */
  #withIndex(env: readonly EnvironmentVariable[]): readonly EnvironmentVariable[] {
    if (!this.indexed || env.some((variable) => variable.name === INDEX_ENV)) return env;
    const fieldPath = `metadata.labels['${INDEX_LABEL}']`;
    return [...env, { name: INDEX_ENV, valueFrom: { fieldRef: { fieldPath } } }];
  }
}

/** The claim is held when the object is read, so one that can't be read must fail its pods, not the reader. */
function parseObject(text: string): StoredObject {
  try {
    return JSON.parse(text) as StoredObject;
  } catch {
    return {};
  }
}
