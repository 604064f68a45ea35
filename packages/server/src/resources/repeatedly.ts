const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 10_000;

/** Does something for names, each again and again with growing delays until it is done. */
export class Repeatedly {
  readonly #attempt: (name: string) => Promise<boolean>;
  readonly #waiting = new Map<string, NodeJS.Timeout | null>();
  #isClosed = false;

  /** @param attempt - Answers whether it is done; what it throws is tried again. */
  constructor(attempt: (name: string) => Promise<boolean>) {
    this.#attempt = attempt;
  }

  /** Begins with a name, unless it is at it already. */
  begin(name: string): void {
    if (!this.#waiting.has(name)) this.#plan(name, FIRST_DELAY_MS);
  }

  /** Does nothing any more. */
  close(): void {
    this.#isClosed = true;
    for (const timer of this.#waiting.values()) if (timer !== null) clearTimeout(timer);
    this.#waiting.clear();
  }

  #plan(name: string, delayMs: number): void {
    if (this.#isClosed) return;
    const timer = setTimeout(() => void this.#run(name, delayMs), delayMs);
    timer.unref();
    this.#waiting.set(name, timer);
  }

  async #run(name: string, delayMs: number): Promise<void> {
    this.#waiting.set(name, null);
    const isDone = await this.#attempt(name).catch(() => false);
    if (isDone) this.#waiting.delete(name);
    else this.#plan(name, Math.min(MAX_DELAY_MS, delayMs * 2));
  }
}
