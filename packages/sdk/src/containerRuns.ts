import { ContainerNotFoundError, runtimeOf, type ContainerStatus, type Pod } from '@drover/shared';

/** What of a pod's log is wanted. */
export interface WantedRuns {
  /** Only this container. */
  readonly container?: string | undefined;
  /** The run before the present one. */
  readonly previous?: boolean | undefined;
}

/** Whether a run of a container belongs to what is wanted: 0 is the first. */
export type RunFilter = (container: string, run: number) => boolean;

/**
 * Which runs of a pod's containers its log shows, as kubectl does: the present one, or that before
 * it. undefined: all there are, since there was but one.
 *
 * @throws ContainerNotFoundError when there is no such container, or it was not restarted.
 */
export function runsToRead(pod: Pod, { container, previous }: WantedRuns): RunFilter | undefined {
  const { name, namespace } = pod.metadata;
  const reference = { resource: 'pods', name, namespace };
  const names = containerNames(pod);
  if (container !== undefined && !names.includes(container)) {
    const message = `container ${container} is not valid for pod ${name}: it has ${names.join(', ')}`;
    throw new ContainerNotFoundError(reference, message);
  }
  const isHandler = runtimeOf(pod.spec) === 'handler';
  const counts = new Map(
    statuses(pod).map((status) => [status.name, isHandler ? 0 : status.restartCount]),
  );
  if (previous !== true) {
    const isRestarted = [...counts.values()].some((count) => count > 0);
    return isRestarted ? (one, run) => run >= (counts.get(one) ?? 0) : undefined;
  }
  const wanted = container === undefined ? names : [container];
  if (wanted.every((one) => (counts.get(one) ?? 0) === 0)) {
    const which = wanted.length === 1 ? `container "${wanted[0]}"` : 'a container';
    const why = isHandler ? ': a handler has one log for all its calls' : '';
    const message = `previous terminated ${which} in pod "${name}" not found${why}`;
    throw new ContainerNotFoundError(reference, message);
  }
  return (one, run) => run === (counts.get(one) ?? 0) - 1;
}

function statuses({ status }: Pod): readonly ContainerStatus[] {
  return [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
}

/** initContainers and containers, in this order. */
function containerNames({ spec }: Pod): string[] {
  return [...(spec.initContainers ?? []), ...spec.containers].map(({ name }) => name);
}
