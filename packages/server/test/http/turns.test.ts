import { expect, test } from 'vitest';

import { Turns } from '../../src/http/turns.ts';

/** Work that ends when it is told to. */
function work(log: string[], name: string) {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const run = async (): Promise<void> => {
    log.push(name);
    await promise;
  };
  return { run, resolve, reject };
}

test('so many go on at once, the others in the order in which they came, and too many are refused', async () => {
  const turns = new Turns(2, 2);
  const log: string[] = [];
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => work(log, name));
  const ends = [a, b, c, d].map((one) => turns.run(one!.run));
  expect(log).toEqual(['a', 'b']);
  await expect(turns.run(a!.run)).rejects.toMatchObject({ code: 429, reason: 'TooManyRequests' });
  // One that fails gives its turn away, too.
  b!.reject(new Error('broken'));
  await expect(ends[1]).rejects.toThrow('broken');
  expect(log).toEqual(['a', 'b', 'c']);
  for (const one of [a, c, d]) one!.resolve();
  await Promise.all([ends[0], ends[2], ends[3]]);
  expect(log).toEqual(['a', 'b', 'c', 'd']);
  await turns.run(a!.run);
});
