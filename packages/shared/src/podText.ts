/** What kubectl's tables say about pods, in one cell each. */

import type { Pod } from './pod.ts';
import { isSidecar } from './pod.ts';
import type { PodSpec } from './podTemplate.ts';

/** The READY column: containers and sidecars that are ready, of how many; no other initContainer counts. */
export function podReadyText({ status, spec }: Pod): string {
  const sidecars = sidecarNames(spec);
  const statuses = [
    ...(status.initContainerStatuses ?? []).filter(({ name }) => sidecars.has(name)),
    ...(status.containerStatuses ?? []),
  ];
  const ready = statuses.filter((container) => container.ready).length;
  return `${ready}/${spec.containers.length + sidecars.size}`;
}

/** The RESTARTS column: of its containers and sidecars, and of an initContainer while it runs. */
export function podRestarts({ status, spec }: Pod): number {
  const sidecars = sidecarNames(spec);
  const isInitializing = status.phase === 'Pending';
  const counted = [
    ...(status.initContainerStatuses ?? []).filter(
      ({ name }) => isInitializing || sidecars.has(name),
    ),
    ...(status.containerStatuses ?? []),
  ];
  return counted.reduce((sum, { restartCount }) => sum + restartCount, 0);
}

/** The CONTAINERS column: `main,side`. */
export function containerNamesText({ containers }: Pick<PodSpec, 'containers'>): string {
  return containers.map(({ name }) => name).join(',');
}

/** The IMAGES column: `busybox:1,perl`; `<none>` when no container has one. */
export function containerImagesText({ containers }: Pick<PodSpec, 'containers'>): string {
  return containers.map(({ image }) => image ?? '').join(',') || '<none>';
}

function sidecarNames({ initContainers = [] }: Pick<PodSpec, 'initContainers'>): Set<string> {
  return new Set(initContainers.filter(isSidecar).map(({ name }) => name));
}
