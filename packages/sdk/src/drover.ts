import type { OwnerReference } from '@drover/shared';
import { checkHost, SecretKeyFile } from '@drover/store';

import { Backend } from './backend.ts';
import { CronJobsClient } from './cronJobs.ts';
import { ConfigMapsClient, SecretsClient } from './configs.ts';
import type { ConnectionOption } from './connection.ts';
import { EventsClient } from './events.ts';
import { JobsClient } from './jobs.ts';
import { NodesClient } from './nodes.ts';
import { podClientSettings } from './podClient.ts';
import { PodsClient } from './pods.ts';
import { PriorityClassesClient } from './priorityClasses.ts';
import { ResourceQuotasClient } from './resourceQuotas.ts';
import { WorkQueueHandle, type WorkQueueHandleOptions } from './workQueues/workQueue.ts';
import { WorkQueuesClient } from './workQueues/workQueues.ts';

/** Options of {@link Drover}. */
export interface DroverOptions {
  /**
   * Where Redis is: a URL, options of ioredis, or an ioredis instance, which is used and never
   * closed. Default: in a pod with the annotation `drover.dev/client: "true"` that of its worker,
   * else `redis://127.0.0.1:6379`.
   */
  readonly connection?: ConnectionOption | Readonly<Record<string, unknown>>;
  /** Namespace of names that do not say theirs. Default: that of such a pod, else `default`. */
  readonly namespace?: string;
  /** Prefix of all keys, for installations that share a Redis. Default: that of such a pod, else `drover`. */
  readonly prefix?: string;
  /**
   * To whom Jobs and pods belong that this client creates: they are deleted with it. Default: the Job
   * of such a pod, or the pod when it has none; else nobody.
   */
  readonly owner?: OwnerReference;
  /**
   * The key file of the installation, for Secrets. Default: what the environment variable
   * DROVER_SECRET_KEY_FILE says, else there is none.
   */
  readonly secretKeyFile?: string;
}

/**
 * A client of Drover. Connects with its first call.
 *
 * @example
 * await using drover = new Drover({ connection: 'redis://localhost:6379' });
 * const job = await drover.jobs.create(manifest);
 * await drover.jobs.wait(job, { for: 'complete' });
 */
export class Drover {
  /** Jobs: create, read, change, delete, watch, wait. */
  readonly jobs: JobsClient;
  /** CronJobs: Jobs on a schedule. Create, read, change, delete, watch, run now. */
  readonly cronJobs: CronJobsClient;
  /** Pods: list, read, logs, delete. */
  readonly pods: PodsClient;
  /** The workers. */
  readonly nodes: NodesClient;
  /** Work queues: create, read, list. */
  readonly workQueues: WorkQueuesClient;
  /** ConfigMaps: create, read, change, delete, watch. */
  readonly configMaps: ConfigMapsClient;
  /** ResourceQuotas: create, read, change, delete, watch. */
  readonly resourceQuotas: ResourceQuotasClient;
  /** PriorityClasses, of no namespace: create, read, change, delete, watch. */
  readonly priorityClasses: PriorityClassesClient;
  /** Secrets: the same, encrypted with the key file. */
  readonly secrets: SecretsClient;
  /** What happened: list, watch. */
  readonly events: EventsClient;
  /** Namespace of names that do not say theirs. */
  readonly namespace: string;
  readonly #backend: Backend;

  /** @throws UnsuitableHostError on Windows and where Node is too old. */
  constructor(options: DroverOptions = {}) {
    checkHost();
    const ofPod = options.connection === undefined ? podClientSettings() : null;
    this.namespace = options.namespace ?? ofPod?.namespace ?? 'default';
    const connection = options.connection ?? ofPod?.connection;
    const prefix = options.prefix ?? ofPod?.prefix;
    this.#backend = new Backend({
      ...(connection !== undefined && { connection }),
      ...(prefix !== undefined && { prefix }),
    });
    const owner = options.owner ?? ofPod?.owner ?? null;
    this.jobs = new JobsClient(this.#backend, this.namespace, owner);
    this.cronJobs = new CronJobsClient(
      this.#backend,
      this.namespace,
      new JobsClient(this.#backend, this.namespace),
    );
    this.pods = new PodsClient(this.#backend, this.namespace, owner);
    this.nodes = new NodesClient(this.#backend);
    this.events = new EventsClient(this.#backend, this.namespace);
    this.workQueues = new WorkQueuesClient(this.#backend, this.namespace);
    this.configMaps = new ConfigMapsClient(this.#backend, this.namespace);
    this.resourceQuotas = new ResourceQuotasClient(this.#backend, this.namespace);
    this.priorityClasses = new PriorityClassesClient(this.#backend);
    const keyFile = new SecretKeyFile(options.secretKeyFile);
    this.secrets = new SecretsClient(this.#backend, this.namespace, keyFile);
  }

  /**
   * The work queue of a name, to put items in and read results; it need not exist yet.
   *
   * @example
   * const pages = drover.workQueue('pages', { schema: z.object({ url: z.url() }) });
   * await pages.enqueue([{ url: 'https://example.com/1' }, { url: 'https://example.com/2' }]);
   * await pages.seal();
   */
  workQueue<Item = unknown>(
    name: string,
    options: WorkQueueHandleOptions<Item> = {},
  ): WorkQueueHandle<Item> {
    const { namespace = this.namespace, schema = null } = options;
    return new WorkQueueHandle(this.#backend, name, { namespace, schema });
  }

  /**
   * Connects now instead of with the first call, to fail early.
   *
   * @throws ConnectionError when Redis is not reachable or refuses the login.
   * @throws UnsuitableRedisError when it would lose data: an eviction policy, an old version.
   */
  async connect(): Promise<void> {
    await this.#backend.store();
  }

  /** Closes the connections that the client opened. */
  async close(): Promise<void> {
    await this.#backend.close();
  }

  /** As {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
