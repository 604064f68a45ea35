import { NotFoundError } from '@drover/shared';
import {
  JobsClient,
  PodsClient,
  WorkQueueHandle,
  WorkQueuesClient,
  type Backend,
} from '@drover/sdk/internals';

import { unless } from './unless.ts';

/** Objects of a kind that are deleted with their namespace at once. */
const MAX_KEPT = 100_000;

/** What is in namespaces: it brings them into use, and goes with them. */
export class NamespaceContents {
  readonly #backend: Backend;
  readonly #keptKinds: readonly string[];

  /** @param keptKinds - Kinds of kept objects that count. */
  constructor(backend: Backend, keptKinds: readonly string[]) {
    this.#backend = backend;
    this.#keptKinds = keptKinds;
  }

  /** Whether there is something in a namespace. */
  async isIn(namespace: string): Promise<boolean> {
    return await this.#backend.onShard(namespace, (shard) =>
      shard.isInUse(namespace, this.#keptKinds),
    );
  }

  /** Namespaces that have something in them. */
  async namespaces(): Promise<string[]> {
    const { shards } = await this.#backend.store();
    const found = await Promise.all(
      shards.map((shard) => this.#backend.run(() => shard.namespaces(this.#keptKinds))),
    );
    return found.flat();
  }

  /** Deletes what is in a namespace. What has finalizers, or pods that are still to end, stays for a while. */
  async delete(namespace: string): Promise<void> {
    // First of all what would go on making Jobs. Of all of it somebody else may be quicker to delete it.
    await this.#deleteKept('CronJob', namespace);
    const jobs = new JobsClient(this.#backend, namespace);
    for (const job of await jobs.list()) {
      await jobs.delete(job, { propagationPolicy: 'Background' }).catch(unless(NotFoundError));
    }
    const pods = new PodsClient(this.#backend, namespace);
    for await (const pod of pods.iterate()) await pods.delete(pod).catch(unless(NotFoundError));
    const queues = new WorkQueuesClient(this.#backend, namespace);
    for (const { metadata } of await queues.list()) {
      const options = { namespace, schema: null };
      const queue = new WorkQueueHandle(this.#backend, metadata.name, options);
      await queue.delete().catch(unless(NotFoundError));
    }
    for (const kind of this.#keptKinds) await this.#deleteKept(kind, namespace);
    // Of all of that there was something to tell.
    await this.#backend.onShard(namespace, ({ events }) => events.deleteIn(namespace));
  }

  async #deleteKept(kind: string, namespace: string): Promise<void> {
    await this.#backend.onShard(namespace, async ({ objects }) => {
      const { objects: found } = await objects.list(kind, { namespace, limit: MAX_KEPT });
      for (const object of found) await objects.delete(object);
    });
  }
}
