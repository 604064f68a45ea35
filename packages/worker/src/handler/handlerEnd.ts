import { inspect } from 'node:util';

import type { PodOverlay } from '@drover/store';

import { isFinalError } from '../items/itemErrors.ts';
import { SUCCEEDED, type PodEnd } from '../runtime.ts';
import { clipBytes, MAX_MESSAGE_BYTES } from '../text.ts';

/** Most bytes of a handler's return value as JSON. */
export const MAX_RESULT_BYTES = 64 * 1024;
/** Exit code of a handler that was ended or given up: as if by SIGKILL. */
export const KILLED_EXIT_CODE = 137;

/** Why the AbortSignal of a pod fired. */
export class PodStoppedError extends Error {
  override readonly name = 'AbortError';

  constructor() {
    super('the pod was told to stop');
  }
}

/** The end of a pod whose handler returned. */
export function endWithResult(value: unknown): PodEnd {
  if (value === undefined) return SUCCEEDED;
  let result: string | undefined;
  try {
    result = JSON.stringify(value);
  } catch (error) {
    return failedEnd(
      `the handler's return value is not JSON: ${(error as Error).message}`,
      'Error',
      1,
    );
  }
  // A function or a symbol: nothing that could be kept.
  if (result === undefined) return SUCCEEDED;
  const bytes = Buffer.byteLength(result);
  if (bytes > MAX_RESULT_BYTES) {
    const message = `the handler's return value has ${bytes} bytes as JSON; at most ${MAX_RESULT_BYTES} are kept: store it elsewhere and return where`;
    return failedEnd(message, 'Error', 1);
  }
  return { ...SUCCEEDED, overlay: { result } };
}

/** The end of a pod that failed. */
export function failedEnd(message: string, reason: PodEnd['reason'], exitCode: number): PodEnd {
  const overlay: PodOverlay = { message: clipBytes(message, MAX_MESSAGE_BYTES) };
  return { outcome: 'Failed', exitCode, reason, hasLog: false, overlay };
}

/** The end of a pod whose handler threw. */
export function thrownEnd(error: unknown): PodEnd {
  const isFinal = isFinalError(error);
  const end = failedEnd(isFinal ? (error as Error).message : describeThrown(error), 'Error', 1);
  return isFinal ? { ...end, isFinal } : end;
}

/** What a handler threw, in one line. */
export function describeThrown(error: unknown): string {
  if (!(error instanceof Error)) return `the handler threw ${inspect(error, { depth: 1 })}`;
  const text = error.message === '' ? error.name : `${error.name}: ${error.message}`;
  return error.cause instanceof Error ? `${text} (cause: ${error.cause.message})` : text;
}

/** Whether a handler's return value is to be waited for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}
