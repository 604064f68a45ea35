import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/** A client that takes nothing for so long is gone. */
const STALL_MS = 60_000;
/** What is written in one go is sent together, up to so many bytes, about: each piece for itself costs as much again as to make it. */
const PIECE_BYTES = 64 * 1024;

/** An answer without an end: what there is goes out at once, and no faster than the client takes it. */
export class StreamedAnswer {
  /** Aborted when the client is gone, or takes nothing any more. */
  readonly signal: AbortSignal;
  readonly #raw: ServerResponse;
  readonly #ending = new AbortController();
  /** What goes out when there is nothing else to do. */
  #gathered: (string | Buffer)[] = [];
  #gatheredBytes = 0;
  #sending: NodeJS.Immediate | null = null;

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
    if (this.signal.aborted) return;
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.length;
    if (this.#gatheredBytes >= PIECE_BYTES) this.#send();
    else this.#sending ??= setImmediate(() => this.#send());
    if (!this.#raw.writableNeedDrain) return;
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
    this.#send();
    this.#raw.end();
  }

  #send(): void {
    if (this.#sending !== null) clearImmediate(this.#sending);
    this.#sending = null;
    const pieces = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (pieces.length === 0 || this.signal.aborted) return;
    const isText = pieces.every((piece) => typeof piece === 'string');
    this.#raw.write(
      isText ? pieces.join('') : Buffer.concat(pieces.map((piece) => Buffer.from(piece))),
    );
  }
}
