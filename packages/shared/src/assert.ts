/**
 * Stops on a programmer error, in production too. The package runs in a browser, so it can't use
 * `node:assert`.
 *
 * @throws Error with the message when the condition is falsy.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
