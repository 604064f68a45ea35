import { PRIORITY_CLASS_KIND, type PriorityClass } from '@drover/shared';
import { PriorityClassesClient, type Backend } from '@drover/sdk/internals';

import { AGE_COLUMN, NAME_COLUMN, numberColumn, textColumn } from './columns.ts';
import { KeptResource } from './kept.ts';

/** PriorityClasses: how important pods are. */
export function priorityClasses(backend: Backend): KeptResource<PriorityClass> {
  return new KeptResource(backend, {
    kind: PRIORITY_CLASS_KIND,
    client: new PriorityClassesClient(backend),
    shortNames: ['pc'],
    columns: [
      NAME_COLUMN,
      numberColumn<PriorityClass>('Value', 'How important.', ({ value }) => value),
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
  });
}
