import { expect, test } from 'vitest';
import { waitFor, WaitTimeoutError } from '../src/index.ts';

test('waitFor returns the first truthy answer', async () => {
  let count = 0;
  expect(await waitFor(() => (++count >= 3 ? count : 0))).toBe(3);
});

test('waitFor takes an error of the condition for "not yet"', async () => {
  let count = 0;
  const answer = await waitFor(async () => {
    count += 1;
    if (count < 3) throw new Error('not ready');
    return 'ready';
  });
  expect(answer).toBe('ready');
});

test('waitFor says what it waited for and the last answer', async () => {
  const wait = waitFor(() => null, { timeoutMs: 20, describe: 'a pod to end' });
  await expect(wait).rejects.toThrow('waited 20 ms in vain for a pod to end; last answer: null');
});

test('waitFor shows the state at the end and keeps the last error as its cause', async () => {
  const cause = new Error('refused');
  let looks = 0;
  const wait = waitFor(
    () => {
      looks += 1;
      throw cause;
    },
    { timeoutMs: 20, describe: () => ({ looked: looks > 0 }) },
  );
  await expect(wait).rejects.toThrow('{"looked":true}; last error: refused');
  await expect(wait).rejects.toMatchObject({ cause });
  await expect(wait).rejects.toBeInstanceOf(WaitTimeoutError);
});
