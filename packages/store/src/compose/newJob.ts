/** What is stored of a Job. */
import {
  dnsSubdomainProblems,
  fittingKey,
  formatTime,
  generateSelectorAndLabels,
  poolOf,
  quotaShare,
  runtimeOf,
  uidProblems,
  withoutShown,
  type Job,
  type OwnerReference,
} from '@drover/shared';
import type { NewJob, Owner } from '../api.ts';
import { slotQueueName } from '../slotQueue.ts';

/** Where the pods of a Job go, and what they take. */
export interface Placement {
  /** Queue that its slots are offered on. */
  readonly queue: string;
  /** Key of the lanes that fit. */
  readonly fittingKey: string;
  /** What each of them takes of quota. */
  readonly share: string;
}

/** Reads the placement from a validated Job. */
export function placementOf(job: Pick<Job, 'spec'>): Placement {
  const podSpec = job.spec.template.spec;
  const runtime = runtimeOf(podSpec) ?? 'process';
  return {
    queue: slotQueueName(poolOf(podSpec), runtime),
    fittingKey: fittingKey(podSpec),
    share: quotaShare(podSpec),
  };
}

/** What creation adds: identity, time, and the selector and labels that Kubernetes generates. */
export function completeJob(
  job: Job,
  { uid, name, createdMs }: { uid: string; name: string; createdMs: number },
): Job {
  const named = { ...job, metadata: { ...job.metadata, uid, name } };
  const completed = generateSelectorAndLabels(named);
  return {
    ...completed,
    metadata: { ...completed.metadata, creationTimestamp: formatTime(createdMs) },
  };
}

/** A completed Job as the store takes it. */
export function newJobOf(job: Job): NewJob {
  const { uid, namespace, name, finalizers = [] } = job.metadata;
  return {
    uid,
    namespace,
    name,
    object: jobText(job),
    status: '{}',
    completions: job.spec.completions ?? null,
    ...placementOf(job),
    indexed: job.spec.completionMode === 'Indexed',
    finalizers,
    owners: ownersOf(job),
  };
}

/** What is stored of a Job; versions, finalizers, deletion and status lie beside it. */
export function jobText(job: Job): string {
  const {
    finalizers: _finalizers,
    deletionTimestamp: _at,
    deletionGracePeriodSeconds: _grace,
    ...metadata
  } = ownMetadata(job);
  return JSON.stringify({ metadata, spec: job.spec });
}

/** The metadata that an update may change. */
export function ownMetadata({
  metadata,
}: Job): Omit<Job['metadata'], 'resourceVersion' | 'generation'> {
  const { resourceVersion: _version, generation: _generation, ...kept } = withoutShown(metadata);
  return kept;
}

/** What an object belongs to. An owner whose uid is no uid is shown, but there can be none. */
export function ownersOf({
  metadata,
}: {
  readonly metadata: Partial<Pick<Job['metadata'], 'name' | 'ownerReferences'>>;
}): Owner[] {
  const owners = new Map<string, Owner>();
  for (const reference of metadata.ownerReferences ?? []) {
    const { uid, blockOwnerDeletion } = reference;
    if (uidProblems(uid).length > 0) continue;
    const known = owners.get(uid);
    const blocks = blockOwnerDeletion === true || known?.blocks === true;
    owners.set(uid, { uid, blocks, cronJob: known?.cronJob ?? cronJobNamed(reference) });
  }
  return [...owners.values()];
}

/** The name of the CronJob that an owner is; null = it is none, or does not control the Job. */
function cronJobNamed({ apiVersion, kind, name, controller }: OwnerReference): string | null {
  const isCronJob = kind === 'CronJob' && apiVersion.split('/')[0] === 'batch';
  return isCronJob && controller === true && dnsSubdomainProblems(name).length === 0 ? name : null;
}
