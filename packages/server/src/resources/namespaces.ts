import {
  AlreadyExistsError,
  NAMESPACE_KIND,
  NotFoundError,
  parseObjectUpdate,
  type Namespace,
} from '@drover/shared';
import {
  JobsClient,
  ObjectsClient,
  PodsClient,
  WorkQueueHandle,
  WorkQueuesClient,
  type Backend,
} from '@drover/sdk/internals';
import { composeObject, objectText } from '@drover/store';

import { isJsonObject, type ApiObject } from '../api/object.ts';
import type {
  DeleteOptions,
  Page,
  PageRequest,
  Resource,
  WatchEvent,
  WatchRequest,
  WriteOptions,
} from '../api/resource.ts';
import { NAME_COLUMN, type TableDefinition } from '../api/table.ts';
import { ApiError } from '../http/status.ts';
import { field, kindField } from '../openapi/fields.ts';
import { PolledWatch, versionNow } from '../watch/polledWatch.ts';
import { AGE_COLUMN, textColumn } from './columns.ts';
import { pageOf } from './paging.ts';
import { checkPreconditions } from './preconditions.ts';
import { uuidOf } from './serviceAccounts.ts';

/** A namespace as it is shown. */
interface ShownNamespace extends ApiObject {
  readonly status: { readonly phase: 'Active' | 'Terminating' };
}

const TABLE: TableDefinition<ShownNamespace> = {
  columns: [
    NAME_COLUMN,
    textColumn<ShownNamespace>('Status', 'How it is.', ({ status }) => status.phase),
    AGE_COLUMN,
  ],
};

const EXPLAINED = kindField('Namespace', 'A part of the engine whose names are its own.', [
  field('spec', 'Object', 'Without meaning here.', [
    field('finalizers', '[]string', 'Who must agree before it goes.'),
  ]),
  field('status', 'Object', 'How it is.', [field('phase', 'string', 'Active or Terminating.')]),
]);

/** The one that is always there. */
const DEFAULT = 'default';
const NAME_LABEL = 'kubernetes.io/metadata.name';

/** Namespaces: those that are in use, those that somebody made, and `default`. */
export class NamespacesResource implements Resource {
  readonly group = '';
  readonly version = 'v1';
  readonly plural = 'namespaces';
  readonly singular = 'namespace';
  readonly kind = 'Namespace';
  readonly isNamespaced = false;
  readonly shortNames = ['ns'];
  readonly categories = [];
  readonly explained = EXPLAINED;
  readonly table = TABLE;
  readonly fields = { 'status.phase': ({ status }: ShownNamespace) => status.phase };
  readonly hasStatus = true;
  readonly #backend: Backend;
  readonly #keptKinds: readonly string[];
  readonly #objects: ObjectsClient<Namespace>;
  readonly #watch: PolledWatch<ShownNamespace>;

  /** @param keptKinds - Kinds of kept objects: they bring a namespace into use, and go with it. */
  constructor(backend: Backend, keptKinds: readonly string[]) {
    this.#backend = backend;
    this.#keptKinds = keptKinds;
    this.#objects = new ObjectsClient<Namespace>(backend, DEFAULT, {
      kind: NAMESPACE_KIND,
      encode: objectText,
      decode: (stored) => composeObject(NAMESPACE_KIND, stored),
      normalize: (manifest) => manifest,
    });
    this.#watch = new PolledWatch({ apiVersion: 'v1', kind: 'Namespace' }, () => this.#all());
  }

  async get(name: string): Promise<ShownNamespace> {
    const made = await this.#made(name);
    if (made !== null) return shown(made);
    if (name === DEFAULT || (await this.#isInUse(name))) return inUse(name);
    throw new NotFoundError({ resource: 'namespaces', name });
  }

  async list(request: PageRequest): Promise<Page> {
    const resourceVersion = String(versionNow());
    return pageOf(request, await this.#all(), resourceVersion);
  }

  watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    return this.#watch.watch(request);
  }

  async create(input: unknown, { dryRun }: WriteOptions): Promise<ShownNamespace> {
    const name = nameOf(input);
    if (name === DEFAULT) throw new AlreadyExistsError({ resource: 'namespaces', name });
    const manifest = input as Record<string, unknown>;
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
    await this.#empty(name);
    if ((await this.#made(name)) !== null) await this.#objects.delete(name, { namespace: name });
    await this.#watch.poll();
    if (!(await this.#isInUse(name))) return namespace;
    // Something in it waits for its finalizers, and it goes with the last of that.
    const deletionTimestamp = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const metadata = { ...namespace.metadata, deletionTimestamp };
    return { ...namespace, metadata, status: { phase: 'Terminating' } };
  }

  /** Ends all watches. */
  close(): void {
    this.#watch.close();
  }

  /** Deletes what is in a namespace. */
  async #empty(namespace: string): Promise<void> {
    // First of all what would go on making Jobs.
    await this.#deleteKept('CronJob', namespace);
    const jobs = new JobsClient(this.#backend, namespace);
    for (const job of await jobs.list()) {
      await orGone(jobs.delete(job, { propagationPolicy: 'Background' }));
    }
    const pods = new PodsClient(this.#backend, namespace);
    for await (const pod of pods.iterate()) await orGone(pods.delete(pod));
    const queues = new WorkQueuesClient(this.#backend, namespace);
    for (const { metadata } of await queues.list()) {
      const options = { namespace, schema: null };
      await orGone(new WorkQueueHandle(this.#backend, metadata.name, options).delete());
    }
    for (const kind of this.#keptKinds) await this.#deleteKept(kind, namespace);
  }

  async #deleteKept(kind: string, namespace: string): Promise<void> {
    await this.#backend.onShard(namespace, async ({ objects }) => {
      const { objects: found } = await objects.list(kind, { namespace, limit: MAX_KEPT });
      for (const object of found) await objects.delete(object);
    });
  }

  async #made(name: string): Promise<Namespace | null> {
    try {
      return await this.#objects.get(name, { namespace: name });
    } catch (error) {
      if (error instanceof NotFoundError) return null;
      throw error;
    }
  }

  async #isInUse(name: string): Promise<boolean> {
    return await this.#backend.onShard(name, async (shard) =>
      (await shard.namespaces(this.#keptKinds)).includes(name),
    );
  }

  async #all(): Promise<ShownNamespace[]> {
    const store = await this.#backend.store();
    const found = new Map([[DEFAULT, inUse(DEFAULT)]]);
    for (const shard of store.shards) {
      for (const name of await this.#backend.run(() => shard.namespaces(this.#keptKinds))) {
        found.set(name, inUse(name));
      }
    }
    for (const made of await this.#objects.list({ allNamespaces: true })) {
      found.set(made.metadata.name, shown(made));
    }
    return [...found.values()].toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }
}

/** Objects of a kind that are deleted with their namespace at once. */
const MAX_KEPT = 100_000;

/** Somebody else may have been quicker. */
async function orGone(deletion: Promise<unknown>): Promise<void> {
  try {
    await deletion;
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
}

function nameOf(input: unknown): string {
  const metadata = isJsonObject(input) ? input['metadata'] : undefined;
  const name = isJsonObject(metadata) ? metadata['name'] : undefined;
  return typeof name === 'string' ? name : '';
}

/** A namespace as it is kept: in the namespace of its own name. */
function within(object: unknown, name: string): unknown {
  if (!isJsonObject(object) || !isJsonObject(object['metadata'])) return object;
  const { status: _status, metadata, ...others } = object;
  return { ...others, metadata: { ...metadata, namespace: name } };
}

function shown({ metadata }: Namespace): ShownNamespace {
  const labels = { ...metadata.labels, [NAME_LABEL]: metadata.name };
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { ...metadata, namespace: '', labels },
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
  return { apiVersion: 'v1', kind: 'Namespace', metadata, status: { phase: 'Active' } };
}
