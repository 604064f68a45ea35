import { createHash } from 'node:crypto';

import { NotFoundError, SERVICE_ACCOUNT_KIND, type ServiceAccount } from '@drover/shared';
import { ObjectsClient, type Backend } from '@drover/sdk/internals';
import { composeObject, objectText } from '@drover/store';

import type { Page, PageRequest } from '../api/resource.ts';
import { field, kindField } from '../openapi/fields.ts';
import { AGE_COLUMN, NAME_COLUMN, numberColumn } from './columns.ts';
import { KeptResource } from './kept.ts';

const EXPLAINED = kindField(
  'ServiceAccount',
  'A name for pods to run under; without meaning here.',
  [
    field('secrets', '[]Object', 'Secrets that its pods may use.'),
    field('imagePullSecrets', '[]Object', 'Secrets with passwords of image registries.'),
    field('automountServiceAccountToken', 'boolean', 'Whether its pods get a token.'),
  ],
);

/** The one that is there in every namespace. */
const DEFAULT = 'default';

/** ServiceAccounts: kept for those who make some, with a `default` in every namespace. */
export class ServiceAccountsResource extends KeptResource<ServiceAccount> {
  constructor(backend: Backend) {
    super(backend, {
      kind: SERVICE_ACCOUNT_KIND,
      client: new ObjectsClient<ServiceAccount>(backend, 'default', {
        kind: SERVICE_ACCOUNT_KIND,
        encode: objectText,
        decode: (stored) => composeObject(SERVICE_ACCOUNT_KIND, stored),
        normalize: (manifest) => manifest,
      }),
      shortNames: ['sa'],
      explained: EXPLAINED,
      columns: [
        NAME_COLUMN,
        numberColumn<ServiceAccount>(
          'Secrets',
          'How many Secrets it names.',
          ({ secrets = [] }) => secrets.length,
        ),
        AGE_COLUMN,
      ],
    });
  }

  override async get(name: string, namespace: string): Promise<ServiceAccount> {
    try {
      return await super.get(name, namespace);
    } catch (error) {
      if (!(error instanceof NotFoundError) || name !== DEFAULT) throw error;
      return defaultOf(namespace);
    }
  }

  override async list(request: PageRequest): Promise<Page> {
    const page = await super.list(request);
    const { namespace, selection, after } = request;
    if (namespace === null || after !== null) return page;
    const isThere = page.items.some(({ metadata }) => metadata.name === DEFAULT);
    const own = defaultOf(namespace);
    return isThere || !selection.matches(own) ? page : { ...page, items: [own, ...page.items] };
  }
}

function defaultOf(namespace: string): ServiceAccount {
  const uid = uuidOf(`serviceaccount/${namespace}/${DEFAULT}`);
  const metadata = { name: DEFAULT, namespace, uid, resourceVersion: '1' };
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata };
}

/** A uid for something that is there without having been made. */
export function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
  ];
  return [...parts, hex.slice(20, 32)].join('-');
}
