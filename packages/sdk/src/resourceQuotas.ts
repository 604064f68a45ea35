import { countedKinds, quotaStatus, RESOURCE_QUOTA_KIND, type ResourceQuota } from '@drover/shared';
import { composeObject, objectText, type StoredObject } from '@drover/store';

import type { Backend } from './backend.ts';
import { ObjectsClient } from './objects.ts';

/** ResourceQuotas: how much the pods and other objects of a namespace may take together. */
export class ResourceQuotasClient extends ObjectsClient<ResourceQuota> {
  constructor(backend: Backend, namespace: string) {
    super(backend, namespace, {
      kind: RESOURCE_QUOTA_KIND,
      encode: ({ status: _told, ...quota }) => objectText(quota),
      decode: (stored) => composeQuota(backend, stored),
      normalize: (manifest) => manifest,
    });
  }
}

/** With what is taken at this moment: that is written nowhere. */
async function composeQuota(backend: Backend, stored: StoredObject): Promise<ResourceQuota> {
  const quota = composeObject(RESOURCE_QUOTA_KIND, stored);
  const usage = await backend.onShard(stored.namespace, ({ quotas }) =>
    quotas.usage(stored.namespace, countedKinds(quota)),
  );
  return { ...quota, status: quotaStatus(quota, usage) };
}
