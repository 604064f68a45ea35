import type { Logger } from 'pino';

/** Somebody who holds a BullMQ lock. */
export interface LockHolder {
  readonly queueJobId: string;
  readonly token: string;
  readonly attemptsStarted: number;
  /** The lock is gone: another delivery of the QueueJob is on its way, or here already. */
  lockWasLost(): void;
}

/** Options of {@link LockRenewer}. */
export interface LockRenewerOptions {
  /** BullMQ's `worker.extendJobLocks`; answers the ids that it could not extend. */
  readonly extend: (ids: string[], tokens: string[], durationMs: number) => Promise<string[]>;
  readonly lockMs: number;
  readonly logger: Logger;
}

/** Most locks renewed in one script. */
const MAX_RENEWALS = 500;

/**
 * Renews the BullMQ locks of all QueueJobs that are held of a queue.
 *
 * BullMQ's own renewal knows a lock by the QueueJob's id only. When a process gets its own stalled
 * QueueJob back while the earlier delivery still runs, the exit of the earlier one would end
 * the renewal of the later one, which stalls again, for ever. Here each delivery is its own entry, and an
 * earlier delivery counts as having lost its lock as soon as a later one arrives.
 */
export class LockRenewer {
  readonly #options: LockRenewerOptions;
  /** By id, the latest delivery. */
  readonly #holders = new Map<string, LockHolder>();
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: LockRenewerOptions) {
    this.#options = options;
  }

  /** Number of locks that are renewed. */
  get size(): number {
    return this.#holders.size;
  }

  /** Renews a holder's lock from now on. */
  add(holder: LockHolder): void {
    const earlier = this.#holders.get(holder.queueJobId);
    if (earlier !== undefined && earlier.attemptsStarted > holder.attemptsStarted) {
      holder.lockWasLost();
      return;
    }
    this.#holders.set(holder.queueJobId, holder);
    earlier?.lockWasLost();
    // The timer runs only while something is held: an idle worker does not wake for this.
    if (this.#timer === null && !this.#closed) this.#plan();
  }

  /** Ends the renewal of this very delivery. */
  remove(holder: LockHolder): void {
    if (this.#holders.get(holder.queueJobId) === holder) this.#holders.delete(holder.queueJobId);
  }

  /** Stops renewing. */
  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #plan(): void {
    this.#timer = setTimeout(() => {
      this.#renewAll()
        .catch((error: unknown) => {
          // Redis is away: the locks may lapse, which costs a second delivery and nothing else.
          this.#options.logger.debug({ err: error }, 'locks could not be renewed');
        })
        .finally(() => {
          this.#timer = null;
          if (this.#holders.size > 0 && !this.#closed) this.#plan();
        });
    }, this.#options.lockMs / 3);
  }

  async #renewAll(): Promise<void> {
    const holders = [...this.#holders.values()];
    for (let from = 0; from < holders.length; from += MAX_RENEWALS) {
      const part = holders.slice(from, from + MAX_RENEWALS);
      const lost = await inTime(
        this.#options.extend(
          part.map((holder) => holder.queueJobId),
          part.map((holder) => holder.token),
          this.#options.lockMs,
        ),
        this.#options.lockMs / 3,
      );
      if (lost.length === 0) continue;
      const lostIds = new Set(lost.map(String));
      for (const holder of part) {
        // A holder that finished in the meantime has no lock either, and does not need one.
        if (!lostIds.has(holder.queueJobId) || this.#holders.get(holder.queueJobId) !== holder)
          continue;
        this.#holders.delete(holder.queueJobId);
        this.#options.logger.warn(
          { queueJob: holder.queueJobId },
          'lost a lock of BullMQ; what runs goes on',
        );
        holder.lockWasLost();
      }
    }
  }
}

/** A connection that hangs must not end the renewal of all slots for good. */
async function inTime<T>(answer: Promise<T>, limitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | null = null;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error('Redis did not answer a lock renewal in time')),
      limitMs,
    );
  });
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}
