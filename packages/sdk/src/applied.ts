/** What `apply` remembers of a manifest, as `kubectl apply` does. */

import type { ObjectMeta } from '@drover/shared';
import { LAST_APPLIED_ANNOTATION } from '@drover/store';

import { isPlainObject } from './mergePatch.ts';

type Manifest = Readonly<Record<string, unknown>>;

/** A manifest with itself as text in an annotation: what the next `apply` compares with. */
export function withLastApplied(manifest: Manifest): Manifest {
  const metadata = isPlainObject(manifest['metadata']) ? manifest['metadata'] : {};
  const annotations = isPlainObject(metadata['annotations']) ? metadata['annotations'] : {};
  const { [LAST_APPLIED_ANNOTATION]: _own, ...others } = annotations;
  const text = JSON.stringify(
    desired({ ...manifest, metadata: { ...metadata, annotations: others } }),
  );
  return {
    ...manifest,
    metadata: { ...metadata, annotations: { ...others, [LAST_APPLIED_ANNOTATION]: text } },
  };
}

/** The part of a manifest that is applied: what the store sets itself has no say. */
export function desired({ status: _status, ...manifest }: Manifest): Manifest {
  if (!isPlainObject(manifest['metadata'])) return manifest;
  const {
    uid: _uid,
    resourceVersion: _version,
    generation: _generation,
    creationTimestamp: _created,
    ...metadata
  } = manifest['metadata'];
  return { ...manifest, metadata };
}

/** The manifest that was applied last; null when there is none, or none that can be read. */
export function lastApplied({ metadata }: { readonly metadata: ObjectMeta }): unknown {
  try {
    return JSON.parse(metadata.annotations?.[LAST_APPLIED_ANNOTATION] ?? 'null') as unknown;
  } catch {
    return null;
  }
}
