import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { beginHook } from '../../src/process/containerHook.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a sleep that is longer than any timer of Node is slept to its end', async () => {
  const days = 24 * 60 * 60 * 1_000;
  const hook = beginHook({ type: 'sleep', ms: 30 * days }, () => expect.unreachable());
  const onOver = vi.fn<(problem: string | null) => void>();
  void hook.over.then(onOver);
  await vi.advanceTimersByTimeAsync(30 * days - 1);
  expect(onOver).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  expect(onOver).toHaveBeenCalledWith(null);
});
