import type {
  AppliedPod,
  CreatePodOptions,
  ListPodsOptions,
  LogOptions,
  ObjectRef,
  PodEvent,
  PodManifest,
  PodNamespaceOptions,
  WatchPodsOptions,
} from '@drover/sdk/client';
import { mergeAll } from '@drover/sdk/internals';
import type { ContainerStatus, Job, Pod } from '@drover/shared';

import type { ServerConnection } from './http.ts';
import { RemoteObjects, type Selection } from './objects.ts';
import { ServerRefusal } from './status.ts';

/** A piece of a log: a line, or a part of it. */
export interface RemoteLogLine {
  readonly bytes: Buffer;
  /** What was dropped is told in the text. */
  readonly droppedBytes: number;
}

/** Reads a Job. */
type ReadJob = (ref: ObjectRef, options: PodNamespaceOptions) => Promise<Job>;

/** Pods over the API server: what `PodsClient` does over Redis, as far as commands need it. */
export class RemotePods {
  readonly #connection: ServerConnection;
  readonly #pods: RemoteObjects<Pod>;
  readonly #readJob: ReadJob;

  constructor(connection: ServerConnection, namespace: string, readJob: ReadJob) {
    this.#connection = connection;
    this.#pods = new RemoteObjects(connection, namespace, POD);
    this.#readJob = readJob;
  }

  /** Reads a pod. @throws NotFoundError */
  async get(ref: ObjectRef, options: PodNamespaceOptions = {}): Promise<Pod> {
    return await this.#pods.get(ref, options);
  }

  /** Lists pods. */
  async list(options: ListPodsOptions = {}): Promise<Pod[]> {
    const pods: Pod[] = [];
    for await (const pod of this.iterate(options)) pods.push(pod);
    return pods;
  }

  /** As `list`, page by page. */
  async *iterate(options: ListPodsOptions = {}): AsyncGenerator<Pod> {
    const { newest, limit } = options;
    const { selection, accepts } = await this.#scope(options);
    const last: Pod[] = [];
    let left = limit ?? Number.POSITIVE_INFINITY;
    for await (const pod of this.#pods.iterate(selection)) {
      if (left <= 0) return;
      if (!accepts(pod)) continue;
      left -= 1;
      if (newest === undefined) yield pod;
      else if (last.push(pod) > newest) last.shift();
    }
    yield* last;
  }

  /** Watches pods. */
  async *watch(options: WatchPodsOptions = {}): AsyncGenerator<PodEvent> {
    const { selection, accepts } = await this.#scope(options);
    const { signal } = options;
    const which = { ...selection, ...(signal !== undefined && { signal }) };
    for await (const { type, object } of this.#pods.watch(which)) {
      if (accepts(object)) yield { type, pod: object };
    }
  }

  /** As `kubectl apply`. */
  async apply(manifest: PodManifest, options: CreatePodOptions = {}): Promise<AppliedPod> {
    const { object, action } = await this.#pods.apply(manifest, options);
    return { pod: object, action };
  }

  /** Deletes a pod. @throws NotFoundError */
  async delete(ref: ObjectRef, options: PodNamespaceOptions = {}): Promise<void> {
    await this.#pods.delete(ref, options);
  }

  /** What a pod wrote, line by line: one container, or all of them as they wrote. */
  async *logLines(ref: ObjectRef, options: LogOptions = {}): AsyncGenerator<RemoteLogLine> {
    const pod = await this.get(ref, options);
    const { containers, initContainers = [] } = pod.spec;
    const all =
      options.container === undefined
        ? [...initContainers, ...containers]
        : [{ name: options.container }];
    const ending = new AbortController();
    const signals = [ending.signal, ...(options.signal === undefined ? [] : [options.signal])];
    const signal = AbortSignal.any(signals);
    const sources = all.map(({ name }) =>
      this.#linesOf(pod, { ...options, container: name, signal }),
    );
    yield* mergeAll(sources, () => ending.abort());
  }

  async *#linesOf(
    pod: Pod,
    options: LogOptions & { readonly container: string; readonly signal: AbortSignal },
  ): AsyncGenerator<RemoteLogLine> {
    const { name, namespace } = pod.metadata;
    const {
      follow = false,
      previous = false,
      tailLines,
      sinceSeconds,
      timestamps = false,
    } = options;
    const { container, signal } = options;
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}/log`;
    const query = {
      container,
      follow: follow ? 'true' : undefined,
      previous: previous ? 'true' : undefined,
      timestamps: timestamps ? 'true' : undefined,
      tailLines: tailLines?.toString(),
      // The API takes whole seconds.
      sinceSeconds:
        sinceSeconds === undefined ? undefined : String(Math.max(1, Math.ceil(sinceSeconds))),
    };
    for (;;) {
      try {
        for await (const bytes of this.#connection.lines({ path, query, namespace, signal })) {
          yield { bytes, droppedBytes: 0 };
        }
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ServerRefusal) || !NOT_STARTED.test(error.message)) throw error;
        if (!follow || !(await this.#untilStarted(pod, container, signal))) return;
      }
    }
  }

  /** Waits until a container has begun. @returns false: it never will. */
  async #untilStarted(
    { metadata: { name, namespace, uid } }: Pod,
    container: string,
    signal: AbortSignal,
  ): Promise<boolean> {
    for await (const { type, object } of this.#pods.watch({ name, namespace, signal })) {
      if (type === 'DELETED' || object.metadata.uid !== uid) return false;
      if (hasStarted(object, container)) return true;
      const { phase } = object.status;
      if (phase === 'Succeeded' || phase === 'Failed') return false;
    }
    return false;
  }

  /** What of the pods is meant, in the words of the API. */
  async #scope(
    options: ListPodsOptions,
  ): Promise<{ selection: Selection; accepts: (pod: Pod) => boolean }> {
    const { job: ref, labelSelector, phase, node, namespace, allNamespaces } = options;
    const job = ref === undefined ? null : await this.#readJob(ref, options);
    const labels = [labelSelector, job === null ? undefined : `${JOB_NAME}=${job.metadata.name}`];
    const fields = [
      phase === undefined ? undefined : `status.phase=${phase}`,
      // As the server is asked for what runs on a node.
      node === undefined
        ? undefined
        : `spec.nodeName=${node},status.phase!=Succeeded,status.phase!=Failed`,
    ];
    const where = job === null ? namespace : job.metadata.namespace;
    const selection = {
      ...(where !== undefined && { namespace: where }),
      ...(job === null && allNamespaces !== undefined && { allNamespaces }),
      labelSelector: joined(labels),
      fieldSelector: joined(fields),
    };
    const accepts = ({ metadata }: Pod): boolean =>
      job === null || (metadata.ownerReferences ?? []).some(({ uid }) => uid === job.metadata.uid);
    return { selection, accepts };
  }
}

const POD = { apiVersion: 'v1', kind: 'Pod', plural: 'pods' };
const JOB_NAME = 'batch.kubernetes.io/job-name';
/** How the server says that there is no log yet. */
const NOT_STARTED = /is waiting to start|does not have a host assigned/;

function joined(parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join(',');
}

function hasStarted({ status }: Pod, container: string): boolean {
  const statuses: readonly ContainerStatus[] = [
    ...(status.initContainerStatuses ?? []),
    ...(status.containerStatuses ?? []),
  ];
  const own = statuses.find(({ name }) => name === container);
  return own !== undefined && (own.state?.waiting === undefined || own.lastState !== undefined);
}
