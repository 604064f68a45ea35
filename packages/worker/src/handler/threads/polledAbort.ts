import { PodStoppedError } from '../handlerEnd.ts';

const abortedOf = getter('aborted');
const reasonOf = getter('reason');

/**
 * An AbortController whose signal asks, whenever it is looked at, whether the pod was told to stop. A
 * handler that only computes lets no message in, so its signal would not fire before it is over;
 * like this `signal.aborted` and `signal.throwIfAborted()` in its loop tell at once.
 *
 * @param isTold - Whether the pod was told to stop. Cheap: it is asked in tight loops.
 */
export function createPolledAbort(isTold: () => boolean): AbortController {
  const controller = new AbortController();
  const { signal } = controller;
  const poll = (): void => {
    if (!abortedOf(signal) && isTold()) controller.abort(new PodStoppedError());
  };
  Object.defineProperties(signal, {
    aborted: {
      get: () => {
        poll();
        return abortedOf(signal);
      },
    },
    reason: {
      get: () => {
        poll();
        return reasonOf(signal);
      },
    },
    throwIfAborted: {
      value: () => {
        if (signal.aborted) throw signal.reason;
      },
    },
  });
  return controller;
}

/** A getter of AbortSignal itself, past those defined here. */
function getter<Key extends 'aborted' | 'reason'>(
  key: Key,
): (signal: AbortSignal) => AbortSignal[Key] {
  return (signal) => Reflect.get(AbortSignal.prototype, key, signal) as AbortSignal[Key];
}
