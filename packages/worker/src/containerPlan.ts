import { isSidecar, type PodSpec, type VolumeMount } from '@drover/shared';

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

/** What a pod template says of containers, or of one that could not be read: nothing. */
type Template = Partial<Pick<PodSpec, 'containers' | 'initContainers'>>;

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
