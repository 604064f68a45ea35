/** Pods without a Job: create, change, delete. They are read like all other pods. */
import { randomInt, randomUUID } from 'node:crypto';

import {
  AlreadyExistsError,
  ConflictError,
  ForbiddenError,
  NotFoundError,
  barePodOf,
  formatTime,
  generateName,
  isSemanticallyEqual,
  jobOfBarePod,
  parseBarePod,
  isSystemPriorityClass,
  noPriorityClassText,
  parseBarePodUpdate,
  quotaDenialText,
  type BarePod,
  type OwnerReference,
  type Pod,
} from '@drover/shared';
import {
  composeJob,
  jobText,
  type JobView,
  newJobOf,
  ownersOf,
  ownMetadata,
  placementOf,
  type Shard,
} from '@drover/store';

import { desired, lastApplied, withLastApplied } from './applied.ts';
import type { Backend } from './backend.ts';
import { refuseBadUid } from './jobObject.ts';
import { namespaceOf } from './listing.ts';
import { applyMergePatch, isPlainObject, threeWayPatch, type MergePatch } from './mergePatch.ts';
import { withOwner } from './podClient.ts';

/** A pod as a user writes it; checked when it is created. */
export type PodManifest = Readonly<Record<string, unknown>>;

/** Options of `pods.create` and `pods.apply`. */
export interface CreatePodOptions {
  /** Default: the client's. A manifest that names its own namespace has that. */
  readonly namespace?: string;
  /** The pod's uid, a UUID, chosen by the caller: so that a create may be sent again. */
  readonly uid?: string;
  /** Told of every field that is stored and has no effect. */
  readonly onWarning?: (warning: string) => void;
  /** Check only; nothing is stored. */
  readonly dryRun?: boolean;
}

/** Options of `pods.update`. */
export interface UpdatePodOptions {
  /** Told of every changed field that is stored and has no effect. */
  readonly onWarning?: (warning: string) => void;
  /** Check only; nothing is stored. */
  readonly dryRun?: boolean;
}

/** What `pods.apply` did. */
export interface AppliedPod {
  readonly pod: Pod;
  readonly action: 'created' | 'configured' | 'unchanged';
}

/** What this needs of the pods client. */
export interface BarePodHost {
  readonly backend: Backend;
  /** Namespace of the client. */
  readonly namespace: string;
  /** To whom belongs what is created. */
  readonly owner: OwnerReference | null;
  /** Whether a pod of any kind has the name. */
  exists(namespace: string, name: string): Promise<boolean>;
  /** Reads a pod. @throws NotFoundError */
  read(namespace: string, name: string): Promise<Pod>;
}

/** A read-modify-write that met another writer is tried again so many times. */
const MAX_WRITE_ATTEMPTS = 8;
/** Attempts to find a free name for a generateName. */
const MAX_NAME_ATTEMPTS = 8;

/** Creates a pod that runs once. */
export async function createBarePod(
  host: BarePodHost,
  manifest: PodManifest,
  options: CreatePodOptions,
): Promise<Pod> {
  const { pod: parsed, warnings } = parse(host, manifest, options);
  for (const warning of warnings) options.onWarning?.(warning);
  const uid = options.uid ?? randomUUID();
  refuseBadUid(uid, 'Pod', parsed.metadata);
  await refuseUnknownClass(host, parsed);
  const { namespace } = parsed.metadata;
  const prefix = parsed.metadata.name === '' ? (parsed.metadata.generateName ?? '') : null;
  for (let attempt = 1; ; attempt++) {
    const name = prefix === null ? parsed.metadata.name : generateName(prefix, randomInt);
    const pod = named(parsed, { uid, name, owner: host.owner });
    if (options.dryRun === true) return asPending(pod);
    const outcome = await store(host, pod);
    if (outcome !== 'alreadyExists') return await host.read(namespace, name);
    if (prefix === null || attempt === MAX_NAME_ATTEMPTS) {
      throw new AlreadyExistsError(reference(pod.metadata));
    }
  }
}

/** Creates the pod of a manifest, or brings labels, annotations and owners of an existing one in line with it. */
export async function applyBarePod(
  host: BarePodHost,
  manifest: PodManifest,
  options: CreatePodOptions,
): Promise<AppliedPod> {
  const { pod: wanted, warnings } = parse(host, manifest, options);
  const { name, namespace } = wanted.metadata;
  const marked = withLastApplied(manifest);
  const isThere = await host.backend.onShard(namespace, async (shard) =>
    name === '' ? false : (await shard.getBarePod(namespace, name)) !== null,
  );
  if (!isThere) return { pod: await createBarePod(host, marked, options), action: 'created' };
  for (const warning of warnings) options.onWarning?.(warning);
  const { changed } = await modify(
    host,
    { namespace, name },
    (stored) => applyMergePatch(stored, threeWayPatch(lastApplied(stored), desired(marked))),
    { dryRun: options.dryRun === true },
  );
  return { pod: await host.read(namespace, name), action: changed ? 'configured' : 'unchanged' };
}

/** Changes labels, annotations or owners of a pod without a Job by a merge patch. */
export async function patchBarePod(
  host: BarePodHost,
  target: { readonly namespace: string; readonly name: string },
  patch: MergePatch,
): Promise<Pod> {
  await modify(host, target, (stored) => applyMergePatch(stored, patch), {});
  return await host.read(target.namespace, target.name);
}

/**
 * Changes labels, annotations or owners of a pod without a Job by a function of the pod as it is shown.
 *
 * @throws InvalidSpecError for what can not be changed.
 * @throws ConflictError when the result names a `metadata.resourceVersion` that is not current.
 */
export async function updateBarePod(
  host: BarePodHost,
  target: { readonly namespace: string; readonly name: string },
  change: (stored: Pod) => unknown,
  options: UpdatePodOptions,
): Promise<Pod> {
  const { namespace, name } = target;
  const pod = await host.read(namespace, name);
  const { next } = await modify(
    host,
    target,
    async (stored) => {
      const shown = await host.read(namespace, name);
      return asStored(change(shown), shown, stored);
    },
    options,
  );
  if (options.dryRun !== true) return await host.read(namespace, name);
  const { labels, annotations, ownerReferences } = next.metadata;
  return { ...pod, metadata: { ...pod.metadata, labels, annotations, ownerReferences } };
}

/** A changed pod without what it is only shown with: where it runs, and what it said. */
function asStored(changed: unknown, shown: Pod, stored: BarePod): unknown {
  if (!isPlainObject(changed) || !isPlainObject(changed['metadata'])) return changed;
  const { status: _status, metadata, spec, ...others } = changed;
  const { resourceVersion, annotations, finalizers: _own, ownerReferences, ...kept } = metadata;
  if (resourceVersion !== undefined && resourceVersion !== shown.metadata.resourceVersion) {
    throw new ConflictError(reference(shown.metadata));
  }
  const own = isPlainObject(annotations)
    ? Object.entries(annotations).filter(
        ([key, value]) =>
          stored.metadata.annotations?.[key] !== undefined ||
          shown.metadata.annotations?.[key] !== value,
      )
    : [];
  return {
    ...others,
    metadata: {
      ...kept,
      annotations: own.length === 0 ? undefined : Object.fromEntries(own),
      ownerReferences: withoutAdopter(ownerReferences, shown, stored),
    },
    spec: isSemanticallyEqual(spec, shown.spec) ? stored.spec : spec,
  };
}

/** That a Job has adopted the pod is not stored with it: its labels decide. */
function withoutAdopter(owners: unknown, shown: Pod, stored: BarePod): unknown {
  if (!Array.isArray(owners)) return owners;
  const isIn = (pod: Pod | BarePod, uid: unknown): boolean =>
    (pod.metadata.ownerReferences ?? []).some((owner) => owner.uid === uid);
  const own: unknown[] = owners.filter((owner: unknown) => {
    const uid = isPlainObject(owner) ? owner['uid'] : undefined;
    return isIn(stored, uid) || !isIn(shown, uid);
  });
  return own.length === 0 ? undefined : own;
}

/**
 * Deletes a pod without a Job: one that runs is there until it ended, any other is gone at once.
 *
 * @returns Whether it is there no more. null: there was none.
 */
export async function deleteBarePod(
  shard: Shard,
  view: JobView,
  isRunning: boolean,
): Promise<boolean | null> {
  const policy = isRunning ? 'Foreground' : 'Background';
  const outcome = await shard.deleteJob(view.uid, { policy });
  return outcome === 'notFound' ? null : outcome === 'deleted';
}

async function refuseUnknownClass({ backend }: BarePodHost, { metadata, spec }: BarePod) {
  const { priorityClassName = '' } = spec;
  if (priorityClassName === '' || isSystemPriorityClass(priorityClassName)) return;
  const path = { kind: 'PriorityClass', namespace: '', name: priorityClassName };
  const found = await backend.onShard('', ({ objects }) => objects.get(path));
  if (found !== null) return;
  throw new ForbiddenError(reference(metadata), noPriorityClassText(priorityClassName));
}

function parse(host: BarePodHost, manifest: PodManifest, options: CreatePodOptions) {
  return parseBarePod(manifest, namespaceOf(manifest, host.namespace, options));
}

function named(
  { metadata, ...rest }: BarePod,
  { uid, name, owner }: { uid: string; name: string; owner: OwnerReference | null },
): BarePod {
  return { ...rest, metadata: withOwner({ ...metadata, uid, name }, owner) };
}

/** As it will be shown; for a dry run. */
function asPending(pod: BarePod): Pod {
  const metadata = { ...pod.metadata, creationTimestamp: formatTime(Date.now()) };
  const { nodeName: _none, ...spec } = pod.spec;
  return { ...pod, metadata, spec, status: { phase: 'Pending' } };
}

async function store(host: BarePodHost, pod: BarePod): Promise<'created' | 'alreadyExists'> {
  const { namespace, name, uid } = pod.metadata;
  return await host.backend.onShard(namespace, async (shard) => {
    // A pod of a Job may have the name; nobody can be kept from making one in this very moment.
    const known = await shard.getBarePod(namespace, name);
    if (known === null && (await host.exists(namespace, name))) return 'alreadyExists';
    const outcome = await shard.createJob({ ...newJobOf(jobOfBarePod(pod)), bare: true });
    if (outcome.type === 'forbidden') {
      const why = quotaDenialText(outcome.denial, pod.spec);
      throw new ForbiddenError(reference(pod.metadata), why);
    }
    if (outcome.type !== 'replayed') return outcome.type;
    if (known?.uid !== uid) throw new NotFoundError(reference(pod.metadata));
    return 'created';
  });
}

/** Answers whether something was changed, and what came of it. */
async function modify(
  host: BarePodHost,
  target: { readonly namespace: string; readonly name: string },
  change: (stored: BarePod) => unknown,
  options: UpdatePodOptions,
): Promise<{ changed: boolean; next: BarePod }> {
  return await host.backend.onShard(target.namespace, async (shard) => {
    for (let attempt = 1; attempt <= MAX_WRITE_ATTEMPTS; attempt++) {
      const view = await shard.getBarePod(target.namespace, target.name);
      if (view === null) throw new NotFoundError(reference(target));
      const stored = composeJob({ stored: view, counters: null, done: null });
      const { finalizers: _own, ...metadata } = stored.metadata;
      const before = barePodOf({ ...stored, metadata });
      const { pod, warnings } = parseBarePodUpdate(before, await change(before));
      for (const warning of warnings) options.onWarning?.(warning);
      const next = jobOfBarePod(pod);
      const isSame = isSemanticallyEqual(ownMetadata(next), ownMetadata({ ...stored, metadata }));
      if (isSame || options.dryRun === true) return { changed: !isSame, next: pod };
      const outcome = await shard.updateJob({
        uid: view.uid,
        expectedResourceVersion: view.resourceVersion,
        object: jobText(next),
        specChanged: false,
        completions: 1,
        ...placementOf(next),
        owners: ownersOf(next),
      });
      if (outcome === 'updated') return { changed: true, next: pod };
      if (outcome === 'notFound') throw new NotFoundError(reference(target));
    }
    throw new ConflictError(reference(target));
  });
}

function reference({ name, namespace }: { readonly name: string; readonly namespace: string }) {
  return { resource: 'pods', name, namespace };
}
