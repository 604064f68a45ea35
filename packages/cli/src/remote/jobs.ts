import type {
  Applied,
  CreateOptions,
  JobEvent,
  JobManifest,
  ListOptions,
  NamespaceOptions,
  ObjectRef,
  WaitOptions,
  WaitReason,
  WatchJobsOptions,
  WorkQueueStats,
} from '@drover/sdk/client';
import { awaitOutcome } from '@drover/sdk/internals';
import { NotFoundError, terminalCondition, type Job } from '@drover/shared';

import { badInput } from '../errors.ts';
import type { ServerConnection } from './http.ts';
import { RemoteObjects, type RemoteDeleteOptions } from './objects.ts';

/** Jobs over the API server: what `JobsClient` does over Redis, as far as commands need it. */
export class RemoteJobs {
  readonly #jobs: RemoteObjects<Job>;
  readonly #statsOf: (name: string, namespace: string) => Promise<WorkQueueStats>;

  /** @param statsOf - Reads the figures of a work queue. */
  constructor(
    connection: ServerConnection,
    namespace: string,
    statsOf: (name: string, namespace: string) => Promise<WorkQueueStats>,
  ) {
    const kind = { apiVersion: 'batch/v1', kind: 'Job', plural: 'jobs' };
    this.#jobs = new RemoteObjects(connection, namespace, kind);
    this.#statsOf = statsOf;
  }

  /** Reads a Job. @throws NotFoundError */
  async get(ref: ObjectRef, options: NamespaceOptions = {}): Promise<Job> {
    return await this.#jobs.get(ref, options);
  }

  /** Lists Jobs, in order of namespace and name. */
  async list(options: ListOptions = {}): Promise<Job[]> {
    return await this.#jobs.list(options);
  }

  /** Watches Jobs. */
  async *watch(options: WatchJobsOptions = {}): AsyncGenerator<JobEvent> {
    for await (const { type, object } of this.#jobs.watch(options)) yield { type, job: object };
  }

  /** Creates a Job. */
  async create(manifest: JobManifest, options: NamespaceOptions = {}): Promise<Job> {
    return await this.#jobs.create(manifest, options);
  }

  /** As `kubectl apply`. */
  async apply(manifest: JobManifest, options: CreateOptions = {}): Promise<Applied> {
    if (options.durability !== undefined) {
      throw badInput('--replicas is about Redis: the API server does not wait for its replicas');
    }
    const { object, action } = await this.#jobs.apply(manifest, options);
    return { job: object, action };
  }

  /** Deletes a Job with its pods. @returns Whether it is gone. */
  async delete(ref: ObjectRef, options: RemoteDeleteOptions = {}): Promise<boolean> {
    // Over the API its pods would stay otherwise.
    return await this.#jobs.delete(ref, { propagationPolicy: 'Background', ...options });
  }

  /** Stops its pods and starts no new ones. */
  async suspend(ref: ObjectRef, options: NamespaceOptions = {}): Promise<Job> {
    return await this.#jobs.patch(ref, { spec: { suspend: true } }, options);
  }

  /** Lets a suspended one go on. */
  async resume(ref: ObjectRef, options: NamespaceOptions = {}): Promise<Job> {
    return await this.#jobs.patch(ref, { spec: { suspend: false } }, options);
  }

  /** Changes how many pods run at once. */
  async scale(ref: ObjectRef, parallelism: number, options: NamespaceOptions = {}): Promise<Job> {
    return await this.#jobs.patch(ref, { spec: { parallelism } }, options);
  }

  /** Why it does not go on. */
  async whyWaiting(ref: ObjectRef, options: NamespaceOptions = {}): Promise<WaitReason[]> {
    return (await this.#jobs.getPart<{ items: WaitReason[] }>(ref, 'waitreasons', options)).items;
  }

  /**
   * Waits until a Job is complete, failed or finished.
   *
   * @throws JobOutcomeError, NotFoundError, TimeoutError as `JobsClient` does.
   */
  async wait(ref: ObjectRef, options: WaitOptions = {}): Promise<Job> {
    const name = typeof ref === 'string' ? ref : ref.metadata.name;
    const untilFinished = async (signal: AbortSignal): Promise<Job | null> =>
      await this.#untilFinished(await this.get(ref, options), signal);
    return await awaitOutcome({ name, untilFinished, statsOf: this.#statsOf }, options);
  }

  /** null = the signal ended it. */
  async #untilFinished(first: Job, signal: AbortSignal): Promise<Job | null> {
    const { uid, name, namespace } = first.metadata;
    if (terminalCondition(first.status.conditions) !== null) return first;
    for await (const { type, job } of this.watch({ name, namespace, signal })) {
      if (type === 'DELETED' || job.metadata.uid !== uid) {
        throw new NotFoundError({ resource: 'jobs.batch', name, namespace });
      }
      if (terminalCondition(job.status.conditions) !== null) return job;
    }
    return null;
  }
}
