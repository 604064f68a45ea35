/** Lets one wait until there is something to take. */
export class Wakening {
  #wake: (() => void) | null = null;

  /** There is something: whoever waits goes on. */
  wake(): void {
    this.#wake?.();
  }

  /** Resolves when it is woken, after `timeoutMs` (null = never), or at the signal, which is not aborted yet. */
  async wait(timeoutMs: number | null, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#wake = wake;
    const timer = timeoutMs === null ? null : setTimeout(wake, timeoutMs);
    signal.addEventListener('abort', wake, { once: true });
    await promise;
    if (timer !== null) clearTimeout(timer);
    signal.removeEventListener('abort', wake);
    this.#wake = null;
  }
}
