import { randomInt } from 'node:crypto';

import {
  generateName,
  InvalidSpecError,
  isSemanticallyEqual,
  parseWorkQueue,
  type WorkQueue,
} from '@drover/shared';
import { WorkQueueHandle, WorkQueuesClient, type Backend } from '@drover/sdk/internals';

import { isJsonObject, type ApiObject } from '../api/object.ts';
import type { DeleteOptions, Page, PageRequest, WriteOptions } from '../api/resource.ts';
import type { Column } from '../api/table.ts';
import { PolledWatch, versionNow } from '../watch/polledWatch.ts';
import { KindResource, type KindDefinition } from './base.ts';
import { AGE_COLUMN, NAME_COLUMN, numberColumn, textColumn } from './columns.ts';
import { pageOf } from './paging.ts';
import { checkPreconditions } from './preconditions.ts';

const WORK_QUEUE: KindDefinition<WorkQueue> = {
  apiVersion: 'drover.dev/v1',
  kind: 'WorkQueue',
  plural: 'workqueues',
  shortNames: ['wq'],
  categories: ['all'],
  hasStatus: true,
  columns: [
    NAME_COLUMN,
    textColumn<WorkQueue>('Status', 'Whether more items may come.', statusWord),
    countColumn('Unsettled', 'Items that wait, are delayed or in flight.', 'unsettled', 0),
    countColumn('Completed', 'Items that were completed.', 'completed', 0),
    countColumn('Dead', 'Dead-lettered items that are kept.', 'dead', 0),
    AGE_COLUMN,
    countColumn('Enqueued', 'Items that were ever enqueued.', 'enqueued', 1),
  ],
};

function statusWord({ status }: WorkQueue): string {
  if (status?.allDone === true) return 'Done';
  return status?.sealedTime === undefined ? 'Open' : 'Sealed';
}

function countColumn(
  name: string,
  description: string,
  field: 'enqueued' | 'completed' | 'dead' | 'unsettled',
  priority: 0 | 1,
): Column<WorkQueue> {
  return numberColumn(name, description, ({ status }) => status?.[field] ?? 0, priority);
}

/** Work queues, `drover.dev/v1`. */
export class WorkQueuesResource extends KindResource<WorkQueue> {
  protected readonly watches: PolledWatch<WorkQueue>;
  readonly #backend: Backend;
  readonly #queues: WorkQueuesClient;

  constructor(backend: Backend) {
    super(WORK_QUEUE);
    this.#backend = backend;
    this.#queues = new WorkQueuesClient(backend, 'default');
    // Counts move without a new version.
    this.watches = new PolledWatch(WORK_QUEUE, () => this.#all(null), {
      stateOf: ({ status }) => JSON.stringify(status),
    });
  }

  async get(name: string, namespace: string): Promise<WorkQueue> {
    return await this.#queues.get(name, { namespace });
  }

  async list(request: PageRequest): Promise<Page> {
    const resourceVersion = String(versionNow());
    return pageOf(request, await this.#all(request.namespace), resourceVersion);
  }

  async create(input: unknown, { namespace, dryRun }: WriteOptions): Promise<WorkQueue> {
    const named = withName(withoutOwners(input));
    if (dryRun) return parseWorkQueue(named, namespace);
    return await this.#queues.create(named as Parameters<WorkQueuesClient['create']>[0], {
      namespace,
    });
  }

  async update(
    name: string,
    change: (stored: ApiObject) => unknown,
    { namespace }: WriteOptions,
  ): Promise<WorkQueue> {
    const { status: _status, ...stored } = await this.#queues.get(name, { namespace });
    const wanted = parseWorkQueue(withoutOwners(change(stored)), namespace);
    const { metadata, spec } = wanted;
    const isSame =
      isSemanticallyEqual(spec, stored.spec) &&
      isSemanticallyEqual(
        { ...metadata, resourceVersion: undefined },
        { ...stored.metadata, resourceVersion: undefined },
      );
    if (!isSame) {
      const detail = 'a work queue can not be changed: create another one';
      throw new InvalidSpecError('WorkQueue.drover.dev', name, [
        { path: 'spec', kind: 'Forbidden', detail },
      ]);
    }
    return await this.#queues.get(name, { namespace });
  }

  async delete(name: string, options: DeleteOptions): Promise<WorkQueue> {
    const { namespace, dryRun } = options;
    const queue = await this.#queues.get(name, { namespace });
    checkPreconditions(queue, options);
    if (!dryRun) {
      await new WorkQueueHandle(this.#backend, name, { namespace, schema: null }).delete();
    }
    return queue;
  }

  async #all(namespace: string | null): Promise<WorkQueue[]> {
    if (namespace !== null) return await this.#queues.list({ namespace });
    const store = await this.#backend.store();
    const found: WorkQueue[] = [];
    for (const shard of store.shards) {
      for (const one of await this.#backend.run(() => shard.namespaces([]))) {
        found.push(...(await this.#queues.list({ namespace: one })));
      }
    }
    return found;
  }
}

/** A manifest whose name is made when it asks for that. */
function withName(input: unknown): unknown {
  if (!isJsonObject(input) || !isJsonObject(input['metadata'])) return input;
  const { name, generateName: prefix, ...metadata } = input['metadata'];
  if ((name ?? '') !== '' || typeof prefix !== 'string' || prefix === '') return input;
  return { ...input, metadata: { ...metadata, name: generateName(prefix, randomInt) } };
}

/** Who owns fields of what can not be changed does not matter. */
function withoutOwners(input: unknown): unknown {
  if (!isJsonObject(input) || !isJsonObject(input['metadata'])) return input;
  const { managedFields: _managedFields, ...metadata } = input['metadata'];
  return { ...input, metadata };
}
