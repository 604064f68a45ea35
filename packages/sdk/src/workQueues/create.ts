import type { WorkQueue } from '@drover/shared';

import type { Backend } from '../backend.ts';

/** Stores a work queue; false when another one has its name. */
export async function createWorkQueue(
  backend: Backend,
  { apiVersion, kind, metadata, spec }: WorkQueue,
  uid: string,
): Promise<boolean> {
  const object = { apiVersion, kind, metadata: { ...metadata, uid }, spec };
  const { name, namespace } = metadata;
  const created = await backend.onShard(namespace, ({ workQueues }) =>
    workQueues.create({
      uid,
      namespace,
      name,
      object: JSON.stringify(object),
      resultTtlMs: spec.resultTtlSeconds * 1_000,
      maxResultBytes: spec.maxResultBytes,
    }),
  );
  return created.type !== 'alreadyExists';
}
