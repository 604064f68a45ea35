/** On globalThis, so that it is seen by every copy of this package that a thread may load. */
const MARK = Symbol.for('drover.handlerThread');

/** Says that this thread runs handlers. */
export function markHandlerThread(): void {
  Object.defineProperty(globalThis, MARK, { value: true });
}

/** Whether this code runs in a thread for handlers: a module that was loaded for its handlers only. */
export function isHandlerThread(): boolean {
  return MARK in globalThis;
}
