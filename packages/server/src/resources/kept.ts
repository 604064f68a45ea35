import type { KeptObject, ObjectKind } from '@drover/shared';
import type { Field } from '@drover/shared/explain';
import type { Backend, ObjectsClient } from '@drover/sdk/internals';

import type { ApiObject } from '../api/object.ts';
import type {
  DeleteOptions,
  Page,
  PageRequest,
  Resource,
  WatchEvent,
  WatchRequest,
  WriteOptions,
} from '../api/resource.ts';
import type { SelectableFields } from '../api/selection.ts';
import type { TableDefinition } from '../api/table.ts';
import { FeedWatch } from '../watch/feedWatch.ts';
import { checkPreconditions } from './preconditions.ts';

/** What is told of a kind of kept objects. */
export interface KeptOptions<T extends KeptObject> {
  readonly kind: ObjectKind<T>;
  readonly client: ObjectsClient<T>;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly explained: Field;
  readonly table: TableDefinition<T>;
  readonly fields: SelectableFields<T>;
  /** Default: none. */
  readonly categories?: readonly string[];
  /** Its status is written by Drover. Default: it has none. */
  readonly hasStatus?: boolean;
}

/** Objects may have a megabyte each. */
const READ_SIZE = 50;

/** A kind of objects that the store keeps as they are: ConfigMaps, Secrets, CronJobs. */
export class KeptResource<T extends KeptObject> implements Resource {
  readonly group: string;
  readonly version = 'v1';
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly isNamespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly explained: Field;
  readonly table: TableDefinition<T>;
  readonly fields: SelectableFields<T>;
  readonly hasStatus: boolean;
  readonly #client: ObjectsClient<T>;
  readonly #watch: FeedWatch<T>;

  constructor(backend: Backend, options: KeptOptions<T>) {
    const { kind, client } = options;
    this.group = kind.apiVersion.includes('/') ? kind.apiVersion.replace(/\/.*/, '') : '';
    this.plural = kind.resource.replace(/\..*/, '');
    this.categories = options.categories ?? [];
    this.hasStatus = options.hasStatus ?? false;
    this.singular = options.singular;
    this.kind = kind.kind;
    this.shortNames = options.shortNames;
    this.explained = options.explained;
    this.table = options.table;
    this.fields = options.fields;
    this.isNamespaced = kind.isClusterScoped !== true;
    this.#client = client;
    this.#watch = new FeedWatch(backend, {
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

  async get(name: string, namespace: string): Promise<T> {
    return await this.#client.get(name, { namespace });
  }

  async list(request: PageRequest): Promise<Page> {
    const { kind } = this;
    return await this.#watch.list(
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

  watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    return this.#watch.watch(request);
  }

  async create(input: unknown, { namespace, dryRun, onWarning }: WriteOptions): Promise<T> {
    const manifest = input as Record<string, unknown>;
    return await this.#client.create(manifest, { namespace, dryRun, onWarning });
  }

  async update(
    name: string,
    change: (stored: ApiObject) => unknown,
    { namespace, dryRun, onWarning }: WriteOptions,
  ): Promise<T> {
    return await this.#client.change(name, change, { namespace, dryRun, onWarning });
  }

  async delete(name: string, options: DeleteOptions): Promise<T> {
    const { namespace, dryRun } = options;
    const object = await this.#client.get(name, { namespace });
    checkPreconditions(object, options);
    if (dryRun || (await this.#client.delete(object))) return object;
    // It waits for its finalizers.
    return await this.#client.get(object).catch(() => object);
  }

  /** Ends all watches. */
  close(): void {
    this.#watch.close();
  }
}
