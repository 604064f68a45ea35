import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { createPolledAbort } from '../../../src/handler/threads/polledAbort.ts';

describe('a polled signal', () => {
  test('is not aborted before it is told', () => {
    const { signal } = createPolledAbort(() => false);
    expect(signal.aborted).toBe(false);
    expect(signal.reason).toBeUndefined();
    expect(() => signal.throwIfAborted()).not.toThrow();
  });

  test.each([
    { name: 'aborted', look: (signal: AbortSignal) => signal.aborted },
    { name: 'reason', look: (signal: AbortSignal) => signal.reason instanceof Error },
  ])('says in $name that it was told, without a turn of the event loop', ({ look }) => {
    let isTold = false;
    const { signal } = createPolledAbort(() => isTold);
    expect(look(signal)).toBe(false);
    isTold = true;
    expect(look(signal)).toBe(true);
  });

  test('throws why', () => {
    const { signal } = createPolledAbort(() => true);
    expect(() => signal.throwIfAborted()).toThrow('the pod was told to stop');
  });

  test('fires its event when it is looked at, once', () => {
    let events = 0;
    const { signal } = createPolledAbort(() => true);
    signal.addEventListener('abort', () => {
      events += 1;
    });
    expect([signal.aborted, signal.aborted]).toEqual([true, true]);
    expect(events).toBe(1);
  });

  test('works where signals are taken, and for those made of it', async () => {
    const controller = createPolledAbort(() => false);
    const any = AbortSignal.any([controller.signal]);
    const waiting = delay(60_000, undefined, { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('aborted');
    expect(any.aborted).toBe(true);
    expect(controller.signal.reason).toEqual(new Error('enough'));
  });
});
