/** What all resources with objects have in common: a kind is described once, and read and written in one way. */

import { fieldsOf, type Field } from '@drover/shared/explain';

import type { ApiObject } from '../api/object.ts';
import type {
  Page,
  PageRequest,
  Resource,
  WatchEvent,
  WatchRequest,
  WriteOptions,
} from '../api/resource.ts';
import type { SelectableFields } from '../api/selection.ts';
import type { Column, TableDefinition } from '../api/table.ts';

/** A kind of objects. */
export interface KindDefinition<T extends ApiObject> {
  /** Group and version, as in manifests: `batch/v1`. */
  readonly apiVersion: string;
  readonly kind: string;
  /** Name in paths, as in `jobs`. */
  readonly plural: string;
  /** Default: it is. */
  readonly isNamespaced?: boolean;
  /** Default: none. */
  readonly shortNames?: readonly string[];
  /** Default: none. */
  readonly categories?: readonly string[];
  /** What its fields mean; default: what its schema says of them. */
  readonly explained?: Field;
  readonly columns: readonly Column<T>[];
  /** What rows say of objects, beside the cells; default: nothing. */
  readonly conditions?: TableDefinition<T>['conditions'];
  /** What field selectors may name, beside name and namespace; default: nothing. */
  readonly fields?: SelectableFields<T>;
  /** Its status is Drover's to write; default: it has none. */
  readonly hasStatus?: boolean;
}

/** Who tells of objects. */
interface Watches {
  watch(request: WatchRequest): AsyncGenerator<WatchEvent>;
  /** Ends all watches. */
  close(): void;
}

/** A kind whose objects are read and watched. */
export abstract class KindResource<T extends ApiObject> implements Resource {
  readonly group: string;
  readonly version: string;
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
  protected abstract readonly watches: Watches;

  constructor(definition: KindDefinition<T>) {
    const { apiVersion, kind, columns, conditions } = definition;
    const slash = apiVersion.indexOf('/');
    this.group = apiVersion.slice(0, Math.max(0, slash));
    this.version = apiVersion.slice(slash + 1);
    this.kind = kind;
    this.plural = definition.plural;
    this.singular = kind.toLowerCase();
    this.isNamespaced = definition.isNamespaced ?? true;
    this.shortNames = definition.shortNames ?? [];
    this.categories = definition.categories ?? [];
    this.explained = definition.explained ?? fieldsOf(kind as Parameters<typeof fieldsOf>[0]);
    this.table = { columns, ...(conditions !== undefined && { conditions }) };
    this.fields = definition.fields ?? {};
    this.hasStatus = definition.hasStatus ?? false;
  }

  abstract get(name: string, namespace: string): Promise<T>;

  abstract list(request: PageRequest): Promise<Page>;

  watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    return this.watches.watch(request);
  }

  /** Ends all watches. */
  close(): void {
    this.watches.close();
  }
}

type Scope = Pick<WriteOptions, 'namespace'>;
type Write = Pick<WriteOptions, 'namespace' | 'dryRun' | 'onWarning'>;

/** What reads and writes the objects of a kind; clients of the SDK do. */
export interface ObjectAccess<T extends ApiObject> {
  get(name: string, options: Scope): Promise<T>;
  create(manifest: Readonly<Record<string, unknown>>, options: Write): Promise<T>;
  change(name: string, change: (stored: T) => unknown, options: Write): Promise<T>;
}

/** A kind whose objects a client of the SDK reads and writes. */
export abstract class ClientResource<T extends ApiObject> extends KindResource<T> {
  readonly #access: ObjectAccess<T>;

  constructor(definition: KindDefinition<T>, access: ObjectAccess<T>) {
    super(definition);
    this.#access = access;
  }

  async get(name: string, namespace: string): Promise<T> {
    return await this.#access.get(name, { namespace });
  }

  async create(input: unknown, { namespace, dryRun, onWarning }: WriteOptions): Promise<T> {
    const manifest = input as Readonly<Record<string, unknown>>;
    return await this.#access.create(manifest, { namespace, dryRun, onWarning });
  }

  async update(
    name: string,
    change: (stored: ApiObject) => unknown,
    { namespace, dryRun, onWarning }: WriteOptions,
  ): Promise<T> {
    return await this.#access.change(name, change, { namespace, dryRun, onWarning });
  }
}
