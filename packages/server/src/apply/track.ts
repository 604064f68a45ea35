import { ConflictError } from '@drover/shared';

import { isJsonObject, type ApiObject } from '../api/object.ts';
import type { Resource, WriteOptions } from '../api/resource.ts';
import { isReset, managersAfter } from './apply.ts';
import type { Writer } from './managers.ts';

/** A change of an object of a kind. */
export interface TrackedChange {
  readonly resource: Resource;
  readonly name: string;
  readonly change: (stored: ApiObject) => unknown;
  readonly writer: Writer;
  readonly options: WriteOptions;
}

/** Attempts against other writers. */
const MAX_ATTEMPTS = 8;

/** Somebody applied the object before: who owns what has to be kept. */
class Tracked extends Error {}

/** Somebody else was quicker. */
class Moved extends Error {}

/**
 * Changes an object, and notes who owns what of it now, if anybody ever applied it: of others that would
 * only take room.
 */
export async function updateTracked(tracked: TrackedChange): Promise<ApiObject> {
  const { resource, name, change, options } = tracked;
  const update = resource.update?.bind(resource);
  if (update === undefined) throw new TypeError(`${resource.plural} can not be changed`);
  try {
    return await update(
      name,
      (stored) => {
        if ((stored.metadata.managedFields ?? []).length > 0) throw new Tracked();
        return change(stored);
      },
      options,
    );
  } catch (error) {
    if (!(error instanceof Tracked)) throw error;
  }
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const changed = await tryTracked(tracked, update);
    if (changed !== null) return changed;
  }
  throw new ConflictError({ resource: resource.plural, name });
}

async function tryTracked(
  { resource, name, change, writer, options }: TrackedChange,
  update: NonNullable<Resource['update']>,
): Promise<ApiObject | null> {
  const seen: { stored?: ApiObject } = {};
  const look = (stored: ApiObject): unknown => {
    seen.stored = stored;
    return change(stored);
  };
  // What it comes to with its defaults: what is only left out is not changed.
  const preview = await update(name, look, {
    ...options,
    dryRun: true,
    onWarning: () => undefined,
  });
  const { stored } = seen;
  if (stored === undefined) return preview;
  const managedFields = isReset(preview.metadata.managedFields)
    ? undefined
    : managersAfter(stored, preview, resource, writer, Date.now());
  try {
    return await update(
      name,
      (now) => {
        if (now.metadata.resourceVersion !== stored.metadata.resourceVersion) throw new Moved();
        const changed = change(now);
        if (!isJsonObject(changed) || !isJsonObject(changed['metadata'])) return changed;
        return { ...changed, metadata: { ...changed['metadata'], managedFields } };
      },
      options,
    );
  } catch (error) {
    if (error instanceof Moved) return null;
    throw error;
  }
}
