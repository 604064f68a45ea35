import {
  ConflictError,
  InvalidSpecError,
  isSemanticallyEqual,
  nodeStatusWord,
  withoutNulls,
  type Node,
} from '@drover/shared';
import { NodesClient, type Backend } from '@drover/sdk/internals';

import { isJsonObject, valueAt, type ApiObject } from '../api/object.ts';
import type { Page, PageRequest, WriteOptions } from '../api/resource.ts';
import { PolledWatch, versionNow } from '../watch/polledWatch.ts';
import { KindResource, type KindDefinition } from './base.ts';
import { AGE_COLUMN, NAME_COLUMN, textColumn } from './columns.ts';
import { pageOf } from './paging.ts';

const annotation = (name: string) => (node: Node) =>
  node.metadata.annotations?.[`drover.dev/${name}`] ?? '<none>';

const NODE: KindDefinition<Node> = {
  apiVersion: 'v1',
  kind: 'Node',
  plural: 'nodes',
  isNamespaced: false,
  shortNames: ['no'],
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
  fields: { 'spec.unschedulable': ({ spec }) => String(spec.unschedulable ?? false) },
  hasStatus: true,
};

/** Nodes: the workers. */
export class NodesResource extends KindResource<Node> {
  protected readonly watches: PolledWatch<Node>;
  readonly #nodes: NodesClient;

  constructor(backend: Backend) {
    super(NODE);
    this.#nodes = new NodesClient(backend);
    this.watches = new PolledWatch(NODE, () => this.#nodes.list());
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
    await this.watches.poll();
    return changed;
  }
}

/** A node that takes pods, or does not; undefined = nothing is said of it. */
function withCordon(node: unknown, unschedulable: boolean | undefined): unknown {
  if (!isJsonObject(node)) return node;
  const { unschedulable: _before, ...spec } = isJsonObject(node['spec']) ? node['spec'] : {};
  return { ...node, spec: unschedulable === undefined ? spec : { ...spec, unschedulable } };
}
