/** Labels and annotations of pods of Jobs: all that can be changed of them. */
import {
  ConflictError,
  InvalidSpecError,
  isSaidByPod,
  isSemanticallyEqual,
  matchesSelector,
  NotFoundError,
  parsePodChange,
  selectorFromObject,
  type Pod,
  type PodMetadata,
} from '@drover/shared';
import { composeJob, versionOfPod, type JobView, type Shard, type StoredPod } from '@drover/store';

import { isPlainObject } from './mergePatch.ts';

/** A pod with what is needed to change it. */
export interface LocatedPod {
  readonly shard: Shard;
  readonly view: JobView;
  readonly stored: StoredPod;
  readonly pod: Pod;
}

/** A read-modify-write that met another writer is tried again so many times. */
const MAX_WRITE_ATTEMPTS = 8;

const REFUSALS = {
  pending: 'the Job does not select these labels, and it can not release a pod that no worker has',
  tooMany:
    'the Job does not select these labels, and it has released 200 pods that are still there',
} as const;

/**
 * Changes labels and annotations of a pod of a Job by a function of the pod as it is shown. When the Job does not select
 * the labels any more, it releases the pod.
 *
 * @param locate - Finds the pod. @throws NotFoundError
 * @returns The pod as it is then.
 * @throws InvalidSpecError with all that can not be changed.
 * @throws ConflictError when the result names a `metadata.resourceVersion` that is not current.
 */
export async function changeJobPod(
  locate: () => Promise<LocatedPod>,
  change: (shown: Pod) => unknown,
  { dryRun = false }: { readonly dryRun?: boolean },
): Promise<Pod> {
  let located = await locate();
  for (let attempt = 1; attempt <= MAX_WRITE_ATTEMPTS; attempt++) {
    const { shard, view, stored, pod } = located;
    const wanted = await change(pod);
    refuseOldVersion(pod, wanted);
    const metadata = parsePodChange(pod, wanted);
    const isSame = isSemanticallyEqual(parsePodChange(pod, pod), metadata);
    if (isSame || dryRun) return withMetadata(pod, metadata);
    const { selector } = composeJob({ stored: view, counters: null, done: null }).spec;
    const outcome = await shard.changePod({
      uid: view.uid,
      podNumber: stored.podNumber,
      slot: stored.kind === 'slot' ? stored.slot : 0,
      expectedResourceVersion: versionOfPod(stored),
      change: metadata,
      isSelected:
        selector === undefined || matchesSelector(selectorFromObject(selector), metadata.labels),
    });
    const { name, namespace } = pod.metadata;
    if (outcome === 'pending' || outcome === 'tooMany') {
      const [path, kind] = ['metadata.labels', 'Forbidden'] as const;
      throw new InvalidSpecError('Pod', name, [{ path, kind, detail: REFUSALS[outcome] }]);
    }
    located = await locate();
    if (outcome === 'changed') return located.pod;
    if (outcome === 'notFound' && attempt === MAX_WRITE_ATTEMPTS) {
      throw new NotFoundError({ resource: 'pods', name, namespace });
    }
  }
  const { name, namespace } = located.pod.metadata;
  throw new ConflictError({ resource: 'pods', name, namespace });
}

function refuseOldVersion({ metadata }: Pod, wanted: unknown): void {
  if (!isPlainObject(wanted) || !isPlainObject(wanted['metadata'])) return;
  const { resourceVersion } = wanted['metadata'];
  if (resourceVersion === undefined || resourceVersion === metadata.resourceVersion) return;
  const { name, namespace } = metadata;
  throw new ConflictError({ resource: 'pods', name, namespace });
}

/** The pod as it would be. */
function withMetadata(pod: Pod, { labels, annotations, managedFields }: PodMetadata): Pod {
  const said = Object.entries(pod.metadata.annotations ?? {}).filter(([key]) => isSaidByPod(key));
  const all = { ...annotations, ...Object.fromEntries(said) };
  const metadata = { ...pod.metadata, labels: { ...labels }, annotations: all };
  return { ...pod, metadata: { ...metadata, managedFields: managedFields && [...managedFields] } };
}
