import { NotFoundError, podReadyText, podRestarts, podStatusWord, type Pod } from '@drover/shared';
import { fieldsOf } from '@drover/shared/explain';
import { PodsClient, type Backend } from '@drover/sdk/internals';
import { announcePodWatcher, type Shard } from '@drover/store';

import type {
  DeleteOptions,
  Page,
  PageRequest,
  Resource,
  WatchEvent,
  WatchRequest,
} from '../api/resource.ts';
import { requiredValue } from '../api/fieldSelector.ts';
import type { SelectableFields } from '../api/selection.ts';
import { NAME_COLUMN, type TableDefinition } from '../api/table.ts';
import { expired } from '../http/status.ts';
import { PodFeed } from '../watch/podFeed.ts';
import { jobNameOf } from '../watch/podScope.ts';
import { PodWatch } from '../watch/podWatch.ts';
import { watchShards } from '../watch/shardWatches.ts';
import { AGE_COLUMN, textColumn } from './columns.ts';
import { checkPreconditions } from './preconditions.ts';

const TABLE: TableDefinition<Pod> = {
  columns: [
    NAME_COLUMN,
    textColumn<Pod>('Ready', 'Containers that are ready, of how many.', podReadyText),
    textColumn<Pod>('Status', 'How it is.', podStatusWord),
    textColumn<Pod>('Restarts', 'How often its containers were started again.', restartsText),
    AGE_COLUMN,
    textColumn<Pod>('IP', 'Its address.', ({ status }) => status.podIP ?? '<none>', 1),
    textColumn<Pod>('Node', 'The worker that runs it.', ({ spec }) => spec.nodeName ?? '<none>', 1),
    textColumn<Pod>('Nominated Node', 'Without meaning here.', () => '<none>', 1),
    textColumn<Pod>('Readiness Gates', 'Without meaning here.', () => '<none>', 1),
  ],
  conditions: ({ status }) =>
    status.phase === 'Succeeded' || status.phase === 'Failed'
      ? [
          {
            type: 'Completed',
            status: 'True',
            reason: status.phase,
            message: `The pod has ${status.phase === 'Succeeded' ? 'completed successfully' : 'failed'}.`,
          },
        ]
      : [],
};

function restartsText(pod: Pod): string {
  return String(podRestarts(pod));
}

const FIELDS: SelectableFields<Pod> = {
  'spec.nodeName': ({ spec }) => spec.nodeName ?? '',
  'spec.restartPolicy': ({ spec }) => spec.restartPolicy,
  'spec.schedulerName': ({ spec }) => spec.schedulerName,
  'spec.serviceAccountName': ({ spec }) => spec.serviceAccountName ?? '',
  'spec.hostNetwork': ({ spec }) => String(spec.hostNetwork ?? false),
  'status.phase': ({ status }) => status.phase,
  'status.podIP': ({ status }) => status.podIP ?? '',
  'status.nominatedNodeName': () => '',
};

/** Pods: the attempts of Jobs. */
export class PodsResource implements Resource {
  readonly group = '';
  readonly version = 'v1';
  readonly plural = 'pods';
  readonly singular = 'pod';
  readonly kind = 'Pod';
  readonly isNamespaced = true;
  readonly shortNames = ['po'];
  readonly categories = ['all'];
  readonly explained = fieldsOf('Pod');
  readonly table = TABLE;
  readonly fields = FIELDS;
  readonly hasStatus = true;
  readonly #backend: Backend;
  readonly #pods: PodsClient;
  readonly #feeds = new Map<Shard, PodFeed>();

  constructor(backend: Backend) {
    this.#backend = backend;
    this.#pods = new PodsClient(backend, 'default');
  }

  async get(name: string, namespace: string): Promise<Pod> {
    return await this.#pods.get(name, { namespace });
  }

  async list(request: PageRequest): Promise<Page> {
    const resourceVersion = await this.#announce(request.namespace);
    const { selection, limit, after } = request;
    const items: Pod[] = [];
    let isAfter = after === null;
    for await (const pod of this.#candidates(request)) {
      if (!isAfter) {
        isAfter = placeOf(pod) === after;
        continue;
      }
      if (!selection.matches(pod)) continue;
      const last = items.at(-1);
      if (last !== undefined && items.length === limit) {
        return { items, next: placeOf(last), resourceVersion };
      }
      items.push(pod);
    }
    if (!isAfter) throw expired('The provided continue parameter is too old: the pod is gone');
    return { items, next: null, resourceVersion };
  }

  watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    const kind = { apiVersion: 'v1', kind: 'Pod' };
    return watchShards(this.#backend, kind, request, (shard, since, signal) => {
      const feed = this.#feeds.get(shard) ?? new PodFeed(this.#backend, shard);
      this.#feeds.set(shard, feed);
      const backend = this.#backend;
      const watch = new PodWatch({ backend, pods: this.#pods, shard, feed, request, signal });
      return watch.run(since);
    });
  }

  async delete(name: string, options: DeleteOptions): Promise<Pod> {
    const { namespace, dryRun } = options;
    const pod = await this.#pods.get(name, { namespace });
    checkPreconditions(pod, options);
    if (!dryRun) await this.#pods.delete(pod);
    return pod;
  }

  /** Ends all watches. */
  close(): void {
    for (const feed of this.#feeds.values()) feed.close();
  }

  /** The pods that may be selected: no more are read than the selection needs. */
  #candidates({ namespace, selection }: PageRequest): AsyncGenerator<Pod> {
    const { name, labels, fields } = selection;
    if (name !== null && namespace !== null) return this.#named(name, namespace);
    const node = requiredValue(fields, 'spec.nodeName');
    const isRunning = ['Succeeded', 'Failed'].every((phase) =>
      fields.some(
        ({ field, equals, value }) => field === 'status.phase' && !equals && value === phase,
      ),
    );
    const jobName = jobNameOf(labels);
    return this.#pods.iterate({
      ...(namespace === null ? { allNamespaces: true } : { namespace }),
      ...(node !== null && isRunning ? { node } : {}),
      ...(jobName === null ? {} : { labelSelector: `batch.kubernetes.io/job-name=${jobName}` }),
    });
  }

  async *#named(name: string, namespace: string): AsyncGenerator<Pod> {
    try {
      yield await this.#pods.get(name, { namespace });
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
  }

  /** Asks for entries of pods, so that a watch that goes on from this list misses nothing. */
  async #announce(namespace: string | null): Promise<string> {
    const store = await this.#backend.store();
    const shards = namespace === null ? store.shards : [store.shardOf(namespace)];
    const versions = await this.#backend.run(() =>
      Promise.all(
        shards.map(async (shard) => {
          await announcePodWatcher(store.redis, shard.keys);
          return await shard.resourceVersion();
        }),
      ),
    );
    return Math.max(...versions).toFixed(0);
  }
}

/** The place of a pod in the order of a list. */
function placeOf({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.name}`;
}
