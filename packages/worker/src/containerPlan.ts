import {
  bytesOf,
  cpuMilliOf,
  isSidecar,
  parseQuantity,
  type Container,
  type ContainerRestartRule,
  type PodSpec,
  type VolumeMount,
} from '@drover/shared';

import { environmentRefs, type ConfigRef } from './configs/configContent.ts';
import type { ContainerLimits } from './process/cgroups.ts';
import { hookOf, type Hook } from './process/containerHook.ts';
import { planProbe, type PlannedProbe } from './process/containerProbe.ts';
import type { RestartRule } from './process/containerLoop.ts';
import {
  findAccount,
  identityOf,
  workerIdentity,
  type FixedUser,
  type Identity,
} from './process/identity.ts';

/** What a container is to its pod: `init` runs before, `sidecar` beside, and `main` is what the pod is for. */
export type ContainerRole = 'init' | 'sidecar' | 'main';

/** A container as the pod template has it, as far as it is the same for all pods. */
export interface PlannedContainer {
  readonly name: string;
  readonly role: ContainerRole;
  /** undefined: that of the worker. */
  readonly workingDir: string | undefined;
  readonly mounts: readonly VolumeMount[];
  /** ConfigMaps and Secrets that its environment is made from. */
  readonly configRefs: readonly ConfigRef[];
  /** Where its program finds a file for its last words; null: it gets none. */
  readonly messagePath: string | null;
  /** Who its program runs as. */
  readonly identity: Identity;
  /** Of a program that failed and left no last words they are the end of its output. */
  readonly fallsBackToLogs: boolean;
  /** When it is started again after its end. */
  readonly restartRule: RestartRule;
  /** Exit codes after which it is started again whatever its rule. */
  readonly restartRules: readonly ContainerRestartRule[];
  /** What is done right after its start; null = nothing. */
  readonly postStart: Hook | null;
  /** What is done before it is told to stop; null = nothing. */
  readonly preStop: Hook | null;
  /** What it may take; null = as much as there is. */
  readonly limits: ContainerLimits | null;
  /** Whether it has started; null = as soon as its program runs. */
  readonly startupProbe: PlannedProbe | null;
  /** Whether it still works; null = nobody asks. */
  readonly livenessProbe: PlannedProbe | null;
}

/** What a pod template says of containers, or of one that could not be read: nothing. */
type Template = Partial<
  Pick<PodSpec, 'containers' | 'initContainers' | 'securityContext' | 'restartPolicy' | 'resources'>
>;

/**
 * The containers of a pod, in the order in which they are started.
 *
 * @param privateFiles - What they are given that none but the worker's user and root can read; null = nothing.
 * @param programUser - Whom all programs run as; null = as the worker, unless they say otherwise.
 */
export function planContainers(
  {
    containers,
    initContainers,
    securityContext = {},
    restartPolicy = 'Never',
    resources,
  }: Template,
  privateFiles: string | null = null,
  programUser: FixedUser | null = null,
): PlannedContainer[] {
  const worker = programUser ?? workerIdentity();
  const planned = (role: ContainerRole, container: PodSpec['containers'][number]) => ({
    name: container.name,
    role,
    workingDir: container.workingDir,
    mounts: container.volumeMounts ?? [],
    configRefs: environmentRefs(container),
    messagePath: messagePathOf(container),
    identity: ableToRead(
      privateFiles,
      identityOf(container.securityContext ?? {}, securityContext, worker, findAccount),
    ),
    fallsBackToLogs: container.terminationMessagePolicy === 'FallbackToLogsOnError',
    restartRule: container.restartPolicy ?? restartPolicy,
    restartRules: container.restartPolicyRules ?? [],
    postStart: hookOf(container.lifecycle?.postStart),
    preStop: hookOf(container.lifecycle?.preStop),
    limits: limitsOf(container.resources, resources),
    startupProbe: planProbe(container.startupProbe, container.ports ?? []),
    livenessProbe: planProbe(container.livenessProbe, container.ports ?? []),
  });
  return [
    ...(initContainers ?? []).map((container) =>
      planned(isSidecar(container) ? 'sidecar' : 'init', container),
    ),
    ...(containers ?? []).map((container) => planned('main', container)),
  ];
}

/** Of each container at most what its pod may take as a whole. */
function limitsOf(...resources: readonly PodSpec['resources'][]): ContainerLimits | null {
  const memoryBytes = leastOf(resources, 'memory', bytesOf);
  const cpuMilli = leastOf(resources, 'cpu', cpuMilliOf);
  return memoryBytes === null && cpuMilli === null ? null : { memoryBytes, cpuMilli };
}

function leastOf(
  resources: readonly PodSpec['resources'][],
  name: 'cpu' | 'memory',
  amountOf: (nano: bigint) => number,
): number | null {
  const limits = resources.flatMap((some) => {
    const quantity = parseQuantity(some?.limits?.[name] ?? '');
    return quantity === null || quantity.nano <= 0n ? [] : [amountOf(quantity.nano)];
  });
  return limits.length === 0 ? null : Math.min(...limits);
}

function ableToRead(privateFiles: string | null, identity: Identity): Identity {
  if (privateFiles === null || identity.type !== 'user' || identity.user.uid === 0) return identity;
  const message = `it is to run as user ${identity.user.uid}, and only the worker's own can have ${privateFiles}`;
  return { type: 'refused', message };
}

/** Kubernetes' default of terminationMessagePath. */
const DEFAULT_MESSAGE_PATH = '/dev/termination-log';
/** The variable that says where the file is, whether it could be mounted or not. */
export const MESSAGE_VARIABLE = 'DROVER_TERMINATION_LOG';

/**
 * The default path is in every template, and a mount for every program would slow all of them down: it
 * is mounted for those whose template speaks of it.
 */
function messagePathOf(container: Container): string | null {
  // Validation writes the default into every template, so this is for what came another way.
  const { terminationMessagePath: path = DEFAULT_MESSAGE_PATH } = container as Partial<Container>;
  if (path !== DEFAULT_MESSAGE_PATH) return path;
  const { command = [], args = [], env = [] } = container;
  const words = [...command, ...args, ...env.map(({ value = '' }) => value)];
  const isNamed = words.some((word) => word.includes(path) || word.includes(MESSAGE_VARIABLE));
  return isNamed ? path : null;
}
