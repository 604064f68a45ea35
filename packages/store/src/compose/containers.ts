import {
  type ContainerStatus,
  isSidecar,
  type PodCondition,
  type PodSpec,
  type PodStatus,
} from '@drover/shared';
import type { ContainerRecord, PodDetails } from '../api.ts';

/** The part of a pod's status that is about its containers. */
export type ContainerStatuses = Pick<PodStatus, 'initContainerStatuses' | 'containerStatuses'>;

type Containers = Pick<PodSpec, 'containers' | 'initContainers'>;
/** How a container is, by name apart. */
type How = Omit<ContainerRecord, 'name'>;

const INITIALIZING: How = {
  ready: false,
  started: false,
  restartCount: 0,
  state: { waiting: { reason: 'PodInitializing' } },
};

/** How the containers of a pod are of which nothing is known one by one; null: none has begun. */
export function defaultStatuses(spec: Containers, how: How | null): ContainerStatuses {
  const statuses = (containers: PodSpec['containers'] = []): ContainerStatus[] =>
    containers.map(({ name, image }) => ({
      name,
      // Clients of other languages insist on both.
      image: image ?? '',
      imageID: '',
      ...(how ?? INITIALIZING),
      lastState: how?.lastState ?? {},
    }));
  return {
    ...(spec.initContainers === undefined
      ? {}
      : { initContainerStatuses: statuses(spec.initContainers) }),
    containerStatuses: statuses(spec.containers),
  };
}

/** The same with what is known of single containers. */
export function withDetails(
  spec: Containers,
  statuses: ContainerStatuses,
  details: PodDetails | undefined,
): ContainerStatuses {
  if (details === undefined) return statuses;
  const known = new Map(details.containers.map((record) => [record.name, record]));
  const fill = (container: ContainerStatus): ContainerStatus => ({
    ...container,
    ...INITIALIZING,
    lastState: {},
    ...known.get(container.name),
  });
  const { initContainerStatuses = [], containerStatuses = [] } = statuses;
  return {
    ...(spec.initContainers === undefined
      ? {}
      : { initContainerStatuses: initContainerStatuses.map(fill) }),
    containerStatuses: containerStatuses.map(fill),
  };
}

/** Scheduled, Initialized, ContainersReady, Ready: in this order. */
export function podConditions(
  spec: Containers,
  { initContainerStatuses = [], containerStatuses = [] }: ContainerStatuses,
  time: string,
  mayBeReady: boolean,
): PodCondition[] {
  const sidecars = new Set((spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
  const incomplete = initContainerStatuses.filter(({ name, state, started }) =>
    sidecars.has(name)
      ? started !== true && state?.terminated === undefined
      : state?.terminated?.exitCode !== 0,
  );
  const unready = [
    ...initContainerStatuses.filter(({ name }) => sidecars.has(name)),
    ...containerStatuses,
  ].filter(({ ready }) => !ready);
  const ready = conditionOf('Ready', unready, time, mayBeReady);
  return [
    { type: 'PodScheduled', status: 'True', lastTransitionTime: time },
    conditionOf('Initialized', incomplete, time, true),
    { ...ready, type: 'ContainersReady' },
    ready,
  ];
}

function conditionOf(
  type: 'Initialized' | 'Ready',
  missing: readonly ContainerStatus[],
  lastTransitionTime: string,
  may: boolean,
): PodCondition {
  if (missing.length === 0) return { type, status: may ? 'True' : 'False', lastTransitionTime };
  const names = missing.map(({ name }) => name).join(' ');
  const [reason, what] =
    type === 'Initialized'
      ? ['ContainersNotInitialized', 'incomplete']
      : ['ContainersNotReady', 'unready'];
  const message = `containers with ${what} status: [${names}]`;
  return { type, status: 'False', reason, message, lastTransitionTime };
}

/** Type of the condition that says why volumes are not where the template wants them. */
const MOUNTED_CONDITION = 'drover.dev/VolumesMounted';

/** The condition of a pod whose volumes could not be mounted; none when they were. */
export function unmountedCondition(
  details: PodDetails | undefined,
  lastTransitionTime: string,
): PodCondition[] {
  if (details?.unmounted === undefined) return [];
  return [
    {
      type: MOUNTED_CONDITION,
      status: 'False',
      reason: 'CanNotMount',
      message: details.unmounted,
      lastTransitionTime,
    },
  ];
}
