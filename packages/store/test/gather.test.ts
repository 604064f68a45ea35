import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Gather, type GatherLimits } from '../src/gather.ts';

/** Notes what was sent together; answers each number doubled. */
function doubling(limits: Partial<GatherLimits<number>> = {}) {
  const sent: (readonly number[])[] = [];
  const gather = new Gather<number, number>({ calls: 100, ...limits }, async (inputs) => {
    sent.push(inputs);
    return inputs.map((input) => 2 * input);
  });
  return { gather, sent };
}

test('calls of one tick go together, each with its own answer', async () => {
  const { gather, sent } = doubling();
  // One of them begins only when a promise has settled: still the same tick.
  const calls = [gather.call(1), Promise.resolve().then(() => gather.call(2)), gather.call(3)];
  expect(await Promise.all(calls)).toEqual([2, 4, 6]);
  expect(sent).toEqual([[1, 3, 2]]);
});

test('what comes in a later tick goes by itself, and waits for no answer', async () => {
  const { gather, sent } = doubling();
  const first = gather.call(1);
  await nextTurn();
  const second = gather.call(2);
  expect(await Promise.all([first, second])).toEqual([2, 4]);
  expect(sent).toEqual([[1], [2]]);
});

test('as many as may go together go at once', async () => {
  const { gather, sent } = doubling({ calls: 2 });
  const calls = [1, 2, 3, 4, 5].map((input) => gather.call(input));
  expect(sent).toEqual([
    [1, 2],
    [3, 4],
  ]);
  expect(await Promise.all(calls)).toEqual([2, 4, 6, 8, 10]);
  expect(sent.at(-1)).toEqual([5]);
});

test('never more weight together than is allowed, but for a call that has it alone', async () => {
  const { gather, sent } = doubling({ weight: 10, weightOf: (input) => input });
  await Promise.all([4, 6, 1, 20, 2, 3].map((input) => gather.call(input)));
  expect(sent).toEqual([[4, 6], [1], [20], [2, 3]]);
});

test('an error is that of all calls that went together, and of no other', async () => {
  let isBroken = true;
  const gather = new Gather<number, number>({ calls: 2 }, async (inputs) => {
    if (isBroken) throw new Error('away');
    return inputs;
  });
  const lost = [gather.call(1), gather.call(2)];
  isBroken = false;
  const kept = gather.call(3);
  expect(await Promise.allSettled(lost)).toMatchObject([
    { status: 'rejected', reason: { message: 'away' } },
    { status: 'rejected', reason: { message: 'away' } },
  ]);
  expect(await kept).toBe(3);
});

test('an error that may be of one call: each is done by itself, and only that one fails', async () => {
  const sent: (readonly number[])[] = [];
  const gather = new Gather<number, number>(
    { calls: 10, isOfOne: (error) => (error as Error).message === 'odd' },
    async (inputs) => {
      sent.push(inputs);
      if (inputs.includes(2)) throw new Error('odd');
      return inputs;
    },
  );
  const ends = await Promise.allSettled([1, 2, 3].map((input) => gather.call(input)));
  expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(sent).toEqual([[1, 2, 3], [1], [2], [3]]);
});
