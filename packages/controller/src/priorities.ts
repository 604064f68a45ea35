import {
  NO_PRIORITY,
  type PodPriority,
  podPriority,
  PRIORITY_CLASS_KIND,
  queuePriority,
  SYSTEM_PRIORITY_CLASSES,
} from '@drover/shared';
import { composeObject, objectText, type Store } from '@drover/store';

/** What priorities are read from. */
export type PriorityStore = Pick<Store, 'shardOf' | 'usesPriorities' | 'notePriorities'>;

/** Ids of the system's classes: a class that is made again with its id is there already. */
const SYSTEM_UIDS = [
  '9d5a2b1e-0c55-4f0e-8a51-5e0c6f6a0001',
  '9d5a2b1e-0c55-4f0e-8a51-5e0c6f6a0002',
];

/** For so long what was read is good enough: classes hardly ever change. */
const FRESH_MS = 1_000;
/** Classes that are read. */
const MAX_CLASSES = 1_000;

interface Known {
  readonly classes: Parameters<typeof podPriority>[0];
  readonly isUsed: boolean;
  readonly readMs: number;
}

/**
 * The priorities of pods, by their classes. Those of an installation that has none cost one read a second, while
 * something happens.
 */
export class Priorities {
  readonly #store: PriorityStore;
  readonly #nowMs: () => number;
  #known: Known | null = null;
  #reading: Promise<Known> | null = null;

  /** @param nowMs - A clock that never goes back. */
  constructor(store: PriorityStore, nowMs: () => number = () => performance.now()) {
    this.#store = store;
    this.#nowMs = nowMs;
  }

  /** Reads them if it is time to: whoever may ask soon need not wait for that. */
  refresh(): void {
    // Whoever asks is told the error.
    this.#read(this.#nowMs() - FRESH_MS).catch(() => {});
  }

  /**
   * The priority of pods that name a class, or none (''). null: there is no such class.
   *
   * From the first one that is not 0 on, all slots that are offered have one: those without would go before.
   */
  async of(className: string): Promise<PodPriority | null> {
    let known = await this.#read(this.#nowMs() - FRESH_MS);
    let priority = podPriority(known.classes, className);
    if (priority === null) {
      // It may have been made just now.
      known = await this.#read(this.#nowMs());
      priority = podPriority(known.classes, className);
    }
    if (priority !== null && priority.value !== 0 && !known.isUsed) {
      await this.#store.notePriorities();
      this.#known = { ...known, isUsed: true };
    }
    return priority;
  }

  /** The priority of the QueueJobs of such pods; null = none, as long as nobody uses priorities. */
  async inQueue({ value }: PodPriority = NO_PRIORITY): Promise<number | null> {
    const { isUsed } = await this.#read(this.#nowMs() - FRESH_MS);
    return isUsed || value !== 0 ? queuePriority(value) : null;
  }

  async #read(sinceMs: number): Promise<Known> {
    for (;;) {
      if (this.#known !== null && this.#known.readMs >= sinceMs) return this.#known;
      this.#reading ??= this.#readNow().finally(() => {
        this.#reading = null;
      });
      // It may have begun too early.
      await this.#reading;
    }
  }

  async #readNow(): Promise<Known> {
    const readMs = this.#nowMs();
    const [{ objects }, isUsed] = await Promise.all([
      this.#store.shardOf('').objects.list('PriorityClass', { namespace: '', limit: MAX_CLASSES }),
      this.#store.usesPriorities(),
    ]);
    const classes = objects.map((stored) => composeObject(PRIORITY_CLASS_KIND, stored));
    this.#known = { classes, isUsed, readMs };
    return this.#known;
  }
}

/** Makes the classes that are always there. @throws ResourceExhaustedError when memory is full. */
export async function makeSystemClasses(store: PriorityStore): Promise<void> {
  const { objects } = store.shardOf('');
  for (const [i, one] of SYSTEM_PRIORITY_CLASSES.entries()) {
    const uid = SYSTEM_UIDS[i]!;
    const metadata = { ...one.metadata, uid };
    const { name } = metadata;
    const object = objectText({ ...one, metadata });
    const path = { kind: one.kind, namespace: '', name };
    await objects.create({ ...path, uid, object, finalizerCount: 0 });
  }
}
