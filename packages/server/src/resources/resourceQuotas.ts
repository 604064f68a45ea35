import { quotaColumn, RESOURCE_QUOTA_KIND, type ResourceQuota } from '@drover/shared';
import { ResourceQuotasClient, type Backend } from '@drover/sdk/internals';

import { AGE_COLUMN, NAME_COLUMN, textColumn } from './columns.ts';
import { KeptResource } from './kept.ts';

/** ResourceQuotas: how much the objects of a namespace may take together. */
export function resourceQuotas(backend: Backend): KeptResource<ResourceQuota> {
  return new KeptResource(backend, {
    kind: RESOURCE_QUOTA_KIND,
    client: new ResourceQuotasClient(backend, 'default'),
    shortNames: ['quota'],
    columns: [
      NAME_COLUMN,
      textColumn<ResourceQuota>('Request', 'What is taken and allowed.', (quota) =>
        quotaColumn(quota, 'requests'),
      ),
      textColumn<ResourceQuota>('Limit', 'Limits that are taken and allowed.', (quota) =>
        quotaColumn(quota, 'limits'),
      ),
      AGE_COLUMN,
    ],
    hasStatus: true,
  });
}
