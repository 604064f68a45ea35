import {
  AlreadyExistsError,
  NAMESPACE_KIND,
  NotFoundError,
  parseObjectUpdate,
  ResourceExhaustedError,
  type Namespace,
} from '@drover/shared';
import { ObjectsClient, type Backend } from '@drover/sdk/internals';
import { composeObject, objectText } from '@drover/store';

import { isJsonObject, type ApiObject } from '../api/object.ts';
import type { DeleteOptions, Page, PageRequest, WriteOptions } from '../api/resource.ts';
import type { Admission } from '../http/context.ts';
import { ApiError } from '../http/status.ts';
import { field, kindField } from '../openapi/fields.ts';
import { PolledWatch, versionNow } from '../watch/polledWatch.ts';
import { KindResource, type KindDefinition } from './base.ts';
import { AGE_COLUMN, NAME_COLUMN, textColumn } from './columns.ts';
import { NamespaceContents } from './namespaceContents.ts';
import { pageOf } from './paging.ts';
import { checkPreconditions } from './preconditions.ts';
import { Repeatedly } from './repeatedly.ts';
import { uuidOf } from './serviceAccounts.ts';
import { unless } from './unless.ts';

/** A namespace as it is shown. */
interface ShownNamespace extends ApiObject {
  readonly spec: { readonly finalizers: readonly string[] };
  readonly status: { readonly phase: 'Active' | 'Terminating' };
}

const NAMESPACE: KindDefinition<ShownNamespace> = {
  apiVersion: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  isNamespaced: false,
  shortNames: ['ns'],
  explained: kindField('Namespace', 'A part of the engine whose names are its own.', [
    field('spec', 'Object', 'Without meaning here.', [
      field('finalizers', '[]string', 'Who must agree before it goes.'),
    ]),
    field('status', 'Object', 'How it is.', [field('phase', 'string', 'Active or Terminating.')]),
  ]),
  columns: [
    NAME_COLUMN,
    textColumn<ShownNamespace>('Status', 'How it is.', ({ status }) => status.phase),
    AGE_COLUMN,
  ],
  fields: { 'status.phase': ({ status }) => status.phase },
  hasStatus: true,
};

/** The one that is always there. */
const DEFAULT = 'default';
const NAME_LABEL = 'kubernetes.io/metadata.name';
/** Of namespaces that were made: they stay until nothing is in them any more. */
const CONTENTS = 'drover.dev/contents';

/**
 * Namespaces: those that are in use, those that somebody made, and `default`. One that is deleted is
 * kept as Terminating until nothing is in it any more.
 */
export class NamespacesResource extends KindResource<ShownNamespace> {
  protected readonly watches: PolledWatch<ShownNamespace>;
  readonly #contents: NamespaceContents;
  readonly #objects: ObjectsClient<Namespace>;
  /** Ends those that are to be deleted and wait for something; whoever sees one goes on with it. */
  readonly #endings: Repeatedly;

  /** @param keptKinds - Kinds of kept objects: they bring a namespace into use, and go with it. */
  constructor(backend: Backend, keptKinds: readonly string[]) {
    super(NAMESPACE);
    this.#contents = new NamespaceContents(backend, keptKinds);
    this.#objects = new ObjectsClient<Namespace>(backend, DEFAULT, {
      kind: NAMESPACE_KIND,
      encode: objectText,
      decode: (stored) => composeObject(NAMESPACE_KIND, stored),
      normalize: (manifest) => manifest,
    });
    this.watches = new PolledWatch(NAMESPACE, () => this.#all());
    this.#endings = new Repeatedly(async (name) => await this.#end(name));
  }

  /**
   * Admits a new object to its namespace, as Kubernetes' NamespaceLifecycle does.
   *
   * @throws NotFoundError when there is no such namespace.
   * @throws ApiError when it is to be deleted.
   */
  readonly admit: Admission = async ({ resource, name, namespace }) => {
    const [made, isInUse] = await Promise.all([
      this.#made(namespace),
      this.#contents.isIn(namespace),
    ]);
    if (made === null && namespace !== DEFAULT && !isInUse) throw missing(namespace);
    if (made === null || made.metadata.deletionTimestamp === undefined) return;
    this.#endings.begin(namespace);
    const [kind = '', ...group] = resource.split('.');
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    throw new ApiError(403, 'Forbidden', `${resource} "${name}" is forbidden: ${why}`, {
      name,
      group: group.join('.'),
      kind,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    });
  };

  async get(name: string): Promise<ShownNamespace> {
    const made = await this.#made(name);
    if (made !== null) return this.#seen(made);
    if (name === DEFAULT || (await this.#contents.isIn(name))) return inUse(name);
    throw missing(name);
  }

  async list(request: PageRequest): Promise<Page> {
    const resourceVersion = String(versionNow());
    return pageOf(request, await this.#all(), resourceVersion);
  }

  async create(input: unknown, { dryRun }: WriteOptions): Promise<ShownNamespace> {
    const name = nameOf(input);
    if (name === DEFAULT) throw new AlreadyExistsError({ resource: 'namespaces', name });
    const manifest = within(input, name) as Record<string, unknown>;
    return shown(await this.#objects.create(manifest, { namespace: name, dryRun }));
  }

  async update(
    name: string,
    change: (stored: ApiObject) => unknown,
    { dryRun }: WriteOptions,
  ): Promise<ShownNamespace> {
    const made = await this.#made(name);
    if (made !== null) {
      const inside = (stored: Namespace) => within(change(shown(stored)), name);
      return shown(await this.#objects.change(name, inside, { namespace: name, dryRun }));
    }
    // One that is only in use is made with what it is to be.
    const before = within(await this.get(name), name) as Namespace;
    const wanted = parseObjectUpdate(NAMESPACE_KIND, before, within(change(inUse(name)), name));
    return shown(await this.#objects.create(wanted, { namespace: name, dryRun }));
  }

  async delete(name: string, options: DeleteOptions): Promise<ShownNamespace> {
    const namespace = await this.get(name);
    checkPreconditions(namespace, options);
    if (name === DEFAULT) {
      const message = `namespaces "${name}" is forbidden: this namespace may not be deleted`;
      throw new ApiError(403, 'Forbidden', message, { name, kind: 'namespaces' });
    }
    if (options.dryRun) return namespace;
    const isMarked = await this.#mark(namespace);
    if (isMarked ? !(await this.#end(name)) : await this.#isLeftOver(name)) {
      return await this.get(name);
    }
    return namespace;
  }

  /** Ends all watches. */
  override close(): void {
    this.#endings.close();
    super.close();
  }

  /** Marks one as to be deleted, so that nothing new comes into it. @returns false: there is no memory for that. */
  async #mark({ metadata: { name, uid } }: ShownNamespace): Promise<boolean> {
    const scope = { namespace: name };
    try {
      if ((await this.#made(name)) === null) {
        await this.#objects
          .create(within({ metadata: { name } }, name) as Record<string, unknown>, {
            ...scope,
            uid,
          })
          .catch(unless(AlreadyExistsError));
      }
      // One of an earlier version of Drover may be without.
      await this.#objects.change(name, (stored) => within(stored, name), scope);
    } catch (error) {
      if (!(error instanceof ResourceExhaustedError)) throw error;
      // What is deleted with it makes room.
      return false;
    }
    await this.#objects.delete(name, scope);
    return true;
  }

  /** Deletes what is in one that is marked, and then itself. @returns Whether it is gone. */
  async #end(name: string): Promise<boolean> {
    const isMarked = (await this.#made(name))?.metadata.deletionTimestamp !== undefined;
    if (!isMarked) return true;
    const isLeftOver = await this.#isLeftOver(name);
    if (!isLeftOver) {
      const last = ({ metadata, ...others }: Namespace) => ({
        ...others,
        metadata: {
          ...metadata,
          finalizers: metadata.finalizers?.filter((one) => one !== CONTENTS),
        },
      });
      await this.#objects.change(name, last, { namespace: name }).catch(unless(NotFoundError));
    }
    await this.watches.poll();
    return !isLeftOver && (await this.#made(name)) === null;
  }

  /** Deletes what is in a namespace. @returns Whether something has to wait. */
  async #isLeftOver(name: string): Promise<boolean> {
    await this.#contents.delete(name);
    return await this.#contents.isIn(name);
  }

  async #made(name: string): Promise<Namespace | null> {
    return (
      (await this.#objects.get(name, { namespace: name }).catch(unless(NotFoundError))) ?? null
    );
  }

  async #all(): Promise<ShownNamespace[]> {
    const found = new Map([[DEFAULT, inUse(DEFAULT)]]);
    for (const name of await this.#contents.namespaces()) found.set(name, inUse(name));
    for (const made of await this.#objects.list({ allNamespaces: true })) {
      found.set(made.metadata.name, this.#seen(made));
    }
    return [...found.values()].toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  /** The process that was to end it may be gone. */
  #seen(made: Namespace): ShownNamespace {
    if (made.metadata.deletionTimestamp !== undefined) this.#endings.begin(made.metadata.name);
    return shown(made);
  }
}

function missing(name: string): NotFoundError {
  return new NotFoundError({ resource: 'namespaces', name });
}

function nameOf(input: unknown): string {
  const metadata = isJsonObject(input) ? input['metadata'] : undefined;
  const name = isJsonObject(metadata) ? metadata['name'] : undefined;
  return typeof name === 'string' ? name : '';
}

/** A namespace as it is kept: in the namespace of its own name, until nothing is in it any more. */
function within(object: unknown, name: string): unknown {
  if (!isJsonObject(object) || !isJsonObject(object['metadata'])) return object;
  const { status: _status, metadata, ...others } = object;
  const { finalizers: given = [] } = metadata;
  const finalizers =
    Array.isArray(given) && !given.includes(CONTENTS) ? [...given, CONTENTS] : given;
  return { ...others, metadata: { ...metadata, namespace: name, finalizers } };
}

function shown({ metadata }: Namespace): ShownNamespace {
  const { finalizers = [], ...others } = metadata;
  const theirs = finalizers.filter((one) => one !== CONTENTS);
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      ...others,
      namespace: '',
      labels: { ...metadata.labels, [NAME_LABEL]: metadata.name },
      ...(theirs.length > 0 && { finalizers: theirs }),
    },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: metadata.deletionTimestamp === undefined ? 'Active' : 'Terminating' },
  };
}

/** A namespace that nobody made. */
function inUse(name: string): ShownNamespace {
  const uid = uuidOf(`namespace/${name}`);
  const metadata = {
    name,
    namespace: '',
    uid,
    resourceVersion: '1',
    labels: { [NAME_LABEL]: name },
  };
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata,
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}
