import type { Backend } from '../backend.ts';

/** Work queues that are remembered: a bound on memory. */
const MAX_KNOWN = 1_000;

/** Uids of work queues by name. Those found are remembered, so that not every call begins with a question. */
export class WorkQueueUids {
  readonly #backend: Backend;
  readonly #known = new Map<string, string>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** The uid, as it was found some time ago or now; null = there is no such work queue. */
  async find(namespace: string, name: string): Promise<string | null> {
    const path = `${namespace}/${name}`;
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const uid = await this.#backend.onShard(namespace, ({ workQueues }) =>
      workQueues.find(namespace, name),
    );
    if (uid !== null) this.#remember(path, uid);
    return uid;
  }

  /** What was found is not there any more. */
  forget(namespace: string, name: string, uid: string): void {
    const path = `${namespace}/${name}`;
    // Another call may have found the one that came after it.
    if (this.#known.get(path) === uid) this.#known.delete(path);
  }

  #remember(path: string, uid: string): void {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(path, uid);
  }
}
