import { PRIORITY_CLASS_KIND, type PriorityClass } from '@drover/shared';
import { fieldsOf } from '@drover/shared/explain';
import { PriorityClassesClient, type Backend } from '@drover/sdk/internals';

import { NAME_COLUMN } from '../api/table.ts';
import { AGE_COLUMN, textColumn } from './columns.ts';
import { KeptResource } from './kept.ts';

/** PriorityClasses: how important pods are. */
export function priorityClasses(backend: Backend): KeptResource<PriorityClass> {
  return new KeptResource(backend, {
    kind: PRIORITY_CLASS_KIND,
    client: new PriorityClassesClient(backend),
    singular: 'priorityclass',
    shortNames: ['pc'],
    explained: fieldsOf('PriorityClass'),
    table: {
      columns: [
        NAME_COLUMN,
        {
          name: 'Value',
          type: 'integer',
          description: 'How important.',
          priority: 0,
          cell: ({ value }) => value,
        },
        textColumn<PriorityClass>('Global-Default', 'For pods that name none.', (one) =>
          String(one.globalDefault ?? false),
        ),
        AGE_COLUMN,
        textColumn<PriorityClass>(
          'PreemptionPolicy',
          'Without effect.',
          ({ preemptionPolicy }) => preemptionPolicy,
        ),
      ],
    },
    fields: {},
  });
}
