import { isSidecar, parseQuantity, type PodSpec, type VolumeMount } from '@drover/shared';

import { environmentRefs, type ConfigRef } from './configs/configContent.ts';

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
}

/** An emptyDir volume. */
export interface PlannedVolume {
  readonly name: string;
  /** `medium: Memory`. */
  readonly inMemory: boolean;
  /** As the template has it; null: no limit. */
  readonly sizeLimit: string | null;
  /** Infinity: no limit. */
  readonly sizeLimitBytes: number;
}

/** What a pod template says of containers, or of one that could not be read: nothing. */
type Template = Partial<Pick<PodSpec, 'containers' | 'initContainers' | 'volumes'>>;

const NANO = 1_000_000_000n;

/** The containers of a pod, in the order in which they are started. */
export function planContainers({ containers, initContainers }: Template): PlannedContainer[] {
  const planned = (role: ContainerRole, container: PodSpec['containers'][number]) => ({
    name: container.name,
    role,
    workingDir: container.workingDir,
    mounts: container.volumeMounts ?? [],
    configRefs: environmentRefs(container),
  });
  return [
    ...(initContainers ?? []).map((container) =>
      planned(isSidecar(container) ? 'sidecar' : 'init', container),
    ),
    ...(containers ?? []).map((container) => planned('main', container)),
  ];
}

/** The volumes of a pod. */
export function planVolumes({ volumes = [] }: Template): PlannedVolume[] {
  return volumes.map(({ name, emptyDir }) => {
    const sizeLimit = emptyDir?.sizeLimit ?? null;
    const nano = sizeLimit === null ? null : (parseQuantity(sizeLimit)?.nano ?? null);
    return {
      name,
      inMemory: emptyDir?.medium === 'Memory',
      sizeLimit,
      // As in Kubernetes, where a limit of 0 is none.
      sizeLimitBytes: nano === null || nano === 0n ? Number.POSITIVE_INFINITY : Number(nano / NANO),
    };
  });
}
