import { NotFoundError, matchesSelector, parseSelector, type Node } from '@drover/shared';
import { composeNode } from '@drover/store';

import type { Backend } from './backend.ts';

/** Options of `nodes.list`. */
export interface ListNodesOptions {
  /** As kubectl writes it, for example `drover.dev/pool=gpu`. */
  readonly labelSelector?: string;
  /** At most so many. */
  readonly limit?: number;
}

/** Nodes: the workers. */
export class NodesClient {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Lists the workers by name; one that has not been heard of for a while is not Ready. */
  async list(options: ListNodesOptions = {}): Promise<Node[]> {
    const { labelSelector = '', limit } = options;
    const selector = labelSelector === '' ? [] : parseSelector(labelSelector);
    const records = await this.#backend.run((store) => store.nodes.list());
    return records
      .map((record) => composeNode(record))
      .filter(({ metadata }) => matchesSelector(selector, metadata.labels))
      .slice(0, limit);
  }

  /** How many pods each worker runs now, stopping ones included; by its name. O(workers). */
  async podCounts(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for (const shard of (await this.#backend.store()).shards) {
      for (const { node, podCount } of await this.#backend.run(() => shard.sessions())) {
        counts.set(node, (counts.get(node) ?? 0) + podCount);
      }
    }
    return counts;
  }

  /**
   * Says whether a worker is to take pods. One that is not ends those it has and takes no others, until
   * it is to take them again, or ends. @throws NotFoundError
   */
  async setUnschedulable(name: string, isUnschedulable: boolean): Promise<Node> {
    await this.get(name);
    await this.#backend.run(({ nodes }) => nodes.cordon(name, isUnschedulable, Date.now()));
    return await this.get(name);
  }

  /** Reads a worker. @throws NotFoundError */
  async get(name: string): Promise<Node> {
    const node = (await this.list()).find(({ metadata }) => metadata.name === name);
    if (node === undefined) throw new NotFoundError({ resource: 'nodes', name });
    return node;
  }
}
