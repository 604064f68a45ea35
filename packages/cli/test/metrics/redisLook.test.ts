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
