import { NotFoundError, podReadyText, podRestarts, podStatusWord, type Pod } from '@drover/shared';
import { PodsClient, type Backend } from '@drover/sdk/internals';
import { announcePodWatcher, type Shard } from '@drover/store';

import type {
  DeleteOptions,
  Page,
  PageRequest,
  WatchEvent,
  WatchRequest,
} from '../api/resource.ts';
import { requiredValue } from '../api/fieldSelector.ts';
import type { SelectableFields } from '../api/selection.ts';
import { badRequest } from '../http/status.ts';
import { PodFeed } from '../watch/podFeed.ts';
import { PodReader, type PodPlace } from '../watch/podReader.ts';
import { PodScope } from '../watch/podScope.ts';
import { PodWatch } from '../watch/podWatch.ts';
import { watchShards } from '../watch/shardWatches.ts';
import { ClientResource, type KindDefinition } from './base.ts';
import { AGE_COLUMN, NAME_COLUMN, textColumn } from './columns.ts';
import { checkPreconditions } from './preconditions.ts';

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

const POD: KindDefinition<Pod> = {
  apiVersion: 'v1',
  kind: 'Pod',
  plural: 'pods',
  shortNames: ['po'],
  categories: ['all'],
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
  fields: FIELDS,
  hasStatus: true,
};

function restartsText(pod: Pod): string {
  return String(podRestarts(pod));
}

/** Pods: the attempts of Jobs. */
export class PodsResource extends ClientResource<Pod> {
  protected readonly watches = {
    watch: (request: WatchRequest) => this.#watch(request),
    close: () => {
      for (const feed of this.#feeds.values()) feed.close();
    },
  };
  readonly #backend: Backend;
  readonly #pods: PodsClient;
  readonly #feeds = new Map<Shard, PodFeed>();

  constructor(backend: Backend) {
    const pods = new PodsClient(backend, 'default');
    super(POD, {
      get: (name, options) => pods.get(name, options),
      create: (manifest, options) => pods.create(manifest, options),
      change: (name, change, options) => pods.update(name, change, options),
    });
    this.#backend = backend;
    this.#pods = pods;
  }

  async list(request: PageRequest): Promise<Page> {
    const resourceVersion = await this.#announce(request.namespace);
    const { selection, limit } = request;
    const items: Pod[] = [];
    let last: (() => string) | null = null;
    for await (const { pod, place } of this.#candidates(request)) {
      if (!selection.matches(pod)) continue;
      if (items.length === limit) return { items, next: last?.() ?? null, resourceVersion };
      items.push(pod);
      last = place;
    }
    return { items, next: null, resourceVersion };
  }

  #watch(request: WatchRequest): AsyncGenerator<WatchEvent> {
    return watchShards(this.#backend, POD, request, (shard, since, signal) => {
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
    const { gracePeriodSeconds: wanted, onWarning } = options;
    const own = pod.spec.terminationGracePeriodSeconds;
    if (wanted !== null && wanted !== own) {
      onWarning(`gracePeriodSeconds: no effect: the pod has the ${own} s of its template to end`);
    }
    if (dryRun) return pod;
    await this.#pods.delete(pod);
    // One that runs is there until it has ended.
    return await this.#pods.get(pod).catch(() => pod);
  }

  /** The pods that may be selected, with where a list goes on after each. */
  async *#candidates(request: PageRequest): AsyncGenerator<{ pod: Pod; place: () => string }> {
    const { namespace, selection, after } = request;
    if (selection.name !== null && namespace !== null) {
      for (const pod of await this.#named(selection.name, namespace))
        yield { pod, place: () => '' };
      return;
    }
    const node = runningOnNode(selection);
    if (node !== null && after === null) {
      const scope = namespace === null ? { allNamespaces: true } : { namespace };
      // They are few, and answered at once.
      for await (const pod of this.#pods.iterate({ ...scope, node }))
        yield { pod, place: () => '' };
      return;
    }
    const scope = new PodScope(request);
    const store = await this.#backend.store();
    const shards = namespace === null ? store.shards : [store.shardOf(namespace)];
    const from = after === null ? null : parsePlace(after);
    for (const [index, shard] of shards.entries()) {
      if (from !== null && index < from.shard) continue;
      const reader = new PodReader(this.#backend, this.#pods, shard);
      const start = from !== null && index === from.shard ? from.place : null;
      for await (const { pods, placeOf } of reader.existing(scope, start)) {
        for (const found of pods) {
          yield {
            pod: found.pod,
            place: () => JSON.stringify({ shard: index, place: placeOf(found) }),
          };
        }
      }
    }
  }

  async #named(name: string, namespace: string): Promise<Pod[]> {
    try {
      return [await this.#pods.get(name, { namespace })];
    } catch (error) {
      if (error instanceof NotFoundError) return [];
      throw error;
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

/** The node whose running pods are meant, as `kubectl describe node` asks for them; null = others are, too. */
function runningOnNode({ fields }: PageRequest['selection']): string | null {
  const isRunning = ['Succeeded', 'Failed'].every((phase) =>
    fields.some(
      ({ field, equals, value }) => field === 'status.phase' && !equals && value === phase,
    ),
  );
  return isRunning ? requiredValue(fields, 'spec.nodeName') : null;
}

function parsePlace(text: string): { readonly shard: number; readonly place: PodPlace } {
  try {
    const value = JSON.parse(text) as { readonly shard: number; readonly place: PodPlace };
    const { shard, place } = value;
    const numbers = [shard, place.list, place.podNumber];
    if (numbers.every(Number.isInteger) && [place.path, place.uid].every(isText)) return value;
  } catch {
    // No place of ours.
  }
  throw badRequest('continue key is not valid');
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}
