/**
 * Objects that belong to others: they go when the last of their owners is gone, and a Foreground
 * deletion of an owner waits for those that block it.
 */
import {
  FOREGROUND_FINALIZER,
  type Job,
  type OwnerReference,
  podNumberFromName,
  podUid,
  TerminalError,
} from '@drover/shared';
import { ownersOf as ownersIn, type Shard, type StoredJob } from '@drover/store';
import type { Logger } from 'pino';
import { collectObject, pathOfMember, releaseObject } from './garbageObjects.ts';

/** Dependents that are read at a time. */
const PAGE_SIZE = 100;
/** Attempts at one object that others change at the same time. */
const MAX_ATTEMPTS = 5;

/** What the garbage collection needs of a shard. */
export type GarbageShard = Pick<
  Shard,
  | 'dependents'
  | 'owningPods'
  | 'getJobByUid'
  | 'findOwnersOfPod'
  | 'getPod'
  | 'updateJob'
  | 'deleteJob'
  | 'trigger'
> & { readonly objects: Pick<Shard['objects'], 'get' | 'update'> };

/** How an owner is. Of kinds that are not kept here nobody knows: they count as being there. */
export type OwnerState = 'there' | 'foreground' | 'gone';

/** Finds out how an owner is that an object of a namespace names. */
export type FindOwnerState = (namespace: string, ref: OwnerReference) => Promise<OwnerState>;

/**
 * Looks after what belongs to an owner, which may be gone.
 *
 * @param ownerUid - Uid of any object.
 * @returns null: nothing is to be done until something changes.
 */
export async function reconcileOwner(
  shard: GarbageShard,
  ownerUid: string,
  logger: Logger,
): Promise<null> {
  const owner = await shard.getJobByUid(ownerUid);
  if (owner !== null && !owner.deleted) {
    // Something that it waits for may be gone.
    if (isForeground(owner)) await shard.trigger(`job:${ownerUid}`);
    return null;
  }
  const deleted = await deleteDependents(shard, ownerUid);
  if (deleted > 0) logger.info({ ownerUid, deleted }, 'deleted what belonged to an owner');
  return null;
}

/** Deletes what belongs to an owner that is gone or goes, unless it has another one. Answers how many. */
export async function deleteDependents(shard: GarbageShard, ownerUid: string): Promise<number> {
  const states = new Map<string, Promise<OwnerState>>();
  let count = 0;
  const stateOf = (namespace: string, ref: OwnerReference): Promise<OwnerState> => {
    const key = `${namespace}/${ref.kind}/${ref.name}/${ref.uid}`;
    const state = states.get(key) ?? findState(shard, namespace, ref);
    states.set(key, state);
    return state;
  };
  for await (const member of dependents(shard, ownerUid)) {
    const path = pathOfMember(member);
    const isDeleted =
      path === null
        ? await collect(shard, uidOfMember(member), stateOf)
        : await collectObject(shard, path, stateOf);
    if (isDeleted) count++;
  }
  return count;
}

/** Deletes what belonged to pods of a Job that are gone. Pods that end in other ways than by a look tell nobody. */
export async function deleteDependentsOfPods(shard: GarbageShard, uid: string): Promise<void> {
  for (const pod of await shard.owningPods(uid, PAGE_SIZE)) await deleteDependents(shard, pod);
}

/** Takes an owner away from all that belongs to it. */
export async function releaseDependents(shard: GarbageShard, ownerUid: string): Promise<void> {
  for await (const member of dependents(shard, ownerUid)) {
    const path = pathOfMember(member);
    if (path !== null) {
      await releaseObject(shard, path, ownerUid);
      continue;
    }
    await change(shard, uidOfMember(member), (job) =>
      keepOwners(
        shard,
        job,
        ownersOf(job).filter((ref) => ref.uid !== ownerUid),
      ),
    );
  }
}

async function* dependents(shard: GarbageShard, ownerUid: string): AsyncGenerator<string> {
  let after: string | null = null;
  do {
    const from: { after?: string } = after === null ? {} : { after };
    const page = await shard.dependents(ownerUid, { limit: PAGE_SIZE, ...from });
    for (const { member } of page.dependents) yield member;
    after = page.next;
  } while (after !== null);
}

/** Answers whether the object was deleted, or is being deleted now. */
async function collect(
  shard: GarbageShard,
  uid: string,
  stateOf: FindOwnerState,
): Promise<boolean> {
  return await change(shard, uid, async (job) => {
    const references = ownersOf(job);
    const found = await Promise.all(references.map((ref) => stateOf(job.namespace, ref)));
    const solid = references.filter((_ref, i) => found[i] === 'there');
    if (solid.length === references.length) return 'kept';
    if (solid.length > 0) return await keepOwners(shard, job, solid);
    if (job.deletionMs !== null) return 'kept';
    // Nothing of it is to be left when the owner that waits for it goes; and a pod is there until it ended.
    const policy = found.includes('foreground') || job.bare ? ('Foreground' as const) : undefined;
    return await shard.deleteJob(uid, { policy, resourceVersion: job.resourceVersion });
  });
}

type Outcome = 'kept' | 'updated' | 'deleted' | 'deleting' | 'notFound' | 'conflict';

/** Answers whether it is deleted because of it. */
async function change(
  shard: GarbageShard,
  uid: string,
  make: (job: StoredJob) => Promise<Outcome>,
): Promise<boolean> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const job = await shard.getJobByUid(uid);
    if (job === null || job.deleted) return false;
    const outcome = await make(job);
    if (outcome !== 'conflict') return outcome === 'deleted' || outcome === 'deleting';
  }
  throw new Error(`Job ${uid} is changed all the time`);
}

async function keepOwners(
  shard: GarbageShard,
  job: StoredJob,
  kept: readonly OwnerReference[],
): Promise<Outcome> {
  const object = readObject(job);
  const { ownerReferences: _before, ...metadata } = object.metadata;
  const after = kept.length === 0 ? metadata : { ...metadata, ownerReferences: [...kept] };
  return await shard.updateJob({
    uid: job.uid,
    expectedResourceVersion: job.resourceVersion,
    object: JSON.stringify({ ...object, metadata: after }),
    specChanged: false,
    completions: null,
    queue: job.queue,
    fittingKey: job.fittingKey,
    owners: ownersIn({ metadata: after }),
  });
}

function uidOfMember(member: string): string {
  return member.slice('job:'.length);
}

/** An owner in another namespace is none, as in Kubernetes. */
async function findState(
  shard: GarbageShard,
  namespace: string,
  { apiVersion, kind, name, uid }: OwnerReference,
): Promise<OwnerState> {
  const group = apiVersion.split('/')[0];
  const isJob = kind === 'Job' && group === 'batch';
  const isPod = kind === 'Pod' && apiVersion === 'v1';
  if (kind === 'CronJob' && group === 'batch')
    return await cronJobState(shard, namespace, name, uid);
  if (!isJob && !isPod) return 'there';
  const owner = await shard.getJobByUid(uid);
  const isOwner = owner !== null && !owner.deleted && owner.namespace === namespace;
  if (isOwner && owner.bare === isPod) return isForeground(owner) ? 'foreground' : 'there';
  if (isPod) {
    return (await isPodThere(shard, namespace, name, uid)) ? 'there' : 'gone';
  }
  return 'gone';
}

async function cronJobState(
  shard: GarbageShard,
  namespace: string,
  name: string,
  uid: string,
): Promise<OwnerState> {
  const stored = await shard.objects.get({ kind: 'CronJob', namespace, name });
  if (stored === null || stored.uid !== uid) return 'gone';
  const { metadata } = JSON.parse(stored.object) as Pick<Job, 'metadata'>;
  const isGoing = stored.deletedMs !== null && metadata.finalizers?.includes(FOREGROUND_FINALIZER);
  return isGoing === true ? 'foreground' : 'there';
}

async function isPodThere(
  shard: GarbageShard,
  namespace: string,
  name: string,
  uid: string,
): Promise<boolean> {
  const podNumberOf = (owner: string): number | null => {
    const podNumber = podNumberFromName(owner, name);
    return podNumber !== null && podUid(owner, podNumber) === uid ? podNumber : null;
  };
  for (const owner of await shard.findOwnersOfPod(namespace, name)) {
    const podNumber = podNumberOf(owner);
    if (podNumber !== null && (await shard.getPod(owner, podNumber)) !== null) return true;
  }
  return false;
}

function isForeground({ deletionMs, finalizers }: StoredJob): boolean {
  return deletionMs !== null && finalizers.includes(FOREGROUND_FINALIZER);
}

function ownersOf(job: StoredJob): readonly OwnerReference[] {
  return readObject(job).metadata.ownerReferences ?? [];
}

function readObject(job: StoredJob): Pick<Job, 'metadata' | 'spec'> {
  try {
    return JSON.parse(job.object) as Pick<Job, 'metadata' | 'spec'>;
  } catch (cause) {
    throw new TerminalError(`the stored object of Job ${job.uid} is not JSON`, { cause });
  }
}
