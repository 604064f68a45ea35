import {
  formatTime,
  type KeptObject,
  type ObjectKind,
  type ObjectMeta,
  readObject,
} from '@drover/shared';
import type { StoredObject } from '../objectApi.ts';
import { formatVersion } from './job.ts';

/** A kept object as the API shows it. Pure. */
export function composeObject<T extends KeptObject>(kind: ObjectKind<T>, stored: StoredObject): T {
  const object = readObject(kind, JSON.parse(stored.object));
  return { ...object, metadata: composeMetadata(object.metadata, stored) };
}

/** The text under which a kept object is stored: its version and times lie beside it. */
export function objectText({ metadata, ...others }: KeptObject): string {
  const { resourceVersion: _version, ...kept } = metadata;
  return JSON.stringify({ ...others, metadata: kept });
}

/** The metadata of a stored object, with what the store knows better than its text. */
export function composeMetadata(metadata: ObjectMeta, stored: StoredObject): ObjectMeta {
  const { uid, name, namespace, resourceVersion, createdMs, deletedMs } = stored;
  return {
    ...metadata,
    uid,
    name,
    namespace,
    resourceVersion: formatVersion(resourceVersion),
    creationTimestamp: formatTime(createdMs),
    ...(deletedMs === null
      ? {}
      : { deletionTimestamp: formatTime(deletedMs), deletionGracePeriodSeconds: 0 }),
  };
}
