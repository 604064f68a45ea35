import { CONFIG_MAP_KIND, SECRET_KIND, type ConfigMap, type Secret } from '@drover/shared';
import { ConfigMapsClient, SecretsClient, type Backend } from '@drover/sdk/internals';
import { SecretKeyFile } from '@drover/store';

import type { Column } from '../api/table.ts';
import { AGE_COLUMN, NAME_COLUMN, numberColumn, textColumn } from './columns.ts';
import { KeptResource } from './kept.ts';

/** ConfigMaps: settings for pods, in plain text. */
export function configMaps(backend: Backend): KeptResource<ConfigMap> {
  return new KeptResource(backend, {
    kind: CONFIG_MAP_KIND,
    client: new ConfigMapsClient(backend, 'default'),
    shortNames: ['cm'],
    columns: [
      NAME_COLUMN,
      countColumn(
        ({ data = {}, binaryData = {} }) =>
          Object.keys(data).length + Object.keys(binaryData).length,
      ),
      AGE_COLUMN,
    ],
  });
}

/** Secrets: the same, encrypted where they are kept. */
export function secrets(backend: Backend, keyFile: string | undefined): KeptResource<Secret> {
  return new KeptResource(backend, {
    kind: SECRET_KIND,
    client: new SecretsClient(backend, 'default', new SecretKeyFile(keyFile)),
    columns: [
      NAME_COLUMN,
      textColumn<Secret>('Type', 'What is in it.', ({ type }) => type),
      countColumn(({ data = {} }) => Object.keys(data).length),
      AGE_COLUMN,
    ],
    fields: { type: ({ type }) => type },
  });
}

function countColumn<T extends ConfigMap | Secret>(count: (object: T) => number): Column<T> {
  return numberColumn('Data', 'How many keys it has.', count);
}
