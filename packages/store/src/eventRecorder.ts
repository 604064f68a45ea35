import { randomBytes } from 'node:crypto';
import {
  eventPath,
  type CountedEvent,
  type Events,
  MAX_EVENTS_PER_CALL,
  type NewEvent,
} from './events.ts';

/** How long what happens is gathered before it is written. */
const GATHER_MS = 100;
/** Events that wait at most; more are dropped: they are for people, nothing depends on them. */
const MAX_WAITING = 2_000;

/** Takes what happened. */
export interface EventSink {
  /** Notes an event. Never fails and never waits. */
  record(event: NewEvent): void;
}

/** Options of an {@link EventRecorder}. */
export interface EventRecorderOptions {
  readonly events: Pick<Events, 'record'>;
  /** Told how many events were lost: there were too many, or they could not be written. */
  readonly onLost: (count: number, error: unknown) => void;
}

/**
 * Gathers events and writes them together, the same ones as one: a process writes a few batches a second at
 * most, and none while nothing happens.
 */
export class EventRecorder implements EventSink {
  readonly #options: EventRecorderOptions;
  readonly #writer = randomBytes(8).toString('hex');
  readonly #waiting = new Map<string, CountedEvent>();
  #batch = 0;
  #timer: NodeJS.Timeout | null = null;
  #isWriting = false;
  /** Resolves when the last writing is over. */
  #written: Promise<void> = Promise.resolve();
  #droppedCount = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  record(event: NewEvent): void {
    const path = eventPath(event);
    const known = this.#waiting.get(path);
    if (known === undefined && this.#waiting.size >= MAX_WAITING) {
      this.#droppedCount++;
      return;
    }
    // In order of what happened last, which their resourceVersions show.
    this.#waiting.delete(path);
    this.#waiting.set(path, together(known, event, path));
    if (this.#isWriting) return;
    if (this.#waiting.size >= MAX_EVENTS_PER_CALL) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), GATHER_MS);
  }

  /** Writes what waits. Never rejects. */
  async flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.#isWriting) this.#written = this.#write();
    await this.#written;
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.size > 0) {
      const batch: CountedEvent[] = [];
      for (const [path, counted] of this.#waiting) {
        if (batch.length === MAX_EVENTS_PER_CALL) break;
        batch.push(counted);
        this.#waiting.delete(path);
      }
      try {
        await this.#options.events.record(this.#writer, ++this.#batch, batch);
      } catch (error) {
        this.#options.onLost(batch.length, error);
      }
    }
    // In the same turn as the last look at what waits: what comes later begins another writing.
    this.#isWriting = false;
    if (this.#droppedCount === 0) return;
    this.#options.onLost(this.#droppedCount, null);
    this.#droppedCount = 0;
  }
}

function together(known: CountedEvent | undefined, event: NewEvent, path: string): CountedEvent {
  const { count = { more: 1 } } = event;
  const isInAll = 'inAll' in count;
  const number = isInAll ? count.inAll : count.more;
  if (known === undefined) return { event, path, count: number, isInAll };
  const total = isInAll ? Math.max(known.count, number) : known.count + number;
  return { event, path, count: total, isInAll };
}
