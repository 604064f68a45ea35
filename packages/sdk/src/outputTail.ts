import type { Job } from '@drover/shared';
import { toPiece, type LogPiece, type Shard } from '@drover/store';

import type { Backend } from './backend.ts';

/** Something new that a pod wrote. */
export interface TailPiece {
  readonly podNumber: number;
  /** Completion index. */
  readonly index: number;
  readonly pieces: readonly LogPiece[];
}

/** Entries per read of a pod's log: at most 1 MiB. */
const ENTRIES_PER_READ = 64;

/** Reads what the running pods of a Job write, as often as it is asked to. */
export class OutputTail {
  readonly #backend: Backend;
  readonly #job: Job;
  /** Id of the last entry that was read, by pod number. */
  readonly #lastIds = new Map<number, string>();

  constructor(backend: Backend, job: Job) {
    this.#backend = backend;
    this.#job = job;
  }

  /** What the pods that run wrote since the last call. */
  async next(): Promise<TailPiece[]> {
    const { namespace, uid } = this.#job.metadata;
    return await this.#backend.onShard(namespace, async (shard) => {
      const slots = await shard.allSlots(uid);
      const running = slots.filter(({ phase }) => phase !== 'Pending');
      const read = await Promise.all(running.map(({ podNumber }) => this.#read(shard, podNumber)));
      return running.flatMap(({ podNumber, index }, i) => {
        const pieces = read[i] ?? [];
        return pieces.length === 0 ? [] : [{ podNumber, index, pieces }];
      });
    });
  }

  /** The rest of what a pod wrote that has ended; it is not asked for again. */
  async rest(podNumber: number): Promise<readonly LogPiece[]> {
    const all: LogPiece[] = [];
    for (;;) {
      const pieces = await this.#backend.onShard(this.#job.metadata.namespace, (shard) =>
        this.#read(shard, podNumber),
      );
      if (pieces.length === 0) break;
      all.push(...pieces);
    }
    this.#lastIds.delete(podNumber);
    return all;
  }

  async #read(shard: Shard, podNumber: number): Promise<LogPiece[]> {
    const key = shard.podLogKey(this.#job.metadata.uid, podNumber);
    const after = this.#lastIds.get(podNumber);
    const from = after === undefined ? '-' : `(${after}`;
    const store = await this.#backend.store();
    const entries = await store.redis.xrangeBuffer(key, from, '+', 'COUNT', ENTRIES_PER_READ);
    const last = entries.at(-1);
    if (last !== undefined) this.#lastIds.set(podNumber, last[0].toString());
    return entries.flatMap(([, fields]) => toPiece(fields));
  }
}
