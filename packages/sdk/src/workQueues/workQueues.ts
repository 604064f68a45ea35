import { randomUUID } from 'node:crypto';

import {
  AlreadyExistsError,
  NotFoundError,
  parseWorkQueue,
  type WorkQueue,
  type WorkQueueSpec,
} from '@drover/shared';
import { composeWorkQueue } from '@drover/store';

import type { Backend } from '../backend.ts';
import { createWorkQueue } from './create.ts';

const PAGE_SIZE = 500;

/** A work queue as a user writes it; checked when it is created. */
export interface WorkQueueManifest {
  readonly apiVersion?: 'drover.dev/v1';
  readonly kind?: 'WorkQueue';
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: Partial<WorkQueueSpec>;
}

/** Options that say in which namespace a name is meant. */
export interface WorkQueueNamespaceOptions {
  /** Default: the client's. */
  readonly namespace?: string;
}

/** Work queues: create, read, list, delete. What is in one: `drover.workQueue(name)`. */
export class WorkQueuesClient {
  readonly #backend: Backend;
  readonly #namespace: string;

  constructor(backend: Backend, namespace: string) {
    this.#backend = backend;
    this.#namespace = namespace;
  }

  /**
   * Creates a work queue. Enqueueing into one that does not exist does so, too.
   *
   * @throws InvalidSpecError with everything that is wrong with it.
   * @throws AlreadyExistsError when another one has the name.
   */
  async create(
    manifest: WorkQueueManifest,
    { namespace = this.#namespace }: WorkQueueNamespaceOptions = {},
  ): Promise<WorkQueue> {
    const queue = parseWorkQueue(manifest, namespace);
    const uid = randomUUID();
    if (!(await createWorkQueue(this.#backend, queue, uid))) {
      const { name } = queue.metadata;
      throw new AlreadyExistsError({
        resource: 'workqueues.drover.dev',
        name,
        namespace: queue.metadata.namespace,
      });
    }
    return await this.get(queue.metadata.name, { namespace: queue.metadata.namespace });
  }

  /** Reads a work queue with its counts. @throws NotFoundError */
  async get(
    name: string,
    { namespace = this.#namespace }: WorkQueueNamespaceOptions = {},
  ): Promise<WorkQueue> {
    return await this.#backend.onShard(namespace, async ({ workQueues }) => {
      const uid = await workQueues.find(namespace, name);
      const stored = uid === null ? null : await workQueues.read(uid);
      if (stored === null) {
        throw new NotFoundError({ resource: 'workqueues.drover.dev', name, namespace });
      }
      return composeWorkQueue(stored);
    });
  }

  /** Lists the work queues of a namespace in order of name. */
  async list({ namespace = this.#namespace }: WorkQueueNamespaceOptions = {}): Promise<
    WorkQueue[]
  > {
    const queues: WorkQueue[] = [];
    let after: string | null = '';
    while (after !== null) {
      const from: string = after;
      const page = await this.#backend.onShard(namespace, ({ workQueues }) =>
        workQueues.list(namespace, { after: from, limit: PAGE_SIZE }),
      );
      queues.push(...page.queues.map((stored) => composeWorkQueue(stored)));
      after = page.next;
    }
    return queues;
  }
}
