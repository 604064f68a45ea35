import {
  ConflictError,
  InvalidSpecError,
  isSemanticallyEqual,
  nodeStatusWord,
  withoutNulls,
  type Node,
} from '@drover/shared';
import { fieldsOf } from '@drover/shared/explain';
import { NodesClient, type Backend } from '@drover/sdk/internals';

import { isJsonObject, valueAt, type ApiObject } from '../api/object.ts';
import type {
  Page,
  PageRequest,
  Resource,
  WatchEvent,
  WatchRequest,
  WriteOptions,
} from '../api/resource.ts';
import type { SelectableFields } from '../api/selection.ts';
import { NAME_COLUMN, type TableDefinition } from '../api/table.ts';
import { PolledWatch, versionNow } from '../watch/polledWatch.ts';
import { AGE_COLUMN, textColumn } from './columns.ts';
import { pageOf } from './paging.ts';

const annotation = (name: string) => (node: Node) =>
  node.metadata.annotations?.[`drover.dev/${name}`] ?? '<none>';

const TABLE: TableDefinition<Node> = {
  columns: [
    NAME_COLUMN,
    textColumn<Node>('Status', 'Whether it takes pods.', nodeStatusWord),
    textColumn<Node>(
      'Pool',
      'Its pool.',
      ({ metadata }) => metadata.labels?.['drover.dev/pool'] ?? '<none>',
    ),
    textColumn<Node>('Runtimes', 'What it can run.', annotation('runtimes')),
    textColumn<Node>(
      'Max Pods',
      'How many pods it runs at once.',
      ({ status }) => status.capacity?.['pods'] ?? '<none>',
    ),
    textColumn<Node>(
      'CPU',
      'How many CPUs its pods may request together.',
      ({ status }) => status.capacity?.['cpu'] ?? '<none>',
    ),
    textColumn<Node>(
      'Memory',
      'How much memory its pods may request together.',
      ({ status }) => status.capacity?.['memory'] ?? '<none>',
    ),
    AGE_COLUMN,
    textColumn<Node>(
      'Version',
      'Its version of Drover.',
      ({ status }) => status.nodeInfo?.kubeletVersion ?? '<none>',
    ),
    textColumn<Node>('Handlers', 'The handlers that it has.', annotation('handlers'), 1),
    textColumn<Node>('PID', 'Its process.', annotation('pid'), 1),
  ],
};

const FIELDS: SelectableFields<Node> = {
  'spec.unschedulable': ({ spec }) => String(spec.unschedulable ?? false),
};

/** Nodes: the workers. */
export class NodesResource implements Resource {
  readonly group = '';
  readonly version = 'v1';
  readonly plural = 'nodes';
  readonly singular = 'node';
  readonly kind = 'Node';
  readonly isNamespaced = false;
  readonly shortNames = ['no'];
  readonly categories = [];
  readonly explained = fieldsOf('Node');
  readonly table = TABLE;
  readonly fields = FIELDS;
  readonly hasStatus = true;
  readonly #nodes: NodesClient;
  readonly #watch: PolledWatch<Node>;

  constructor(backend: Backend) {
    this.#nodes = new NodesClient(backend);
    this.#watch = new PolledWatch({ apiVersion: 'v1', kind: 'Node' }, () => this.#nodes.list());
  }

  async get(name: string): Promise<Node> {
    return await this.#nodes.get(name);
  }

  async list(request: PageRequest): Promise<Page> {
    // Before anything is read: a watch from here tells what was missed.
    const resourceVersion = String(versionNow());
    return pageOf(request, await this.#nodes.list(), resourceVersion);
  }

  async update(
    name: string,
    change: (stored: ApiObject) => unknown,
    { dryRun }: WriteOptions,
  ): Promise<Node> {
    const stored = await this.#nodes.get(name);
    const wanted = withoutNulls(change(stored));
    const version = valueAt(wanted, ['metadata', 'resourceVersion']);
    if (version !== undefined && version !== stored.metadata.resourceVersion) {
      throw new ConflictError({ resource: 'nodes', name });
    }
    const isUnschedulable = valueAt(wanted, ['spec', 'unschedulable']) === true;
    const { status: _status, ...others } = stored;
    if (!isSemanticallyEqual(withCordon(wanted, undefined), withCordon(others, undefined))) {
      const detail = 'only spec.unschedulable of a node can be changed: it says all else of itself';
      throw new InvalidSpecError('Node', name, [{ path: 'spec', kind: 'Forbidden', detail }]);
    }
    if (isUnschedulable === (stored.spec.unschedulable ?? false)) return stored;
    if (dryRun) return withCordon(stored, isUnschedulable) as Node;
    const changed = await this.#nodes.setUnschedulable(name, isUnschedulable);
    await this.#watch.poll();
    return changed;
  }

  watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    return this.#watch.watch(request);
  }

  /** Ends all watches. */
  close(): void {
    this.#watch.close();
  }
}

/** A node that takes pods, or does not; undefined = nothing is said of it. */
function withCordon(node: unknown, unschedulable: boolean | undefined): unknown {
  if (!isJsonObject(node)) return node;
  const { unschedulable: _before, ...spec } = isJsonObject(node['spec']) ? node['spec'] : {};
  return { ...node, spec: unschedulable === undefined ? spec : { ...spec, unschedulable } };
}
