import { isSemanticallyEqual } from '@drover/shared';

import { isJsonObject, valueAt } from '../../api/object.ts';
import { PATCH_TYPES } from '../../patch/patch.ts';
import { bodyType } from '../bodies.ts';
import type { Context } from '../context.ts';
import { invalid } from '../status.ts';
import { changeObject, readPatch, readReplacement, type Change } from './write.ts';

/** Replaces the status of an object. */
export async function replaceStatus(context: Context): Promise<void> {
  await changeObject(context, 'UpdateOptions', statusOnly(context, readReplacement(context)));
}

/** Changes the status of an object in part. */
export async function patchStatus(context: Context): Promise<void> {
  const patch = readPatch(context, bodyType(context.body, PATCH_TYPES));
  await changeObject(context, 'PatchOptions', statusOnly(context, patch));
}

/**
 * A change of a status changes metadata, too, as in Kubernetes, and never the spec. The status itself is
 * Drover's to write: who wants another one is told so.
 */
function statusOnly({ resource, name }: Context, change: Change): Change {
  return (stored) => {
    const wanted = change(stored);
    if (!isJsonObject(wanted) || !isJsonObject(wanted['metadata'])) return wanted;
    const { metadata } = wanted;
    const version = metadata['resourceVersion'] ?? stored.metadata.resourceVersion;
    const status = valueAt(stored, ['status']);
    // One that was made for another version is a conflict, whatever it says.
    const isCurrent = version === stored.metadata.resourceVersion;
    if (isCurrent && !isSemanticallyEqual(wanted['status'] ?? {}, status ?? {})) {
      throw invalid(resource.kind, resource.group, name, [
        { path: 'status', kind: 'Forbidden', detail: 'is written by Drover alone' },
      ]);
    }
    return { ...stored, metadata };
  };
}
