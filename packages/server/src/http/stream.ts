import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/** A client that takes nothing for so long is gone. */
const STALL_MS = 60_000;

/** An answer without an end: what there is goes out at once, and no faster than the client takes it. */
export class StreamedAnswer {
  /** Aborted when the client is gone, or takes nothing any more. */
  readonly signal: AbortSignal;
  readonly #raw: ServerResponse;
  readonly #ending = new AbortController();

  constructor(raw: ServerResponse) {
    this.#raw = raw;
    this.signal = this.#ending.signal;
    raw.once('close', () => this.#ending.abort());
    // A connection that breaks closes, too.
    raw.on('error', () => undefined);
  }

  /** Sends the head: clients wait for it before they look at anything. */
  begin(headers: Readonly<Record<string, string>>): void {
    this.#raw.writeHead(200, headers);
    this.#raw.flushHeaders();
  }

  /** Sends something; resolves when there is room for more. Nothing when the client is gone. */
  async write(chunk: string | Buffer): Promise<void> {
    if (this.signal.aborted || this.#raw.write(chunk)) return;
    const timer = setTimeout(() => this.#raw.destroy(), STALL_MS);
    try {
      await once(this.#raw, 'drain', { signal: this.signal });
    } catch {
      // Gone; who writes looks at the signal.
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends it in an orderly way. */
  end(): void {
    this.#raw.end();
  }
}
