import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

import { badInput } from './errors.ts';

/** How often a service looks at itself. */
const INTERVAL_MS = 5_000;
/** How often while it is not well, so that the end of a trouble is known soon. */
const UNWELL_INTERVAL_MS = 1_000;
/** A file that was not written for so many intervals is that of a process that hangs or is gone. */
const STALE_INTERVALS = 4;

/** What a service last said of itself. */
export interface HealthReport {
  readonly healthy: boolean;
  /** For people: what it does, or what is wrong. */
  readonly message: string;
}

/** What the file holds. */
interface Note extends HealthReport {
  /** When it was written, ms since the epoch. */
  readonly atMs: number;
  /** How often it is written. */
  readonly intervalMs: number;
}

/** Options of {@link HealthFile}. */
export interface HealthFileOptions {
  readonly path: string;
  /** Resolves to what to say when all is well; rejects with what is wrong. */
  readonly check: () => Promise<string>;
  /** Milliseconds, default 5,000. */
  readonly intervalMs?: number;
}

/**
 * A file in which a service says every few seconds whether it is well, for health checks of
 * containers: looking at it needs no connection, and a process that hangs stops writing it.
 */
export class HealthFile {
  readonly #path: string;
  readonly #check: () => Promise<string>;
  readonly #intervalMs: number;
  readonly #closing = new AbortController();
  #running: Promise<void> | null = null;

  private constructor({ path, check, intervalMs = INTERVAL_MS }: HealthFileOptions) {
    this.#path = path;
    this.#check = check;
    this.#intervalMs = intervalMs;
  }

  /**
   * Writes the file and keeps it up to date until `close`.
   *
   * @throws CliError when it can not be written.
   */
  static async start(options: HealthFileOptions): Promise<HealthFile> {
    const file = new HealthFile(options);
    try {
      await file.#write({ healthy: false, message: 'starting' });
    } catch (error) {
      throw badInput(`--health-file ${options.path}: ${textOf(error)}`);
    }
    file.#running = file.#repeat();
    return file;
  }

  /** Ends it and removes the file. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    await rm(this.#path, { force: true });
  }

  async #repeat(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const report = await this.#look();
      // A full disk says nothing of the service; the file grows old by itself.
      await this.#write(report).catch(() => undefined);
      const waitMs = report.healthy ? this.#intervalMs : UNWELL_INTERVAL_MS;
      await delay(waitMs, null, { signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<HealthReport> {
    const patience = new AbortController();
    try {
      const message = await Promise.race([
        this.#check(),
        delay(this.#intervalMs, null, { signal: patience.signal }).then(() => {
          throw new Error('Redis does not answer');
        }),
        endOf(this.#closing.signal),
      ]);
      return { healthy: true, message };
    } catch (error) {
      return { healthy: false, message: textOf(error) };
    } finally {
      patience.abort();
    }
  }

  async #write(report: HealthReport): Promise<void> {
    const note: Note = { ...report, atMs: Date.now(), intervalMs: this.#intervalMs };
    // Whoever reads it sees the old one or the new one.
    const draft = `${this.#path}.${process.pid}`;
    await writeFile(draft, `${JSON.stringify(note)}\n`);
    await rename(draft, this.#path);
  }
}

/** Reads what a service said of itself in its file; silence is a report too. */
export async function readHealth(path: string, nowMs: number): Promise<HealthReport> {
  let note: Note;
  try {
    note = JSON.parse(await readFile(path, 'utf8')) as Note;
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const why = isMissing ? 'no service writes it' : textOf(error);
    return { healthy: false, message: `${path}: ${why}` };
  }
  const silentMs = nowMs - note.atMs;
  if (silentMs > note.intervalMs * STALE_INTERVALS) {
    const seconds = Math.round(silentMs / 1000);
    return { healthy: false, message: `nothing heard for ${seconds} s; last: ${note.message}` };
  }
  return { healthy: note.healthy, message: note.message };
}

/** Rejects when a signal is aborted: closing waits for no answer of a Redis that is away. */
function endOf(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = (): void => reject(new Error('stopping'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
