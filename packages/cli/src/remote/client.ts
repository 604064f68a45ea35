import type {
  AppliedObject,
  CoreV1Event,
  CreateObjectOptions,
  ListEventsOptions,
  ListOptions,
  NamespaceOptions,
  ObjectEvent,
  ObjectManifest,
  ObjectRef,
  WatchEventsOptions,
  WatchObjectsOptions,
  WorkQueue,
  WorkQueueStats,
  CronRun,
  TriggerOptions,
} from '@drover/sdk/client';
import {
  base64Size,
  foldStringData,
  manualJobOf,
  type ConfigMap,
  type CronJob,
  type Job,
  type Node,
  type PriorityClass,
  type ResourceQuota,
  type Secret,
} from '@drover/shared';

import type { Client, SecretFacts } from '../client.ts';
import type { ServerAddress } from './address.ts';
import { ServerConnection } from './http.ts';
import { RemoteJobs } from './jobs.ts';
import { RemoteObjects } from './objects.ts';
import { RemotePods } from './pods.ts';

/** Everything that commands need of an API server. */
export class RemoteClient implements Client {
  readonly namespace: string;
  readonly jobs: RemoteJobs;
  readonly pods: RemotePods;
  readonly cronJobs: RemoteCronJobs;
  readonly nodes: RemoteObjects<Node>;
  readonly configMaps: RemoteObjects<ConfigMap>;
  readonly resourceQuotas: RemoteObjects<ResourceQuota>;
  readonly priorityClasses: RemoteObjects<PriorityClass>;
  readonly secrets: RemoteSecrets;
  readonly events: RemoteEvents;
  readonly workQueues: RemoteObjects<WorkQueue>;
  readonly #connection: ServerConnection;

  /** @param namespace - Of names that do not say theirs; default: that of the address. */
  constructor(address: ServerAddress, namespace: string | undefined) {
    const connection = new ServerConnection(address);
    this.#connection = connection;
    this.namespace = namespace ?? address.namespace ?? 'default';
    const objects = <T extends Job | Node | WorkQueue | ConfigMap | ResourceQuota | PriorityClass>(
      apiVersion: string,
      kind: string,
      plural: string,
      isClusterScoped = false,
    ) =>
      new RemoteObjects<T>(connection, this.namespace, {
        apiVersion,
        kind,
        plural,
        isClusterScoped,
      });
    this.workQueues = objects<WorkQueue>('drover.dev/v1', 'WorkQueue', 'workqueues');
    this.jobs = new RemoteJobs(connection, this.namespace, (name, where) =>
      this.workQueue(name, { namespace: where }).stats(),
    );
    this.pods = new RemotePods(connection, this.namespace, (ref, options) =>
      this.jobs.get(ref, options),
    );
    this.cronJobs = new RemoteCronJobs(connection, this.namespace, this.jobs);
    this.nodes = objects<Node>('v1', 'Node', 'nodes', true);
    this.configMaps = objects<ConfigMap>('v1', 'ConfigMap', 'configmaps');
    this.resourceQuotas = objects<ResourceQuota>('v1', 'ResourceQuota', 'resourcequotas');
    this.priorityClasses = objects<PriorityClass>(
      'scheduling.k8s.io/v1',
      'PriorityClass',
      'priorityclasses',
      true,
    );
    this.secrets = new RemoteSecrets(connection, this.namespace);
    this.events = new RemoteEvents(connection, this.namespace);
  }

  /** A work queue: what it is and how it stands. */
  workQueue(name: string, options: NamespaceOptions) {
    return {
      get: () => this.workQueues.get(name, options),
      stats: () => this.workQueues.getPart<WorkQueueStats>(name, 'stats', options),
    };
  }

  /** Lets go of its connections. */
  async close(): Promise<void> {
    this.#connection.close();
  }
}

/** CronJobs. */
class RemoteCronJobs extends RemoteObjects<CronJob> {
  readonly #jobs: RemoteJobs;

  constructor(connection: ServerConnection, namespace: string, jobs: RemoteJobs) {
    super(connection, namespace, { apiVersion: 'batch/v1', kind: 'CronJob', plural: 'cronjobs' });
    this.#jobs = jobs;
  }

  async suspend(ref: ObjectRef, options: NamespaceOptions = {}): Promise<CronJob> {
    return await this.patch(ref, { spec: { suspend: true } }, options);
  }

  async resume(ref: ObjectRef, options: NamespaceOptions = {}): Promise<CronJob> {
    return await this.patch(ref, { spec: { suspend: false } }, options);
  }

  /** Runs it now. */
  async trigger(ref: ObjectRef, options: TriggerOptions = {}): Promise<Job> {
    const cronJob = await this.get(ref, options);
    const { namespace } = cronJob.metadata;
    return await this.#jobs.create(manualJobOf(cronJob, options.name), { namespace });
  }

  /** What became of its past times. */
  async history(ref: ObjectRef, options: NamespaceOptions = {}): Promise<CronRun[]> {
    return (await this.getPart<{ items: CronRun[] }>(ref, 'history', options)).items;
  }
}

/** Secrets: the server has their key. */
class RemoteSecrets extends RemoteObjects<Secret> {
  constructor(connection: ServerConnection, namespace: string) {
    super(connection, namespace, { apiVersion: 'v1', kind: 'Secret', plural: 'secrets' });
  }

  /** As `kubectl apply`; what is written as text is compared as it is kept. */
  override async apply(
    manifest: ObjectManifest,
    options: CreateObjectOptions = {},
  ): Promise<AppliedObject<Secret>> {
    return await super.apply(foldStringData(manifest), options);
  }

  async summary(ref: ObjectRef, options: NamespaceOptions = {}): Promise<SecretFacts> {
    return factsOf(await this.get(ref, options));
  }

  async summaries(options: ListOptions = {}): Promise<SecretFacts[]> {
    return (await this.list(options)).map(factsOf);
  }

  async *watchSummaries(
    options: WatchObjectsOptions = {},
  ): AsyncGenerator<ObjectEvent<SecretFacts>> {
    for await (const { type, object } of this.watch(options))
      yield { type, object: factsOf(object) };
  }
}

function factsOf({ data = {}, ...secret }: Secret): SecretFacts {
  const sizes = Object.entries(data).map(([key, text]) => [key, base64Size(text)] as const);
  return { ...secret, sizes: Object.fromEntries(sizes), keyId: null };
}

/** Events. */
class RemoteEvents {
  readonly #events: RemoteObjects<CoreV1Event>;

  constructor(connection: ServerConnection, namespace: string) {
    const kind = { apiVersion: 'v1', kind: 'Event', plural: 'events' };
    this.#events = new RemoteObjects(connection, namespace, kind);
  }

  /** Lists them; what happened last is last. */
  async list(options: ListEventsOptions = {}): Promise<CoreV1Event[]> {
    return (await this.#events.list(selectionOf(options))).toSorted(
      (a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion),
    );
  }

  /** Tells of those that are there, then of each as it is written. */
  async *watch(options: WatchEventsOptions = {}): AsyncGenerator<CoreV1Event> {
    const { signal } = options;
    const which = { ...selectionOf(options), ...(signal !== undefined && { signal }) };
    for await (const { type, object } of this.#events.watch(which)) {
      if (type !== 'DELETED') yield object;
    }
  }
}

function selectionOf({ about, type, namespace, allNamespaces }: ListEventsOptions) {
  const fields = [
    ...(about === undefined
      ? []
      : [`involvedObject.kind=${about.kind}`, `involvedObject.name=${about.name}`]),
    ...(about?.uid === undefined ? [] : [`involvedObject.uid=${about.uid}`]),
    ...(type === undefined ? [] : [`type=${type}`]),
  ];
  return {
    fieldSelector: fields.join(','),
    ...(namespace !== undefined && { namespace }),
    ...(allNamespaces !== undefined && { allNamespaces }),
  };
}
