import { ageText, containerImagesText, containerNamesText, type PodSpec } from '@drover/shared';

import type { ApiObject } from '../api/object.ts';
import type { Column } from '../api/table.ts';

export { NAME_COLUMN } from '../api/table.ts';

/** How long ago an object was created. */
export const AGE_COLUMN: Column<ApiObject> = {
  name: 'Age',
  type: 'string',
  description: 'How long ago it was created.',
  priority: 0,
  cell: ({ metadata }, nowMs) => ageText(metadata.creationTimestamp, nowMs),
};

/** A column of text. */
export function textColumn<T extends ApiObject>(
  name: string,
  description: string,
  cell: (object: T, nowMs: number) => string,
  priority: 0 | 1 = 0,
): Column<T> {
  return { name, type: 'string', description, priority, cell };
}

/** A column of whole numbers. */
export function numberColumn<T extends ApiObject>(
  name: string,
  description: string,
  cell: (object: T) => number,
  priority: 0 | 1 = 0,
): Column<T> {
  return { name, type: 'integer', description, priority, cell };
}

/** The columns that say what a pod template runs; only with `-o wide`. */
export function templateColumns<T extends ApiObject>(
  specOf: (object: T) => Pick<PodSpec, 'containers'>,
): readonly Column<T>[] {
  return [
    textColumn(
      'Containers',
      'Names of the containers.',
      (object) => containerNamesText(specOf(object)),
      1,
    ),
    textColumn(
      'Images',
      'Images of the containers.',
      (object) => containerImagesText(specOf(object)),
      1,
    ),
  ];
}
