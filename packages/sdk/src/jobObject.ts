import {
  InvalidSpecError,
  uidProblems,
  withoutShown,
  type Job,
  type ObjectMeta,
} from '@drover/shared';
import type { NewJob, Owner } from '@drover/store';

import { placementOf } from './placement.ts';

/** A completed Job as the store takes it. */
export function newJobOf(job: Job): NewJob {
  const { uid, namespace, name, finalizers = [] } = job.metadata;
  return {
    uid,
    namespace,
    name,
    object: objectText(job),
    status: '{}',
    completions: job.spec.completions ?? null,
    ...placementOf(job),
    indexed: job.spec.completionMode === 'Indexed',
    finalizers,
    owners: ownersOf(job),
  };
}

/** What is stored of a Job; versions, finalizers, deletion and status lie beside it. */
export function objectText(job: Job): string {
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

/** What a Job belongs to. An owner whose uid is no uid is shown, but there can be none. */
export function ownersOf({ metadata }: Job): Owner[] {
  const owners = new Map<string, Owner>();
  for (const { uid, blockOwnerDeletion } of metadata.ownerReferences ?? []) {
    if (uidProblems(uid).length > 0) continue;
    const blocks = blockOwnerDeletion === true || owners.get(uid)?.blocks === true;
    owners.set(uid, { uid, blocks });
  }
  return [...owners.values()];
}

/** Names of pods and of QueueJobs are made from it: one that is no UUID would break later, elsewhere. */
export function refuseBadUid(
  uid: string,
  kind: string,
  { name, generateName = '' }: ObjectMeta,
): void {
  const problems = uidProblems(uid);
  if (problems.length === 0) return;
  const issues = problems.map(
    (detail) => ({ path: 'metadata.uid', kind: 'Invalid', value: uid, detail }) as const,
  );
  throw new InvalidSpecError(kind, name || generateName, issues);
}
