import type {
  AppliedObject,
  CreateObjectOptions,
  ListOptions,
  NamespaceOptions,
  ObjectEvent,
  ObjectManifest,
  ObjectRef,
  WatchObjectsOptions,
} from '@drover/sdk/client';
import {
  byNamespaceAndName,
  desired,
  lastApplied,
  resolveRef,
  threeWayPatch,
  withLastApplied,
} from '@drover/sdk/internals';
import { isSemanticallyEqual, NotFoundError, type ObjectMeta } from '@drover/shared';

import type { Call, Query, ServerConnection } from './http.ts';
import { watchObjects } from './watch.ts';

/** What every object has. */
export interface RemoteObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** A kind of objects, and where it is. */
export interface RemoteKind {
  readonly apiVersion: string;
  readonly kind: string;
  /** As in paths: `jobs`. */
  readonly plural: string;
  /** It belongs to no namespace. */
  readonly isClusterScoped?: boolean;
}

/** How an object is deleted, beside its name. */
export interface RemoteDeleteOptions extends NamespaceOptions {
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
}

/** What to list or watch. */
export type Selection = Pick<ListOptions, 'namespace' | 'allNamespaces' | 'labelSelector'> & {
  /** As kubectl writes it: `metadata.name=pi`. */
  readonly fieldSelector?: string;
};

/** Objects of a list that are read at once. */
const PAGE_SIZE = 500;

/** The objects of a kind over the API server: what {@link ObjectsClient} does over Redis. */
export class RemoteObjects<T extends RemoteObject> {
  readonly #connection: ServerConnection;
  readonly #namespace: string;
  readonly #kind: RemoteKind;

  constructor(connection: ServerConnection, namespace: string, kind: RemoteKind) {
    this.#connection = connection;
    this.#namespace = namespace;
    this.#kind = kind;
  }

  /** Reads one. @throws NotFoundError */
  async get(ref: ObjectRef, options: NamespaceOptions = {}): Promise<T> {
    return await this.#json<T>(this.#one(ref, options));
  }

  /** Reads what Drover tells of one beside the object itself. @throws NotFoundError */
  async getPart<P>(ref: ObjectRef, part: string, options: NamespaceOptions = {}): Promise<P> {
    const call = this.#one(ref, options);
    return await this.#json<P>({ ...call, path: `${call.path}/${part}` });
  }

  /** Lists them, in order of namespace and name. */
  async list(options: ListOptions & Selection = {}): Promise<T[]> {
    const found: T[] = [];
    for await (const object of this.iterate(options)) found.push(object);
    return found.toSorted((a, b) => byNamespaceAndName(a.metadata, b.metadata));
  }

  /** Lists them in the order of the server, page by page. */
  async *iterate(options: ListOptions & Selection = {}): AsyncGenerator<T> {
    let { limit: left = Number.POSITIVE_INFINITY } = options;
    let next: string | undefined;
    do {
      const query = {
        ...selectionQuery(options),
        limit: String(Math.min(left, PAGE_SIZE)),
        continue: next,
      };
      const page: List<T> = await this.#json<List<T>>({ ...this.#many(options), query });
      const { apiVersion, kind } = this.#kind;
      for (const item of page.items) yield { ...item, apiVersion, kind };
      left -= page.items.length;
      next = page.metadata.continue;
    } while (next !== undefined && next !== '' && left > 0);
  }

  /** Tells what is there, then every change as it happens, until the signal. */
  async *watch(options: WatchObjectsOptions & Selection = {}): AsyncGenerator<ObjectEvent<T>> {
    const { name, signal } = options;
    const fields = [
      options.fieldSelector,
      name === undefined ? undefined : `metadata.name=${name}`,
    ];
    const fieldSelector = fields.filter((one) => one !== undefined).join(',');
    const query = selectionQuery({ ...options, ...(fieldSelector !== '' && { fieldSelector }) });
    yield* watchObjects<T>(this.#connection, { ...this.#many(options), query, signal });
  }

  /** Creates one. @throws AlreadyExistsError, InvalidSpecError, ForbiddenError */
  async create(manifest: ObjectManifest, options: CreateObjectOptions = {}): Promise<T> {
    const namespace = namespaceOf(manifest) ?? options.namespace;
    return await this.#json<T>({
      ...this.#many({ ...(namespace !== undefined && { namespace }) }),
      method: 'POST',
      body: { apiVersion: this.#kind.apiVersion, kind: this.#kind.kind, ...manifest },
      query: writeQuery(options),
      onWarning: options.onWarning,
    });
  }

  /** Changes one by a JSON merge patch. @throws NotFoundError, InvalidSpecError, ConflictError */
  async patch(ref: ObjectRef, patch: object, options: CreateObjectOptions = {}): Promise<T> {
    return await this.#json<T>({
      ...this.#one(ref, options),
      method: 'PATCH',
      contentType: 'application/merge-patch+json',
      body: patch,
      query: writeQuery(options),
      onWarning: options.onWarning,
    });
  }

  /** As `kubectl apply`. */
  async apply(
    manifest: ObjectManifest,
    options: CreateObjectOptions = {},
  ): Promise<AppliedObject<T>> {
    const name = nameOf(manifest);
    const marked = withLastApplied(manifest);
    const namespace = namespaceOf(manifest) ?? options.namespace;
    const where = { ...options, ...(namespace !== undefined && { namespace }) };
    const stored = name === '' ? null : await this.#find(name, where);
    if (stored === null) return { object: await this.create(marked, where), action: 'created' };
    const patch = threeWayPatch(lastApplied(stored), desired(marked));
    const object = await this.patch(name, patch, where);
    const isSame = isSemanticallyEqual(intentOf(stored), intentOf(object));
    return { object, action: isSame ? 'unchanged' : 'configured' };
  }

  /** Deletes one. @returns Whether it is gone; false while it waits for something. @throws NotFoundError */
  async delete(ref: ObjectRef, options: RemoteDeleteOptions = {}): Promise<boolean> {
    const { propagationPolicy } = options;
    const answer = await this.#json<Partial<RemoteObject>>({
      ...this.#one(ref, options),
      method: 'DELETE',
      query: { propagationPolicy },
    });
    return answer.kind === 'Status';
  }

  async #find(name: string, options: NamespaceOptions): Promise<T | null> {
    try {
      return await this.get(name, options);
    } catch (error) {
      if (error instanceof NotFoundError) return null;
      throw error;
    }
  }

  async #json<R>(call: Call): Promise<R> {
    return await this.#connection.json<R>(call);
  }

  /** Where one is. */
  #one(ref: ObjectRef, options: NamespaceOptions): Call & { readonly path: string } {
    const { name, namespace } = resolveRef(ref, options.namespace ?? this.#namespace);
    const call = this.#many({ namespace });
    return { ...call, path: `${call.path}/${encodeURIComponent(name)}` };
  }

  /** Where those of a namespace are, or all of them. */
  #many(
    options: Pick<ListOptions, 'namespace' | 'allNamespaces'>,
  ): Call & { readonly namespace: string } {
    const { apiVersion, plural, isClusterScoped = false } = this.#kind;
    const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    if (isClusterScoped || options.allNamespaces === true) {
      return { path: `${base}/${plural}`, namespace: '' };
    }
    const namespace = options.namespace ?? this.#namespace;
    return { path: `${base}/namespaces/${encodeURIComponent(namespace)}/${plural}`, namespace };
  }
}

interface List<T> {
  readonly metadata: { readonly continue?: string };
  readonly items: readonly T[];
}

function selectionQuery({ labelSelector, fieldSelector }: Selection): Query {
  return { labelSelector, fieldSelector };
}

function writeQuery({ dryRun }: CreateObjectOptions): Query {
  const dry = dryRun === true ? { dryRun: 'All' } : {};
  return { fieldManager: 'drover', fieldValidation: 'Strict', ...dry };
}

function metadataOf(manifest: ObjectManifest): Readonly<Record<string, unknown>> {
  const { metadata } = manifest as { readonly metadata?: unknown };
  return (metadata ?? {}) as Readonly<Record<string, unknown>>;
}

function nameOf(manifest: ObjectManifest): string {
  const { name } = metadataOf(manifest);
  return typeof name === 'string' ? name : '';
}

function namespaceOf(manifest: ObjectManifest): string | undefined {
  const { namespace } = metadataOf(manifest);
  return typeof namespace === 'string' && namespace !== '' ? namespace : undefined;
}

/** What of an object is somebody's wish, in contrast to how it is. */
function intentOf(object: RemoteObject): object {
  const { status: _status, metadata, ...others } = object as RemoteObject & { status?: unknown };
  const {
    resourceVersion: _version,
    generation: _generation,
    managedFields: _managers,
    ...wished
  } = metadata as ObjectMeta & { managedFields?: unknown };
  return { ...others, metadata: wished };
}
