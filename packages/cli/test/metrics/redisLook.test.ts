import { waitFor } from '@drover/testkit';
import { expect, test } from 'vitest';

import { RedisLooks } from '../../src/metrics/redisLook.ts';

test('however often it is asked, Redis is looked at once a second', async () => {
  let reads = 0;
  const looks = new RedisLooks(async () => {
    reads += 1;
    return null;
  });
  await Promise.all([looks.look(), looks.look()]);
  await looks.look();
  expect(reads).toBe(1);
});

test('what is wrong is told, not thrown', async () => {
  const looks = new RedisLooks(async () => {
    throw new Error('the connection is closed');
  });
  expect(await looks.look()).toEqual({ fault: 'the connection is closed', gauges: null });
});

test('a Redis that is silent is asked once, and its answer counts when it comes', async () => {
  let reads = 0;
  const answer = Promise.withResolvers<null>();
  const looks = new RedisLooks(() => {
    reads += 1;
    return answer.promise;
  }, 10);
  const silent = { fault: 'Redis does not answer', gauges: null };
  const first = await looks.look();
  expect(first).toEqual(silent);
  const second = await waitFor(async () => {
    const look = await looks.look();
    return look === first ? null : look;
  });
  expect(second).toEqual(silent);
  expect(reads).toBe(1);
  answer.resolve(null);
  await waitFor(async () => (await looks.look()).fault === null);
});
