/** ConfigMaps, Secrets and other objects that are kept as they are, as far as they belong to others. */
import type { Job, OwnerReference } from '@drover/shared';
import { type ObjectPath, ownersOf, type Shard, type StoredObject } from '@drover/store';
import type { FindOwnerState } from './garbage.ts';

/** Attempts at one object that others change at the same time. */
const MAX_ATTEMPTS = 5;
/** Before the kind, namespace and name of such an object among what belongs to an owner. */
const MEMBER = 'object:';

type ObjectShard = { readonly objects: Pick<Shard['objects'], 'get' | 'update'> };

/** What a change of an object's owners is: kept as it is, with these, or deleted. */
type Verdict =
  | { readonly type: 'keep' }
  | { readonly type: 'reduce'; readonly owners: readonly OwnerReference[] }
  | { readonly type: 'delete' };

/** The object that a member of what belongs to an owner names; null = it is a Job or a pod. */
export function pathOfMember(member: string): ObjectPath | null {
  if (!member.startsWith(MEMBER)) return null;
  const [kind = '', namespace = '', name = ''] = member.slice(MEMBER.length).split('/');
  return { kind, namespace, name };
}

/** Deletes an object of which no owner is left. Answers whether it was, or is being deleted now. */
export async function collectObject(
  shard: ObjectShard,
  path: ObjectPath,
  stateOf: FindOwnerState,
): Promise<boolean> {
  return await change(shard, path, async (references) => {
    const states = await Promise.all(references.map((ref) => stateOf(path.namespace, ref)));
    const owners = references.filter((_ref, i) => states[i] === 'there');
    if (owners.length === references.length) return { type: 'keep' };
    return owners.length > 0 ? { type: 'reduce', owners } : { type: 'delete' };
  });
}

/** Takes an owner away from an object. */
export async function releaseObject(
  shard: ObjectShard,
  path: ObjectPath,
  ownerUid: string,
): Promise<void> {
  await change(shard, path, async (references) => ({
    type: 'reduce',
    owners: references.filter(({ uid }) => uid !== ownerUid),
  }));
}

/** Compare-and-set: an owner that comes meanwhile counts. */
async function change(
  { objects }: ObjectShard,
  path: ObjectPath,
  judge: (references: readonly OwnerReference[]) => Promise<Verdict>,
): Promise<boolean> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const stored = await objects.get(path);
    if (stored === null || stored.deletedMs !== null) return false;
    const object = readObject(stored);
    const { ownerReferences = [], ...metadata } = object.metadata;
    const verdict = await judge(ownerReferences);
    if (verdict.type === 'keep') return false;
    const owners = verdict.type === 'reduce' ? verdict.owners : ownerReferences;
    const after = owners.length === 0 ? metadata : { ...metadata, ownerReferences: [...owners] };
    const outcome = await objects.update({
      ...stored,
      object: JSON.stringify({ ...object, metadata: after }),
      finalizerCount: metadata.finalizers?.length ?? 0,
      expectedResourceVersion: stored.resourceVersion,
      isDeletion: verdict.type === 'delete',
      owners: ownersOf({ metadata: after }),
    });
    if (outcome.type !== 'conflict') return verdict.type === 'delete';
  }
  throw new Error(`${path.kind} ${path.namespace}/${path.name} is changed all the time`);
}

function readObject({ object }: StoredObject): Pick<Job, 'metadata'> {
  return JSON.parse(object) as Pick<Job, 'metadata'>;
}
