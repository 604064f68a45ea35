import { setTimeout as delay } from 'node:timers/promises';

/** How `waitFor` waits, and what it says when it gives up. */
export interface WaitOptions {
  /** How long to wait before failing. Milliseconds, default 30,000: long, since it says nothing of how quick a thing is. */
  readonly timeoutMs?: number;
  /** Pause between two looks. Milliseconds, default 10. */
  readonly intervalMs?: number;
  /** What is waited for; a function is called at the end, so that it can show the last state. */
  readonly describe?: string | (() => unknown);
}

/** Thrown by `waitFor` when the condition did not come true in time. */
export class WaitTimeoutError extends Error {
  override readonly name = 'WaitTimeoutError';
}

/**
 * Waits until `condition` is truthy and returns what it returned.
 *
 * An error of the condition counts as "not yet" and is the `cause` if it was the last word.
 *
 * @throws {@link WaitTimeoutError} with what was waited for and the last answer.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<Awaited<T>, null | undefined | false | 0 | ''>> {
  const { timeoutMs = 30_000, intervalMs = 10 } = options;
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    let last: unknown;
    let failure: unknown;
    try {
      last = await condition();
      // Truthy: what the return type leaves out has been sorted out here.
      if (last) return last as Exclude<Awaited<T>, null | undefined | false | 0 | ''>;
    } catch (error) {
      failure = error;
    }
    if (performance.now() >= giveUpAt) {
      throw timeoutError({ options, timeoutMs, last, failure });
    }
    await delay(intervalMs);
  }
}

function timeoutError(at: {
  options: WaitOptions;
  timeoutMs: number;
  last: unknown;
  failure: unknown;
}): WaitTimeoutError {
  const { describe = 'the condition' } = at.options;
  const what = typeof describe === 'function' ? describe() : describe;
  const text = typeof what === 'string' ? what : JSON.stringify(what);
  const ending =
    at.failure === undefined
      ? `last answer: ${JSON.stringify(at.last)}`
      : `last error: ${at.failure instanceof Error ? at.failure.message : JSON.stringify(at.failure)}`;
  return new WaitTimeoutError(`waited ${at.timeoutMs} ms in vain for ${text}; ${ending}`, {
    cause: at.failure,
  });
}
