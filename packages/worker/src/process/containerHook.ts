import type { LifecycleHandler } from '@drover/shared';

import { afterTime } from '../longTimer.ts';
import type { OutputSink, ProcessPodSpec, RunningProcess } from './runningProcess.ts';

/** What is done after the start of a container, or before its end. */
export type Hook =
  | { readonly type: 'exec'; readonly command: readonly string[] }
  | { readonly type: 'sleep'; readonly ms: number };

/** A hook that was begun. */
export interface RunningHook {
  /** Resolves when it is over: with what went wrong, or null. Never rejects. */
  readonly over: Promise<string | null>;
  /** Ends it at once. */
  kill(): void;
}

const NO_OUTPUT: OutputSink = { onOutput: () => undefined };

/** A hook as a template has it; null for one that is not there. */
export function hookOf(handler: LifecycleHandler | undefined): Hook | null {
  if (handler?.sleep !== undefined) return { type: 'sleep', ms: handler.sleep.seconds * 1000 };
  const { command = [] } = handler?.exec ?? {};
  return command.length === 0 ? null : { type: 'exec', command };
}

/**
 * Begins a hook.
 *
 * @param launch - Starts a program where those of the container run.
 */
export function beginHook(
  hook: Hook,
  launch: (program: Pick<ProcessPodSpec, 'command' | 'args'>, sink: OutputSink) => RunningProcess,
): RunningHook {
  if (hook.type === 'sleep') return sleepHook(hook.ms);
  const running = launch({ command: hook.command, args: [] }, NO_OUTPUT);
  return {
    over: running.exited.then(({ exitCode, message }) => {
      if (exitCode === 0) return null;
      return message === '' ? `exit code ${exitCode}` : message;
    }),
    kill: () => running.kill(),
  };
}

/** One that could not even be begun has failed. */
export function begun(begin: () => RunningHook): RunningHook {
  try {
    return begin();
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { over: Promise.resolve(problem), kill: () => undefined };
  }
}

function sleepHook(ms: number): RunningHook {
  const { promise: over, resolve } = Promise.withResolvers<null>();
  const forget = afterTime(ms, () => resolve(null));
  const kill = (): void => {
    forget();
    resolve(null);
  };
  return { over, kill };
}
