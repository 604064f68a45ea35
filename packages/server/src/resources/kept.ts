import type { KeptObject, ObjectKind } from '@drover/shared';
import type { Backend, ObjectsClient } from '@drover/sdk/internals';

import type { DeleteOptions, Page, PageRequest } from '../api/resource.ts';
import { FeedWatch } from '../watch/feedWatch.ts';
import { ClientResource, type KindDefinition } from './base.ts';
import { checkPreconditions } from './preconditions.ts';

/** What is told of a kind of kept objects, beside what the kind says of itself. */
export interface KeptOptions<T extends KeptObject> extends Omit<
  KindDefinition<T>,
  'apiVersion' | 'kind' | 'plural' | 'isNamespaced'
> {
  readonly kind: ObjectKind<T>;
  readonly client: ObjectsClient<T>;
}

/** Objects may have a megabyte each. */
const READ_SIZE = 50;

/** A kind of objects that the store keeps as they are: ConfigMaps, Secrets, CronJobs. */
export class KeptResource<T extends KeptObject> extends ClientResource<T> {
  protected readonly watches: FeedWatch<T>;
  readonly #client: ObjectsClient<T>;

  constructor(backend: Backend, { kind, client, ...definition }: KeptOptions<T>) {
    const isNamespaced = kind.isClusterScoped !== true;
    const plural = kind.resource.replace(/\..*/, '');
    super(
      { ...definition, apiVersion: kind.apiVersion, kind: kind.kind, plural, isNamespaced },
      client,
    );
    this.#client = client;
    this.watches = new FeedWatch(backend, {
      apiVersion: kind.apiVersion,
      kind: kind.kind,
      list: async ({ objects }) => {
        const found: T[] = [];
        let after: string | null = null;
        do {
          const from: { after?: string } = after === null ? {} : { after };
          const page = await objects.list(kind.kind, {
            namespace: null,
            limit: READ_SIZE,
            ...from,
          });
          for (const stored of page.objects) found.push(await client.decode(stored));
          after = page.next;
        } while (after !== null);
        return found;
      },
      read: async ({ objects }, entries) => {
        const found = await Promise.all(
          entries.map((entry) => objects.get({ ...entry, kind: kind.kind })),
        );
        // A later one of the same name is another one.
        const uids = new Set(entries.map(({ uid }) => uid));
        const meant = found.filter((stored) => stored !== null && uids.has(stored.uid));
        return await Promise.all(meant.map((stored) => client.decode(stored!)));
      },
    });
  }

  async list(request: PageRequest): Promise<Page> {
    const { kind } = this;
    return await this.watches.list(
      request,
      async ({ objects }, { namespace, after, limit }) => {
        const from = after === null ? {} : { after };
        const size = Math.min(limit, READ_SIZE);
        const page = await objects.list(kind, { namespace, limit: size, ...from });
        const items = await Promise.all(page.objects.map((stored) => this.#client.decode(stored)));
        return { items, next: page.next };
      },
      async ({ objects }, path) => {
        const stored = await objects.get({ kind, ...path });
        return stored === null ? null : await this.#client.decode(stored);
      },
    );
  }

  async delete(name: string, options: DeleteOptions): Promise<T> {
    const { namespace, dryRun } = options;
    const object = await this.#client.get(name, { namespace });
    checkPreconditions(object, options);
    if (dryRun || (await this.#client.delete(object))) return object;
    // It waits for its finalizers.
    return await this.#client.get(object).catch(() => object);
  }
}
