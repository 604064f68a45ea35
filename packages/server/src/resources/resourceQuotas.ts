import { quotaColumn, RESOURCE_QUOTA_KIND, type ResourceQuota } from '@drover/shared';
import { fieldsOf } from '@drover/shared/explain';
import { ResourceQuotasClient, type Backend } from '@drover/sdk/internals';

import { NAME_COLUMN } from '../api/table.ts';
import { AGE_COLUMN, textColumn } from './columns.ts';
import { KeptResource } from './kept.ts';

/** ResourceQuotas: how much the objects of a namespace may take together. */
export function resourceQuotas(backend: Backend): KeptResource<ResourceQuota> {
  return new KeptResource(backend, {
    kind: RESOURCE_QUOTA_KIND,
    client: new ResourceQuotasClient(backend, 'default'),
    singular: 'resourcequota',
    shortNames: ['quota'],
    explained: fieldsOf('ResourceQuota'),
    table: {
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
    },
    fields: {},
    hasStatus: true,
  });
}
